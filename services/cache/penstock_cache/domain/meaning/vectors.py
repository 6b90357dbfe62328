"""Vectors of texts: the latest are kept, as a text that was looked up is stored with its answer a little later."""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict

from penstock_cache.domain.meaning.ports import Embedded, Embedding, VectorMaker
from penstock_common.contract.cache import Meaning

MOST_KEPT = 1024
_ANY_TEXT = "ready"


class TextVectors:
    """Asks an ``Embedding``, but not twice in a row for one tenant's text."""

    def __init__(self, embedding: Embedding) -> None:
        self._embedding = embedding
        self._kept: OrderedDict[tuple[str, bytes], Embedded] = OrderedDict()
        self.embedded = 0
        """Texts that were embedded."""

    @property
    def maker(self) -> VectorMaker | None:
        """Who makes them; None before the first."""
        return self._embedding.maker

    @property
    def window_tokens(self) -> int:
        """How many tokens the model reads; 0 where nobody has said."""
        return self._embedding.window_tokens

    async def of(self, tenant: str, meaning: Meaning, seconds: float) -> Embedded:
        """Return the vector of a request's text, which may have come with it.

        Raises:
            EmbeddingUnavailable: if the service does not answer in time.
        """
        maker = self._embedding.maker
        if maker is not None and meaning.vector_model == maker.label and len(meaning.vector) == 4 * maker.dimension:
            return Embedded(array("f", meaning.vector), is_whole=True, maker=maker)
        return await self.of_text(tenant, meaning.text, seconds)

    async def of_text(self, tenant: str, text: str, seconds: float) -> Embedded:
        """Return the vector of a text.

        Raises:
            EmbeddingUnavailable: if the service does not answer in time.
        """
        # One tenant's wait says nothing of what others have asked.
        key = tenant, hashlib.sha256(text.encode()).digest()
        kept = self._kept.get(key)
        if kept is not None and kept.maker == self._embedding.maker:
            self._kept.move_to_end(key)
            return kept
        (embedded,) = await self._embedding.embed([text], seconds)
        self.embedded += 1
        self._kept[key] = embedded
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return embedded

    async def check(self, seconds: float) -> None:
        """Have a text embedded, to see whether that works.

        Raises:
            EmbeddingUnavailable: if the service does not answer in time.
        """
        await self._embedding.embed([_ANY_TEXT], seconds)

    def forget(self) -> None:
        """Keep none of the latest."""
        self._kept.clear()

    async def of_answers(self, one: str, other: str, seconds: float) -> tuple[Embedded, Embedded]:
        """Return the vectors of two answers, which are not kept.

        Raises:
            EmbeddingUnavailable: if the service does not answer in time.
        """
        first, second = await self._embedding.embed([one, other], seconds)
        self.embedded += 2
        return first, second
