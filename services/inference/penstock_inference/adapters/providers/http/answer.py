"""One answer over HTTP, from the request to the end of the body; what a format's own bytes mean is said by its provider."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar, Protocol

from penstock_common.http.body import Body
from penstock_common.http.failures import HttpFailure
from penstock_common.http.pool import HttpPool
from penstock_common.http.request_head import RequestHead, header_line
from penstock_common.http.response import Response
from penstock_common.rpc.scope import CURRENT_SCOPE, TRACEPARENT_KEY
from penstock_inference.adapters.providers.http.errors import failure_of_exchange, failure_of_response
from penstock_inference.adapters.providers.http.own_key import without_key
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import UpstreamCall, UpstreamEvent

MAX_ERROR_BODY_BYTES = 64 * 1024
MAX_WHOLE_ANSWER_BYTES = 32 * 1024 * 1024
"""Bound on an answer in one piece: a million characters of six bytes each, five times over."""
HEADERS = {
    "Content-Type": "application/json",
    # A compressed answer is refused, so that no few bytes become many.
    "Accept-Encoding": "identity",
    "User-Agent": "penstock",
}
"""What every request says."""
_CONNECTION_REUSE_SECONDS = 0.05
SUCCESSES = range(200, 300)
"""Statuses of answers: some frameworks answer every POST with 201."""


class HttpUpstream(Protocol):
    """Whom an answer is asked of."""

    @property
    def key(self) -> str:
        """Our key there, which no error may tell; '' where there is none."""
        ...

    @property
    def pool(self) -> HttpPool:
        """The connections."""
        ...


class Stream(Protocol):
    """Reads the bytes of one streamed answer."""

    @property
    def done(self) -> bool:
        """Whether nothing that comes after is a part of it."""
        ...

    def feed(self, data: bytes) -> list[UpstreamEvent]:
        """Return what one read brought, neighbouring deltas merged.

        Raises:
            AttemptFailed: for whatever is wrong with it.
        """
        ...

    def end(self) -> list[UpstreamEvent]:
        """Return what waited for more, where the body ended before it was done.

        Raises:
            AttemptFailed: where that is no end.
        """
        ...


class HttpAnswer:
    """One answer; see the port. A provider's own says how it is asked for and read.

    It must have ``_request``, ``_stream`` and ``_events_of_whole``; the other
    methods below that nobody here overrides are there to be.
    """

    __slots__ = ("_call", "_content_type", "_response", "_streamed", "_upstream", "dropped", "ended", "sent")

    stream_types: ClassVar[frozenset[str]] = frozenset({"text/event-stream"})
    """The content types of streams."""

    def __init__(self, upstream: HttpUpstream, call: UpstreamCall) -> None:
        self._upstream = upstream
        self._call = call
        self._response: Response | None = None
        self._streamed: Stream | None = None
        # What the response says that it is.
        self._content_type = ""
        self.dropped: tuple[str, ...] = ()
        self.ended = False
        self.sent = False

    def _request(self) -> tuple[RequestHead, bytes | Body]:
        """Return what is sent, having set ``dropped``.

        Raises:
            AttemptFailed: UNSUPPORTED for what the upstream cannot honour.
        """
        raise NotImplementedError

    async def _authorization(self, head: RequestHead, body: bytes | Body) -> bytes:
        """Return lines of the head that are made for this request alone: a token that is renewed, a signature."""
        del head, body
        return b""

    def _asks_otherwise(self, response: Response, body: bytes) -> bool:
        """Return whether a refusal, of which ``body`` is the beginning, is answered with another request."""
        del response, body
        return False

    def _stream(self) -> Stream:
        """Return who reads a streamed answer."""
        raise NotImplementedError

    def _events_of_whole(self, body: bytes) -> list[UpstreamEvent]:
        """Return what an answer in one piece says.

        Raises:
            AttemptFailed: for whatever is wrong with it.
        """
        raise NotImplementedError

    def _failure(self, response: Response, body: bytes) -> AttemptFailed:
        """Return what a response with an error status means; ``body`` is its beginning."""
        return failure_of_response(response.status, response.headers, body)

    @property
    def _key(self) -> str:
        """What this request was sent with, and no error may tell."""
        return self._upstream.key

    @property
    def unread_bytes(self) -> int:
        """How much of a whole answer has come; see the port."""
        response = self._response
        if response is None or self._streamed is not None or response.status not in SUCCESSES:
            return 0
        return response.body_bytes

    async def read(self) -> Sequence[UpstreamEvent]:
        """Return what the next read brought; see the port."""
        if self.ended:
            return ()
        try:
            response = self._response
            if response is None:
                response = await self._asked()
            if self._streamed is not None:
                return await self._read_stream(response, self._streamed)
            return await self._understood(response)
        except HttpFailure as error:
            raise failure_of_exchange(error) from error
        except AttemptFailed as failure:
            raise without_key(failure, self._key) from failure.__cause__

    async def aclose(self) -> None:
        """End the exchange; see the port."""
        response, self._response = self._response, None
        if response is None:
            return
        try:
            if self.ended and not response.at_end:
                await _come_to_end(response)
        finally:
            response.release()

    async def _asked(self) -> Response:
        """Send the request and return its response, once it is known to be an answer."""
        while True:
            head, body = self._request()
            response = await self._exchanged(head, body, await self._authorization(head, body))
            if response.status in SUCCESSES:
                return self._begun(response)
            beginning = await response.read_up_to(MAX_ERROR_BODY_BYTES)
            if not self._asks_otherwise(response, beginning):
                raise self._failure(response, beginning)
            self._response = None
            response.release()

    async def _exchanged(self, head: RequestHead, body: bytes | Body, more: bytes = b"") -> Response:
        call = self._call
        traceparent = CURRENT_SCOPE.get().traceparent
        if traceparent:
            more += header_line(TRACEPARENT_KEY, traceparent)
        response = await self._upstream.pool.request(head, body, call.connect_seconds, more, self._was_sent)
        self._response = response
        call.headers_received()
        return response

    def _begun(self, response: Response) -> Response:
        """Take a response that is an answer."""
        if response.header(b"content-encoding").lower() not in ("", "identity"):
            raise AttemptFailed(FailureKind.MALFORMED, "the upstream compressed its answer, unasked")
        self._content_type = response.header(b"content-type").partition(";")[0].strip().lower()
        return response

    def _was_sent(self) -> None:
        self.sent = True

    async def _understood(self, response: Response) -> Sequence[UpstreamEvent]:
        """Read the first of it as what it says that it is."""
        if self._content_type in self.stream_types:
            self._streamed = self._stream()
            return await self._read_stream(response, self._streamed)
        if self._content_type == "application/json":
            return await self._read_whole(response, b"")
        wanted = "an answer in JSON" if self._call.whole else "an event stream"
        raise AttemptFailed(FailureKind.MALFORMED, f"the upstream did not answer with {wanted}")

    async def _read_whole(self, response: Response, begun: bytes) -> Sequence[UpstreamEvent]:
        body = begun + await response.read_up_to(MAX_WHOLE_ANSWER_BYTES)
        if len(body) > MAX_WHOLE_ANSWER_BYTES:
            raise AttemptFailed(FailureKind.OVERSIZE, "the upstream sent more than an answer can hold")
        events = self._events_of_whole(body)
        self.ended = True
        return events

    async def _read_stream(self, response: Response, stream: Stream) -> Sequence[UpstreamEvent]:
        while True:
            events = stream.feed(await response.read())
            if stream.done or response.at_end:
                return self._end(events, stream)
            if events:
                return events

    def _end(self, events: list[UpstreamEvent], stream: Stream) -> list[UpstreamEvent]:
        self.ended = True
        return events if stream.done else [*events, *stream.end()]


async def _come_to_end(response: Response) -> None:
    """Wait a moment for the end of the body after that of the answer, so that the connection can be used again."""
    with suppress(TimeoutError, HttpFailure):
        async with asyncio.timeout(_CONNECTION_REUSE_SECONDS):
            while await response.read():
                pass
