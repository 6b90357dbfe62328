"""OpenAI's HTTP API as an ASGI application: routes, headers, bodies; the format is its neighbours' business."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from penstock_common.errors import InternalError, InvalidRequest, PenstockError
from penstock_common.llm.events import Answer
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.access.policy import policy_of
from penstock_gateway.domain.life.chat import ChatExchange, ChatLife
from penstock_gateway.domain.life.embeddings import EmbeddingExchange, EmbeddingLife
from penstock_gateway.domain.life.exchange import Observer
from penstock_gateway.domain.models import ModelDirectory
from penstock_gateway.surfaces.arrival import Arrival, CallOptions, Reception, rate_headers
from penstock_gateway.surfaces.http import (
    BodyTooLarge,
    ClientGone,
    Header,
    Receive,
    Scope,
    Send,
    cancelled_when_client_leaves,
    encoded,
    headers_of,
    peer_of,
    read_body,
    respond,
)
from penstock_gateway.surfaces.openai.embeddings import parse_embeddings_request, render_embeddings
from penstock_gateway.surfaces.openai.errors import error_response
from penstock_gateway.surfaces.openai.formats import CHAT_COMPLETIONS, COMPLETIONS, Format, StreamRenderer
from penstock_gateway.surfaces.openai.render import (
    StreamSummary,
    format_cost_usd,
    render_error_event,
    render_model,
    render_model_list,
)
from penstock_gateway.surfaces.openai.stream import EventStream, StreamTiming

_JSON: Header = (b"content-type", b"application/json")
_FORMATS = {"/v1/chat/completions": CHAT_COMPLETIONS, "/v1/completions": COMPLETIONS}
_MODELS_PATH = "/v1/models/"
_SURFACE = "openai"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OpenAIParts:
    """What the surface stands on."""

    reception: Reception
    life: ChatLife
    embeddings: EmbeddingLife
    models: ModelDirectory
    observer: Observer
    timing: StreamTiming
    max_body_bytes: int
    started_at: int
    """Unix seconds; what models report as their creation."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request whose caller is known and may make it."""

    arrival: Arrival
    caller: Caller


Serve = Callable[[Visit, Receive, Send], Awaitable[None]]


class OpenAIApplication:
    """Serves ``/v1/chat/completions``, ``/v1/completions``, ``/v1/embeddings`` and ``/v1/models``; all else is 404."""

    def __init__(self, parts: OpenAIParts) -> None:
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; every failure becomes OpenAI's error body."""
        arrival = self._parts.reception.receive(_SURFACE, headers_of(scope), lambda: peer_of(scope))
        try:
            await self._route(scope)(arrival, receive, send)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 - the rim: whatever it is becomes an answer
            known = _known(error)
            self._parts.observer.turned_away(_SURFACE, known)
            await _refuse(send, known, [(b"x-request-id", arrival.request_id.encode())])

    def _route(self, scope: Scope) -> Callable[[Arrival, Receive, Send], Awaitable[None]]:
        method, path = scope["method"], scope["path"]
        served = self._served(path)
        if served is None:
            return _not_found(method, path)
        allowed, route, serve = served
        return self._authorised(f"{allowed} {route}", serve) if method == allowed else _method_not_allowed(allowed)

    def _served(self, path: str) -> tuple[str, str, Serve] | None:
        """Return the path's one method, its name in the table of policies, and who serves it."""
        if (wire_format := _FORMATS.get(path)) is not None:
            return "POST", path, self._generation(wire_format)
        if path == "/v1/embeddings":
            return "POST", path, self._embed
        if path == "/v1/models":
            return "GET", path, self._list_models
        if path.startswith(_MODELS_PATH) and len(path) > len(_MODELS_PATH):
            # The server has decoded the path already.
            return "GET", "/v1/models/{id}", self._model(path.removeprefix(_MODELS_PATH))
        return None

    def _authorised(self, route: str, serve: Serve) -> Callable[[Arrival, Receive, Send], Awaitable[None]]:
        async def serve_authorised(arrival: Arrival, receive: Receive, send: Send) -> None:
            await serve(Visit(arrival, await self._parts.reception.authorise(arrival, policy_of(route))), receive, send)

        return serve_authorised

    async def _list_models(self, visit: Visit, _: Receive, send: Send) -> None:
        names = [model.name for model in await self._parts.models.visible_to(visit.caller)]
        await self._respond_json(send, visit.arrival, render_model_list(names, self._parts.started_at))

    def _model(self, name: str) -> Serve:
        async def serve(visit: Visit, _: Receive, send: Send) -> None:
            model = await self._parts.models.find(visit.caller, name)
            await self._respond_json(send, visit.arrival, render_model(model.name, self._parts.started_at))

        return serve

    async def _respond_json(self, send: Send, arrival: Arrival, body: bytes) -> None:
        await respond(send, 200, body, [_JSON, (b"x-request-id", arrival.request_id.encode())])

    def _generation(self, wire_format: Format) -> Serve:
        parts = self._parts

        async def serve(visit: Visit, receive: Receive, send: Send) -> None:
            request = wire_format.parse(await read_body(receive, parts.max_body_bytes))
            options = CallOptions(stream=request.stream)
            call = parts.reception.chat_call(visit.arrival, visit.caller, request.input, request.context, options)
            exchange = parts.life.begin(call)
            completion_id, created = wire_format.id_prefix + call.order.generation_id, int(time.time())
            async with cancelled_when_client_leaves(receive, send) as send_watched:
                if request.stream:
                    renderer = wire_format.renderer(completion_id, created, request.include_usage)
                    await self._stream(exchange, renderer, send_watched)
                else:
                    await _answer(
                        exchange, lambda answer: wire_format.whole(answer, completion_id, created), send_watched
                    )

        return serve

    async def _embed(self, visit: Visit, receive: Receive, send: Send) -> None:
        parts = self._parts
        request = parse_embeddings_request(await read_body(receive, parts.max_body_bytes))
        call = parts.reception.embedding_call(
            visit.arrival, visit.caller, request.input, request.context, CallOptions(stream=False)
        )
        exchange = parts.embeddings.begin(call)
        async with cancelled_when_client_leaves(receive, send) as send_watched:
            try:
                async with exchange:
                    embedded = await exchange.embed()
                body = render_embeddings(embedded, as_base64=request.as_base64)
                await respond(send_watched, 200, body, [_JSON, *_embedding_head(exchange)])
            except Exception as error:  # noqa: BLE001 - the rim: whatever it is becomes an answer
                await _refuse(send_watched, _known(error), _embedding_head(exchange))

    async def _stream(self, exchange: ChatExchange, renderer: StreamRenderer, send: Send) -> None:
        stream = EventStream(send, lambda: _head(exchange), self._parts.timing)
        try:
            async with exchange:
                await _relay(exchange, stream, renderer)
        except Exception as error:  # noqa: BLE001 - the rim: whatever it is becomes an answer
            known = _known(error)
            stream.stop()
            if stream.begun:
                await stream.end(render_error_event(known))
            else:
                await _refuse(send, known, _head(exchange))
        finally:
            stream.stop()


async def _answer(exchange: ChatExchange, render: Callable[[Answer], bytes], send: Send) -> None:
    try:
        async with exchange:
            answer = await exchange.answer()
            await respond(send, 200, render(answer), [_JSON, *_head(exchange), *_bill_headers(exchange)])
    except Exception as error:  # noqa: BLE001 - the rim: whatever it is becomes an answer
        await _refuse(send, _known(error), _head(exchange))


async def _relay(exchange: ChatExchange, stream: EventStream, renderer: StreamRenderer) -> None:
    async for batch in exchange.batches():
        frames = renderer.render(batch)
        if frames:
            await stream.write(frames)
    summary = StreamSummary(overhead_ms=exchange.overhead_ms, cache=str(exchange.cache_outcome))
    await stream.end(renderer.end(summary))


def _head(exchange: ChatExchange) -> list[Header]:
    headers = [
        ("x-request-id", exchange.call.order.request_id),
        ("x-penstock-cache", str(exchange.cache_outcome)),
        *rate_headers(exchange.rate),
    ]
    if exchange.started is not None:
        answered_by = exchange.started.answered_by
        headers += [("x-penstock-model", answered_by.model), ("x-penstock-upstream", answered_by.upstream)]
    return encoded(headers)


def _bill_headers(exchange: ChatExchange) -> list[Header]:
    cost_nano_usd = exchange.finished.cost_nano_usd if exchange.finished else 0
    return encoded(
        [
            ("x-penstock-cost-usd", format_cost_usd(cost_nano_usd)),
            ("x-penstock-overhead-ms", f"{exchange.overhead_ms:.2f}"),
        ]
    )


def _embedding_head(exchange: EmbeddingExchange) -> list[Header]:
    headers = [("x-request-id", exchange.call.order.request_id), *rate_headers(exchange.rate)]
    if exchange.embedded is not None:
        headers += [
            ("x-penstock-model", exchange.embedded.model),
            ("x-penstock-upstream", exchange.embedded.upstream),
            ("x-penstock-cost-usd", format_cost_usd(exchange.bill.cost_nano_usd)),
            ("x-penstock-overhead-ms", f"{exchange.overhead_ms:.2f}"),
        ]
    return encoded(headers)


def _known(error: Exception) -> PenstockError:
    if isinstance(error, PenstockError):
        return error
    _log.error("unexpected_error", exc_info=error)
    return InternalError()


async def _refuse(send: Send, error: PenstockError, headers: list[Header]) -> None:
    response = error_response(error)
    status = 413 if isinstance(error, BodyTooLarge) else response.status
    await respond(send, status, response.body, [*response.headers, *headers])


def _not_found(method: str, path: str) -> Callable[[Arrival, Receive, Send], Awaitable[None]]:
    return _fixed(
        404,
        f"Unknown request URL: {method} {path}. See /v1/chat/completions, /v1/completions, /v1/embeddings and "
        "/v1/models.",
        (),
    )


def _method_not_allowed(allowed: str) -> Callable[[Arrival, Receive, Send], Awaitable[None]]:
    return _fixed(405, f"Not allowed. Use {allowed}.", ((b"allow", allowed.encode()),))


def _fixed(
    status: int, message: str, headers: tuple[Header, ...]
) -> Callable[[Arrival, Receive, Send], Awaitable[None]]:
    async def serve(arrival: Arrival, _: Receive, send: Send) -> None:
        error = error_response(InvalidRequest(message))
        head = [*error.headers, *headers, (b"x-request-id", arrival.request_id.encode())]
        await respond(send, status, error.body, head)

    return serve
