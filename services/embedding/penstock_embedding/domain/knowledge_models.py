"""Models as indexes are made with them: ``Models`` and ``KnowledgeModel`` of ``knowledge.ports``."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Mapping, Sequence

from penstock_embedding.domain.account import Account
from penstock_embedding.domain.chunking.piece import TokenCounter
from penstock_embedding.domain.embedder import EmbedCall, Embedder
from penstock_embedding.domain.knowledge.ports import QueryVector
from penstock_embedding.domain.registry import ModelRegistry

# Of passages that are handed over at once: callers' queues stay short, and who is cancelled soon is.
_PASSAGES_AT_ONCE = 64


class ServedKnowledgeModel:
    """A ``KnowledgeModel``; what is told of it is found out by the first text."""

    def __init__(self, embedder: Embedder, counter: TokenCounter) -> None:
        self._embedder = embedder
        self._counter = counter
        self._dimension = 0
        self._asking = asyncio.Lock()

    @property
    def name(self) -> str:
        """What specs name."""
        return self._embedder.model_name

    @property
    def counter(self) -> TokenCounter:
        """Its tokenizer, with the prefix of passages."""
        return self._counter

    async def revision(self) -> str:
        """Return what tells its vectors from another's."""
        # A model that is loaded later has none before.
        await self.dimension()
        return self._embedder.search_revision

    async def dimension(self) -> int:
        """Return how many values a vector has."""
        async with self._asking:
            if not self._dimension:
                self._dimension = len((await self._passages(["ready"]))[0])
        return self._dimension

    async def passages(self, texts: Sequence[str]) -> list[array[float]]:
        """Return unit vectors in the order of the texts, behind those who wait for theirs."""
        vectors: list[array[float]] = []
        for start in range(0, len(texts), _PASSAGES_AT_ONCE):
            vectors.extend(await self._passages(texts[start : start + _PASSAGES_AT_ONCE]))
        return vectors

    async def query(self, text: str, deadline: float | None) -> QueryVector:
        """Return a question's unit vector."""
        # Of a change of prices meanwhile a question that is embedded knows nothing.
        account, offer = Account(), self._embedder.offer
        embedded = await self._embedder.embed(EmbedCall([text], deadline=deadline, account=account, purpose="query"))
        cost = offer.cost_nano_usd(account.answered)
        return QueryVector(array("f", embedded.vectors[0]), embedded.input_tokens, embedded.truncated[0], cost)

    async def _passages(self, texts: Sequence[str]) -> list[array[float]]:
        embedded = await self._embedder.embed(EmbedCall(texts, purpose="passage", background=True))
        return [array("f", vector) for vector in embedded.vectors]


class ServedModels:
    """``Models`` of a registry; ``counters`` has one of each, by name."""

    def __init__(self, registry: ModelRegistry, counters: Mapping[str, TokenCounter]) -> None:
        self._registry = registry
        self._counters = counters
        self._models: dict[str, ServedKnowledgeModel] = {}

    def model(self, name: str) -> ServedKnowledgeModel:
        """Return one; an empty name is the service's own.

        Raises:
            ModelNotFound: if there is none of the name.
        """
        embedder = self._registry.embedder(name)
        known = self._models.get(embedder.model_name)
        if known is None:
            counter = self._counters[embedder.model_name]
            known = self._models[embedder.model_name] = ServedKnowledgeModel(embedder, counter)
        return known
