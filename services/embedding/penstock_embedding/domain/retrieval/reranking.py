"""The port of what judges a question and a passage together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Passage(NamedTuple):
    """A chunk that was found, and how; None where a way to search did not find it."""

    title: str
    headings: Sequence[str]
    text: str
    dense: float | None = None
    """Cosine of its vector and the question's."""
    sparse: float | None = None
    """The share of the question's rare words that it has, 0 to 1."""


class Reranker(Protocol):
    """Tells how well passages answer a question."""

    @property
    def name(self) -> str:
        """The model and its revision."""
        ...

    async def scores(self, query: str, passages: Sequence[Passage], deadline: float | None) -> list[float]:
        """Return 0 to 1 for each passage, in their order; ``deadline`` is of the monotonic clock.

        Raises:
            ServiceUnavailable: if it cannot judge now.
            DeadlineExceeded: if it cannot until then.
        """
        ...
