"""Gemini on Vertex AI: the same requests and answers, at other addresses, with a token."""

from __future__ import annotations

from penstock_common.http.body import Body
from penstock_common.http.client import HttpPools
from penstock_common.http.request_head import RequestHead
from penstock_common.http.response import Response
from penstock_inference.adapters.providers.gemini.client import GeminiAnswer, GeminiUpstream
from penstock_inference.adapters.providers.gemini.manner import Manner
from penstock_inference.adapters.providers.http.access_token import AccessToken
from penstock_inference.adapters.providers.vertex.access import Access
from penstock_inference.domain.upstream import UpstreamAnswer, UpstreamCall


class VertexUpstream(GeminiUpstream):
    """Asks one region of one project; ``location_url`` ends before ``/publishers``."""

    models = "publishers/google/models"

    def __init__(self, client: HttpPools, location_url: str, token: AccessToken, manner: Manner) -> None:
        """Take the upstream; who made ``token`` closes it.

        Raises:
            ValueError: if the URL is none.
        """
        super().__init__(client, location_url, "", manner)
        self.token = token

    def ask(self, call: UpstreamCall) -> UpstreamAnswer:
        """Return the answer; see the port."""
        return VertexAnswer(self, call)


class VertexAnswer(GeminiAnswer):
    """One answer; see the port."""

    __slots__ = ("_access",)

    def __init__(self, upstream: VertexUpstream, call: UpstreamCall) -> None:
        super().__init__(upstream, call)
        self._access = Access(upstream.token)

    async def _authorization(self, head: RequestHead, body: bytes | Body) -> bytes:
        return await self._access.header()

    @property
    def _key(self) -> str:
        return self._access.sent

    def _asks_otherwise(self, response: Response, body: bytes) -> bool:
        return self._access.is_renewed_for(response.status) or super()._asks_otherwise(response, body)
