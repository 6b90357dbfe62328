"""Questions as Qdrant's messages, and its answers as ours."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qdrant_client import grpc as _qdrant

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
from penstock_common.points.conditions import AllOf, Condition, In, Not
from penstock_common.points.store import TENANT, Page, Payload, Point, Scored, Terms, Where

# The generated code has no types.
_pb: Any = _qdrant
_WITH: Any = _pb.WithPayloadSelector(enable=True)

Call = Callable[[str, Any], Any]
"""Asks one method of service Points for the answer to a message."""
_AT_ONCE = 1_000
"""Points of one change; strict mode permits more."""
DENSE, SPARSE = "dense", "terms"
"""What Qdrant calls the vectors of a collection that has terms; elsewhere its only vector has no name."""
OVERSAMPLING = {"scalar": 2.0, "binary": 4.0}


class Conversation:
    """Asks what a question needs, one call after another, and puts the answers together."""

    def __init__(self, hnsw_ef: int, quantization: str) -> None:
        self._params = _pb.SearchParams(hnsw_ef=hnsw_ef)
        if quantization in OVERSAMPLING:
            quantized = _pb.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING[quantization])
            self._params.quantization.CopyFrom(quantized)
        self._about: dict[type[Question], Callable[[Any, Call], Any]] = {
            Nearest: self._nearest,
            Matching: _matching,
            Put: _put,
            Get: _get,
            SetPayload: _set_payload,
            Delete: lambda asked, call: _delete(asked.collection.name, filter_of(asked.where), call),
            Count: lambda asked, call: _count(asked.collection.name, filter_of(asked.where), call),
            Scroll: _scroll,
            Sweep: lambda asked, call: _delete(asked.collection.name, _below(asked.field, asked.below), call),
            Size: lambda asked, call: _count(asked.collection.name, None, call),
        }

    async def about(self, question: Question, call: Call) -> Any:
        """Return the answer."""
        return await self._about[type(question)](question, call)

    async def _nearest(self, asked: Nearest, call: Call) -> Sequence[Scored]:
        request = _pb.QueryPoints(
            collection_name=asked.collection.name,
            query=_pb.Query(nearest=_pb.VectorInput(dense=_pb.DenseVector(data=asked.vector))),
            filter=filter_of(asked.where),
            params=self._params,
            score_threshold=asked.floor,
            limit=asked.limit,
            with_payload=_shown(asked.fields),
        )
        if asked.collection.sparse:
            request.using = DENSE
        return _found(await call("Query", request))


async def _matching(asked: Matching, call: Call) -> Sequence[Scored]:
    request = _pb.QueryPoints(
        collection_name=asked.collection.name,
        query=_pb.Query(nearest=_pb.VectorInput(sparse=_sparse(asked.terms))),
        using=SPARSE,
        filter=filter_of(asked.where),
        limit=asked.limit,
        with_payload=_shown(asked.fields),
    )
    return _found(await call("Query", request))


def _shown(fields: Sequence[str]) -> Any:
    if not fields:
        return _WITH
    return _pb.WithPayloadSelector(include=_pb.PayloadIncludeSelector(fields=[TENANT, *fields]))


def _found(response: Any) -> Sequence[Scored]:
    found: list[Scored] = []
    for point in response.result:
        tenant, payload = _owned(point.payload)
        found.append(Scored(point.id.uuid, tenant, point.score, payload))
    return found


async def _put(asked: Put, call: Call) -> None:
    by_tenant: dict[str, list[Any]] = {}
    for point in asked.points:
        kept = _pb.PointStruct(
            id=_pb.PointId(uuid=point.id),
            vectors=_vectors(point, is_sparse=asked.collection.sparse),
            payload={TENANT: _value(point.tenant), **_values(point.payload)},
        )
        by_tenant.setdefault(point.tenant, []).append(kept)
    for tenant, points in by_tenant.items():
        # A point of another tenant that has the id stays as it is.
        own = filter_of(Where(tenant))
        for start in range(0, len(points), _AT_ONCE):
            some = points[start : start + _AT_ONCE]
            request = _pb.UpsertPoints(collection_name=asked.collection.name, wait=True, points=some, update_filter=own)
            await call("Upsert", request)


def _vectors(point: Point, *, is_sparse: bool) -> Any:
    dense = _pb.Vector(dense=_pb.DenseVector(data=point.vector))
    if not is_sparse:
        return _pb.Vectors(vector=dense)
    named = {DENSE: dense, SPARSE: _pb.Vector(sparse=_sparse(point.terms))}
    return _pb.Vectors(vectors=_pb.NamedVectors(vectors=named))


def _sparse(terms: Terms) -> Any:
    return _pb.SparseVector(indices=list(terms), values=list(terms.values()))


async def _get(asked: Get, call: Call) -> Sequence[Point]:
    request = _pb.ScrollPoints(
        collection_name=asked.collection.name,
        filter=filter_of(Where(asked.tenant, ids=asked.ids)),
        limit=len(asked.ids),
        with_payload=_WITH,
        with_vectors=_pb.WithVectorsSelector(enable=True),
    )
    return [_point(record) for record in (await call("Scroll", request)).result]


async def _set_payload(asked: SetPayload, call: Call) -> None:
    request = _pb.SetPayloadPoints(
        collection_name=asked.collection.name,
        wait=True,
        payload=_values(asked.payload),
        points_selector=_pb.PointsSelector(filter=filter_of(asked.where)),
    )
    await call("SetPayload", request)


async def _scroll(asked: Scroll, call: Call) -> Page:
    # The offset itself is part of what comes, and one more than asked for says whether there is a next page.
    request = _pb.ScrollPoints(
        collection_name=asked.collection.name,
        filter=filter_of(asked.where),
        limit=asked.limit + 1 + bool(asked.after),
        with_payload=_WITH,
        offset=_pb.PointId(uuid=asked.after) if asked.after else None,
    )
    records = [_point(record) for record in (await call("Scroll", request)).result]
    return page_of(records, asked)


def page_of(records: Sequence[Point], asked: Scroll) -> Page:
    """Return the page of what was read from ``after`` on, with up to two points more than a page has."""
    if asked.after and records and records[0].id == asked.after:
        records = records[1:]
    shown = records[: asked.limit]
    return Page(shown, shown[-1].id if shown and len(records) > len(shown) else "")


async def _delete(name: str, chosen: Any, call: Call) -> int:
    count = await _count(name, chosen, call)
    if count:
        selector = _pb.PointsSelector(filter=chosen)
        await call("Delete", _pb.DeletePoints(collection_name=name, wait=True, points=selector))
    return count


async def _count(name: str, chosen: Any, call: Call) -> int:
    response = await call("Count", _pb.CountPoints(collection_name=name, filter=chosen, exact=True))
    return response.result.count


def filter_of(where: Where) -> Any:
    """Return the filter of the conditions."""
    conditions = [_matches(TENANT, where.tenant)]
    conditions += [_matches(field, value) for field, value in where.equal.items()]
    conditions += [_within(field, _pb.Range(gt=bound)) for field, bound in where.above.items()]
    conditions += [_within(field, _pb.Range(lt=bound)) for field, bound in where.below.items()]
    if where.ids is not None:
        ids = [_pb.PointId(uuid=text) for text in where.ids]
        conditions.append(_pb.Condition(has_id=_pb.HasIdCondition(has_id=ids)))
    if where.any_of:
        conditions += [_is_among(field, values) for field, values in where.any_of.items()]
    if where.only is not None:
        conditions.append(_condition(where.only))
    return _pb.Filter(must=conditions)


def _condition(condition: Condition) -> Any:
    if isinstance(condition, In):
        return _is_among(condition.field, condition.values)
    if isinstance(condition, Not):
        joined = _pb.Filter(must_not=[_condition(condition.of)])
    elif isinstance(condition, AllOf):
        joined = _pb.Filter(must=map(_condition, condition.of))
    else:
        joined = _pb.Filter(should=map(_condition, condition.of))
    return _pb.Condition(filter=joined)


def _is_among(field: str, values: Sequence[str]) -> Any:
    match = _pb.Match(keywords=_pb.RepeatedStrings(strings=values))
    return _pb.Condition(field=_pb.FieldCondition(key=field, match=match))


def _below(field: str, bound: float) -> Any:
    return _pb.Filter(must=[_within(field, _pb.Range(lt=bound))])


def _matches(field: str, value: str) -> Any:
    return _pb.Condition(field=_pb.FieldCondition(key=field, match=_pb.Match(keyword=value)))


def _within(field: str, bounds: Any) -> Any:
    return _pb.Condition(field=_pb.FieldCondition(key=field, range=bounds))


def _values(payload: Payload) -> dict[str, Any]:
    return {name: _value(value) for name, value in payload.items()}


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return _pb.Value(string_value=value)
    if isinstance(value, int):
        return _pb.Value(integer_value=value)
    if isinstance(value, float):
        return _pb.Value(double_value=value)
    return _pb.Value(list_value=_pb.ListValue(values=[_pb.Value(string_value=text) for text in value]))


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    return [one.string_value for one in value.list_value.values] if kind == "list_value" else getattr(value, kind)


def _owned(payload: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    fields = {name: _plain(value) for name, value in payload.items()}
    return fields.pop(TENANT), fields


def _point(record: Any) -> Point:
    tenant, payload = _owned(record.payload)
    if record.vectors.HasField("vectors"):
        named = record.vectors.vectors.vectors
        return Point(record.id.uuid, tenant, array("f", _dense(named[DENSE])), payload, _terms(named[SPARSE]))
    return Point(record.id.uuid, tenant, array("f", _dense(record.vectors.vector)), payload)


def _dense(vector: Any) -> Sequence[float]:
    # Before 1.16 a server writes a vector's numbers into the message itself.
    return vector.dense.data or vector.data


def _terms(vector: Any) -> Terms:
    sparse = vector.sparse
    if not sparse.indices:
        return dict(zip(vector.indices.data, vector.data, strict=True))
    return dict(zip(sparse.indices, sparse.values, strict=True))
