"""``penstock.inference.v1.RelayService`` on the wire."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.inference.v1 import relay_service_pb2 as pb
from penstock_common.contract.relay import (
    Headers,
    RelayPlace,
    RelayRequest,
    RelayRequestHead,
    RelayResponse,
    RelayResponseHead,
    RelayTerms,
)
from penstock_common.rpc.method import DuplexMethod, UnaryMethod
from penstock_common.rpc.protobuf import ProtobufCodec

_SERVICE = "/penstock.inference.v1.RelayService/"


def _place_to(value: RelayPlace) -> pb.RelayPlace:
    return pb.RelayPlace(
        upstream=value.upstream, method=value.method, path=value.path, allowed_regions=value.allowed_regions
    )


def _place_from(message: pb.RelayPlace) -> RelayPlace:
    return RelayPlace(message.upstream, message.method, message.path, tuple(message.allowed_regions))


def _headers_to(headers: Headers) -> list[pb.RelayHeader]:
    return [pb.RelayHeader(name=name, value=value) for name, value in headers]


def _headers_from(headers: Iterable[pb.RelayHeader]) -> Headers:
    return tuple([(header.name, header.value) for header in headers])


def _terms_to(value: RelayTerms) -> pb.FindRelayResponse:
    return pb.FindRelayResponse(
        pattern=value.pattern, price_nano_usd=value.price_nano_usd, max_request_bytes=value.max_request_bytes
    )


def _terms_from(message: pb.FindRelayResponse) -> RelayTerms:
    price = message.price_nano_usd if message.HasField("price_nano_usd") else None
    return RelayTerms(message.pattern, price, message.max_request_bytes)


def _request_to(value: RelayRequest) -> pb.RelayRequest:
    if isinstance(value, bytes):
        return pb.RelayRequest(piece=value)
    head = pb.RelayRequestHead(
        place=_place_to(value.place), query=value.query, headers=_headers_to(value.headers), length=value.length
    )
    return pb.RelayRequest(head=head)


def _request_from(message: pb.RelayRequest) -> RelayRequest:
    if message.WhichOneof("message") != "head":
        return message.piece
    head = message.head
    length = head.length if head.HasField("length") else None
    return RelayRequestHead(_place_from(head.place), head.query, _headers_from(head.headers), length)


def _response_to(value: RelayResponse) -> pb.RelayResponse:
    if isinstance(value, bytes):
        return pb.RelayResponse(piece=value)
    head = pb.RelayResponseHead(status=value.status, headers=_headers_to(value.headers), length=value.length)
    return pb.RelayResponse(head=head)


def _response_from(message: pb.RelayResponse) -> RelayResponse:
    if message.WhichOneof("message") != "head":
        return message.piece
    head = message.head
    length = head.length if head.HasField("length") else None
    return RelayResponseHead(head.status, _headers_from(head.headers), length)


FIND_RELAY = UnaryMethod[RelayPlace, RelayTerms](
    f"{_SERVICE}FindRelay",
    ProtobufCodec(
        pb.FindRelayRequest,
        lambda place: pb.FindRelayRequest(place=_place_to(place)),
        lambda message: _place_from(message.place),
    ),
    ProtobufCodec(pb.FindRelayResponse, _terms_to, _terms_from),
)
RELAY = DuplexMethod[RelayRequest, RelayResponse](
    f"{_SERVICE}Relay",
    ProtobufCodec(pb.RelayRequest, _request_to, _request_from),
    ProtobufCodec(pb.RelayResponse, _response_to, _response_from),
)
