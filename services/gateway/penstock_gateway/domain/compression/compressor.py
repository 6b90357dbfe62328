"""Makes a context shorter for a question; where that cannot be done in time, it stays as it is."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cache
from math import sqrt
from typing import Any, Protocol, TypeVar

import msgspec

from penstock_common.errors import ModelNotFound, PenstockError
from penstock_common.llm.estimate import estimated_tokens
from penstock_gateway.domain.compression.extraction import (
    Reading,
    Spans,
    extract,
    passages_of,
    read,
    shortened,
    without_duplicates,
)
from penstock_gateway.domain.compression.terms import Method, Terms

_MOST_THREADS = 2
_SMALL_SIGNS = 8 * 1024
"""What is read in less time than a thread takes to begin."""
_KNOWN = 4096
_KNOWN_SPANS = 262_144
"""Of all that are known together: some 32 MiB."""
Vector = Sequence[float]
Result = TypeVar("Result")


class Vectors(Protocol):
    """Who makes vectors of texts."""

    async def vectors(self, texts: Sequence[str]) -> Sequence[Vector]:
        """Return a vector of each text, or raise the domain error that says why there are none."""
        ...


class Rewriter(Protocol):
    """Who leaves words out that a model would not miss. Blocking."""

    def rewritten(self, text: str, keep: float, model: str) -> str:
        """Return the text without them, about ``keep`` of it; ``model`` names who would not miss them.

        Raises:
            PenstockError: if it cannot.
        """
        ...


class Compressed(msgspec.Struct, frozen=True, gc=False):
    """What a context has become; ``reason`` says why it is as it was: ``short``, ``unasked``, ``late``, ``failed``."""

    text: str
    tokens_before: int
    tokens: int
    reason: str = ""

    @property
    def saved(self) -> int:
        """How many tokens shorter it is, about."""
        return self.tokens_before - self.tokens


class Compressor:
    """Compresses contexts, and knows what it has left of the last ones: the same context and question stay the same text.

    ``vectors`` and ``rewriter``: where terms ask for them and there are none, contexts stay as they are.
    """

    def __init__(self, vectors: Vectors | None = None, rewriter: Rewriter | None = None) -> None:
        self._vectors = vectors
        self._rewriter = rewriter
        self._known: OrderedDict[bytes, Spans] = OrderedDict()
        self._known_spans = 0

    async def compressed(self, text: str, question: str, terms: Terms, *, patience_seconds: float) -> Compressed:
        """Return the context made shorter for the question, or as it is, and why."""
        before = estimated_tokens(text)
        if before < terms.min_tokens:
            return Compressed(text, before, before, "short")
        if patience_seconds <= 0:
            return Compressed(text, before, before, "late")
        try:
            async with asyncio.timeout(patience_seconds):
                return await self._compressed(text, question, terms, before)
        except TimeoutError:
            return Compressed(text, before, before, "late")
        except PenstockError:
            return Compressed(text, before, before, "failed")

    async def _compressed(self, text: str, question: str, terms: Terms, before: int) -> Compressed:
        if terms.method is Method.LLMLINGUA2:
            return await self._rewritten(text, terms, before)
        key = _key(text, question, terms)
        spans = self._known.get(key)
        if spans is None:
            spans = await self._spans(text, question, terms)
            if spans is None:
                return Compressed(text, before, before, "unasked")
            self._keep(key, spans)
        else:
            self._known.move_to_end(key)
        return _told(text, shortened(text, spans), before)

    def _keep(self, key: bytes, spans: Spans) -> None:
        # Another request may have come to the same meanwhile.
        self._known_spans += len(spans) - len(self._known.pop(key, ()))
        self._known[key] = spans
        while len(self._known) > _KNOWN or self._known_spans > _KNOWN_SPANS:
            _, pushed_out = self._known.popitem(last=False)
            self._known_spans -= len(pushed_out)

    async def _spans(self, text: str, question: str, terms: Terms) -> Spans | None:
        size = len(text)
        reading = await beside(size, read, text)
        if terms.method is Method.DEDUPE:
            return without_duplicates(reading)
        nearness = await self._nearness(size, reading, question) if terms.meaning else None
        return await beside(size, extract, reading, question, terms.keep, nearness)

    async def _nearness(self, size: int, reading: Reading, question: str) -> list[float]:
        if self._vectors is None:
            raise ModelNotFound("No embedding model is served here.")
        asked, *passages = await self._vectors.vectors((question, *passages_of(reading)))
        return await beside(size, _cosines, asked, passages)

    async def _rewritten(self, text: str, terms: Terms, before: int) -> Compressed:
        if self._rewriter is None:
            return Compressed(text, before, before, "failed")
        rewritten = await _in_thread(self._rewriter.rewritten, text, terms.keep, terms.llmlingua2_model)
        return _told(text, rewritten, before)


def _told(text: str, shorter: str, before: int) -> Compressed:
    tokens = estimated_tokens(shorter)
    return Compressed(shorter, before, tokens) if tokens < before else Compressed(text, before, before)


def _key(text: str, question: str, terms: Terms) -> bytes:
    digest = hashlib.blake2b(
        f"{terms.method.value} {terms.keep} {terms.meaning}\0{question}\0".encode(errors="replace"), digest_size=16
    )
    digest.update(text.encode(errors="replace"))
    return digest.digest()


async def beside(size: int, work: Callable[..., Result], *arguments: Any) -> Result:
    """Do the work on a text of so many characters; where that is long, beside the loop."""
    if size <= _SMALL_SIGNS:
        return work(*arguments)
    return await _in_thread(work, *arguments)


async def _in_thread(work: Callable[..., Result], *arguments: Any) -> Result:
    # Threads of its own: work that is late cannot be ended, and would keep those that others share.
    return await asyncio.get_running_loop().run_in_executor(_threads(), work, *arguments)


@cache
def _threads() -> Executor:
    return ThreadPoolExecutor(_MOST_THREADS, "compression")


def _cosines(asked: Vector, passages: Sequence[Vector]) -> list[float]:
    return [_cosine(asked, one) for one in passages]


def _cosine(one: Vector, other: Vector) -> float:
    product = sum(a * b for a, b in zip(one, other, strict=True))
    lengths = sqrt(sum(a * a for a in one) * sum(b * b for b in other))
    return product / lengths if lengths else 0.0
