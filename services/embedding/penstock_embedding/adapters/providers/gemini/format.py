"""Gemini's ``batchEmbedContents``: https://ai.google.dev/api/embeddings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from urllib.parse import quote

import msgspec

from penstock_common.errors import UpstreamFailed
from penstock_common.http.response import Response
from penstock_embedding.adapters.providers.format import Malformed
from penstock_embedding.adapters.providers.openai.errors import refusal_of
from penstock_embedding.adapters.providers.openai.response import checked
from penstock_embedding.domain.failure import Again, AttemptFailed
from penstock_embedding.domain.upstream import Vectors

_VERSION = re.compile(r"/v\d+(?:alpha|beta)?\d*$")
_NEWEST = "v1beta"
_MAX_ERROR_BYTES = 64 * 1024
# A key that is none is a bad request there.
_KEY = re.compile(rb'"API_KEY_(?:INVALID|EXPIRED)"')
_DELAY = re.compile(rb'"retryDelay"\s*:\s*"(\d+(?:\.\d+)?)s"')
_encode = msgspec.json.Encoder().encode


class _Embedding(msgspec.Struct):
    values: list[float]


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int = 0


class _Answer(msgspec.Struct, rename="camel"):
    embeddings: list[_Embedding]
    usage_metadata: _Usage | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


class GeminiEmbeddings:
    """See ``EmbeddingFormat``; the base URL ends before ``/models``, and its version may be left out."""

    most_inputs = 100

    def url(self, base_url: str, model: str) -> str:
        """Return where texts are sent."""
        url = base_url.rstrip("/")
        versioned = url if _VERSION.search(url) else f"{url}/{_NEWEST}"
        return f"{versioned}/{quote(_resource_of(model), safe='/')}:batchEmbedContents"

    def key_headers(self, key: str) -> Mapping[str, str]:
        """Return the headers that carry a key."""
        return {"x-goog-api-key": key}

    def body(self, model: str, texts: Sequence[str]) -> bytes:
        """Return what is sent; every text names the model again."""
        resource = _resource_of(model)
        requests = [{"model": resource, "content": {"parts": [{"text": text}]}} for text in texts]
        return _encode({"requests": requests})

    def vectors(self, body: bytes, texts: Sequence[str]) -> Vectors:
        """Return the vectors, as ``EmbeddingFormat`` says. Most versions of the API count no tokens."""
        try:
            answer = _ANSWER.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed(str(error)) from None
        vectors = [embedding.values for embedding in answer.embeddings]
        if len(vectors) != len(texts):
            raise Malformed(f"{len(vectors)} vectors for {len(texts)} texts")
        tokens = answer.usage_metadata.prompt_token_count if answer.usage_metadata is not None else 0
        return Vectors([checked(vector, len(vectors[0])) for vector in vectors], max(0, tokens))

    async def refusal(self, response: Response, upstream: str) -> AttemptFailed:
        """Return what a status means, and what stands in the body beside it."""
        body = await response.read_up_to(_MAX_ERROR_BYTES)
        if response.status == HTTPStatus.BAD_REQUEST and _KEY.search(body):
            refused = UpstreamFailed(f"The provider '{upstream}' refused our key.", upstream=upstream)
            return AttemptFailed(refused, Again.ELSEWHERE, "key")
        delay = _DELAY.search(body)
        headers = {"retry-after": delay[1].decode(), **response.headers} if delay is not None else response.headers
        return refusal_of(response.status, headers, upstream)


def _resource_of(model: str) -> str:
    return model if "/" in model else f"models/{model}"
