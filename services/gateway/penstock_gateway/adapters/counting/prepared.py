"""What a set of limits comes to, worked out once: the names of its counters, and until when those are the right ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import msgspec

from penstock_gateway.domain.limits.limit import Allowance, Limit, Measure
from penstock_gateway.domain.limits.windows import EVER, Period, period_of

_MAX_KNOWN = 4096


class Counted(msgspec.Struct, frozen=True, gc=False):
    """A limit, with the name of its counter now; of money, a name for each period. ``is_budget``: of money, and no shadow."""

    limit: Limit
    allowance: Allowance
    name: str
    period: Period
    is_money: bool
    is_budget: bool

    def until_reset(self, now: datetime) -> timedelta:
        """Return the time until the period ends; for ever is ``timedelta.max``."""
        return timedelta.max if self.period is EVER else self.period.end - now


def counted(limits: tuple[Limit, ...], now: datetime) -> tuple[Counted, ...]:
    """Return each limit with the counter that it has at this time."""
    return tuple(_counted(limit, now) for limit in limits)


def _counted(limit: Limit, now: datetime) -> Counted:
    window = limit.allowance.window
    period = period_of(window, now)
    name = f"{limit.tenant}/{limit.counter}"
    if window.is_calendar:
        name = f"{name}:{window.kind}:{int(period.start.timestamp())}"
    is_money = limit.allowance.measure is Measure.SPEND
    return Counted(limit, limit.allowance, name, period, is_money, is_money and not limit.shadow)


T = TypeVar("T")


class PreparedLimits(Generic[T]):
    """Remembers what ``prepare`` makes of limits, as long as they are the same tuple and none of their periods has ended."""

    def __init__(self, prepare: Callable[[tuple[Counted, ...]], T]) -> None:
        self._prepare = prepare
        self._known: dict[int, tuple[tuple[Limit, ...], datetime, T]] = {}

    def all(self) -> list[T]:
        """Return all that is remembered."""
        return [made for _, _, made in self._known.values()]

    def of(self, limits: tuple[Limit, ...], now: datetime) -> T:
        """Return it, at a time."""
        known = self._known.get(id(limits))
        if known is not None and known[0] is limits and now < known[1]:
            return known[2]
        of_now = counted(limits, now)
        made = self._prepare(of_now)
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[id(limits)] = limits, min((each.period.end for each in of_now), default=EVER.end), made
        return made

    def once(self, limits: tuple[Limit, ...], now: datetime) -> T:
        """Return it and remember nothing: for limits that are put together for one question, and would evict others."""
        return self._prepare(counted(limits, now))
