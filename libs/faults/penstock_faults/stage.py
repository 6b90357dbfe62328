"""A model's candidates as one play: whoever is asked first takes the first part, everybody else another.

So the routing in between may choose whom it likes, and a row of the table still holds.
"""

from __future__ import annotations

from penstock_faults.gates import Gates
from penstock_faults.playback import Playback
from penstock_faults.script import Script


class Stage:
    """Deals the parts. ``candidates`` are in the order in which they were first asked."""

    def __init__(self, first: Script, others: Script) -> None:
        self.gates = Gates()
        self._first = first
        self._others = others
        self._parts: dict[tuple[str, str], Playback] = {}

    @property
    def candidates(self) -> list[tuple[str, str]]:
        """Upstream and model of whoever has a part."""
        return list(self._parts)

    def part_of(self, upstream: str, model: str) -> Playback:
        """Return the script of a candidate, which runs on from request to request.

        Who names no model looks whether anybody is there: it is answered, and has no part.
        """
        if not model:
            return Playback(self._others)
        candidate = (upstream, model)
        if candidate not in self._parts:
            self._parts[candidate] = Playback(self._others if self._parts else self._first)
        return self._parts[candidate]
