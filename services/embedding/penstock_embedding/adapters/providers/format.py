"""What a provider's format of embeddings has to say: where texts go, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from penstock_common.http.response import Response
from penstock_embedding.domain.failure import AttemptFailed
from penstock_embedding.domain.upstream import Vectors


class Malformed(Exception):
    """The answer is not what was asked for."""


class EmbeddingFormat(Protocol):
    """One format."""

    most_inputs: int
    """Texts that one request may hold."""

    def url(self, base_url: str, model: str) -> str:
        """Return where texts are sent."""
        ...

    def key_headers(self, key: str) -> Mapping[str, str]:
        """Return the headers that carry a key."""
        ...

    def body(self, model: str, texts: Sequence[str]) -> bytes:
        """Return what is sent."""
        ...

    def vectors(self, body: bytes, texts: Sequence[str]) -> Vectors:
        """Return the vectors in the order of the texts, and the tokens as the provider counted them, 0 where it did not.

        Raises:
            Malformed: if a vector is missing, or is none.
        """
        ...

    async def refusal(self, response: Response, upstream: str) -> AttemptFailed:
        """Return what a response with an error status means."""
        ...
