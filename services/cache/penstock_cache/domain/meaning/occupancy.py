"""Which tenants and groups have entries: where there are none, nothing is embedded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from penstock_cache.domain.meaning.ports import VectorMaker

MOST_GROUPS = 50_000
EMPTY_SECONDS = 1.0
"""How long a group is taken for empty before the store is asked again: other replicas' entries are seen within that."""
OCCUPIED_SECONDS = 300.0
"""The same for one with entries, which may have been deleted."""


class Place(NamedTuple):
    """A tenant's entries, or those of one group, among what one maker's vectors lie beside; both are keyed hashes."""

    maker: VectorMaker
    name: str


class Occupancy:
    """Remembers the latest ``MOST_GROUPS`` places."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._known: OrderedDict[Place, tuple[bool, float]] = OrderedDict()

    async def has(self, place: Place, count: Callable[[], Awaitable[int]]) -> bool:
        """Return whether the place has entries; ``count`` is asked where that is not known."""
        known = self._known.get(place)
        now = self._monotonic()
        if known is not None and now < known[1]:
            self._known.move_to_end(place)
            return known[0]
        if known is not None:
            # Who comes while this one asks takes the old word.
            self._note(place, is_occupied=known[0])
        is_occupied = await count() > 0
        self._note(place, is_occupied=is_occupied)
        return is_occupied

    def filled(self, place: Place) -> None:
        """Note that an entry was stored."""
        self._note(place, is_occupied=True)

    def _note(self, place: Place, *, is_occupied: bool) -> None:
        until = self._monotonic() + (OCCUPIED_SECONDS if is_occupied else EMPTY_SECONDS)
        self._known[place] = is_occupied, until
        self._known.move_to_end(place)
        while len(self._known) > MOST_GROUPS:
            self._known.popitem(last=False)
