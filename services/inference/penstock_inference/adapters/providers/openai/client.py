"""One upstream that speaks OpenAI's chat completions, over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta

from penstock_common.http.address import parse_address
from penstock_common.http.body import Body
from penstock_common.http.client import HttpPools
from penstock_common.http.request_head import RequestHead
from penstock_common.http.response import Response
from penstock_inference.adapters.providers.http.answer import HEADERS, MAX_ERROR_BODY_BYTES, SUCCESSES, HttpAnswer
from penstock_inference.adapters.providers.openai.beginning import Kind, kind_of
from penstock_inference.adapters.providers.openai.choices import ChoicesReader, are_asked_for
from penstock_inference.adapters.providers.openai.dialect import Dialect
from penstock_inference.adapters.providers.openai.manners import (
    MANNERS_REMEMBERED,
    NONE,
    LearntManners,
    Manners,
    asks_whole,
    manner_of_refusal,
    would_differ,
)
from penstock_inference.adapters.providers.openai.reader import whole_answer
from penstock_inference.adapters.providers.openai.request import body_from_input
from penstock_inference.adapters.providers.openai.stream import CompletionStream
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.unsupported import FieldPolicy
from penstock_inference.domain.upstream import UpstreamAnswer, UpstreamCall, UpstreamEvent

_LOG = logging.getLogger(__name__)


class OpenAIUpstream:
    """Asks one upstream; ``base_url`` ends before ``/chat/completions``."""

    def __init__(
        self,
        client: HttpPools,
        base_url: str,
        api_key: str,
        dialect: Dialect,
        manners_remembered: timedelta = MANNERS_REMEMBERED,
        *,
        own_headers: Mapping[str, str] | None = None,
        query: str = "",
    ) -> None:
        """Take the upstream; ``own_headers`` say who we are in the place of the key as a bearer.

        Raises:
            ValueError: if the URL is none, or the key cannot stand in a header.
        """
        address = parse_address(f"{base_url.rstrip('/')}/chat/completions{query}")
        self.key = api_key
        bearer = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        headers = {**HEADERS, **(bearer if own_headers is None else own_headers)}
        self.pool = client.pool(address.origin)
        self.manners = LearntManners(dialect, manners_remembered.total_seconds())
        self.stream_head = RequestHead("POST", address, {**headers, "Accept": "text/event-stream"})
        self.whole_head = RequestHead("POST", address, {**headers, "Accept": "application/json"})

    def ask(self, call: UpstreamCall) -> UpstreamAnswer:
        """Return the answer; see the port."""
        return CompletionAnswer(self, call)


class CompletionAnswer(HttpAnswer):
    """One completion; see the port. What comes is understood by how it begins, whichever was asked for."""

    __slots__ = ("_has_choices",)

    _upstream: OpenAIUpstream

    def __init__(self, upstream: OpenAIUpstream, call: UpstreamCall) -> None:
        super().__init__(upstream, call)
        value = call.input
        is_usual = not value.tools and value.sampling.choices is None and value.sampling.top_logprobs is None
        self._has_choices = not is_usual and are_asked_for(value)

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
            response = await self._exchanged(*self._completion(manners, whole))
            if response.status in SUCCESSES:
                break
            beginning = await response.read_up_to(MAX_ERROR_BODY_BYTES)
            manner = manner_of_refusal(response.status, beginning, whole=whole)
            if manner is None or not would_differ(manners, manner):
                raise self._failure(response, beginning)
            manners |= {manner}
            self._response = None
            response.release()
        if manners is not known:
            learnt.learn(call.model, manners)
            _LOG.info("manners_learnt model=%s: %s", call.model, ", ".join(sorted(one.value for one in manners)))
        return self._begun(response)

    def _completion(self, manners: Manners, whole: bool) -> tuple[RequestHead, bytes | Body]:
        """Return what is sent, having set ``dropped``."""
        upstream, call = self._upstream, self._call
        dialect = upstream.manners.dialect(manners) if manners else upstream.manners.usual
        policy = FieldPolicy(call.unsupported)
        continued, facts = call.is_continued, call.facts
        body = body_from_input(
            call.input, call.model, dialect, policy, whole=whole, is_continued=continued, facts=facts
        )
        self.dropped = policy.dropped
        return upstream.whole_head if whole else upstream.stream_head, body

    def _reader(self) -> ChoicesReader | None:
        return ChoicesReader(self._call.input) if self._has_choices else None

    async def _understood(self, response: Response) -> Sequence[UpstreamEvent]:
        """Read on until it is known what the answer is, and the first of it."""
        if self._call.whole and self._content_type == "application/json":
            return await self._read_whole(response, b"")
        said_stream = self._content_type == "text/event-stream"
        data = await response.read()
        # Most streams begin so; any other beginning is looked at.
        kind = Kind.STREAM if said_stream and data.startswith(b"data:") else None
        while kind is None and (kind := kind_of(data, said_stream=said_stream)) is None and not response.at_end:
            data += await response.read()
        if kind is Kind.WHOLE:
            return await self._read_whole(response, data)
        if kind is Kind.STREAM or (kind is None and said_stream):
            completion = self._streamed = CompletionStream(self._reader() if self._has_choices else None)
            events = completion.feed(data)
            if completion.done or response.at_end:
                return self._end(events, completion)
            return events or await self._read_stream(response, completion)
        wanted = "a completion" if self._call.whole else "an event stream"
        raise AttemptFailed(FailureKind.MALFORMED, f"the upstream did not answer with {wanted}")

    def _events_of_whole(self, body: bytes) -> list[UpstreamEvent]:
        if not body.startswith(b"{") and kind_of(body, said_stream=False) is Kind.STREAM:
            completion = CompletionStream(self._reader())
            return [*completion.feed(body), *completion.end()]
        return whole_answer(body, self._reader())
