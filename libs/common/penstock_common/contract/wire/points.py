"""``penstock.points.v1`` on the wire."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from penstock.points.v1 import points_service_pb2 as pb
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
from penstock_common.errors import InvalidRequest
from penstock_common.points.conditions import AllOf, AnyOf, Condition, In, Not
from penstock_common.points.store import Collection, Page, Payload, Point, Scored, Where
from penstock_common.rpc.method import UnaryMethod
from penstock_common.rpc.protobuf import ProtobufCodec

_SERVICE = "/penstock.points.v1.PointsService/"


def _collection_to(collection: Collection) -> pb.Collection:
    return pb.Collection(**collection._asdict())


def _collection_from(message: pb.Collection) -> Collection:
    if not message.purpose or not message.dimension:
        raise InvalidRequest("The collection has no purpose or no dimension.", field="collection")
    return Collection(
        purpose=message.purpose,
        schema=message.schema,
        model=message.model,
        revision=message.revision,
        dimension=message.dimension,
        keywords=tuple(message.keywords),
        numbers=tuple(message.numbers),
        sparse=message.sparse,
    )


def _field_to(value: str | float | Sequence[str]) -> pb.Field:
    if isinstance(value, str):
        return pb.Field(text=value)
    if isinstance(value, int):
        return pb.Field(whole=value)
    if isinstance(value, float):
        return pb.Field(real=value)
    return pb.Field(texts=pb.Texts(values=value))


def _field_from(message: pb.Field) -> Any:
    kind = message.WhichOneof("value")
    if kind is None:
        raise InvalidRequest("A field has no value that is known here.", field="payload")
    return list(message.texts.values) if kind == "texts" else getattr(message, kind)


def _payload_to(payload: Payload) -> dict[str, pb.Field]:
    return {name: _field_to(value) for name, value in payload.items()}


def _payload_from(fields: Mapping[str, pb.Field]) -> dict[str, Any]:
    return {name: _field_from(value) for name, value in fields.items()}


def _point_to(point: Point) -> pb.Point:
    return pb.Point(
        id=point.id,
        tenant=point.tenant,
        vector=point.vector,
        payload=_payload_to(point.payload),
        terms=point.terms,
    )


def _point_from(message: pb.Point) -> Point:
    return Point(
        message.id, message.tenant, array("f", message.vector), _payload_from(message.payload), dict(message.terms)
    )


def _points_from(messages: Sequence[pb.Point]) -> tuple[Point, ...]:
    return tuple(map(_point_from, messages))


def _scored_to(point: Scored) -> pb.ScoredPoint:
    return pb.ScoredPoint(id=point.id, tenant=point.tenant, score=point.score, payload=_payload_to(point.payload))


def _scored_from(message: pb.ScoredPoint) -> Scored:
    return Scored(message.id, message.tenant, message.score, _payload_from(message.payload))


def _where_to(where: Where) -> pb.Where:
    message = pb.Where(tenant=where.tenant, equal=where.equal, above=where.above, below=where.below)
    if where.ids is not None:
        message.ids.CopyFrom(pb.Texts(values=where.ids))
    for field, values in where.any_of.items():
        message.any_of[field].values.extend(values)
    if where.only is not None:
        message.only.CopyFrom(_condition_to(where.only))
    return message


def _where_from(message: pb.Where) -> Where:
    ids = tuple(message.ids.values) if message.HasField("ids") else None
    any_of = {field: tuple(texts.values) for field, texts in message.any_of.items()}
    only = _condition_from(message.only) if message.HasField("only") else None
    return Where(message.tenant, dict(message.equal), dict(message.above), dict(message.below), ids, any_of, only)


def _condition_to(condition: Condition) -> pb.Condition:
    if isinstance(condition, In):
        return pb.Condition(among=pb.Among(field=condition.field, values=condition.values))
    if isinstance(condition, Not):
        return pb.Condition(none_of=_condition_to(condition.of))
    joined = pb.Conditions(conditions=map(_condition_to, condition.of))
    return pb.Condition(all_of=joined) if isinstance(condition, AllOf) else pb.Condition(any_of=joined)


def _condition_from(message: pb.Condition) -> Condition:
    kind = message.WhichOneof("kind")
    if kind == "among":
        return In(field=message.among.field, values=tuple(message.among.values))
    if kind == "none_of":
        return Not(of=_condition_from(message.none_of))
    if kind == "all_of":
        return AllOf(of=tuple(map(_condition_from, message.all_of.conditions)))
    if kind == "any_of":
        return AnyOf(of=tuple(map(_condition_from, message.any_of.conditions)))
    raise InvalidRequest("A condition is of no kind that is known here.", field="where")


def _nearest_to(value: Nearest) -> pb.NearestRequest:
    return pb.NearestRequest(
        collection=_collection_to(value.collection),
        vector=value.vector,
        where=_where_to(value.where),
        limit=value.limit,
        floor=value.floor,
        fields=value.fields,
    )


def _nearest_from(message: pb.NearestRequest) -> Nearest:
    return Nearest(
        collection=_collection_from(message.collection),
        vector=array("f", message.vector),
        where=_where_from(message.where),
        limit=message.limit,
        floor=message.floor,
        fields=tuple(message.fields),
    )


def _matching_to(value: Matching) -> pb.MatchingRequest:
    return pb.MatchingRequest(
        collection=_collection_to(value.collection),
        terms=value.terms,
        where=_where_to(value.where),
        limit=value.limit,
        fields=value.fields,
    )


def _matching_from(message: pb.MatchingRequest) -> Matching:
    return Matching(
        collection=_collection_from(message.collection),
        terms=dict(message.terms),
        where=_where_from(message.where),
        limit=message.limit,
        fields=tuple(message.fields),
    )


def _scroll_to(value: Scroll) -> pb.ScrollRequest:
    return pb.ScrollRequest(
        collection=_collection_to(value.collection),
        where=_where_to(value.where),
        limit=value.limit,
        after=value.after,
    )


def _scroll_from(message: pb.ScrollRequest) -> Scroll:
    return Scroll(
        collection=_collection_from(message.collection),
        where=_where_from(message.where),
        limit=message.limit,
        after=message.after,
    )


NEAREST = UnaryMethod[Nearest, Sequence[Scored]](
    f"{_SERVICE}Nearest",
    ProtobufCodec(pb.NearestRequest, _nearest_to, _nearest_from),
    ProtobufCodec(
        pb.NearestResponse,
        lambda points: pb.NearestResponse(points=map(_scored_to, points)),
        lambda message: tuple(map(_scored_from, message.points)),
    ),
)
MATCHING = UnaryMethod[Matching, Sequence[Scored]](
    f"{_SERVICE}Matching",
    ProtobufCodec(pb.MatchingRequest, _matching_to, _matching_from),
    ProtobufCodec(
        pb.MatchingResponse,
        lambda points: pb.MatchingResponse(points=map(_scored_to, points)),
        lambda message: tuple(map(_scored_from, message.points)),
    ),
)
PUT = UnaryMethod[Put, None](
    f"{_SERVICE}Put",
    ProtobufCodec(
        pb.PutRequest,
        lambda value: pb.PutRequest(collection=_collection_to(value.collection), points=map(_point_to, value.points)),
        lambda message: Put(collection=_collection_from(message.collection), points=_points_from(message.points)),
    ),
    ProtobufCodec(pb.PutResponse, lambda _: pb.PutResponse(), lambda _: None),
)
GET = UnaryMethod[Get, Sequence[Point]](
    f"{_SERVICE}Get",
    ProtobufCodec(
        pb.GetRequest,
        lambda value: pb.GetRequest(collection=_collection_to(value.collection), tenant=value.tenant, ids=value.ids),
        lambda message: Get(
            collection=_collection_from(message.collection), tenant=message.tenant, ids=tuple(message.ids)
        ),
    ),
    ProtobufCodec(
        pb.GetResponse,
        lambda points: pb.GetResponse(points=map(_point_to, points)),
        lambda message: _points_from(message.points),
    ),
)
SET_PAYLOAD = UnaryMethod[SetPayload, None](
    f"{_SERVICE}SetPayload",
    ProtobufCodec(
        pb.SetPayloadRequest,
        lambda value: pb.SetPayloadRequest(
            collection=_collection_to(value.collection),
            where=_where_to(value.where),
            payload=_payload_to(value.payload),
        ),
        lambda message: SetPayload(
            collection=_collection_from(message.collection),
            where=_where_from(message.where),
            payload=_payload_from(message.payload),
        ),
    ),
    ProtobufCodec(pb.SetPayloadResponse, lambda _: pb.SetPayloadResponse(), lambda _: None),
)
DELETE = UnaryMethod[Delete, int](
    f"{_SERVICE}Delete",
    ProtobufCodec(
        pb.DeleteRequest,
        lambda value: pb.DeleteRequest(collection=_collection_to(value.collection), where=_where_to(value.where)),
        lambda message: Delete(collection=_collection_from(message.collection), where=_where_from(message.where)),
    ),
    ProtobufCodec(pb.DeleteResponse, lambda count: pb.DeleteResponse(count=count), lambda message: message.count),
)
COUNT = UnaryMethod[Count, int](
    f"{_SERVICE}Count",
    ProtobufCodec(
        pb.CountRequest,
        lambda value: pb.CountRequest(collection=_collection_to(value.collection), where=_where_to(value.where)),
        lambda message: Count(collection=_collection_from(message.collection), where=_where_from(message.where)),
    ),
    ProtobufCodec(pb.CountResponse, lambda count: pb.CountResponse(count=count), lambda message: message.count),
)
SCROLL = UnaryMethod[Scroll, Page](
    f"{_SERVICE}Scroll",
    ProtobufCodec(pb.ScrollRequest, _scroll_to, _scroll_from),
    ProtobufCodec(
        pb.ScrollResponse,
        lambda page: pb.ScrollResponse(points=map(_point_to, page.points), after=page.after),
        lambda message: Page(_points_from(message.points), message.after),
    ),
)
SWEEP = UnaryMethod[Sweep, int](
    f"{_SERVICE}Sweep",
    ProtobufCodec(
        pb.SweepRequest,
        lambda value: pb.SweepRequest(
            collection=_collection_to(value.collection), field=value.field, below=value.below
        ),
        lambda message: Sweep(
            collection=_collection_from(message.collection), field=message.field, below=message.below
        ),
    ),
    ProtobufCodec(pb.SweepResponse, lambda count: pb.SweepResponse(count=count), lambda message: message.count),
)
SIZE = UnaryMethod[Size, int](
    f"{_SERVICE}Size",
    ProtobufCodec(
        pb.SizeRequest,
        lambda value: pb.SizeRequest(collection=_collection_to(value.collection)),
        lambda message: Size(collection=_collection_from(message.collection)),
    ),
    ProtobufCodec(pb.SizeResponse, lambda count: pb.SizeResponse(count=count), lambda message: message.count),
)
METHODS: dict[type[Question], UnaryMethod[Any, Any]] = {
    Nearest: NEAREST,
    Matching: MATCHING,
    Put: PUT,
    Get: GET,
    SetPayload: SET_PAYLOAD,
    Delete: DELETE,
    Count: COUNT,
    Scroll: SCROLL,
    Sweep: SWEEP,
    Size: SIZE,
}
"""The method of each question."""
