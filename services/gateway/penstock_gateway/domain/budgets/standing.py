"""Where a budget stands, and what its period comes to should it go on like this."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from penstock_gateway.domain.administration.audit import Now, utc_now
from penstock_gateway.domain.budgets.ports import Standings
from penstock_gateway.domain.limits.admission import SpendHistory, Standing
from penstock_gateway.domain.limits.limit import Limit, Measure
from penstock_gateway.domain.limits.windows import EVER, Period, WindowKind, period_of

SILENT_SHARE = 0.1
"""In the first tenth of a period nobody says what it will come to."""


class BudgetStanding(msgspec.Struct, frozen=True):
    """Amounts in nano-dollars. ``projected`` is None where nothing is said of the period's end."""

    period: Period
    limit: int
    spent: int
    reserved: int
    remaining: int
    projected: int | None = None

    @property
    def is_endless(self) -> bool:
        """Whether it is of a sum that is never given back."""
        return self.period is EVER


def standing_of(standing: Standing, now: datetime) -> BudgetStanding:
    """Return where the budget of a limit stands."""
    allowance = standing.limit.allowance
    period = period_of(allowance.window, now)
    return BudgetStanding(
        period=period,
        limit=allowance.amount,
        spent=standing.spent,
        reserved=standing.reserved,
        remaining=max(0, allowance.amount - standing.spent - standing.reserved),
        projected=projected(standing.spent, period, now),
    )


def projected(spent: int, period: Period, now: datetime) -> int | None:
    """Return what the period comes to: as much again in each part of it as in the part that is over."""
    if period is EVER:
        return None
    whole, over = (period.end - period.start) // _TICK, (now - period.start) // _TICK
    if over < whole * SILENT_SHARE:
        return None
    return spent * whole // over


_TICK = timedelta(milliseconds=1)


class LedgerStandings:
    """Implements ``ports.Standings`` by the ledger alone: what is settled of money. Nothing is known of all else."""

    def __init__(self, history: SpendHistory, now: Now = utc_now) -> None:
        self._history = history
        self._now = now

    async def standings(self, limits: Sequence[Limit]) -> tuple[Standing, ...]:
        """Return where the limits of money stand, in the order given."""
        now = self._now()
        return tuple([await self._standing(limit, now) for limit in limits if limit.allowance.measure is Measure.SPEND])

    async def _standing(self, limit: Limit, now: datetime) -> Standing:
        period = period_of(limit.allowance.window, now)
        spent = await self._history.spent(limit.tenant, limit.scope, period)
        return Standing(limit, max(0, limit.allowance.amount - spent), period.end - now, spent=spent)


class KnownStandings:
    """Implements ``ports.Standings`` by who counts, and by another for what is not counted yet."""

    def __init__(self, counted: Standings, otherwise: Standings) -> None:
        self._counted = counted
        self._otherwise = otherwise

    async def standings(self, limits: Sequence[Limit]) -> tuple[Standing, ...]:
        """Return where the limits stand, in the order given."""
        found = {_key(one.limit): one for one in await self._counted.standings(limits)}
        missing = [limit for limit in limits if _key(limit) not in found]
        if missing:
            found |= {_key(one.limit): one for one in await self._otherwise.standings(missing)}
        return tuple(found[_key(limit)] for limit in limits if _key(limit) in found)


def _key(limit: Limit) -> tuple[str, str]:
    return limit.tenant, limit.counter


def resets_at(limit: Limit, reset: timedelta, now: datetime) -> datetime | None:
    """Return when the whole allowance is back if nothing more is asked; None where that is never."""
    window = limit.allowance.window
    if window.kind is WindowKind.TOTAL:
        return None
    return period_of(window, now).end if window.is_calendar else (now + reset).astimezone(UTC)
