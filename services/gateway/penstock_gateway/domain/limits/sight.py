"""What can be seen of limits and budgets from without."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec


class Counting(Protocol):
    """What a limiter tells of itself."""

    @property
    def mode(self) -> str:
        """How limits are counted just now: ``exact``, or what stands for that."""
        ...

    def outstanding(self) -> Iterable[tuple[str, int]]:
        """Return the ids of this process's reservations that nobody has settled, and the nano-dollars that each holds."""
        ...


class BudgetSeen(msgspec.Struct, frozen=True, kw_only=True):
    """Where a budget stands in its period, in nano-dollars; ``elapsed`` is the part of the period that is over, from 0 to 1.

    ``name`` is the budget's own and never a key's or a user's.
    """

    tenant: str
    name: str
    scope: str
    limit: int
    spent: int
    reserved: int
    elapsed: float
