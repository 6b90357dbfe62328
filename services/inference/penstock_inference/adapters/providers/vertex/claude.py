"""Anthropic's models on Vertex AI: Anthropic's requests and answers, at Google's addresses, with a token.

https://docs.anthropic.com/en/api/claude-on-vertex-ai: the model stands in the path, its version of the format in the body.
"""

from __future__ import annotations

from dataclasses import replace

from penstock_common.http.address import parse_address
from penstock_common.http.body import Body
from penstock_common.http.client import HttpPools
from penstock_common.http.request_head import RequestHead
from penstock_common.http.response import Response
from penstock_inference.adapters.providers.anthropic.client import AnthropicUpstream, MessageAnswer
from penstock_inference.adapters.providers.anthropic.request import Options
from penstock_inference.adapters.providers.gemini.client import resource_of
from penstock_inference.adapters.providers.http.access_token import AccessToken
from penstock_inference.adapters.providers.http.answer import HEADERS
from penstock_inference.adapters.providers.vertex.access import Access
from penstock_inference.domain.upstream import UpstreamAnswer, UpstreamCall

_VERSION = "vertex-2023-10-16"
_MODELS = "publishers/anthropic/models"


class ClaudeUpstream(AnthropicUpstream):
    """Asks one region of one project; ``location_url`` ends before ``/publishers``."""

    def __init__(self, client: HttpPools, location_url: str, token: AccessToken, options: Options) -> None:
        """Take the upstream; who made ``token`` closes it.

        Raises:
            ValueError: if the URL is none.
        """
        super().__init__(client, location_url, ("bearer", ""), replace(options, cloud_version=_VERSION))
        self.token = token
        self._location_url = location_url
        self._heads: dict[tuple[str, bool], RequestHead] = {}

    def ask(self, call: UpstreamCall) -> UpstreamAnswer:
        """Return the answer; see the port."""
        return ClaudeAnswer(self, call)

    def head(self, model: str, *, whole: bool) -> RequestHead:
        """Return the head of requests to a model; there are as many as the configuration has models."""
        head = self._heads.get((model, whole))
        if head is None:
            method = "rawPredict" if whole else "streamRawPredict"
            address = parse_address(f"{self._location_url}/{resource_of(model, _MODELS)}:{method}")
            head = self._heads[model, whole] = RequestHead("POST", address, HEADERS)
        return head


class ClaudeAnswer(MessageAnswer):
    """One message; see the port."""

    __slots__ = ("_access", "_claude")

    def __init__(self, upstream: ClaudeUpstream, call: UpstreamCall) -> None:
        super().__init__(upstream, call)
        self._claude = upstream
        self._access = Access(upstream.token)

    def _request(self) -> tuple[RequestHead, bytes | Body]:
        _, body = super()._request()
        return self._claude.head(self._call.model, whole=self._call.whole), body

    async def _authorization(self, head: RequestHead, body: bytes | Body) -> bytes:
        return await self._access.header() + await super()._authorization(head, body)

    @property
    def _key(self) -> str:
        return self._access.sent

    def _asks_otherwise(self, response: Response, body: bytes) -> bool:
        return self._access.is_renewed_for(response.status) or super()._asks_otherwise(response, body)
