"""One upstream that speaks Anthropic's Messages API, over HTTP."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import Literal

from penstock_common.http.address import parse_address
from penstock_common.http.body import Body
from penstock_common.http.client import HttpPools
from penstock_common.http.request_head import RequestHead, header_line
from penstock_common.http.response import Response
from penstock_inference.adapters.providers.anthropic.request import MessagesRequest, Options, request_of
from penstock_inference.adapters.providers.anthropic.stream import MessageStream, whole_answer
from penstock_inference.adapters.providers.http.answer import HEADERS, HttpAnswer, Stream
from penstock_inference.domain.failure import AttemptFailed
from penstock_inference.domain.upstream import UpstreamAnswer, UpstreamCall, UpstreamEvent

_LOG = logging.getLogger(__name__)
Auth = Literal["x-api-key", "bearer"]

# Models that take a system prompt at the start alone name the role that they do not know.
_REFUSES_SYSTEM_TURNS = re.compile(
    rb"role\b.{0,40}\bsystem\b|\bsystem\b.{0,40}\brole|mid-conversation system", re.IGNORECASE | re.DOTALL
)
_BEGINNINGS_OF_STREAMS = (b"event:", b"data:", b":")


class AnthropicUpstream:
    """Asks one upstream; ``base_url`` ends before ``/v1/messages``, or after the ``/v1``."""

    def __init__(self, client: HttpPools, base_url: str, credentials: tuple[Auth, str], options: Options) -> None:
        """Take the upstream; ``credentials`` are the header that the key goes in, and the key.

        Raises:
            ValueError: if the URL is none, or the key cannot stand in a header.
        """
        auth, self.key = credentials
        address = parse_address(messages_url(base_url))
        headers = {**HEADERS, **_key_header(auth, self.key)}
        self.pool = client.pool(address.origin)
        self.stream_head = RequestHead("POST", address, {**headers, "Accept": "text/event-stream"})
        self.whole_head = RequestHead("POST", address, {**headers, "Accept": "application/json"})
        self.options = options
        self.without_system_turns: set[str] = set()
        """The models that refused system turns within a conversation."""

    def ask(self, call: UpstreamCall) -> UpstreamAnswer:
        """Return the answer; see the port."""
        return MessageAnswer(self, call)


class MessageAnswer(HttpAnswer):
    """One message; see the port."""

    __slots__ = ("_written",)

    _upstream: AnthropicUpstream

    def __init__(self, upstream: AnthropicUpstream, call: UpstreamCall) -> None:
        super().__init__(upstream, call)
        self._written: MessagesRequest | None = None

    def _request(self) -> tuple[RequestHead, bytes | Body]:
        upstream, call = self._upstream, self._call
        folds_system = call.model in upstream.without_system_turns
        written = self._written = request_of(call, upstream.options, folds_system=folds_system)
        self.dropped = written.dropped
        return upstream.whole_head if call.whole else upstream.stream_head, written.body

    async def _authorization(self, head: RequestHead, body: bytes | Body) -> bytes:
        del head, body
        assert self._written is not None, "the request is made first"
        lines = header_line("anthropic-version", self._written.version)
        return lines + header_line("anthropic-beta", self._written.betas) if self._written.betas else lines

    def _asks_otherwise(self, response: Response, body: bytes) -> bool:
        """Return whether it was refused for a system turn within the conversation, which can stand in a user's."""
        assert self._written is not None, "the request was made"
        model, known = self._call.model, self._upstream.without_system_turns
        is_for_that = response.status == HTTPStatus.BAD_REQUEST and _REFUSES_SYSTEM_TURNS.search(body) is not None
        if not is_for_that or not self._written.has_system_turns:
            return False
        _LOG.info("system_turns_folded model=%s: it takes none within a conversation", model)
        known.add(model)
        return True

    def _failure(self, response: Response, body: bytes) -> AttemptFailed:
        failure = super()._failure(response, body)
        request_id = response.header(b"request-id")
        if request_id:
            # What Anthropic's support asks for.
            _LOG.info(
                "refused model=%s status=%d kind=%s request_id=%s",
                self._call.model, response.status, failure.kind.value, request_id,
            )  # fmt: skip
        return failure

    def _stream(self) -> Stream:
        return MessageStream(self._custom())

    def _events_of_whole(self, body: bytes) -> list[UpstreamEvent]:
        if body.startswith(_BEGINNINGS_OF_STREAMS):
            stream = MessageStream(self._custom())
            return [*stream.feed(body), *stream.end()]
        return whole_answer(body, self._custom())

    def _custom(self) -> frozenset[str]:
        return frozenset([tool.name for tool in self._call.input.tools if tool.custom_json])


def messages_url(base_url: str) -> str:
    """Return where messages are asked for; the version's part of the path may be there already."""
    url = base_url.rstrip("/")
    return f"{url}/messages" if url.endswith("/v1") else f"{url}/v1/messages"


def _key_header(auth: Auth, key: str) -> dict[str, str]:
    if not key:
        return {}
    return {"Authorization": f"Bearer {key}"} if auth == "bearer" else {"x-api-key": key}
