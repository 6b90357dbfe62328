"""One upstream that speaks OpenAI's chat completions, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus

from penstock_common.http.address import parse_address
from penstock_common.http.client import HttpClient
from penstock_common.http.failures import HttpFailure
from penstock_common.http.request_head import RequestHead, header_line
from penstock_common.http.response import Response
from penstock_common.llm.types import UnsupportedFields
from penstock_common.rpc.scope import CURRENT_SCOPE, TRACEPARENT_KEY
from penstock_inference.adapters.providers.openai.choices import ChoicesStream, are_asked_for, whole_choices
from penstock_inference.adapters.providers.openai.errors import failure_of_exchange, failure_of_response
from penstock_inference.adapters.providers.openai.request import Dialect, body_from_input
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


class OpenAIUpstream:
    """Asks one upstream; ``base_url`` ends before ``/chat/completions``."""

    def __init__(self, client: HttpClient, base_url: str, api_key: str, dialect: Dialect) -> None:
        """Take the upstream.

        Raises:
            ValueError: if the URL is none, or the key cannot stand in a header.
        """
        address = parse_address(f"{base_url.rstrip('/')}/chat/completions")
        headers = {**_HEADERS, "Authorization": f"Bearer {api_key}"} if api_key else _HEADERS
        self.pool = client.pool(address.origin)
        self.dialect = dialect
        self.stream_head = RequestHead("POST", address, {**headers, "Accept": "text/event-stream"})
        self.whole_head = RequestHead("POST", address, {**headers, "Accept": "application/json"})

    def ask(self, call: UpstreamCall) -> UpstreamAnswer:
        """Return the answer; see the port."""
        return CompletionAnswer(self, call)


class CompletionAnswer:
    """One completion; see the port. What comes is understood by what it says it is, whichever was asked for."""

    __slots__ = ("_call", "_completion", "_has_choices", "_response", "_upstream", "dropped", "ended", "sent")

    def __init__(self, upstream: OpenAIUpstream, call: UpstreamCall) -> None:
        self._upstream = upstream
        self._call = call
        self._response: Response | None = None
        self._completion: CompletionStream | ChoicesStream | None = None
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
        if response is None or self._completion is not None or response.status != HTTPStatus.OK:
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
            if self._completion is None:
                return await self._whole(response)
            return await self._streamed(response, self._completion)
        except HttpFailure as error:
            raise failure_of_exchange(error) from error

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
        """Send the request and return its response, once it is known to be an answer and of which kind."""
        upstream, call = self._upstream, self._call
        is_strict = call.unsupported is UnsupportedFields.REFUSE and not call.input.hints_json
        policy = None if is_strict else FieldPolicy(call.unsupported)
        body = body_from_input(call.input, call.model, upstream.dialect, policy, whole=call.whole)
        self.dropped = () if policy is None else policy.dropped
        head = upstream.whole_head if call.whole else upstream.stream_head
        response = self._response = await self._exchange(head, body)
        call.headers_received()
        if response.status != HTTPStatus.OK:
            beginning = await response.read_up_to(MAX_ERROR_BODY_BYTES)
            raise failure_of_response(response.status, response.headers, beginning)
        if response.header(b"content-encoding").lower() not in ("", "identity"):
            raise AttemptFailed(FailureKind.MALFORMED, "the upstream compressed its answer, unasked")
        kind = response.header(b"content-type").partition(";")[0].strip().lower()
        if kind == "text/event-stream":
            self._completion = ChoicesStream(self._call.input) if self._has_choices else CompletionStream()
        elif kind != "application/json":
            wanted = "a completion" if call.whole else "an event stream"
            raise AttemptFailed(FailureKind.MALFORMED, f"the upstream did not answer with {wanted}")
        return response

    async def _exchange(self, head: RequestHead, body: bytes) -> Response:
        traceparent = CURRENT_SCOPE.get().traceparent
        more = header_line(TRACEPARENT_KEY, traceparent) if traceparent else b""
        return await self._upstream.pool.request(head, body, self._call.connect_seconds, more, self._was_sent)

    def _was_sent(self) -> None:
        self.sent = True

    async def _whole(self, response: Response) -> Sequence[UpstreamEvent]:
        body = await response.read_up_to(MAX_WHOLE_ANSWER_BYTES)
        if len(body) > MAX_WHOLE_ANSWER_BYTES:
            raise AttemptFailed(FailureKind.OVERSIZE, "the upstream sent more than an answer can hold")
        events = whole_choices(body, self._call.input) if self._has_choices else whole_answer(body)
        self.ended = True
        return events

    async def _streamed(
        self, response: Response, completion: CompletionStream | ChoicesStream
    ) -> Sequence[UpstreamEvent]:
        while True:
            data = await response.read()
            events = completion.feed(data)
            if completion.done or response.at_end:
                self.ended = True
                return events
            if events:
                return events


async def _come_to_end(response: Response) -> None:
    """Wait a moment for the end of the body after ``[DONE]``, so that the connection can be used again."""
    with suppress(TimeoutError, HttpFailure):
        async with asyncio.timeout(_CONNECTION_REUSE_SECONDS):
            while await response.read():
                pass
