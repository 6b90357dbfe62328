"""One upstream that speaks OpenAI's chat completions, over HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus

from penstock_common.http.address import parse_address
from penstock_common.http.client import HttpClient
from penstock_common.http.failures import HttpFailure
from penstock_common.http.request_head import RequestHead, header_line
from penstock_common.http.response import Response
from penstock_common.llm.types import UnsupportedFields
from penstock_common.rpc.scope import CURRENT_SCOPE, TRACEPARENT_KEY
from penstock_inference.adapters.providers.openai.beginning import Kind, kind_of
from penstock_inference.adapters.providers.openai.choices import ChoicesReader, are_asked_for
from penstock_inference.adapters.providers.openai.dialect import Dialect
from penstock_inference.adapters.providers.openai.errors import failure_of_exchange, failure_of_response
from penstock_inference.adapters.providers.openai.manners import (
    MANNERS_REMEMBERED,
    NONE,
    LearntManners,
    Manners,
    asks_whole,
    manner_of_refusal,
    would_differ,
)
from penstock_inference.adapters.providers.openai.own_key import without_key
from penstock_inference.adapters.providers.openai.request import body_from_input
from penstock_inference.adapters.providers.openai.stream import CompletionStream, whole_answer
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.unsupported import FieldPolicy
from penstock_inference.domain.upstream import UpstreamAnswer, UpstreamCall, UpstreamEvent

MAX_ERROR_BODY_BYTES = 64 * 1024
MAX_WHOLE_ANSWER_BYTES = 32 * 1024 * 1024
"""Bound on an answer in one piece: a million characters of six bytes each, five times over."""
_CONNECTION_REUSE_SECONDS = 0.05
_HEADERS = {
    "Content-Type": "application/json",
    # A compressed answer is refused, so that no few bytes become many.
    "Accept-Encoding": "identity",
    "User-Agent": "penstock",
}


_LOG = logging.getLogger(__name__)


class OpenAIUpstream:
    """Asks one upstream; ``base_url`` ends before ``/chat/completions``."""

    def __init__(
        self,
        client: HttpClient,
        base_url: str,
        api_key: str,
        dialect: Dialect,
        manners_remembered: timedelta = MANNERS_REMEMBERED,
    ) -> None:
        """Take the upstream.

        Raises:
            ValueError: if the URL is none, or the key cannot stand in a header.
        """
        address = parse_address(f"{base_url.rstrip('/')}/chat/completions")
        self.key = api_key
        headers = {**_HEADERS, "Authorization": f"Bearer {api_key}"} if api_key else _HEADERS
        self.pool = client.pool(address.origin)
        self.manners = LearntManners(dialect, manners_remembered.total_seconds())
        self.stream_head = RequestHead("POST", address, {**headers, "Accept": "text/event-stream"})
        self.whole_head = RequestHead("POST", address, {**headers, "Accept": "application/json"})

    def ask(self, call: UpstreamCall) -> UpstreamAnswer:
        """Return the answer; see the port."""
        return CompletionAnswer(self, call)


class CompletionAnswer:
    """One completion; see the port. What comes is understood by how it begins, whichever was asked for."""

    __slots__ = ("_call", "_completion", "_has_choices", "_kind", "_response", "_upstream", "dropped", "ended", "sent")

    def __init__(self, upstream: OpenAIUpstream, call: UpstreamCall) -> None:
        self._upstream = upstream
        self._call = call
        self._response: Response | None = None
        self._completion: CompletionStream | None = None
        # What the response says that it is.
        self._kind = ""
        value = call.input
        is_usual = not value.tools and value.sampling.choices is None and value.sampling.top_logprobs is None
        self._has_choices = not is_usual and are_asked_for(value)
        self.dropped: tuple[str, ...] = ()
        self.ended = False
        self.sent = False

    @property
    def unread_bytes(self) -> int:
        """How much of a whole answer has come; see the port."""
        response = self._response
        if response is None or self._completion is not None or not _is_answer(response.status):
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
            if self._completion is not None:
                return await self._streamed(response, self._completion)
            if self._call.whole and self._kind == "application/json":
                return await self._whole(response, b"")
            return await self._understood(response)
        except HttpFailure as error:
            raise failure_of_exchange(error) from error
        except AttemptFailed as failure:
            raise without_key(failure, self._upstream.key) from failure.__cause__

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
        """Send the request and return its response, once it is known to be an answer.

        A request that is refused for a reason that another would not have is sent once more, as that.
        """
        call, learnt = self._call, self._upstream.manners
        known = manners = learnt.of(call.model) if learnt.learnt else NONE
        while True:
            whole = asks_whole(manners, wanted=call.whole) if manners else call.whole
            if whole and not call.whole:
                call.whole_expected()
            response = await self._exchanged(manners, whole)
            if HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                break
            beginning = await response.read_up_to(MAX_ERROR_BODY_BYTES)
            manner = manner_of_refusal(response.status, beginning, whole=whole)
            if manner is None or not would_differ(manners, manner):
                raise failure_of_response(response.status, response.headers, beginning)
            manners |= {manner}
            self._response = None
            response.release()
        if manners is not known:
            learnt.learn(call.model, manners)
            _LOG.info("manners_learnt model=%s: %s", call.model, ", ".join(sorted(one.value for one in manners)))
        if response.header(b"content-encoding").lower() not in ("", "identity"):
            raise AttemptFailed(FailureKind.MALFORMED, "the upstream compressed its answer, unasked")
        self._kind = response.header(b"content-type").partition(";")[0].strip().lower()
        return response

    async def _exchanged(self, manners: Manners, whole: bool) -> Response:
        upstream, call = self._upstream, self._call
        dialect = upstream.manners.dialect(manners) if manners else upstream.manners.usual
        is_strict = call.unsupported is UnsupportedFields.REFUSE and not call.input.hints_json
        policy = None if is_strict else FieldPolicy(call.unsupported)
        body = body_from_input(call.input, call.model, dialect, policy, whole=whole, is_continued=call.is_continued)
        self.dropped = () if policy is None else policy.dropped
        head = upstream.whole_head if whole else upstream.stream_head
        traceparent = CURRENT_SCOPE.get().traceparent
        more = header_line(TRACEPARENT_KEY, traceparent) if traceparent else b""
        response = await upstream.pool.request(head, body, call.connect_seconds, more, self._was_sent)
        self._response = response
        call.headers_received()
        return response

    def _reader(self) -> ChoicesReader | None:
        return ChoicesReader(self._call.input) if self._has_choices else None

    def _was_sent(self) -> None:
        self.sent = True

    async def _understood(self, response: Response) -> Sequence[UpstreamEvent]:
        """Read on until it is known what the answer is, and the first of it."""
        said_stream = self._kind == "text/event-stream"
        data = await response.read()
        # Most streams begin so; any other beginning is looked at.
        kind = Kind.STREAM if said_stream and data.startswith(b"data:") else None
        while kind is None and (kind := kind_of(data, said_stream=said_stream)) is None and not response.at_end:
            data += await response.read()
        if kind is Kind.WHOLE:
            return await self._whole(response, data)
        if kind is Kind.STREAM or (kind is None and said_stream):
            completion = self._completion = CompletionStream(self._reader() if self._has_choices else None)
            events = completion.feed(data)
            if completion.done or response.at_end:
                return self._end(events, completion)
            return events or await self._streamed(response, completion)
        wanted = "a completion" if self._call.whole else "an event stream"
        raise AttemptFailed(FailureKind.MALFORMED, f"the upstream did not answer with {wanted}")

    async def _whole(self, response: Response, begun: bytes) -> Sequence[UpstreamEvent]:
        body = begun + await response.read_up_to(MAX_WHOLE_ANSWER_BYTES)
        if len(body) > MAX_WHOLE_ANSWER_BYTES:
            raise AttemptFailed(FailureKind.OVERSIZE, "the upstream sent more than an answer can hold")
        if not body.startswith(b"{") and kind_of(body, said_stream=False) is Kind.STREAM:
            completion = CompletionStream(self._reader())
            events = [*completion.feed(body), *completion.end()]
        else:
            events = whole_answer(body, self._reader())
        self.ended = True
        return events

    async def _streamed(self, response: Response, completion: CompletionStream) -> Sequence[UpstreamEvent]:
        while True:
            events = completion.feed(await response.read())
            if completion.done or response.at_end:
                return self._end(events, completion)
            if events:
                return events

    def _end(self, events: list[UpstreamEvent], completion: CompletionStream) -> list[UpstreamEvent]:
        self.ended = True
        return events if completion.done else [*events, *completion.end()]


def _is_answer(status: int) -> bool:
    """Return whether a status is one of success; some frameworks answer every POST with 201."""
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


async def _come_to_end(response: Response) -> None:
    """Wait a moment for the end of the body after ``[DONE]``, so that the connection can be used again."""
    with suppress(TimeoutError, HttpFailure):
        async with asyncio.timeout(_CONNECTION_REUSE_SECONDS):
            while await response.read():
                pass
