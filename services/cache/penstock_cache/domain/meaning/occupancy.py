"""Which groups have entries: where there are none, nothing is embedded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable

MOST_GROUPS = 50_000
EMPTY_SECONDS = 1.0
"""How long a group is taken for empty before the store is asked again: other replicas' entries are seen within that."""
OCCUPIED_SECONDS = 300.0
"""The same for one with entries, which may have been deleted."""


class Occupancy:
    """Remembers the latest ``MOST_GROUPS`` groups."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._known: OrderedDict[str, tuple[bool, float]] = OrderedDict()

    async def has(self, group: str, count: Callable[[], Awaitable[int]]) -> bool:
        """Return whether the group has entries; ``count`` is asked where that is not known."""
        known = self._known.get(group)
        now = self._monotonic()
        if known is not None and now < known[1]:
            self._known.move_to_end(group)
            return known[0]
        if known is not None:
            # Who comes while this one asks takes the old word.
            self._note(group, is_occupied=known[0])
        is_occupied = await count() > 0
        self._note(group, is_occupied=is_occupied)
        return is_occupied

    def filled(self, group: str) -> None:
        """Note that an entry was stored."""
        self._note(group, is_occupied=True)

    def clear(self) -> None:
        """Forget all: another model's entries are others."""
        self._known.clear()

    def _note(self, group: str, *, is_occupied: bool) -> None:
        until = self._monotonic() + (OCCUPIED_SECONDS if is_occupied else EMPTY_SECONDS)
        self._known[group] = is_occupied, until
        self._known.move_to_end(group)
        while len(self._known) > MOST_GROUPS:
            self._known.popitem(last=False)
