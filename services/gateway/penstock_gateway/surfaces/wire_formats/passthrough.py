"""Requests that pass to an upstream as they are: any method of ``/passthrough/UPSTREAM/…``, both bodies as they come."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from urllib.parse import unquote

from penstock_common.contract.relay import Headers, RelayPlace, RelayRequestHead, RelayResponseHead
from penstock_common.errors import InvalidRequest, PenstockError
from penstock_common.http.passing import OF_A_TRACE, may_pass_on, named_by_connection
from penstock_common.llm.types import RequestContext
from penstock_gateway.domain.life.door import Place
from penstock_gateway.domain.life.order import RawInput, RawOrder
from penstock_gateway.domain.life.relaying import PASSTHROUGH, RelayExchange, RelayLife, name_of
from penstock_gateway.surfaces.arrival import Arrival, CallOptions, Reception
from penstock_gateway.surfaces.http1.lines import printable
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats.answer_head import exchange_limit_lines, format_cost_usd
from penstock_gateway.surfaces.wire_formats.format import Family
from penstock_gateway.surfaces.wire_formats.openai.errors import OPENAI
from penstock_gateway.surfaces.wire_formats.refusals import refuse

FAMILY = Family(PASSTHROUGH, OPENAI.error_response, OPENAI.error_event)
"""Refusals of our own are told in OpenAI's envelope; the upstream's own answers are its own."""
PREFIX = "/passthrough"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_STREAM = CallOptions(stream=True)
# Gemini takes a key so; a caller's would be ours.
_KEY_PARAMETER = "key"
_NO_BODY = (204, 304)
_SERVED_BY_US = frozenset({"date", "server", "content-length", "connection", "x-request-id"})


class PassthroughServer:
    """Serves all of them."""

    def __init__(self, reception: Reception, life: RelayLife) -> None:
        self._reception = reception
        self._life = life

    async def serve(self, arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> None:
        """Serve one request; what fails it before the answer has begun is told here."""
        head = _head_of(request, place.caller.tenant.regions)
        asked = RawInput(model=name_of(head.place.upstream), head=head), RequestContext()
        exchange = self._life.begin(self._reception.call_of(RawOrder, arrival, place, asked, _STREAM))
        try:
            async with exchange:
                await _pass(exchange, request, response)
        except Exception as error:  # noqa: BLE001 - the rim: whatever it is becomes an answer
            if response.is_begun and isinstance(error, PenstockError):
                # Nobody takes it for whole; what became of it stands in the ledger.
                response.cut()
            else:
                refuse(response, FAMILY, error, _lines_of(exchange))


async def _pass(exchange: RelayExchange, request: HttpRequest, response: HttpResponse) -> None:
    pieces = request.pieces(exchange.terms.max_request_bytes, encoded=True)
    left, last = -1, b""
    async with aclosing(pieces), aclosing(exchange.answer(pieces)) as answer:
        async for message in answer:
            if isinstance(message, RelayResponseHead):
                left = -1 if message.length is None else message.length
                _begin(exchange, message, request, response)
                continue
            left -= len(message)
            if left == 0:
                # Whoever has the whole answer may leave: they have it once the exchange has ended, and was no failure.
                last = message
            else:
                await response.write(message)
    if last:
        await response.write(last)
    if response.is_complete:
        return
    response.end()


def _begin(exchange: RelayExchange, head: RelayResponseHead, request: HttpRequest, response: HttpResponse) -> None:
    cost = exchange.bill.known_cost_nano_usd
    lines = _lines_of(exchange, dict(head.headers)) + b"x-penstock-cost-usd: %b\r\n" % (
        b"unknown" if cost is None else format_cost_usd(cost).encode()
    )
    lines += b"".join([_line(name, value) for name, value in head.headers if _is_theirs_to_say(name)])
    if head.status in _NO_BODY:
        response.whole(head.status, lines, b"")
        return
    response.begin(head.status, lines, head.length)
    if not (head.length == 0 or request.method == "HEAD"):
        # A stream may be silent for long before its first event.
        response.push(b"")


def _is_theirs_to_say(name: str) -> bool:
    # What a browser may read is `listen.cors_origins`', whatever the upstream lets its own callers do.
    return name not in _SERVED_BY_US and not name.startswith(("x-penstock-", "access-control-"))


def _lines_of(exchange: RelayExchange, theirs: Mapping[str, str] | None = None) -> bytes:
    """Return what is ours to say. The id is under a name of ours; the usual one is the upstream's, where it has one."""
    own = exchange.call.order.request_id
    shown = (theirs or {}).get("x-request-id", own)
    lines = f"x-request-id: {printable(shown)}\r\nx-penstock-request-id: {own}\r\n".encode("latin-1", "replace")
    return lines if theirs is not None else lines + exchange_limit_lines(exchange)


def _line(name: str, value: str) -> bytes:
    return f"{name}: {printable(value)}\r\n".encode("latin-1", "replace")


def _head_of(request: HttpRequest, regions: tuple[str, ...]) -> RelayRequestHead:
    """Return what is passed on.

    Raises:
        InvalidRequest: if the target is not ``/passthrough/UPSTREAM/PATH`` as it stands on the wire.
    """
    target = request.target.decode("ascii", "replace").partition("#")[0]
    whole_path, _, query = target.partition("?")
    upstream, slash, path = whole_path.removeprefix(f"{PREFIX}/").partition("/")
    if not whole_path.startswith(f"{PREFIX}/") or not upstream or not slash:
        raise InvalidRequest(f"The path must be {PREFIX}/UPSTREAM/PATH, as it is written.", field="path")
    place = RelayPlace(unquote(upstream), request.method, f"/{path}", regions)
    has_body = "transfer-encoding" in request.headers
    length = None if has_body else request.announced_bytes
    return RelayRequestHead(place, _without_key(query), _passed_on(request.headers), length)


def _without_key(query: str) -> str:
    if _KEY_PARAMETER not in query:
        return query
    return "&".join(pair for pair in query.split("&") if unquote(pair.partition("=")[0]).lower() != _KEY_PARAMETER)


def _passed_on(headers: Mapping[str, str]) -> Headers:
    named = named_by_connection(headers.get("connection", ""))
    return tuple(
        [
            (name, value)
            for name, value in headers.items()
            if may_pass_on(name) and name not in OF_A_TRACE and name not in named
        ]
    )
