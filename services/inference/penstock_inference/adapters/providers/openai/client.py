"""One upstream that speaks OpenAI's chat completions, over HTTP."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from penstock_common.rpc.scope import CURRENT_SCOPE, TRACEPARENT_KEY
from penstock_inference.adapters.providers.openai.errors import error_in, failure_in_band, failure_of_response
from penstock_inference.adapters.providers.openai.request import Dialect, body_from_input
from penstock_inference.adapters.providers.openai.stream import CompletionStream
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import UpstreamCall, UpstreamEvent
from penstock_inference.domain.watchdog import silence

MAX_CONNECTIONS = 20_000
"""About what one process has descriptors for; admission happens before us."""
KEEP_ALIVE_SECONDS = 15.0
MAX_ERROR_BODY_BYTES = 64 * 1024
_CONNECTION_REUSE_SECONDS = 0.05
_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "text/event-stream",
    "Accept-Encoding": "identity",
    "User-Agent": "penstock",
}


def http_session() -> aiohttp.ClientSession:
    """Return the session that all upstreams share: no retries, no cookies, no decompression, no timers of its own."""
    connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=KEEP_ALIVE_SECONDS)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        # A compressed answer is refused, so that no few bytes become many.
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),
        skip_auto_headers=("User-Agent",),
    )


class OpenAIUpstream:
    """Streams answers; ``base_url`` ends before ``/chat/completions``."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, api_key: str, dialect: Dialect) -> None:
        self._session = session
        self._url = URL(f"{base_url.rstrip('/')}/chat/completions")
        self._dialect = dialect
        self._headers = CIMultiDict(_HEADERS)
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._timeouts: dict[timedelta, aiohttp.ClientTimeout] = {}

    async def stream(self, call: UpstreamCall) -> AsyncGenerator[list[UpstreamEvent], None]:
        """Yield what each read brought; see the port."""
        body = body_from_input(call.input, call.model, self._dialect)
        response: aiohttp.ClientResponse | None = None
        try:
            response = await self._post(body, call)
            call.headers_received()
            await _require_event_stream(response)
            completion = CompletionStream()
            while not completion.done:
                data = await response.content.readany()
                if not data:
                    break
                events = completion.feed(data)
                if events:
                    yield events
            await _read_to_end(response)
        except aiohttp.ClientError as error:
            raise _failure_of(error, began=response is not None) from error
        finally:
            if response is not None:
                _let_go(response)

    async def _post(self, body: bytes, call: UpstreamCall) -> aiohttp.ClientResponse:
        traceparent = CURRENT_SCOPE.get().traceparent
        headers = self._headers
        if traceparent:
            headers = headers.copy()
            headers[TRACEPARENT_KEY] = traceparent
        timeout = self._timeouts.get(call.connect_timeout)
        if timeout is None:
            timeout = self._timeouts[call.connect_timeout] = _connect_timeout(call.connect_timeout)
        return await self._session.post(self._url, data=body, headers=headers, timeout=timeout, allow_redirects=False)


def _connect_timeout(limit: timedelta) -> aiohttp.ClientTimeout:
    """Return the one timer of aiohttp's that is used.

    It is armed for new connections only, from waiting for a place to TLS;
    ``ceil_threshold`` keeps it from being rounded.
    """
    seconds = limit.total_seconds()
    return aiohttp.ClientTimeout(total=None, connect=seconds, ceil_threshold=seconds)


def _let_go(response: aiohttp.ClientResponse) -> None:
    """Keep the connection of a response that was read to its end; close any other at once."""
    if response.content.at_eof():
        response.release()
    else:
        response.close()


async def _require_event_stream(response: aiohttp.ClientResponse) -> None:
    """Raise AttemptFailed for anything but a plain event stream with status 200."""
    if response.status != HTTPStatus.OK:
        raise failure_of_response(response.status, response.headers, await _bounded_body(response))
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise AttemptFailed(FailureKind.MALFORMED, "the upstream compressed its answer, unasked")
    if response.content_type == "text/event-stream":
        return
    error = error_in(await _bounded_body(response)) if response.content_type == "application/json" else None
    if error is not None:
        raise failure_in_band(error)
    raise AttemptFailed(FailureKind.MALFORMED, "the upstream did not answer with an event stream")


async def _bounded_body(response: aiohttp.ClientResponse) -> bytes:
    """Return the body's beginning; what is wrong with an upstream stands there."""
    body = b""
    while len(body) < MAX_ERROR_BODY_BYTES:
        data = await response.content.readany()
        if not data:
            break
        body += data
    return body[:MAX_ERROR_BODY_BYTES]


async def _read_to_end(response: aiohttp.ClientResponse) -> None:
    """Wait a moment for the end of the body after ``[DONE]``, so that the connection can be used again."""
    if response.content.at_eof():
        return
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(_CONNECTION_REUSE_SECONDS):
            await response.content.readany()


def _failure_of(error: aiohttp.ClientError, *, began: bool) -> AttemptFailed:
    """Return what a failure of the connection means; ``began``: the response's head had come."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return silence("connect")
    if isinstance(error, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError | ssl.SSLError):
        return AttemptFailed(FailureKind.CERTIFICATE, "no trusted TLS connection")
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL):
        return AttemptFailed(FailureKind.MALFORMED, "the upstream does not speak HTTP")
    if began:
        return AttemptFailed(FailureKind.CUT, "the connection was cut")
    return AttemptFailed(FailureKind.CONNECT, "no connection")
