"""A claim laid beside the statements that come nearest: what of it they say, and where they differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from penstock_gateway.domain.guardrails.grounding.claims import Claim
from penstock_gateway.domain.guardrails.grounding.context import Context, Indexed
from penstock_gateway.domain.guardrails.grounding.quantities import Quantity, is_same, quantities_of
from penstock_gateway.domain.guardrails.grounding.text import Word, tidy, words_of

_TOPS = 4
_SENTENCE_WEIGHT = 0.25
_UNIT_NUMBER = 0.4


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
        if word.weight and word.stem not in seen:
            seen.add(word.stem)
            content.append((word, word.weight * context.rarity(len(context.where(word)))))
    quantities = quantities_of(words)
    scores = _scores(claim, content, quantities, context, allowed)
    tops = _tops(content, scores, context)
    best = tops[0][0] if tops else -1
    return Alignment(
        claim,
        words,
        content,
        quantities,
        tops,
        [context.where(word).get(best, 0.0) for word, _ in content],
        [_head_match(word, context.units[best]) if tops else 0.0 for word, _ in content],
        [max([context.where(word).get(top, 0.0) for top, _ in tops], default=0.0) for word, _ in content],
        [_anywhere(word, context, allowed) for word, _ in content],
        scores,
        allowed,
    )


def _scores(
    claim: Claim, content: Sequence[tuple[Word, float]], quantities: Sequence[Quantity], context: Context, allowed: frozenset[int]
) -> dict[int, float]:
    """Return how near each statement is: what it says of the claim itself, and a little of what stands around it."""
    scores: defaultdict[int, float] = defaultdict(float)
    for word, weight in content:
        for number, share in context.where(word).items():
            scores[number] += weight * share
    own = {word.stem for word, _ in content}
    if claim.sentence != claim.text:
        for word in words_of(tidy(claim.sentence)):
            if word.weight and word.stem not in own:
                for number, share in context.where(word).items():
                    scores[number] += _SENTENCE_WEIGHT * word.weight * share * 0.5
    for number, unit in enumerate(context.units):
        if unit.statement.passage not in allowed:
            scores.pop(number, None)
        elif number in scores or quantities:
            extra = sum(_UNIT_NUMBER for one in quantities if any(is_same(one, other) for other in unit.quantities))
            extra += sum(0.3 * weight for word, weight in content if number in scores and word.stem not in unit.stems and _head_match(word, unit))
            if extra:
                scores[number] += extra
    return scores


def _tops(content: Sequence[tuple[Word, float]], scores: dict[int, float], context: Context) -> list[tuple[int, float]]:
    """Return the nearest statement, and those that say the most of what is still missing."""
    if not scores:
        return []
    left = {word.stem: weight for word, weight in content}
    found: list[tuple[int, float]] = []
    ranked = sorted(scores, key=lambda number: (-scores[number], number))[:24]
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
            if gain < 0.3:
                break
        ranked.remove(best)
        found.append((best, gain))
        for word, _ in content:
            if context.where(word).get(best, 0.0):
                left.pop(word.stem, None)
    return found


def _head_match(word: Word, unit: Indexed) -> float:
    if word.stem in unit.head_stems or (word.is_name and word.text in unit.initials):
        return 1.0
    return 0.8 if not word.meanings.isdisjoint(unit.head_meanings) else 0.0


def _anywhere(word: Word, context: Context, allowed: frozenset[int]) -> float:
    return max(
        (share for number, share in context.where(word).items() if context.units[number].statement.passage in allowed),
        default=0.0,
    )


