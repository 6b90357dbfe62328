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
    bound = _bound(units)
    for index in sorted(range(len(units)), key=lambda index: (-scores[index], index)):
        unit = units[index]
        if stays[index] or unit.kind in (Kind.TAG, Kind.HEAD):
            continue
        wanted = {at for at in (*unit.heads, index, *bound.get(unit.document, ())) if not stays[at]}
        cost = sum(costs[at] for at in wanted)
        if cost > room:
            continue
        room -= cost
        for at in wanted:
            stays[at] = True
    return stays


def _bound(units: Sequence[Unit]) -> dict[int, list[int]]:
    """Return, by document, what stays where anything of it does."""
    bound: dict[int, list[int]] = {}
    for index, unit in enumerate(units):
        if unit.kind in (Kind.TAG, Kind.CODE):
            bound.setdefault(unit.document, []).append(index)
    return bound
