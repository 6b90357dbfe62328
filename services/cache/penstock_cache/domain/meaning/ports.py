"""What the tier of meaning needs of the world."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple, Protocol

from penstock_cache.domain.guard.guard import Candidate
from penstock_cache.domain.guard.verdict import Verdict
from penstock_common.errors import ServiceUnavailable

StartWork = Callable[[Coroutine[Any, Any, None]], None]


class VectorMaker(NamedTuple):
    """Who makes vectors: those of one revision of one model may be compared, and no others."""

    name: str
    revision: str
    dimension: int

    @property
    def label(self) -> str:
        """Name and revision, as callers are told."""
        return f"{self.name}@{self.revision}"


class Embedded(NamedTuple):
    """A text's unit vector; ``is_whole`` unless only the text's beginning fits the model's window."""

    vector: array[float]
    is_whole: bool
    maker: VectorMaker


class EmbeddingUnavailable(ServiceUnavailable):
    """The embedding service does not answer in time, or is left alone for a moment after it did not."""


class Embedding(Protocol):
    """Makes vectors."""

    @property
    def maker(self) -> VectorMaker | None:
        """Who makes them, by the last answer; None before the first."""
        ...

    @property
    def window_tokens(self) -> int:
        """How many tokens of a text its model reads; 0 where nobody has said."""
        ...

    async def embed(self, texts: Sequence[str], seconds: float) -> list[Embedded]:
        """Return the texts' vectors, in their order.

        Raises:
            EmbeddingUnavailable: if the service does not answer in time.
        """
        ...


class Judge(Protocol):
    """The guard."""

    async def judge_many(self, asked: str, candidates: Sequence[Candidate]) -> list[Verdict]:
        """Return a verdict for each candidate, in their order."""
        ...


class Meter(Protocol):
    """Measures how long looking by meaning takes."""

    def looked(self, seconds: float, *, is_hit: bool) -> None:
        """Note a look-up that needed a vector."""
        ...
