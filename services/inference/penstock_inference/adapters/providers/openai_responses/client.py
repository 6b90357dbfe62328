"""One upstream's Responses API, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping

from penstock_common.http.address import parse_address
from penstock_common.http.body import Body
from penstock_common.http.client import HttpPools
from penstock_common.http.request_head import RequestHead
from penstock_inference.adapters.providers.http.answer import HEADERS, HttpAnswer
from penstock_inference.adapters.providers.openai_responses.request import Asking, body_from_input
from penstock_inference.adapters.providers.openai_responses.stream import ResponseStream, whole_answer
from penstock_inference.domain.unsupported import FieldPolicy
from penstock_inference.domain.upstream import UpstreamAnswer, UpstreamCall, UpstreamEvent


class ResponsesUpstream:
    """Asks one upstream; ``base_url`` ends before ``/responses``."""

    def __init__(
        self,
        client: HttpPools,
        base_url: str,
        api_key: str,
        asking: Asking,
        own_headers: Mapping[str, str] | None = None,
    ) -> None:
        """Take the upstream; ``own_headers`` say who we are in the place of the key as a bearer.

        Raises:
            ValueError: if the URL is none, or the key cannot stand in a header.
        """
        address = parse_address(f"{base_url.rstrip('/')}/responses")
        self.key = api_key
        self.asking = asking
        bearer = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        headers = {**HEADERS, **(bearer if own_headers is None else own_headers)}
        self.pool = client.pool(address.origin)
        self.stream_head = RequestHead("POST", address, {**headers, "Accept": "text/event-stream"})
        self.whole_head = RequestHead("POST", address, {**headers, "Accept": "application/json"})

    def ask(self, call: UpstreamCall) -> UpstreamAnswer:
        """Return the answer; see the port."""
        return ResponsesAnswer(self, call)


class ResponsesAnswer(HttpAnswer):
    """One response; see the port."""

    __slots__ = ()

    _upstream: ResponsesUpstream

    def _request(self) -> tuple[RequestHead, bytes | Body]:
        upstream, call = self._upstream, self._call
        policy = FieldPolicy(call.unsupported)
        body = body_from_input(call.input, call.model, upstream.asking, policy, call.facts, whole=call.whole)
        self.dropped = policy.dropped
        return upstream.whole_head if call.whole else upstream.stream_head, body

    def _stream(self) -> ResponseStream:
        return ResponseStream()

    def _events_of_whole(self, body: bytes) -> list[UpstreamEvent]:
        return whole_answer(body)
