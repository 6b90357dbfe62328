"""One upstream that speaks Bedrock's Converse, over HTTP."""

from __future__ import annotations

from typing import ClassVar, Protocol
from urllib.parse import quote

import msgspec

from penstock_common.http.address import Address, parse_address
from penstock_common.http.body import Body
from penstock_common.http.client import HttpPools
from penstock_common.http.request_head import RequestHead
from penstock_common.http.response import Response
from penstock_inference.adapters.providers.bedrock.errors import failure_of_error
from penstock_inference.adapters.providers.bedrock.request import body_from_input
from penstock_inference.adapters.providers.bedrock.stream import ConverseStream, whole_answer
from penstock_inference.adapters.providers.http.answer import HEADERS, HttpAnswer
from penstock_inference.domain.failure import AttemptFailed
from penstock_inference.domain.unsupported import FieldPolicy
from penstock_inference.domain.upstream import UpstreamAnswer, UpstreamCall, UpstreamEvent

EVENT_STREAM = "application/vnd.amazon.eventstream"
# RFC 3986's unreserved: an ARN's slash and a version's colon are a part of the one segment, as in botocore.
_UNRESERVED = "-._~"


class RequestSigner(Protocol):
    """Signs requests; see ``Signer``."""

    async def lines(self, url: str, content_type: str, body: bytes | Body) -> bytes:
        """Return the lines of the head that sign a request."""
        ...


class Manners(msgspec.Struct, frozen=True):
    """What the configuration declares of an upstream."""

    service_tiers: bool = False
    passthrough: bool = False


class BedrockUpstream:
    """Asks one region; with ``api_key``, or else with a signature of ``signer``'s."""

    def __init__(
        self,
        client: HttpPools,
        base_url: str,
        api_key: str = "",
        signer: RequestSigner | None = None,
        manners: Manners | None = None,
    ) -> None:
        """Take the upstream.

        Raises:
            ValueError: if the URL is none, or the key cannot stand in a header.
        """
        self._address = parse_address(base_url.rstrip("/"))
        self.key = api_key
        self.signer = signer
        self.manners = manners or Manners()
        self._headers = {**HEADERS, "Authorization": f"Bearer {api_key}"} if api_key else HEADERS
        # What cannot be a head is found out now.
        self.head("", whole=True)
        self.pool = client.pool(self._address.origin)

    def ask(self, call: UpstreamCall) -> UpstreamAnswer:
        """Return the answer; see the port."""
        return ConverseAnswer(self, call)

    def head(self, model: str, *, whole: bool) -> tuple[RequestHead, str]:
        """Return the head of a request for a model, and its URL."""
        operation, accepted = ("converse", "application/json") if whole else ("converse-stream", EVENT_STREAM)
        prefix = self._address.target.rstrip("/")
        address = Address(
            self._address.origin,
            f"{prefix}/model/{quote(model, safe=_UNRESERVED)}/{operation}",
            self._address.authorization,
        )
        scheme = "https" if address.origin.tls else "http"
        head = RequestHead("POST", address, {**self._headers, "Accept": accepted})
        return head, f"{scheme}://{address.origin.authority}{address.target}"


class ConverseAnswer(HttpAnswer):
    """One answer; see the port."""

    __slots__ = ("_url",)

    _upstream: BedrockUpstream
    stream_types: ClassVar[frozenset[str]] = frozenset({EVENT_STREAM})

    def __init__(self, upstream: BedrockUpstream, call: UpstreamCall) -> None:
        super().__init__(upstream, call)
        self._url = ""

    def _request(self) -> tuple[RequestHead, bytes | Body]:
        call, manners = self._call, self._upstream.manners
        policy = FieldPolicy(call.unsupported)
        body = body_from_input(
            call.input,
            call.facts,
            policy,
            service_tiers=manners.service_tiers,
            passthrough=manners.passthrough,
        )
        self.dropped = policy.dropped
        head, self._url = self._upstream.head(call.model, whole=call.whole)
        return head, body

    async def _authorization(self, head: RequestHead, body: bytes | Body) -> bytes:
        signer = self._upstream.signer
        return b"" if signer is None else await signer.lines(self._url, HEADERS["Content-Type"], body)

    def _stream(self) -> ConverseStream:
        return ConverseStream()

    def _events_of_whole(self, body: bytes) -> list[UpstreamEvent]:
        return whole_answer(body)

    def _failure(self, response: Response, body: bytes) -> AttemptFailed:
        return failure_of_error(response.status, response.headers, body)
