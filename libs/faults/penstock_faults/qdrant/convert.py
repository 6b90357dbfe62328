"""Qdrant's messages as what Qdrant Edge takes, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import qdrant_edge as edge
from qdrant_client import grpc as _qdrant

# The generated code has no types.
_pb: Any = _qdrant

_RANGES = {field: field for field in ("lt", "gt", "lte", "gte")}


class NotPlayed(Exception):
    """The request holds what this server does not know how to play."""


def configuration(request: Any) -> Any:
    """Return the shard's of a CreateCollection."""
    vectors = request.vectors_config.params
    graphs = request.hnsw_config
    return edge.EdgeConfig(
        vectors=edge.EdgeVectorParams(
            size=vectors.size, distance=getattr(edge.Distance, _pb.Distance.Name(vectors.distance))
        ),
        hnsw_config=edge.HnswIndexConfig(
            m=graphs.m if graphs.HasField("m") else 16,
            ef_construct=graphs.ef_construct or 100,
            full_scan_threshold=graphs.full_scan_threshold or 10_000,
            payload_m=graphs.payload_m if graphs.HasField("payload_m") else None,
            max_indexing_threads=1,
        ),
        quantization_config=_quantization(request.quantization_config),
        optimizers=edge.EdgeOptimizersConfig(
            indexing_threshold=request.optimizers_config.indexing_threshold or None, default_segment_number=1
        ),
        max_search_threads=1,
    )


def _quantization(message: Any) -> Any:
    kind = message.WhichOneof("quantization")
    if kind == "scalar":
        return edge.ScalarQuantizationConfig(edge.ScalarType.Int8)
    return edge.BinaryQuantizationConfig() if kind == "binary" else None


def index_of(request: Any) -> Any:
    """Return the index of a CreateFieldIndexCollection."""
    params = request.field_index_params
    if request.field_type == _pb.FieldType.Value("FieldTypeKeyword"):
        keyword = params.keyword_index_params
        return edge.KeywordIndexParams(
            is_tenant=keyword.is_tenant, enable_hnsw=keyword.enable_hnsw if keyword.HasField("enable_hnsw") else None
        )
    if request.field_type == _pb.FieldType.Value("FieldTypeFloat"):
        return edge.FloatIndexParams()
    raise NotPlayed(f"an index of {_pb.FieldType.Name(request.field_type)}")


def fields_of(message: Any) -> Iterator[str]:
    """Return the fields that a filter's conditions need an index for."""
    return (condition.field.key for condition in message.must if condition.HasField("field"))


def filter_of(message: Any) -> Any:
    """Return the filter; only ``must`` is played."""
    if message.should or message.must_not or message.HasField("min_should"):
        raise NotPlayed("a filter with other parts than 'must'")
    return edge.Filter(must=[_condition(condition) for condition in message.must])


def _condition(message: Any) -> Any:
    kind = message.WhichOneof("condition_one_of")
    if kind == "has_id":
        return edge.HasIdCondition({one.uuid for one in message.has_id.has_id})
    if kind != "field":
        raise NotPlayed(f"a condition {kind}")
    field = message.field
    if field.HasField("match"):
        return edge.FieldCondition(field.key, match=edge.MatchValue(field.match.keyword))
    bounds = {name: getattr(field.range, name) for name in _RANGES if field.range.HasField(name)}
    return edge.FieldCondition(field.key, range=edge.RangeFloat(**bounds))


def params_of(message: Any) -> Any:
    """Return how to search."""
    quantized = None
    if message.HasField("quantization"):
        quantized = edge.QuantizationSearchParams(
            rescore=message.quantization.rescore, oversampling=message.quantization.oversampling
        )
    return edge.SearchParams(hnsw_ef=message.hnsw_ef or None, exact=message.exact, quantization=quantized)


def point_of(message: Any) -> Any:
    """Return the point of a PointStruct."""
    return edge.Point(message.id.uuid, list(message.vectors.vector.dense.data), payload_of(message.payload))


def payload_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload."""
    return {name: _plain(value) for name, value in fields.items()}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    return [_plain(one) for one in value.list_value.values] if kind == "list_value" else getattr(value, kind)


def values_of(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the message's fields."""
    return {name: _value(value) for name, value in payload.items()}


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return _pb.Value(string_value=value)
    if isinstance(value, int):
        return _pb.Value(integer_value=value)
    if isinstance(value, float):
        return _pb.Value(double_value=value)
    return _pb.Value(list_value=_pb.ListValue(values=[_value(one) for one in value]))


def scored_to(point: Any) -> Any:
    """Return the message of a point that was found."""
    return _pb.ScoredPoint(id=_pb.PointId(uuid=str(point.id)), score=point.score, payload=values_of(point.payload))


def record_to(record: Any) -> Any:
    """Return the message of a point that was read."""
    message = _pb.RetrievedPoint(id=_pb.PointId(uuid=str(record.id)), payload=values_of(record.payload))
    if record.vector is not None:
        message.vectors.vector.dense.data.extend(record.vector)
    return message
