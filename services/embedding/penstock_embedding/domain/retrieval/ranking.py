"""Ranked lists as one, and which of the ranked are shown."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from penstock_embedding.domain.knowledge.ports import FoundChunk

FUSION_RANKS = 20.0
"""How slowly reciprocal ranks fall. Measured: 60 lets what both lists find late pass what one of them finds first."""
DENSE_WEIGHT = 1.0
SPARSE_WEIGHT = 2.0
"""Measured: near-duplicates are told apart by their words, seldom by their vectors. See docs/retrieval.md."""

_MOST_OVERLAP = 0.5


class Ranked(NamedTuple):
    """Ids, the best first, and how much the list counts."""

    ids: Sequence[str]
    weight: float


def fused(lists: Iterable[Ranked]) -> dict[str, float]:
    """Return the weighted sum of reciprocal ranks of each id. A list adds nothing to what it has not."""
    scores: dict[str, float] = {}
    for ranked in lists:
        for rank, one in enumerate(ranked.ids, 1):
            scores[one] = scores.get(one, 0.0) + ranked.weight / (FUSION_RANKS + rank)
    return scores


def most_fused(weights: Iterable[float]) -> float:
    """Return what is first in each list has."""
    return sum(weights) / (FUSION_RANKS + 1)


def best_first(scores: Mapping[str, float]) -> list[str]:
    """Return ids by score; equal ones by id, so that the same question has the same answer."""
    return sorted(scores, key=lambda one: (-scores[one], one))


def rarity(count: int, chunks: int) -> float:
    """Return the idf of BM25, above 0, of a term that ``count`` of the ``chunks`` have."""
    # Counts may be of a moment before or after.
    total = max(chunks, count)
    return math.log(1 + (total - count + 0.5) / (count + 0.5))


def says_again(chunk: FoundChunk, shown: Iterable[FoundChunk]) -> bool:
    """Return whether the most of a chunk, or of one that is shown, is in both: overlapping neighbours."""
    for other in shown:
        if other.document != chunk.document:
            continue
        common = min(chunk.end, other.end) - max(chunk.start, other.start)
        if common > _MOST_OVERLAP * max(1, min(chunk.end - chunk.start, other.end - other.start)):
            return True
    return False


class Chooser:
    """Chooses hits from the best on, within what is asked of them together."""

    def __init__(self, *, limit: int, max_per_document: int, diversity: float) -> None:
        self._limit = limit
        self._max_per_document = max_per_document
        self._diversity = diversity

    def chosen(
        self, ranked: Sequence[tuple[FoundChunk, float]], terms: Mapping[str, Mapping[int, float]]
    ) -> list[FoundChunk]:
        """Return the chunks to show. ``terms`` has those of each id, and is empty where diversity is 0."""
        waiting = list(ranked)
        shown: list[FoundChunk] = []
        of_document: Counter[str] = Counter()
        nearness: dict[str, float] = {}
        while waiting and len(shown) < self._limit:
            chunk, _ = waiting.pop(self._next(waiting, nearness))
            if self._max_per_document and of_document[chunk.document] >= self._max_per_document:
                continue
            if says_again(chunk, shown):
                continue
            shown.append(chunk)
            of_document[chunk.document] += 1
            if self._diversity:
                for other, _ in waiting:
                    alike = _cosine(terms[chunk.id], terms[other.id])
                    nearness[other.id] = max(nearness.get(other.id, 0.0), alike)
        return shown

    def _next(self, waiting: Sequence[tuple[FoundChunk, float]], nearness: Mapping[str, float]) -> int:
        if not self._diversity:
            return 0

        def worth(index: int) -> tuple[float, int]:
            chunk, score = waiting[index]
            return (1 - self._diversity) * score - self._diversity * nearness.get(chunk.id, 0.0), -index

        return max(range(len(waiting)), key=worth)


def _cosine(left: Mapping[int, float], right: Mapping[int, float]) -> float:
    dot = sum(weight * right[term] for term, weight in left.items() if term in right)
    if not dot:
        return 0.0
    return dot / math.sqrt(sum(w * w for w in left.values()) * sum(w * w for w in right.values()))
