"""What a request takes of every limit that binds it: reserved at once or not at all, settled or given back once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from penstock_gateway.domain.limits.limit import Limit, Scope
from penstock_gateway.domain.limits.windows import Period


class Demand(msgspec.Struct, frozen=True, gc=False):
    """What a request is expected to use: weighed tokens, and nano-dollars.

    ``most`` is what it may cost in the worst case, such as an answer as long as is asked for; never less than ``spend``.
    A request as such counts once.
    """

    tokens: int = 0
    spend: int = 0
    most: int = 0


class Used(msgspec.Struct, frozen=True, gc=False):
    """What it did use, in the same units."""

    tokens: int = 0
    spend: int = 0


class Standing(msgspec.Struct, frozen=True, gc=False):
    """Where a limit stands after a reservation.

    ``remaining`` is what can still be reserved, never below 0. ``reset`` is the time until the whole allowance is back if
    nothing more is asked, ``timedelta.max`` where it never is. Of spend, ``spent`` is settled and ``reserved`` is held by requests under way.
    """

    limit: Limit
    remaining: int
    reset: timedelta
    spent: int = 0
    reserved: int = 0


# Not without the garbage collector: an adapter's marks may hold anything.
class Reservation(msgspec.Struct, frozen=True):
    """What was taken, and what is needed to settle it or to give it back.

    ``ceiling`` is how many nano-dollars the request may come to before more must be asked for by ``extend``; None: nothing
    bounds it. ``marks`` are the adapter's own.
    """

    id: str
    tenant: str
    limits: tuple[Limit, ...]
    demand: Demand
    admitted_at: datetime
    ceiling: int | None = None
    marks: object = None


class Verdict(msgspec.Struct, frozen=True):
    """A limiter's answer: a reservation, or the limits that refuse it.

    ``standings`` are of all limits that were looked at, in the order in which they were given. ``refused_by`` are those
    that have no room now; of them, who waits ``retry_after`` finds some, where it is not None. Then ``held_by_others``
    says that what is missing is reserved and not spent. ``shadowed`` would have refused, were they not shadows.
    """

    standings: tuple[Standing, ...]
    reservation: Reservation | None = None
    refused_by: tuple[Standing, ...] = ()
    retry_after: timedelta | None = None
    held_by_others: bool = False
    shadowed: tuple[Standing, ...] = ()


NO_LIMITS = Verdict(())


class Limiter(Protocol):
    """Counts, over every process that shares it. All of it is exactly once, and safe to repeat, by the reservation's id."""

    async def answers(self) -> bool:
        """Return whether it can be asked just now."""
        ...

    async def reserve(
        self, reservation_id: str, tenant: str, limits: Sequence[Limit], demand: Demand, lease: timedelta
    ) -> Verdict:
        """Take what is demanded of every limit, or of none; with no limits there is nothing to take.

        Should nobody settle it or give it back, it ends with its ``lease``: what was reserved is free again.
        """
        ...

    async def extend(self, reservation: Reservation, more: int) -> int:
        """Return by how many nano-dollars the request's ceiling is raised, from 0 to ``more``."""
        ...

    async def standings(self, limits: Sequence[Limit]) -> tuple[Standing, ...]:
        """Return where limits stand, in the order given, and take nothing."""
        ...

    async def rebuild(self, limits: Sequence[Limit]) -> None:
        """Take what the ledger says for what was spent of money; what is reserved stays."""
        ...

    def settle(self, reservation: Reservation, used: Used) -> None:
        """Put what was used in the place of what was reserved; returns at once."""
        ...

    def cancel(self, reservation: Reservation) -> None:
        """Give all of it back, the request itself too: nothing was done for it; returns at once."""
        ...


class SpendHistory(Protocol):
    """What the ledger says was spent: a counter that is lost begins anew from it."""

    async def spent(self, tenant: str, scope: Scope, period: Period) -> int:
        """Return the nano-dollars of a scope's requests that began in the period, corrections with them."""
        ...
