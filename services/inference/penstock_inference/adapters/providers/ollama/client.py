"""One upstream that speaks Ollama's own API, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from penstock_common.http.address import parse_address
from penstock_common.http.body import Body
from penstock_common.http.client import HttpPools
from penstock_common.http.request_head import RequestHead
from penstock_inference.adapters.providers.http.answer import HEADERS, HttpAnswer
from penstock_inference.adapters.providers.ollama.request import Room, body_from_input
from penstock_inference.adapters.providers.ollama.stream import ChatStream, whole_answer
from penstock_inference.domain.unsupported import FieldPolicy
from penstock_inference.domain.upstream import UpstreamAnswer, UpstreamCall, UpstreamEvent

NDJSON = "application/x-ndjson"


class OllamaUpstream:
    """Asks one server; ``root_url`` ends before ``/api/chat``."""

    def __init__(self, client: HttpPools, root_url: str, api_key: str, room: Room, contexts: Mapping[str, int]) -> None:
        """Take the server; ``contexts`` is the size of the context by model.

        Raises:
            ValueError: if the URL is none, or the key cannot stand in a header.
        """
        address = parse_address(f"{root_url}/api/chat")
        self.key = api_key
        self._room = room
        self._contexts = contexts
        headers = {**HEADERS, "Authorization": f"Bearer {api_key}"} if api_key else HEADERS
        self.stream_head = RequestHead("POST", address, {**headers, "Accept": NDJSON})
        self.whole_head = RequestHead("POST", address, {**headers, "Accept": "application/json"})
        self.pool = client.pool(address.origin)

    def ask(self, call: UpstreamCall) -> UpstreamAnswer:
        """Return the answer; see the port."""
        return ChatAnswer(self, call)

    def room_for(self, model: str) -> Room:
        """Return what the server is told of itself for a model."""
        return msgspec.structs.replace(self._room, num_ctx=self._contexts.get(model, 0))


class ChatAnswer(HttpAnswer):
    """One answer; see the port."""

    __slots__ = ()

    _upstream: OllamaUpstream
    stream_types: ClassVar[frozenset[str]] = frozenset({NDJSON})

    def _request(self) -> tuple[RequestHead, bytes | Body]:
        call, upstream = self._call, self._upstream
        policy, room = FieldPolicy(call.unsupported), upstream.room_for(call.model)
        body = body_from_input(call.input, call.model, room, call.facts, policy, whole=call.whole)
        self.dropped = policy.dropped
        return (upstream.whole_head if call.whole else upstream.stream_head), body

    def _stream(self) -> ChatStream:
        return ChatStream()

    def _events_of_whole(self, body: bytes) -> list[UpstreamEvent]:
        return whole_answer(body)
