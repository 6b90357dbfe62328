"""What this process knows of the scopes' generations."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from penstock_cache.domain.shared import SharedTier
from penstock_common.contract.cache import Scope

# An invalidation by another process reaches this one's memory within this time.
MAX_AGE_SECONDS = 1.0
MAX_SCOPES = 10_000
UNLEARNED = "?"
"""What a look-up tells of a generation that was never learned: once it is, it is another one."""


class _Known(NamedTuple):
    generation: str
    read_at: float


class Generations:
    """Knows each scope's generation, at most ``MAX_AGE_SECONDS`` old while the shared tier answers.

    While it does not, the last known one stays: nobody can invalidate then.
    """

    def __init__(self, shared: SharedTier, monotonic: Callable[[], float]) -> None:
        self._shared = shared
        self._monotonic = monotonic
        self._known: dict[Scope, _Known] = {}

    def known(self, scope: Scope) -> str | None:
        """Return the scope's generation; None where it must be read."""
        known = self._known.get(scope)
        if known is None or self._monotonic() - known.read_at >= MAX_AGE_SECONDS:
            return None
        return known.generation

    async def read(self, scope: Scope) -> str:
        """Return the scope's generation anew; empty if it was never learned."""
        known = self._known.get(scope)
        if known is not None:
            # Who comes while this one reads takes the old value: one read per period, not one per caller.
            self._known[scope] = _Known(known.generation, self._monotonic())
        generation = await self._shared.generation(scope)
        if not generation and known is not None:
            return known.generation
        while len(self._known) >= MAX_SCOPES:
            del self._known[next(iter(self._known))]
        self._known[scope] = _Known(generation, self._monotonic())
        return generation

    def forget(self, scope: Scope) -> None:
        """Make the next caller of anything in the scope read anew."""
        for known in [known for known in self._known if scope.covers(known)]:
            del self._known[known]
