"""Hits that are to be written to their entries, a while later and together."""

from __future__ import annotations

from collections import Counter

MOST_WAITING = 10_000


class HitBook:
    """Counts hits by tenant and entry; beyond ``MOST_WAITING`` entries further ones are not counted."""

    def __init__(self) -> None:
        self._hits: dict[str, Counter[str]] = {}
        self._waiting = 0

    def note(self, tenant: str, entry_id: str) -> None:
        """Note a hit."""
        hits = self._hits.setdefault(tenant, Counter())
        if entry_id not in hits:
            if self._waiting >= MOST_WAITING:
                return
            self._waiting += 1
        hits[entry_id] += 1

    def take(self) -> dict[str, Counter[str]]:
        """Return what was noted since the last time, by tenant and entry."""
        taken, self._hits = self._hits, {}
        self._waiting = 0
        return taken
