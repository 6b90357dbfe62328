"""OpenAI's embeddings, which most servers speak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from penstock_common.http.response import Response
from penstock_embedding.adapters.providers.openai.errors import refusal_of
from penstock_embedding.adapters.providers.openai.request import MAX_INPUTS, body_of
from penstock_embedding.adapters.providers.openai.response import vectors_from
from penstock_embedding.domain.failure import AttemptFailed
from penstock_embedding.domain.upstream import Vectors


class OpenAIEmbeddings:
    """See ``EmbeddingFormat``; the base URL ends before ``/embeddings``."""

    most_inputs = MAX_INPUTS

    def url(self, base_url: str, model: str) -> str:
        """Return where texts are sent."""
        return f"{base_url.rstrip('/')}/embeddings"

    def key_headers(self, key: str) -> Mapping[str, str]:
        """Return the headers that carry a key."""
        return {"Authorization": f"Bearer {key}"}

    def body(self, model: str, texts: Sequence[str]) -> bytes:
        """Return what is sent."""
        return body_of(model, texts)

    def vectors(self, body: bytes, texts: Sequence[str]) -> Vectors:
        """Return the vectors, as ``EmbeddingFormat`` says."""
        return vectors_from(body, texts)

    async def refusal(self, response: Response, upstream: str) -> AttemptFailed:
        """Return what a status means."""
        return refusal_of(response.status, response.headers, upstream)
