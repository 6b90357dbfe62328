"""What is compared between a question and the passages that may answer it: numbers that mean the same in any subject.

Rarity is told by the passages at hand: among near-duplicates the words that they have in common say nothing, and those
that only some have, a region's or an edition's, say most.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from penstock_embedding.domain.retrieval.analysis import words_of
from penstock_embedding.domain.retrieval.cues import CURRENT, DENIALS, OUTDATED, WITHDRAWN
from penstock_embedding.domain.retrieval.languages import fold
from penstock_embedding.domain.retrieval.reading import Names, ReadPassage, Word, read_passage, read_question, years_of
from penstock_embedding.domain.retrieval.reranking import Passage

NAMES = (
    "dense",
    "dense_below_best",
    "sparse",
    "sparse_of_best",
    "covered",
    "in_title",
    "in_sentence",
    "in_sentence_and_title",
    "neighbours",
    "codes",
    "title_unasked",
    "outdated",
    "outdated_asked",
    "outdated_not_wanted",
    "superseded",
    "superseded_not_wanted",
    "denies_both",
    "denies_one",
    "length",
)
"""Of the features, in their order."""

_SAME_TITLE = 0.6
_USUAL_LENGTH_LOG = 6.0
_LEAST_RARITY = 0.2


def features_of(query: str, passages: Sequence[Passage]) -> list[list[float]]:
    """Return the features of each passage, in the order of ``NAMES``."""
    read = [read_passage(" ".join((one.title, *one.headings)), one.text) for one in passages]
    question = _Question(query, read)
    beside = _Beside(passages, read)
    return [_features(question, passage, one, beside) for passage, one in zip(passages, read, strict=True)]


class _Question:
    """A question as it is compared with these passages."""

    def __init__(self, query: str, read: Sequence[ReadPassage]) -> None:
        folded = {fold(word) for word in words_of(query)}
        self.words = read_question(query, read)
        self._rarity = [_rarity(word, read) for word in self.words]
        self._total = sum(self._rarity) or 1.0
        self.asked: Names = frozenset(name for word in self.words for name in (*word.forms, *_all(word.parts)))
        self.years = years_of(query)
        self.denies = not folded.isdisjoint(DENIALS)
        self.wants_old = not folded.isdisjoint(OUTDATED)
        self.wants_current = not folded.isdisjoint(CURRENT)

    def covered(self, names: Names) -> float:
        """Return the share of its rarity that the names have."""
        return sum(rare * word.share(names) for word, rare in zip(self.words, self._rarity, strict=True)) / self._total


class _Beside:
    """What the passages are like together."""

    def __init__(self, passages: Sequence[Passage], read: Sequence[ReadPassage]) -> None:
        self.dense = max((one.dense or 0.0 for one in passages), default=0.0)
        self.sparse = max((one.sparse or 0.0 for one in passages), default=0.0)
        self.title_shares: dict[Names, float] = {}
        for one in read:
            for word in set(one.title_words):
                self.title_shares[word] = self.title_shares.get(word, 0.0) + 1 / len(read)
        self._titles = [(frozenset(one.title_words), one.title_years) for one in read]

    def is_superseded(self, one: ReadPassage) -> bool:
        """Return whether the title names a year, and nearly the same title is there without one or with a later one."""
        if not one.title_years:
            return False
        words = frozenset(one.title_words)
        latest = max(one.title_years)
        return any(
            (not years or max(years) > latest) and len(words & other) >= _SAME_TITLE * min(len(words), len(other)) > 0
            for other, years in self._titles
        )


def _features(question: _Question, passage: Passage, one: ReadPassage, beside: _Beside) -> list[float]:
    dense, sparse = passage.dense or 0.0, passage.sparse or 0.0
    best, at = max(((question.covered(names), index) for index, names in enumerate(one.sentences)), default=(0.0, -1))
    best_with_title = max((question.covered(names | one.title) for names in one.sentences), default=0.0)
    denied = at >= 0 and any(f"w:{word}" in one.sentences[at] for word in DENIALS)
    asked_for_old = question.wants_old or bool(one.title_years & question.years)
    outdated = not one.title_folded.isdisjoint(OUTDATED) or not one.opening_folded.isdisjoint(WITHDRAWN)
    superseded = beside.is_superseded(one)
    return [
        dense,
        dense - beside.dense,
        sparse,
        sparse / beside.sparse if beside.sparse else 0.0,
        question.covered(one.whole),
        question.covered(one.title),
        best,
        best_with_title,
        _neighbours(question.words, one),
        _codes(question.words, one.whole),
        _unasked(question.asked, one, beside.title_shares),
        float(outdated and not asked_for_old),
        float(outdated and asked_for_old),
        float(outdated and not asked_for_old and question.wants_current),
        float(superseded and not asked_for_old),
        float(superseded and not asked_for_old and question.wants_current),
        float(question.denies and denied),
        float(question.denies != denied),
        math.log1p(one.length) - _USUAL_LENGTH_LOG,
    ]


def _rarity(word: Word, read: Sequence[ReadPassage]) -> float:
    having = sum(word.share(one.whole) for one in read)
    if not having:
        return 0.0
    return math.log(1 + (len(read) - having + 0.5) / (having + 0.5)) + _LEAST_RARITY


def _neighbours(words: Sequence[Word], one: ReadPassage) -> float:
    """Return the share of neighbouring words of the question that stand in one sentence together."""
    if len(words) < 2:
        return 0.0
    has = [[bool(word.share(names)) for word in words] for names in one.sentences]
    met = sum(any(row[at] and row[at + 1] for row in has) for at in range(len(words) - 1))
    return met / (len(words) - 1)


def _codes(words: Sequence[Word], names: Names) -> float:
    """Return the share of the question's codes and numbers that are there, less the share that is not."""
    shares = [word.share(names) for word in words if word.code]
    return 2 * sum(shares) / len(shares) - 1 if shares else 0.0


def _unasked(asked: Names, one: ReadPassage, shares: Mapping[Names, float]) -> float:
    """Return how much of the title was not asked for, by the rarity of its words beside the others."""
    rare = {word: 0.1 - math.log(shares[word]) for word in set(one.title_words)}
    total = sum(rare.values())
    return sum(weight for word, weight in rare.items() if word.isdisjoint(asked)) / total if total else 0.5


def _all(parts: Sequence[Names]) -> Names:
    return frozenset().union(*parts)
