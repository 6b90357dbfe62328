"""Vectors of passages, by the embedding service."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_common.contract.embedding import EmbedRequest
from penstock_gateway.domain.life.ports import TextEmbedder


class EmbeddedVectors:
    """Implements ``compressor.Vectors`` by the service's own model."""

    def __init__(self, embedder: TextEmbedder) -> None:
        self._embedder = embedder

    async def vectors(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return a vector of each text's head, or raise the domain error that says why there are none."""
        embedded = await self._embedder.embed(EmbedRequest(tuple(texts)), [])
        return [vector.values for vector in embedded.vectors]
