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
    Nearest,
    Put,
    Question,
    Scroll,
    SetPayload,
    Size,
    Sweep,
)
from penstock_common.points.store import TENANT, Page, Payload, Point, Scored, Where

# The generated code has no types.
_pb: Any = _qdrant
_WITH: Any = _pb.WithPayloadSelector(enable=True)

Call = Callable[[str, Any], Any]
"""Asks one method of service Points for the answer to a message."""
_AT_ONCE = 1_000
"""Points of one change; strict mode permits more."""
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
            with_payload=_WITH,
        )
        response = await call("Query", request)
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
            vectors=_pb.Vectors(vector=_pb.Vector(dense=_pb.DenseVector(data=point.vector))),
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
    return _pb.Filter(must=conditions)


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
    vector = record.vectors.vector
    tenant, payload = _owned(record.payload)
    # Before 1.16 a server writes a vector's numbers into the message itself.
    return Point(record.id.uuid, tenant, array("f", vector.dense.data or vector.data), payload)
