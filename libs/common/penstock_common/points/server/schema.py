"""How a collection is made in Qdrant, and what must be so of one that is there."""

from __future__ import annotations

from typing import Any

from qdrant_client import grpc as _qdrant

from penstock_common.points.conditions import MOST_CONDITIONS
from penstock_common.points.server.messages import DENSE, SPARSE
from penstock_common.points.store import TENANT, Collection, PointsUnavailable
from penstock_common.sections import Qdrant

# The generated code has no types.
_pb: Any = _qdrant

MOST_AT_ONCE = 10_000
"""Points of one answer, or of one change."""
_MOST_FILTER_CONDITIONS = 2 * MOST_CONDITIONS
"""Those of a tree, and of the fields beside it."""


def creation_of(collection: Collection, settings: Qdrant) -> Any:
    """Return the request that makes the collection."""
    # A graph for each tenant, and none over all of them: nobody searches that.
    # https://qdrant.tech/documentation/guides/multitenancy/#calibrate-performance
    graphs = _pb.HnswConfigDiff(
        m=0,
        payload_m=settings.hnsw_m,
        ef_construct=settings.hnsw_ef_construct,
        full_scan_threshold=settings.full_scan_kilobytes,
    )
    vectors = _pb.VectorParams(size=collection.dimension, distance=_pb.Distance.Value("Dot"))
    return _pb.CreateCollection(
        collection_name=collection.name,
        vectors_config=_vectors(collection, vectors),
        sparse_vectors_config=_terms(collection),
        hnsw_config=graphs,
        optimizers_config=_pb.OptimizersConfigDiff(indexing_threshold=settings.indexing_kilobytes),
        quantization_config=_quantization(settings),
        shard_number=settings.shards,
        replication_factor=settings.replication_factor,
        strict_mode_config=_pb.StrictModeConfig(
            enabled=True,
            unindexed_filtering_retrieve=False,
            unindexed_filtering_update=False,
            max_query_limit=MOST_AT_ONCE,
            upsert_max_batchsize=MOST_AT_ONCE,
            search_max_hnsw_ef=settings.hnsw_ef,
            search_allow_exact=False,
            filter_max_conditions=_MOST_FILTER_CONDITIONS,
        ),
    )


def _vectors(collection: Collection, dense: Any) -> Any:
    if not collection.sparse:
        return _pb.VectorsConfig(params=dense)
    return _pb.VectorsConfig(params_map=_pb.VectorParamsMap(map={DENSE: dense}))


def _terms(collection: Collection) -> Any:
    # Without its modifier: weights are the caller's.
    return _pb.SparseVectorConfig(map={SPARSE: _pb.SparseVectorParams()}) if collection.sparse else None


def _quantization(settings: Qdrant) -> Any:
    if settings.quantization == "scalar":
        int8 = _pb.QuantizationType.Value("Int8")
        return _pb.QuantizationConfig(scalar=_pb.ScalarQuantization(type=int8, always_ram=True))
    if settings.quantization == "binary":
        return _pb.QuantizationConfig(binary=_pb.BinaryQuantization(always_ram=True))
    return None


def check(collection: Collection, info: Any) -> None:
    """Refuse a collection that is there and holds other vectors.

    Raises:
        PointsUnavailable: if it does.
    """
    params = info.config.params
    kept = params.vectors_config
    vectors = kept.params_map.map[DENSE] if collection.sparse else kept.params
    distance = _pb.Distance.Name(vectors.distance)
    if (vectors.size, distance) != (collection.dimension, "Dot"):
        raise PointsUnavailable(
            f"The collection {collection.name} in Qdrant has vectors of {vectors.size} numbers with distance "
            f"{distance}, and not of {collection.dimension} with Dot: somebody else made it; delete or rename it.",
            service="qdrant",
        )
    if collection.sparse and params.sparse_vectors_config.map[SPARSE].modifier:
        raise PointsUnavailable(
            f"The collection {collection.name} in Qdrant changes the weights of terms by how rare they are, for all "
            "tenants together: somebody else made it; delete or rename it.",
            service="qdrant",
        )


def missing_indexes(collection: Collection, info: Any) -> list[Any]:
    """Return the requests that make the indexes that are not there."""
    tenant = _pb.PayloadIndexParams(keyword_index_params=_pb.KeywordIndexParams(is_tenant=True))
    keyword = _pb.PayloadIndexParams(keyword_index_params=_pb.KeywordIndexParams(enable_hnsw=False))
    number = _pb.PayloadIndexParams(float_index_params=_pb.FloatIndexParams(enable_hnsw=False))
    wanted = {TENANT: ("FieldTypeKeyword", tenant)}
    wanted |= dict.fromkeys(collection.keywords, ("FieldTypeKeyword", keyword))
    wanted |= dict.fromkeys(collection.numbers, ("FieldTypeFloat", number))
    return [
        _pb.CreateFieldIndexCollection(
            collection_name=collection.name,
            wait=True,
            field_name=field,
            field_type=_pb.FieldType.Value(kind),
            field_index_params=params,
        )
        for field, (kind, params) in wanted.items()
        if field not in info.payload_schema
    ]
