"""A claim beside its evidence in numbers, for what is learned: each between 0 and about 2."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from penstock_gateway.domain.guardrails.grounding.alignment import Alignment
from penstock_gateway.domain.guardrails.grounding.context import Context, Indexed
from penstock_gateway.domain.guardrails.grounding.differences import (
    clause_near,
    denies_otherwise,
    drops_condition,
    generalises,
    obliges_otherwise,
    opposes,
    rate_differs,
    tells_silence,
)
from penstock_gateway.domain.guardrails.grounding.quantities import Quantity, is_same
from penstock_gateway.domain.guardrails.grounding.text import words_of

NAMES = (
    "best", "best_with_heads", "tops", "anywhere", "exact", "novel", "novel_share", "heaviest_missing", "names_missing", "names_far",
    "numbers", "numbers_near", "numbers_far", "numbers_missing", "numbers_derived", "numbers_replaced", "denies", "opposes", "generalises",
    "conditions", "obliges", "rate", "cause", "silent", "length", "said_of_best", "second", "pairs", "other_passage", "margin",
)  # fmt: skip

_NEAR_ENOUGH = 0.62
_OPERANDS = 10


class Standing(NamedTuple):
    """How a number of the claim stands: ``near``, ``far``, ``derived`` or ``missing``; and whether another takes its place."""

    quantity: Quantity
    how: str
    is_replaced: bool


def features_of(alignment: Alignment, context: Context, elsewhere: float) -> list[float]:
    """Return the features in the order of ``NAMES``; ``elsewhere``: how much better passages of another version fit."""
    weights = [weight for _, weight in alignment.content]
    whole = sum(weights) or 1.0
    standings = standings_of(alignment, context)
    with_heads = [max(own, 0.85 * head) for own, head in zip(alignment.in_best, alignment.in_heads, strict=True)]
    in_tops = [max(top, 0.85 * head) for top, head in zip(alignment.in_tops, alignment.in_heads, strict=True)]
    missing = [
        (word, weight)
        for (word, weight), there, head in zip(alignment.content, alignment.anywhere, alignment.in_heads, strict=True)
        if not there and not head
    ]
    heavy = [(word, weight) for word, weight in missing if word.weight >= 1]
    names = [(word, top, there) for (word, _), top, there in zip(alignment.content, in_tops, alignment.anywhere, strict=True) if word.is_name]
    return [
        _share(alignment.in_best, weights, whole),
        _share(with_heads, weights, whole),
        _share(in_tops, weights, whole),
        _share(alignment.anywhere, weights, whole),
        sum(weight for (_, weight), there in zip(alignment.content, alignment.anywhere, strict=True) if there == 1) / whole,
        min(len(heavy) / 2, 2.0),
        sum(weight for _, weight in missing) / whole,
        max((weight for (_, weight), top in zip(alignment.content, in_tops, strict=True) if not top), default=0.0),
        float(sum(not there for _, top, there in names if not top)),
        float(sum(bool(there) for _, top, there in names if not top)),
        min(len(standings) / 2, 2.0),
        *_counted(standings),
        denies_otherwise(alignment, context),
        opposes(alignment, context),
        min(generalises(alignment, context), 2.0),
        min(drops_condition(alignment, context), 2.0),
        obliges_otherwise(alignment, context),
        rate_differs(alignment, context),
        float(alignment.claim.is_cause),
        float(tells_silence(alignment.words) > 0),
        min(len(alignment.content) / 8, 2.0),
        _said_of_best(alignment, context),
        alignment.tops[1][1] / whole if len(alignment.tops) > 1 else 0.0,
        _pairs(alignment, context),
        min(elsewhere, 1.0),
        _margin(alignment),
    ]


def _share(found: Iterable[float], weights: Iterable[float], whole: float) -> float:
    return sum(share * weight for share, weight in zip(found, weights, strict=True)) / whole


def _counted(standings: Sequence[Standing]) -> list[float]:
    count = {how: sum(one.how == how for one in standings) for how in ("near", "far", "missing", "derived")}
    replaced = sum(one.is_replaced for one in standings)
    return [min(value, 2.0) for value in (*(float(count[how]) for how in ("near", "far", "missing", "derived")), float(replaced))]


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
    places = [
        number
        for number, unit in enumerate(context.units)
        if unit.statement.passage in alignment.allowed and any(is_same(one, other) for other in _all(unit))
    ]
    support = max((alignment.scores.get(number, 0.0) for number in places), default=0.0) / best_score
    in_tops = any(number in places for number, _ in alignment.tops[:2])
    if places and (in_tops or support >= _NEAR_ENOUGH):
        return Standing(one, "near", is_replaced=False)
    if one.dimension == "" and one.value in (1.0, 2.0) and not places:
        return Standing(one, "derived", is_replaced=False)
    best = top_units[0] if top_units else None
    rivals = [other for unit in top_units[:1] for other in unit.quantities if _is_rival(one, other)]
    if places:
        return Standing(one, "far", is_replaced=bool(rivals))
    if best is not None and _is_derived(one, top_units):
        return Standing(one, "derived", is_replaced=False)
    return Standing(one, "missing", is_replaced=bool(rivals))


def _all(unit: Indexed) -> list[Quantity]:
    return unit.quantities


def _is_rival(one: Quantity, other: Quantity) -> bool:
    return one.dimension == other.dimension or not one.dimension or not other.dimension


def _is_derived(one: Quantity, units: Sequence[Indexed]) -> bool:
    """Return whether two numbers of the nearest statements make it: their sum, difference, product or quotient."""
    numbers = [other for unit in units for other in unit.quantities if other.dimension != "date"][:_OPERANDS]
    for at, left in enumerate(numbers):
        for right in numbers[at + 1 :]:
            if left.dimension == right.dimension:
                sizes = (left.size + right.size, abs(left.size - right.size))
                if one.dimension in (left.dimension, "") and any(_is_near(one.size, size) for size in sizes) and one.size:
                    return True
            if not left.dimension or not right.dimension:
                unit_of = left.dimension or right.dimension
                if one.dimension == unit_of and _is_near(one.size, left.size * right.size):
                    return True
    return any(
        one.dimension in (other.dimension, "") and _is_near(one.size, other.size * factor) for other in numbers for factor in (2, 0.5)
    )


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
    if unit is None or len(own) < 2:
        return 0.0
    places: dict[str, int] = {word.stem: at for at, word in enumerate(unit.words)}
    pairs = list(zip(own, own[1:], strict=False))
    near = sum(one in places and other in places and 0 < places[other] - places[one] <= 4 for one, other in pairs)
    return near / len(pairs)


def _margin(alignment: Alignment) -> float:
    ranked = sorted(alignment.scores.values(), reverse=True)[:2]
    if not ranked or not ranked[0]:
        return 0.0
    return 1.0 - (ranked[1] / ranked[0] if len(ranked) > 1 else 0.0)
