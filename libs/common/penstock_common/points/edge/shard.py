"""A collection in a folder, as Qdrant Edge keeps it. Every call blocks, and holds the interpreter's lock."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import qdrant_edge as qdrant

from penstock_common.contract.points import (
    Count,
    Delete,
    Get,
    Matching,
    Nearest,
    Put,
    Question,
    Scroll,
    SetPayload,
    Size,
    Sweep,
)
from penstock_common.points.conditions import ACORN_SELECTIVITY, EXACT_AT_MOST, AllOf, Condition, In, Not
from penstock_common.points.edge.messages import Settings
from penstock_common.points.store import TENANT, Collection, Page, Payload, Point, Scored, Terms, Where

_DENSE, _SPARSE = "dense", "terms"
"""What the engine calls the vectors of a collection that has terms; elsewhere its only vector has no name."""


class Shard:
    """Answers the questions about one collection."""

    def __init__(self, collection: Collection, folder: Path, settings: Settings) -> None:
        """Open what the folder has, or begin it.

        Raises:
            Exception: the engine's own, which has no kinds, if the folder cannot be read.
        """
        self._collection = collection
        self._settings = settings
        config = _configuration(collection, settings)
        path = str(folder)
        self._shard: Any = (
            qdrant.EdgeShard.load(path, config) if folder.exists() else qdrant.EdgeShard.create(path, config)
        )
        self._index_fields()
        self._using = _DENSE if collection.sparse else None
        self._params = qdrant.SearchParams(hnsw_ef=settings.hnsw_ef, quantization=_quantized_search(settings))
        self._labelled_params = _among_others(settings, settings.hnsw_ef)
        self._filtered_params = _among_others(settings, max(settings.hnsw_ef, settings.hnsw_filtered_ef))
        self._exact_params = qdrant.SearchParams(exact=True)
        self._is_changed = False
        self._answers: dict[type[Question], Callable[[Any], Any]] = {
            Nearest: self._nearest,
            Matching: self._matching,
            Put: self._put,
            Get: self._get,
            SetPayload: self._set_payload,
            Delete: self._delete,
            Count: self._count_where,
            Scroll: self._scroll,
            Sweep: self._sweep,
            Size: self._size,
        }

    def answer(self, question: Question) -> Any:
        """Return the answer."""
        return self._answers[type(question)](question)

    @property
    def collection(self) -> Collection:
        """What is kept."""
        return self._collection

    @property
    def is_changed(self) -> bool:
        """Whether something was written since the last flush."""
        return self._is_changed

    @property
    def unindexed(self) -> int:
        """How many points no index holds yet."""
        info = self._shard.info()
        # Terms are in an index from the beginning, and are counted.
        vectors = info.points_count * (2 if self._collection.sparse else 1)
        return max(vectors - info.indexed_vectors_count, 0)

    def flush(self) -> None:
        """Have what was written outlive a loss of power, too."""
        self._shard.flush()
        self._is_changed = False

    def optimize(self) -> None:
        """Index what is not, and rid of what was deleted. Seconds for ten thousand points."""
        self._shard.optimize()

    def close(self) -> None:
        """Flush and let go of the folder."""
        self._shard.close()

    def _index_fields(self) -> None:
        known = self._shard.info().payload_schema
        wanted: dict[str, Any] = {TENANT: qdrant.KeywordIndexParams(is_tenant=True)}
        wanted |= {field: qdrant.KeywordIndexParams(enable_hnsw=False) for field in self._collection.keywords}
        wanted |= {field: qdrant.FloatIndexParams(enable_hnsw=False) for field in self._collection.numbers}
        for field, index in wanted.items():
            if field not in known:
                self._shard.update(qdrant.UpdateOperation.create_field_index(field, index))

    def _nearest(self, question: Nearest) -> Sequence[Scored]:
        chosen = _filter(question.where)
        return self._search(
            qdrant.SearchRequest(
                qdrant.Query.Nearest(_floats(question.vector), self._using),
                question.limit,
                filter=chosen,
                params=self._params_for(question.where, chosen),
                with_payload=_shown(question.fields),
                score_threshold=question.floor,
            )
        )

    def _params_for(self, where: Where, chosen: Any) -> Any:
        if not where.any_of and where.only is None:
            return self._params
        if self._shard.count(qdrant.CountRequest(filter=chosen, exact=False)) <= EXACT_AT_MOST:
            return self._exact_params
        return self._labelled_params if where.only is None else self._filtered_params

    def _matching(self, question: Matching) -> Sequence[Scored]:
        return self._search(
            qdrant.SearchRequest(
                qdrant.Query.Nearest(_sparse(question.terms), _SPARSE),
                question.limit,
                filter=_filter(question.where),
                with_payload=_shown(question.fields),
            )
        )

    def _search(self, request: Any) -> Sequence[Scored]:
        return [Scored(str(point.id), *_owned(point.payload, point.score)) for point in self._shard.search(request)]

    def _put(self, question: Put) -> None:
        by_tenant: dict[str, list[Any]] = {}
        for point in question.points:
            kept = qdrant.Point(point.id, self._vectors(point), {**_plain(point.payload), TENANT: point.tenant})
            by_tenant.setdefault(point.tenant, []).append(kept)
        for tenant, points in by_tenant.items():
            # A point of another tenant that has the id stays as it is.
            self._write(qdrant.UpdateOperation.upsert_points(points, condition=_filter(Where(tenant))))

    def _vectors(self, point: Point) -> Any:
        dense = _floats(point.vector)
        return {_DENSE: dense, _SPARSE: _sparse(point.terms)} if self._collection.sparse else dense

    def _get(self, question: Get) -> Sequence[Point]:
        records, _ = self._records(Where(question.tenant, ids=question.ids), len(question.ids), "", vectors=True)
        return records

    def _set_payload(self, question: SetPayload) -> None:
        self._write(qdrant.UpdateOperation.set_payload_by_filter(_filter(question.where), _plain(question.payload)))

    def _delete(self, question: Delete) -> int:
        return self._delete_all(_filter(question.where))

    def _count_where(self, question: Count) -> int:
        return self._count(_filter(question.where))

    def _scroll(self, question: Scroll) -> Page:
        # One more than asked for says whether there is a next page.
        records, _ = self._records(question.where, question.limit + 1 + bool(question.after), question.after)
        if question.after and records and records[0].id == question.after:
            records = records[1:]
        shown = records[: question.limit]
        return Page(shown, shown[-1].id if shown and len(records) > len(shown) else "")

    def _sweep(self, question: Sweep) -> int:
        bound = qdrant.FieldCondition(question.field, range=qdrant.RangeFloat(lt=question.below))
        return self._delete_all(qdrant.Filter(must=[bound]))

    def _size(self, question: Size) -> int:
        return self._count(None)

    def _records(
        self, where: Where, limit: int, start: str, *, vectors: bool = False
    ) -> tuple[Sequence[Point], str | None]:
        request = qdrant.ScrollRequest(
            offset=start or None, limit=limit, filter=_filter(where), with_payload=True, with_vector=vectors
        )
        records, following = self._shard.scroll(request)
        points: list[Point] = []
        for record in records:
            vector, terms = self._vectors_of(record)
            tenant, _, payload = _owned(record.payload, None)
            points.append(Point(str(record.id), tenant, array("f", vector), payload, terms))
        return points, following

    def _vectors_of(self, record: Any) -> tuple[Sequence[float], Terms]:
        if not record.vector or not self._collection.sparse:
            return record.vector or (), {}
        sparse = record.vector[_SPARSE]
        return record.vector[_DENSE], dict(zip(sparse.indices, sparse.values, strict=True))

    def _count(self, chosen: Any) -> int:
        return self._shard.count(qdrant.CountRequest(filter=chosen))

    def _delete_all(self, chosen: Any) -> int:
        count = self._count(chosen)
        if count:
            self._write(qdrant.UpdateOperation.delete_points_by_filter(chosen))
        return count

    def _write(self, operation: Any) -> None:
        self._is_changed = True
        self._shard.update(operation)


def _configuration(collection: Collection, settings: Settings) -> Any:
    dense = qdrant.EdgeVectorParams(size=collection.dimension, distance=qdrant.Distance.Dot)
    return qdrant.EdgeConfig(
        vectors={_DENSE: dense} if collection.sparse else dense,
        # Without its modifier: weights are the caller's.
        sparse_vectors={_SPARSE: qdrant.EdgeSparseVectorParams()} if collection.sparse else None,
        # A graph for each large tenant, and none over all of them: nobody searches that.
        hnsw_config=qdrant.HnswIndexConfig(
            m=0,
            payload_m=settings.hnsw_m,
            ef_construct=settings.hnsw_ef_construct,
            full_scan_threshold=settings.full_scan_kilobytes,
            max_indexing_threads=1,
        ),
        quantization_config=_quantization(settings),
        optimizers=qdrant.EdgeOptimizersConfig(
            indexing_threshold=settings.indexing_threshold_kilobytes,
            max_segment_size=settings.max_segment_kilobytes,
            default_segment_number=1,
        ),
        max_search_threads=1,
    )


def _quantization(settings: Settings) -> Any:
    if settings.quantization == "scalar":
        return qdrant.ScalarQuantizationConfig(qdrant.ScalarType.Int8)
    return qdrant.BinaryQuantizationConfig() if settings.quantization == "binary" else None


def _quantized_search(settings: Settings) -> Any:
    if settings.quantization == "none":
        return None
    return qdrant.QuantizationSearchParams(rescore=True, oversampling=2.0 if settings.quantization == "scalar" else 4.0)


def _among_others(settings: Settings, ef: int) -> Any:
    """Return how a graph is searched in which many points do not meet the conditions."""
    acorn = qdrant.AcornSearchParams(enable=True, max_selectivity=ACORN_SELECTIVITY)
    return qdrant.SearchParams(hnsw_ef=ef, quantization=_quantized_search(settings), acorn=acorn)


def _filter(where: Where) -> Any:
    conditions: list[Any] = [_matches(TENANT, where.tenant)]
    conditions += [_matches(field, value) for field, value in where.equal.items()]
    conditions += [
        qdrant.FieldCondition(field, range=qdrant.RangeFloat(gt=bound)) for field, bound in where.above.items()
    ]
    conditions += [
        qdrant.FieldCondition(field, range=qdrant.RangeFloat(lt=bound)) for field, bound in where.below.items()
    ]
    if where.ids is not None:
        conditions.append(qdrant.HasIdCondition(set(where.ids)))
    if where.any_of:
        conditions += [_is_among(field, values) for field, values in where.any_of.items()]
    if where.only is not None:
        conditions.append(_condition(where.only))
    return qdrant.Filter(must=conditions)


def _condition(condition: Condition) -> Any:
    if isinstance(condition, In):
        return _is_among(condition.field, condition.values)
    if isinstance(condition, Not):
        return qdrant.Filter(must_not=[_condition(condition.of)])
    joined = [_condition(one) for one in condition.of]
    return qdrant.Filter(must=joined) if isinstance(condition, AllOf) else qdrant.Filter(should=joined)


def _is_among(field: str, values: Sequence[str]) -> Any:
    return qdrant.FieldCondition(field, match=qdrant.MatchAny(list(values)))


def _matches(field: str, value: str) -> Any:
    return qdrant.FieldCondition(field, match=qdrant.MatchValue(value))


def _floats(vector: Iterable[float]) -> list[float]:
    # A list is read in two thirds of the time of an array.
    return list(vector)


def _shown(fields: Sequence[str]) -> Any:
    return [TENANT, *fields] if fields else True


def _sparse(terms: Terms) -> Any:
    return qdrant.SparseVector(list(terms), list(terms.values()))


def _plain(payload: Payload) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in payload.items()}


def _owned(payload: Mapping[str, Any], what: Any) -> tuple[str, Any, dict[str, Any]]:
    fields = dict(payload)
    return fields.pop(TENANT), what, fields
