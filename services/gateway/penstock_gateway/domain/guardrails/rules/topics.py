"""Topics by examples: what a text is about, as near as vectors tell."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Protocol

from penstock_gateway.domain.guardrails.pipeline.rule import WHOLE, Found, Runs, Surface

LEAST_LIKENESS = 0.6
# So little says nothing of a topic.
LEAST_CHARACTERS = 12
# Of a long text its beginning and its end.
_MOST_OF_A_TEXT = 2000
Vector = Sequence[float]


class Vectors(Protocol):
    """Gives vectors of texts."""

    async def vectors(self, texts: Sequence[str]) -> Sequence[Vector]:
        """Return a vector of each text, or raise the domain error that says why there are none."""
        ...


class Topics:
    """Looks whether a text is about what examples are about: as like to one of them as ``least`` says. Short texts pass."""

    runs = Runs.REMOTE
    hold = WHOLE

    def __init__(self, vectors: Vectors, examples: Sequence[str], least: float = LEAST_LIKENESS) -> None:
        self._vectors, self._examples, self._least = vectors, tuple(examples), least
        self._learning: asyncio.Task[Sequence[Vector]] | None = None

    def found(self, text: str, surface: Surface) -> Sequence[Found]:
        """Never asked."""
        raise NotImplementedError

    async def find(self, text: str, surface: Surface) -> Sequence[Found]:
        """Return the text, where it is about that."""
        if len(text.strip()) < LEAST_CHARACTERS:
            return ()
        known = await self._of_examples()
        (vector,) = await self._vectors.vectors((_ends_of(text),))
        likeness = max(_likeness(vector, one) for one in known)
        return (Found("topic", 0, len(text)),) if likeness >= self._least else ()

    async def _of_examples(self) -> Sequence[Vector]:
        """Return their vectors, which are asked for once: whoever is too late for them leaves the asking to go on."""
        learning = self._learning
        if learning is None or (learning.done() and (learning.cancelled() or learning.exception() is not None)):
            learning = self._learning = asyncio.ensure_future(self._learned())
        return await asyncio.shield(learning)

    async def _learned(self) -> Sequence[Vector]:
        return await self._vectors.vectors(self._examples)


def _ends_of(text: str) -> str:
    half = _MOST_OF_A_TEXT // 2
    return text if len(text) <= _MOST_OF_A_TEXT else f"{text[:half]}\n{text[-half:]}"


def _likeness(one: Vector, other: Vector) -> float:
    length = math.hypot(*one) * math.hypot(*other)
    return sum(map(float.__mul__, map(float, one), map(float, other))) / length if length else 0.0
