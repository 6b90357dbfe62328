"""Requests that carry an idempotency key, around what serves them."""

from __future__ import annotations

import re
from datetime import timedelta
from math import isfinite
from typing import NamedTuple

import msgspec

from penstock_gateway.domain.idempotency.calls import AskedCall, KeptCalls
from penstock_gateway.domain.idempotency.keys import KEY_HEADER, Marks
from penstock_gateway.domain.life.door import Place
from penstock_gateway.surfaces.arrival import Arrival, replay_headers, timeout_in
from penstock_gateway.surfaces.http1.lines import header_lines
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats.answer_head import request_id_line
from penstock_gateway.surfaces.wire_formats.routes import Serve

_BOUNDARY = re.compile(r'boundary="?([^";,\s]{1,70})', re.IGNORECASE)
_LEAST_REFUSAL = 400
# Below it each whole number is a float as well.
_EXACT = 2**53
# What is this request's own, and not its answer's.
_OWN_LINES = re.compile(rb"(?:x-request-id|request-id|x-ratelimit-[a-z-]+): [^\r\n]*\r\n", re.IGNORECASE)


class _Answered(msgspec.Struct, frozen=True):
    """A whole answer, as it is kept."""

    status: int
    lines: bytes
    body: bytes


_DECODER = msgspec.msgpack.Decoder(_Answered)


class _Refused(Exception):
    """The request was answered with a refusal, which is not kept."""


class _Noted(HttpResponse):
    """Notes a whole answer in the place of sending it."""

    __slots__ = ("answered",)

    def __init__(self) -> None:
        self.is_begun = self.is_complete = False
        self.answered: _Answered | None = None

    def whole(self, status: int, lines: bytes, body: bytes) -> None:
        """Note it."""
        self.is_begun = self.is_complete = True
        self.answered = _Answered(status, lines, body)

    def begin(self, status: int, lines: bytes, length: int | None = None) -> None:
        """Refuse to begin what has no end yet."""
        raise NotImplementedError("what answers piece by piece keeps its answers by itself")


class IdempotentRoutes(NamedTuple):
    """Serves requests once. ``patience``: how long one waits for another whose caller has set no timeout."""

    calls: KeptCalls
    marks: Marks
    patience: timedelta

    def around(self, serve: Serve) -> Serve:
        """Return what serves a route, with its answers kept where a key is sent."""

        async def once(arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> None:
            if KEY_HEADER in arrival.headers:
                await self._once(serve, arrival, place, request, response)
            else:
                await serve(arrival, place, request, response)

        return once

    async def _once(
        self, serve: Serve, arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse
    ) -> None:
        body, noted = await request.body(place), _Noted()
        route = f"{request.method} {request.path} {request.deployment}".encode()
        wanted = AskedCall(
            marked=self.marks.of(
                place.caller,
                arrival.headers,
                route,
                request.target.partition(b"?")[2],
                canonical(body, arrival.headers.get("content-type", "")),
            ),
            tenant=place.caller.tenant.name,
            request_id=arrival.request_id,
            patience=timeout_in(arrival.headers) or self.patience,
        )
        request.put_back(body)

        async def make() -> bytes:
            await serve(arrival, place, request, noted)
            if noted.answered is None or noted.answered.status >= _LEAST_REFUSAL:
                raise _Refused
            return msgspec.msgpack.encode(noted.answered)

        try:
            content, before = await self.calls.once(wanted, make)
        except _Refused:
            answered, before = noted.answered, None
            assert answered is not None, "who serves a request answers it, or raises"
        else:
            answered = _DECODER.decode(content)
        response.whole(answered.status, _lines_of(answered, arrival, before and before.request_id), answered.body)


def canonical(body: bytes, content_type: str) -> bytes:
    """Return a body so that equal ones are the same bytes: JSON without its spaces and order, forms without their boundary.

    Numbers are what they are worth: 1 and 1.0 are one in JSON (RFC 8259, 6), and clients write what their language does.
    """
    if content_type.lower().startswith("multipart/"):
        match = _BOUNDARY.search(content_type)
        return body if match is None else body.replace(match[1].encode("latin-1", "replace"), b"")
    try:
        return msgspec.json.encode(_READER.decode(body), order="sorted")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return body


def _worth(text: str) -> float | int:
    value = float(text)
    if not isfinite(value):
        raise ValueError("out of range")
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


_READER = msgspec.json.Decoder(float_hook=_worth)


def _lines_of(answered: _Answered, arrival: Arrival, original: str | None) -> bytes:
    if original is None:
        return answered.lines
    replayed = header_lines([(name.encode(), value.encode()) for name, value in replay_headers(original)])
    return _OWN_LINES.sub(b"", answered.lines) + request_id_line(arrival.request_id) + replayed
