"""The reranker that needs no other model: a weighted sum of what a question and its passages have in common."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import msgspec

from penstock_embedding.domain.retrieval.features import NAMES, features_of
from penstock_embedding.domain.retrieval.reranking import Passage

_FILE = Path(__file__).with_name("reranker.json")


class Weights(msgspec.Struct, frozen=True):
    """What was learned; ``scale`` and ``offset`` make a probability of the sum."""

    revision: str
    weights: dict[str, float]
    scale: float = 1.0
    offset: float = 0.0


class LearnedReranker:
    """Judges passages beside one another: a word that all have tells less than one that few have."""

    def __init__(self, weights: Weights) -> None:
        self.name = f"features {weights.revision}"
        self._weights = [weights.weights.get(name, 0.0) * weights.scale for name in NAMES]
        self._offset = weights.offset

    async def scores(self, query: str, passages: Sequence[Passage], deadline: float | None) -> list[float]:
        """Return how likely each passage answers, as ``Reranker`` says; a millisecond for each."""
        return await asyncio.to_thread(self.judged, query, passages)

    def judged(self, query: str, passages: Sequence[Passage]) -> list[float]:
        """Return the same, here and now."""
        return [
            _logistic(self._offset + sum(map(float.__mul__, self._weights, values)))
            for values in features_of(query, passages)
        ]


@cache
def own_weights() -> Weights:
    """Return those that tools/train_reranker has made."""
    return msgspec.json.decode(_FILE.read_bytes(), type=Weights)


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, value))))
