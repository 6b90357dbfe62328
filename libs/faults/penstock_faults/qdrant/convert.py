"""Qdrant's messages as what Qdrant Edge takes, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    graphs = request.hnsw_config
    return edge.EdgeConfig(
        vectors=_vector_params(request.vectors_config),
        sparse_vectors=_sparse_params(request.sparse_vectors_config),
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


def _vector_params(message: Any) -> Any:
    if message.WhichOneof("config") == "params_map":
        return {name: _one_vector(params) for name, params in message.params_map.map.items()}
    return _one_vector(message.params)


def _one_vector(params: Any) -> Any:
    return edge.EdgeVectorParams(size=params.size, distance=getattr(edge.Distance, _pb.Distance.Name(params.distance)))


def _sparse_params(message: Any) -> Any:
    if any(params.modifier for params in message.map.values()):
        raise NotPlayed("a modifier of sparse vectors")
    return {name: edge.EdgeSparseVectorParams() for name in message.map} or None


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
    for condition in (*message.must, *message.should, *message.must_not):
        if condition.HasField("field"):
            yield condition.field.key
        elif condition.HasField("filter"):
            yield from fields_of(condition.filter)


def filter_of(message: Any) -> Any:
    """Return the filter; ``min_should`` is not played."""
    if message.HasField("min_should"):
        raise NotPlayed("a filter with 'min_should'")
    return edge.Filter(
        must=_conditions(message.must), should=_conditions(message.should), must_not=_conditions(message.must_not)
    )


def _conditions(messages: Sequence[Any]) -> list[Any] | None:
    return [_condition(one) for one in messages] or None


def _condition(message: Any) -> Any:
    kind = message.WhichOneof("condition_one_of")
    if kind == "has_id":
        return edge.HasIdCondition({one.uuid for one in message.has_id.has_id})
    if kind == "filter":
        return filter_of(message.filter)
    if kind != "field":
        raise NotPlayed(f"a condition {kind}")
    field = message.field
    if field.HasField("match"):
        return edge.FieldCondition(field.key, match=_match(field.match))
    bounds = {name: getattr(field.range, name) for name in _RANGES if field.range.HasField(name)}
    return edge.FieldCondition(field.key, range=edge.RangeFloat(**bounds))


def _match(message: Any) -> Any:
    kind = message.WhichOneof("match_value")
    if kind == "keyword":
        return edge.MatchValue(message.keyword)
    if kind == "keywords":
        return edge.MatchAny(list(message.keywords.strings))
    raise NotPlayed(f"a match of {kind}")


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
    return edge.Point(message.id.uuid, _vectors(message.vectors), payload_of(message.payload))


def _vectors(message: Any) -> Any:
    if message.WhichOneof("vectors_options") == "vectors":
        return {name: vector_of(vector) for name, vector in message.vectors.vectors.items()}
    return vector_of(message.vector)


def vector_of(message: Any) -> Any:
    """Return a vector, dense or sparse, of a point or of a question."""
    if message.HasField("sparse"):
        return edge.SparseVector(list(message.sparse.indices), list(message.sparse.values))
    return list(message.dense.data)


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
    if isinstance(record.vector, dict):
        for name, vector in record.vector.items():
            _fill(message.vectors.vectors.vectors[name], vector)
    elif record.vector is not None:
        _fill(message.vectors.vector, record.vector)
    return message


def _fill(message: Any, vector: Any) -> None:
    if isinstance(vector, edge.SparseVector):
        message.sparse.indices.extend(vector.indices)
        message.sparse.values.extend(vector.values)
    else:
        message.dense.data.extend(vector)
