"""A claim laid beside the statements that come nearest: what of it they say, and where they differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from penstock_gateway.domain.guardrails.grounding.claims import Claim
from penstock_gateway.domain.guardrails.grounding.context import MAX_NUMBERS, Context, Head, Indexed
from penstock_gateway.domain.guardrails.grounding.quantities import Quantity, quantities_of
from penstock_gateway.domain.guardrails.grounding.text import Word, tidy, words_of

MAX_WORDS = 200
"""Different words that are compared of one claim."""

_TOPS = 4
_CANDIDATES = 24
_LEAST_GAIN = 0.3
_SENTENCE_WEIGHT = 0.125
_NUMBER_SCORE = 0.4
_HEAD_SHARE = 0.3


class _Own(NamedTuple):
    """What a claim says: its content words with their weights, and its numbers."""

    content: list[tuple[Word, float]]
    quantities: list[Quantity]


class Alignment(msgspec.Struct, gc=False):
    """What was compared.

    ``content``: the claim's words that say something, each with its weight. ``tops``: the nearest statements, the best first,
    with their scores. ``in_best``, ``in_tops``, ``anywhere``: how much of each content word stands there.
    """

    claim: Claim
    words: list[Word]
    content: list[tuple[Word, float]]
    quantities: list[Quantity]
    tops: list[tuple[int, float]]
    in_best: list[float]
    in_heads: list[float]
    in_tops: list[float]
    anywhere: list[float]
    scores: dict[int, float]
    allowed: frozenset[int]

    def best(self, context: Context) -> Indexed | None:
        """Return the nearest statement; None where nothing is near."""
        return context.units[self.tops[0][0]] if self.tops else None


def align(claim: Claim, context: Context, allowed: frozenset[int]) -> Alignment:
    """Return the claim beside the statements of the allowed passages."""
    words = words_of(tidy(claim.text))
    seen: set[str] = set()
    content: list[tuple[Word, float]] = []
    for word in words:
        if word.weight and word.stem not in seen and len(seen) < MAX_WORDS:
            seen.add(word.stem)
            content.append((word, word.weight * context.rarity(len(context.where(word)))))
    quantities = quantities_of(words)[:MAX_NUMBERS]
    scores = _scores(claim, _Own(content, quantities), context, allowed)
    tops = _tops(content, scores, context)
    best = tops[0][0] if tops else -1
    return Alignment(
        claim,
        words,
        content,
        quantities,
        tops,
        [context.where(word).get(best, 0.0) for word, _ in content],
        [head_match(word, context.units[best]) if tops else 0.0 for word, _ in content],
        [max([context.where(word).get(top, 0.0) for top, _ in tops], default=0.0) for word, _ in content],
        [_anywhere(word, context, allowed) for word, _ in content],
        scores,
        allowed,
    )


def _scores(claim: Claim, own: _Own, context: Context, allowed: frozenset[int]) -> dict[int, float]:
    """Return how near each statement is: what it says of the claim itself, and a little of what stands around it."""
    scores: defaultdict[int, float] = defaultdict(float)
    for word, weight in own.content:
        for number, share in context.where(word).items():
            scores[number] += weight * share
    for word, weight in _around(claim, own.content):
        for number, share in context.where(word).items():
            scores[number] += weight * share
    units = context.units
    for number in [number for number in scores if units[number].statement.passage not in allowed]:
        del scores[number]
    with_heads = _of_heads(own, scores, context)
    for one in own.quantities:
        for number in context.stating(one):
            if units[number].statement.passage in allowed:
                scores[number] += _NUMBER_SCORE
    for number, extra in with_heads.items():
        scores[number] += extra
    return scores


def _around(claim: Claim, content: Sequence[tuple[Word, float]]) -> list[tuple[Word, float]]:
    """Return the other words of the claim's sentence: what it is about may stand there."""
    if claim.sentence == claim.text:
        return []
    stems = {word.stem for word, _ in content}
    return [
        (word, _SENTENCE_WEIGHT * word.weight)
        for word in words_of(tidy(claim.sentence))
        if word.weight and word.stem not in stems
    ]


def _of_heads(own: _Own, scores: dict[int, float], context: Context) -> dict[int, float]:
    """Return what the heads of statements add, of words that do not stand in the statements themselves."""
    said: dict[int, list[tuple[Word, float]]] = {}
    found: dict[int, float] = {}
    for number in scores:
        unit = context.units[number]
        words = said.get(id(unit.head))
        if words is None:
            words = said[id(unit.head)] = [(word, weight) for word, weight in own.content if in_head(word, unit.head)]
        extra = sum(_HEAD_SHARE * weight for word, weight in words if word.stem not in unit.stems)
        if extra:
            found[number] = extra
    return found


def _tops(content: Sequence[tuple[Word, float]], scores: dict[int, float], context: Context) -> list[tuple[int, float]]:
    """Return the nearest statement, and those that say the most of what is still missing."""
    if not scores:
        return []
    left = {word.stem: weight for word, weight in content}
    found: list[tuple[int, float]] = []
    ranked = sorted(scores, key=lambda number: (-scores[number], number))[:_CANDIDATES]
    while ranked and len(found) < _TOPS:
        if not found:
            best, gain = ranked[0], scores[ranked[0]]
        else:
            gains = {
                number: sum(
                    left[word.stem] * context.where(word).get(number, 0.0) for word, _ in content if word.stem in left
                )
                for number in ranked
            }
            best = max(ranked, key=lambda number: (gains[number], scores[number]))
            gain = gains[best]
            if gain < _LEAST_GAIN:
                break
        ranked.remove(best)
        found.append((best, gain))
        for word, _ in content:
            if context.where(word).get(best, 0.0):
                left.pop(word.stem, None)
    return found


def head_match(word: Word, unit: Indexed) -> float:
    """Return how surely the word is among what the statement stands under."""
    return in_head(word, unit.head)


def in_head(word: Word, head: Head) -> float:
    """Return how surely the word is among what statements stand under."""
    if word.stem in head.stems or (word.is_name and word.text in head.initials):
        return 1.0
    return 0.8 if not word.meanings.isdisjoint(head.meanings) else 0.0


def _anywhere(word: Word, context: Context, allowed: frozenset[int]) -> float:
    return max(
        (share for number, share in context.where(word).items() if context.units[number].statement.passage in allowed),
        default=0.0,
    )
