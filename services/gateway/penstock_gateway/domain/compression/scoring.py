"""How much a question wants of each unit: what its document, its neighbourhood and its own words have to do with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import log

import msgspec

from penstock_gateway.domain.compression.units import Kind, Unit
from penstock_gateway.domain.compression.words import words_of


class Weights(msgspec.Struct, frozen=True, gc=False):
    """What counts how much."""

    document: float = 1.0
    nearby: float = 0.3
    unit: float = 0.8
    title: float = 2.0
    heading: float = 0.5
    near_match: float = 0.6
    meaning: float = 0.5


WEIGHTS = Weights()
_SATURATION, _LENGTH = 1.2, 0.4
_LEAST_COMMON = 4
_ENOUGH_IN_COMMON = 0.7
_TITLES = 2
"""What introduces a document, and the heading that it begins with."""


def words_by_unit(text: str, units: Sequence[Unit]) -> list[list[str]]:
    """Return the words of each unit."""
    return [words_of(text[unit.start : unit.end]) for unit in units]


def scores_of(
    units: Sequence[Unit],
    words: Sequence[Sequence[str]],
    question: Sequence[str],
    nearness: Sequence[float] | None = None,
    weights: Weights = WEIGHTS,
) -> list[float]:
    """Return a score for each unit, all zero where nothing of the question is anywhere; they compare within one context alone.

    ``nearness``: of each document to the question, in meaning.
    """
    found = _Matches(question, (word for own in words for word in own), weights.near_match)
    own = [found.counts(one) for one in words]
    documents = _share_of_best(_bm25(_by_document(units, own, words, weights.title)))
    if nearness is not None:
        near = _share_of_best([max(0.0, one) for one in nearness])
        documents = [one + weights.meaning * other for one, other in zip(documents, near, strict=True)]
    passages = [
        (_plus(counts, _in_heads(unit, own), weights.heading), len(one) or 1)
        for unit, counts, one in zip(units, own, words, strict=True)
    ]
    by_unit = _share_of_best(_bm25(passages))
    return [
        weights.document * documents[unit.document]
        + weights.unit * by_unit[index]
        + weights.nearby * _best_beside(index, units, by_unit)
        for index, unit in enumerate(units)
    ]


def _best_beside(index: int, units: Sequence[Unit], scores: Sequence[float]) -> float:
    document = units[index].document
    beside = (at for at in (index - 1, index + 1) if 0 <= at < len(units))
    return max((scores[at] for at in beside if units[at].document == document), default=0.0)


def _share_of_best(scores: Sequence[float]) -> list[float]:
    best = max(scores, default=0.0)
    return [score / best for score in scores] if best > 0 else [0.0] * len(scores)


class _Matches:
    """Which words of a context are which of the question's, and by how much."""

    def __init__(self, asked: Iterable[str], words: Iterable[str], near_match: float) -> None:
        self._asked: dict[str, list[tuple[str, float]]] = {}
        wanted = list(asked)
        by_start: dict[str, list[str]] = {}
        for word in wanted:
            self._asked[word] = [(word, 1.0)]
            if len(word) >= _LEAST_COMMON and not word[0].isdigit():
                by_start.setdefault(word[:_LEAST_COMMON], []).append(word)
        for word in set(words):
            if word in self._asked:
                continue
            near = [(one, near_match) for one in by_start.get(word[:_LEAST_COMMON], ()) if _share_a_stem(one, word)]
            if near:
                self._asked[word] = near

    def counts(self, words: Sequence[str]) -> dict[str, float]:
        """Return how often each of the question's words is among these."""
        counts: dict[str, float] = {}
        for word in words:
            for asked, share in self._asked.get(word, ()):
                counts[asked] = counts.get(asked, 0.0) + share
        return counts


def _share_a_stem(one: str, other: str) -> bool:
    shorter = min(len(one), len(other))
    common = 0
    while common < shorter and one[common] == other[common]:
        common += 1
    return common >= max(_LEAST_COMMON, shorter - 1) or common >= _ENOUGH_IN_COMMON * max(len(one), len(other))


def _by_document(
    units: Sequence[Unit], own: Sequence[Mapping[str, float]], words: Sequence[Sequence[str]], title: float
) -> list[tuple[dict[str, float], int]]:
    count = units[-1].document + 1 if units else 0
    totals: list[dict[str, float]] = [{} for _ in range(count)]
    lengths = [0] * count
    seen = [0] * count
    for unit, counts, one in zip(units, own, words, strict=True):
        is_title = unit.kind is Kind.HEAD and seen[unit.document] < _TITLES
        seen[unit.document] += 1
        for word, times in counts.items():
            totals[unit.document][word] = totals[unit.document].get(word, 0.0) + times * (title if is_title else 1.0)
        lengths[unit.document] += len(one)
    return [(total, length or 1) for total, length in zip(totals, lengths, strict=True)]


def _in_heads(unit: Unit, own: Sequence[Mapping[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for head in unit.heads:
        for word in own[head]:
            found[word] = 1.0
    return found


def _plus(counts: Mapping[str, float], heads: Mapping[str, float], weight: float) -> dict[str, float]:
    joined = dict(counts)
    for word in heads:
        joined[word] = joined.get(word, 0.0) + weight
    return joined


def _bm25(passages: Sequence[tuple[Mapping[str, float], int]]) -> list[float]:
    known: Counter[str] = Counter()
    for counts, _ in passages:
        known.update(counts.keys())
    total = len(passages)
    rarity = {word: log(1 + (total - times + 0.5) / (times + 0.5)) for word, times in known.items()}
    average = sum(length for _, length in passages) / max(1, total)
    scores: list[float] = []
    for counts, length in passages:
        dampened = _SATURATION * (1 - _LENGTH + _LENGTH * length / average)
        scores.append(
            sum(rarity[word] * times * (_SATURATION + 1) / (times + dampened) for word, times in counts.items())
        )
    return scores
