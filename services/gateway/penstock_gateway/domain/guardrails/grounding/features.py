"""A claim beside its evidence in numbers, for what is learned: each between 0 and about 2."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from penstock_gateway.domain.guardrails.grounding.alignment import Alignment
from penstock_gateway.domain.guardrails.grounding.context import Context, Indexed, denials_in
from penstock_gateway.domain.guardrails.grounding.differences import (
    clause_near,
    drops_condition,
    generalises,
    obliges_otherwise,
    opposes,
    rate_differs,
    sides,
    subject_stands,
    swaps_value,
    tells_former,
)
from penstock_gateway.domain.guardrails.grounding.quantities import Quantity, is_same
from penstock_gateway.domain.guardrails.grounding.text import words_of
from penstock_gateway.domain.guardrails.grounding.vocabulary import INDEFINITES, LOWERS, SUMS, SUPPOSING, UPPERS

NAMES = (
    "best", "best_with_heads", "tops", "anywhere", "exact", "novel", "novel_share", "heaviest_missing", "names_missing", "names_far",
    "numbers", "numbers_all_near", "numbers_far", "numbers_missing", "numbers_derived", "numbers_replaced", "conflict", "near_said", "limit", "agreed", "denied", "denied_more",
    "opposes", "generalises", "conditions", "general_condition", "obliges", "rate", "former", "value_swapped", "subject", "cause", "length", "said_of_best",
    "second", "pairs", "other_passage", "margin", "beside", "cause_apart",
)  # fmt: skip

_NEAR_ENOUGH = 0.62
_OPERANDS = 10
_HEAD = 0.85
_SUPPOSED = 0.3
_NEIGHBOURS = 4
_TWIN = 0.8


class Standing(NamedTuple):
    """How a number of the claim stands: ``near``, ``far``, ``derived`` or ``missing``; whether another takes its place, and one of its unit."""

    quantity: Quantity
    how: str
    is_replaced: bool
    is_contested: bool = False


def features_of(alignment: Alignment, context: Context, elsewhere: float, before: Alignment | None) -> list[float]:
    """Return the features in the order of ``NAMES``; ``elsewhere``: how much better passages of another version fit."""
    standings = standings_of(alignment, context)
    own = _own_words(alignment)
    with_heads = own[1]
    agreed, denied = sides(alignment, context)
    general, dropped = generalises(alignment, context), drops_condition(alignment, context)
    all_near = float(bool(standings) and all(one.how == "near" for one in standings))
    return [
        *own,
        min(len(standings) / 2, 2.0),
        *_counted(standings),
        float(any(one.is_contested for one in standings)) * with_heads * (_SUPPOSED if _supposes(alignment) else 1.0),
        all_near * with_heads,
        _limit(standings, alignment, context),
        agreed,
        denied,
        max(denied - agreed, 0.0),
        opposes(alignment, context),
        min(general, 2.0),
        min(dropped, 2.0),
        min(general * dropped, 1.0),
        obliges_otherwise(alignment, context),
        rate_differs(alignment, context),
        tells_former(alignment, context),
        swaps_value(alignment, context),
        subject_stands(alignment, context),
        float(alignment.claim.is_cause),
        min(len(alignment.content) / 8, 2.0),
        _said_of_best(alignment, context),
        alignment.tops[1][1] / _whole(alignment) if len(alignment.tops) > 1 else 0.0,
        _pairs(alignment, context),
        min(elsewhere, 1.0),
        _margin(alignment),
        _beside(alignment, before, context),
        _cause_apart(alignment, before, context),
    ]


def _supposes(alignment: Alignment) -> bool:
    """Return whether the claim is about a case that it makes up, or reckons: other numbers than the text's belong in there."""
    words = alignment.words
    return bool(words) and (words[0].text in SUPPOSING or any(word.text in SUMS for word in words))


def _whole(alignment: Alignment) -> float:
    return sum(weight for _, weight in alignment.content) or 1.0


def _own_words(alignment: Alignment) -> list[float]:
    """Return how much of the claim stands in the best statement, in it and its heads, in the nearest, anywhere; and what is new."""
    weights, whole = [weight for _, weight in alignment.content], _whole(alignment)
    with_heads = [max(own, _HEAD * head) for own, head in zip(alignment.in_best, alignment.in_heads, strict=True)]
    in_tops = [max(top, _HEAD * head) for top, head in zip(alignment.in_tops, alignment.in_heads, strict=True)]
    missing = [
        (word, weight)
        for (word, weight), there, head in zip(alignment.content, alignment.anywhere, alignment.in_heads, strict=True)
        if not there and not head
    ]
    far = [
        there
        for (word, _), top, there in zip(alignment.content, in_tops, alignment.anywhere, strict=True)
        if word.is_name and not top
    ]
    return [
        _share(alignment.in_best, weights, whole),
        _share(with_heads, weights, whole),
        _share(in_tops, weights, whole),
        _share(alignment.anywhere, weights, whole),
        _share([float(there == 1) for there in alignment.anywhere], weights, whole),
        min(sum(word.weight >= 1 for word, _ in missing) / 2, 2.0),
        sum(weight for _, weight in missing) / whole,
        max((weight for weight, top in zip(weights, in_tops, strict=True) if not top), default=0.0),
        float(sum(not there for there in far)),
        float(sum(bool(there) for there in far)),
    ]


def _share(found: Iterable[float], weights: Iterable[float], whole: float) -> float:
    return sum(share * weight for share, weight in zip(found, weights, strict=True)) / whole


def _counted(standings: Sequence[Standing]) -> list[float]:
    """Return whether all numbers stand where they should, and whether any is far, missing, derived, or in another's place."""
    hows = {one.how for one in standings}
    return [
        float(hows == {"near"}),
        float("far" in hows),
        float("missing" in hows),
        float("derived" in hows),
        float(any(one.is_replaced for one in standings)),
    ]


def _limit(standings: Sequence[Standing], alignment: Alignment, context: Context) -> float:
    """Return 1 where a number that is not there keeps to, or breaks, a limit that is, as the claim says; -1 where not so."""
    unit = alignment.best(context)
    if unit is None or not alignment.words or alignment.words[0].text not in INDEFINITES:
        return 0.0
    for one in standings:
        rivals = [other for other in unit.quantities if other.dimension == one.quantity.dimension]
        if one.how == "near" or not rivals:
            continue
        before = {word.text for word in unit.words[max(0, rivals[0].at - 4) : rivals[0].at]}
        is_upper, is_lower = not before.isdisjoint(UPPERS), not before.isdisjoint(LOWERS)
        if is_upper != is_lower:
            is_kept = one.quantity.size <= rivals[0].size if is_upper else one.quantity.size >= rivals[0].size
            denials = denials_in(alignment.words) + denials_in(unit.words)
            return 1.0 if is_kept == (denials % 2 == 0) else -1.0
    return 0.0


def _beside(alignment: Alignment, before: Alignment | None, context: Context) -> float:
    """Return how near the claim's evidence is to that of the clause before it in the sentence: a cause stands beside its effect."""
    if before is None or not before.tops or not alignment.tops:
        return 0.5
    own, other = alignment.tops[0][0], before.tops[0][0]
    if abs(own - other) <= 1:
        return 1.0
    one, two = context.units[own].statement, context.units[other].statement
    return 0.5 if one.passage == two.passage and one.block == two.block else 0.0


def standings_of(alignment: Alignment, context: Context) -> list[Standing]:
    """Return how each number of the claim stands in the statements."""
    if not alignment.quantities:
        return []
    best_score = max(alignment.scores.values(), default=0.0) or 1.0
    top_units = [context.units[number] for number, _ in alignment.tops]
    return [_standing(one, alignment, context, best_score, top_units) for one in alignment.quantities]


def _standing(
    one: Quantity, alignment: Alignment, context: Context, best_score: float, top_units: Sequence[Indexed]
) -> Standing:
    if one.dimension == "label":
        return Standing(one, "near" if _is_named(alignment, context, one) else "missing", is_replaced=False)
    places = {number for number in context.stating(one) if context.units[number].statement.passage in alignment.allowed}
    support = max((alignment.scores.get(number, 0.0) for number in places), default=0.0) / best_score
    in_tops = any(number in places for number, _ in alignment.tops[:2])
    best = top_units[:1]
    rivals = [other for unit in best for other in unit.quantities if _is_rival(one, other)]
    strict = [other for unit in best for other in unit.quantities if other.dimension == one.dimension and one.dimension]
    loose_only = bool(strict) and not any(is_same(one, other) for other in strict)
    twin = any(
        alignment.scores.get(number, 0.0) >= _TWIN * best_score
        and any(other.dimension == one.dimension and is_same(one, other) for other in context.units[number].quantities)
        for number in places
    )
    if places and (in_tops or support >= _NEAR_ENOUGH) and (twin or not loose_only):
        return Standing(one, "near", is_replaced=False)
    if best and _is_derived(one, [*top_units, *_others(alignment, context)], alignment):
        return Standing(one, "derived", is_replaced=False)
    return Standing(one, "far" if places else "missing", is_replaced=bool(rivals), is_contested=bool(strict))


def _others(alignment: Alignment, context: Context) -> list[Indexed]:
    """Return the next nearest statements that have numbers."""
    ranked = sorted(alignment.scores, key=lambda number: -alignment.scores[number])[:8]
    tops = {number for number, _ in alignment.tops}
    return [context.units[number] for number in ranked if number not in tops and context.units[number].quantities]


def _is_named(alignment: Alignment, context: Context, one: Quantity) -> bool:
    text = f"{one.value:g}"
    if context.writes(text, alignment.allowed):
        return True
    return any(context.units[number].statement.passage in alignment.allowed for number in context.stating(one)) or any(
        text in context.labels[at] or "v" + text in context.labels[at] for at in alignment.allowed
    )


def _is_rival(one: Quantity, other: Quantity) -> bool:
    """Return whether another number of the statement may stand where the claim has this one."""
    if one.dimension == other.dimension:
        return True
    return (not other.dimension and one.dimension not in ("date", "clock", "year")) or (
        not one.dimension and other.dimension not in _PLACES
    )


_PLACES = frozenset(["label", "year", "date", "clock", "ordinal"])


def _is_derived(one: Quantity, units: Sequence[Indexed], alignment: Alignment) -> bool:
    """Return whether numbers of the nearest statements, and others of the claim, make it: a sum, difference, product, quotient."""
    own = [other for other in alignment.quantities if other is not one and other.dimension in ("", "label")]
    tells_sum = any(word.text in SUMS for word in alignment.words)
    if not (tells_sum or alignment.quantities[1:]) or not one.size or one.dimension in ("date", "year", "clock"):
        return False
    numbers = [other for unit in units for other in unit.quantities if other.dimension not in _PLACES][:_OPERANDS]
    alike = [
        other.size for other in numbers if other.dimension == one.dimension or not one.dimension or not other.dimension
    ]
    if tells_sum:
        pairs = [(left, right) for at, left in enumerate(alike) for right in alike[at + 1 :]]
        sizes = {size for left, right in pairs for size in (left + right, abs(left - right), left * right)}
        sizes |= {100 - sum(alike[:2]), *(factor * size for size in alike for factor in (0.5, 2))}
        if any(_is_near(one.size, size) for size in sizes):
            return True
    products = [size * other.value for size in alike for other in own if other.value > 1]
    return any(_is_near(one.size, product + more) for product in products for more in (0.0, *alike))


def _is_near(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-3 * max(abs(one), abs(other))


def _said_of_best(alignment: Alignment, context: Context) -> float:
    """Return how much of the nearest clause the claim says, too."""
    unit = alignment.best(context)
    if unit is None:
        return 0.0
    own = {word.stem for word, _ in alignment.content}
    meanings = {meaning for word, _ in alignment.content for meaning in word.meanings}
    near = {word.stem: word for word in words_of(clause_near(alignment, unit)) if word.weight >= 1}
    if not near:
        return 0.5
    said = sum(1.0 if stem in own else 0.8 * (not word.meanings.isdisjoint(meanings)) for stem, word in near.items())
    return said / len(near)


def _pairs(alignment: Alignment, context: Context) -> float:
    """Return the share of the claim's neighbouring words that stand near each other in the best statement, too."""
    unit = alignment.best(context)
    own = [word.stem for word in alignment.words if word.weight]
    if unit is None or not own[1:]:
        return 0.0
    places: dict[str, int] = {word.stem: at for at, word in enumerate(unit.words)}
    pairs = list(pairwise(own))
    near = sum(
        one in places and other in places and 0 < places[other] - places[one] <= _NEIGHBOURS for one, other in pairs
    )
    return near / len(pairs)


def _cause_apart(alignment: Alignment, before: Alignment | None, context: Context) -> float:
    """Return how much of a cause stands neither in the statement of its effect nor in one beside that."""
    if not alignment.claim.is_cause or before is None or not before.tops:
        return 0.0
    effect = before.tops[0][0]
    near = [effect + step for step in (-1, 0, 1)]
    found = sum(
        weight * max(context.where(word).get(number, 0.0) for number in near) for word, weight in alignment.content
    )
    return 1.0 - min(found / _whole(alignment), 1.0)


def _margin(alignment: Alignment) -> float:
    ranked = sorted(alignment.scores.values(), reverse=True)[:2]
    if not ranked or not ranked[0]:
        return 0.0
    return 1.0 - (ranked[1] / ranked[0] if len(ranked) > 1 else 0.0)
