"""Which units stay: the best, with what they stand under, until the room is full."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_gateway.domain.compression.units import Kind, Unit

_OF_ANOTHER = 0.5
"""What a unit is worth beside an equal one of a document that is wanted more."""


def without_repeats(keys: Sequence[object], scores: Sequence[float]) -> list[float]:
    """Return the scores, with less for what stands elsewhere, too; a unit without key is like no other."""
    best: dict[object, int] = {}
    for index, key in enumerate(keys):
        if key is not None and (key not in best or scores[index] > scores[best[key]]):
            best[key] = index
    return [
        score if key is None or best[key] == index else score * _OF_ANOTHER
        for index, (key, score) in enumerate(zip(keys, scores, strict=True))
    ]


def selected(
    units: Sequence[Unit], costs: Sequence[int], scores: Sequence[float], keep: float, *, are_introduced: bool
) -> list[bool]:
    """Return which units stay within ``keep`` of what they cost together.

    Code and tags stay with whatever stays of their document. Where documents are but passages of one (not
    ``are_introduced``), code stays in any case, and ``keep`` holds for the rest.
    """
    stays = [unit.kind is Kind.CODE and not are_introduced for unit in units]
    room = int(keep * sum(cost for cost, stay in zip(costs, stays, strict=True) if not stay))
    bound = {index: units[index].document for index, stay in enumerate(stays) if not stay and _is_bound(units[index])}
    costs_of_bound: dict[int, int] = {}
    for index, document in bound.items():
        costs_of_bound[document] = costs_of_bound.get(document, 0) + costs[index]
    for index in sorted(range(len(units)), key=lambda index: (-scores[index], index)):
        unit = units[index]
        if stays[index] or unit.kind in (Kind.TAG, Kind.HEAD):
            continue
        wanted = [at for at in (*unit.heads, index) if not stays[at] and at not in bound]
        cost = sum(costs[at] for at in wanted) + costs_of_bound.get(unit.document, 0)
        if not cost or cost > room:
            continue
        room -= cost
        costs_of_bound[unit.document] = 0
        for at in wanted:
            stays[at] = True
    for index, document in bound.items():
        stays[index] = not costs_of_bound[document]
    return stays


def _is_bound(unit: Unit) -> bool:
    return unit.kind in (Kind.TAG, Kind.CODE)
