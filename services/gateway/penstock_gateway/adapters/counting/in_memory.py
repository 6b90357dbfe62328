"""Limits of one process: for a suite that is one, without Redis."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush
from typing import NamedTuple

import msgspec

from penstock_gateway.adapters.counting.prepared import Counted, PreparedLimits
from penstock_gateway.adapters.counting.seeds import Seeds
from penstock_gateway.domain.limits.admission import (
    NO_LIMITS,
    Demand,
    Reservation,
    SpendHistory,
    Standing,
    Used,
    Verdict,
)
from penstock_gateway.domain.limits.counting import Account, Bucket, Places, units_of
from penstock_gateway.domain.limits.limit import Allowance, Limit, Measure
from penstock_gateway.domain.limits.verdicts import judge
from penstock_gateway.domain.limits.windows import EVER

Counter = Bucket | Places | Account

LATE = timedelta(hours=1)
"""For so long after its lease a reservation may still be settled: what was spent is added, what was held is free."""
_LATE_US = int(LATE / timedelta(microseconds=1))
_IDLE_US = _LATE_US
_FORGOTTEN_PER_LIMIT = 2


class _Open(msgspec.Struct, gc=False):
    """A reservation that nobody has settled; ``is_held`` until its lease ends."""

    counted: tuple[Counted, ...]
    demand: Demand
    ceiling: int | None
    expected: int
    held: int
    is_held: bool = True


class _Kept(msgspec.Struct, gc=False):
    """A counter, when it was used last and for which limit, and how many open reservations have part in it."""

    counter: Counter
    counted: Counted
    used_us: int
    open: int = 0


class _Counting(NamedTuple):
    """A limit as it is now, and its counter."""

    counted: Counted
    kept: _Kept

    @property
    def counter(self) -> Counter:
        return self.kept.counter

    @property
    def allowance(self) -> Allowance:
        return self.counted.limit.allowance


class InMemoryLimiter:
    """Counts exactly, in this process alone.

    ``clock`` gives nanoseconds and never goes back; ``now`` says in which day or month it is. What was spent in earlier
    lives ``history`` knows; without one, each life begins with nothing spent. Memory holds what was counted within the
    last hour, and what is open.
    """

    def __init__(
        self,
        clock: Callable[[], int] = time.monotonic_ns,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        history: SpendHistory | None = None,
        headroom_share: float = 0.125,
    ) -> None:
        self._clock = clock
        self._now = now
        self._seeds = Seeds(history)
        self._headroom_share = headroom_share
        self._prepared: PreparedLimits[tuple[Counted, ...]] = PreparedLimits(lambda of_now: of_now)
        # Who was used last stands last.
        self._counters: OrderedDict[str, _Kept] = OrderedDict()
        self._open: dict[str, _Open] = {}
        self._leases: list[tuple[int, str]] = []

    @property
    def mode(self) -> str:
        """How limits are counted just now."""
        return "exact"

    async def answers(self) -> bool:
        """Return whether it can be asked just now."""
        return True

    def outstanding(self) -> Iterable[tuple[str, int]]:
        """Return the ids of reservations that nobody has settled, and the nano-dollars that each holds."""
        return [(name, held.held) for name, held in self._open.items() if held.is_held]

    async def reserve(
        self, reservation_id: str, tenant: str, limits: Sequence[Limit], demand: Demand, lease: timedelta
    ) -> Verdict:
        """Take what is demanded of every limit, or of none; with no limits there is nothing to take."""
        if not limits:
            return NO_LIMITS
        now = self._now()
        limits = limits if isinstance(limits, tuple) else tuple(limits)
        counted = self._prepared.of(limits, now)
        now_us = self.now_us()
        self._end_leases(now_us)
        counting = self._counting_of(counted, now_us)
        while counting is None:
            await self._sow(counted)
            now_us = self.now_us()
            counting = self._counting_of(counted, now_us)
        self._forget_idle(len(limits), now_us)
        reservation = Reservation(reservation_id, tenant, limits, demand, now)
        already = self._open.get(reservation_id)
        if already is not None:
            reservation = msgspec.structs.replace(reservation, ceiling=already.ceiling)
            return Verdict(_standings(counting, now, now_us), reservation)
        lacks = [each.counter.lack(each.allowance, demand, now_us) for each in counting]
        if any(lack is not None and not one.shadow for lack, one in zip(lacks, limits, strict=True)):
            return judge(_standings(counting, now, now_us), lacks, None)
        ceiling = self._ceiling(counting, demand)
        self._take(counting, demand, ceiling, now_us)
        held = demand.spend if ceiling is None else ceiling
        self._open[reservation_id] = _Open(counted, demand, ceiling, demand.spend, held)
        heappush(self._leases, (now_us + _microseconds(lease), reservation_id))
        reservation = msgspec.structs.replace(reservation, ceiling=ceiling)
        return judge(_standings(counting, now, now_us), lacks, reservation)

    async def extend(self, reservation: Reservation, more: int) -> int:
        """Return by how many nano-dollars the request's ceiling is raised, from 0 to ``more``."""
        if reservation.ceiling is None:
            return more
        self._end_leases(self.now_us())
        held = self._open.get(reservation.id)
        if held is None or not held.is_held or held.ceiling is None:
            return 0
        accounts = [
            (each.limit, account)
            for each in held.counted
            if isinstance(account := self._counters[each.name].counter, Account)
        ]
        free = (account.free(limit.allowance.amount) for limit, account in accounts if not limit.shadow)
        more = max(0, min(more, *free))
        for _, account in accounts:
            account.raise_by(more)
        held.ceiling += more
        held.expected += more
        held.held += more
        return more

    def settle(self, reservation: Reservation, used: Used) -> None:
        """Put what was used in the place of what was reserved; returns at once."""
        held = self._close(reservation.id)
        if held is None:
            return
        now_us = self.now_us()
        for each in held.counted:
            counter = self._counters[each.name].counter
            allowance = each.limit.allowance
            if isinstance(counter, Account):
                counter.spent += used.spend
            elif isinstance(counter, Bucket) and allowance.measure is Measure.TOKENS:
                counter.add(allowance, used.tokens - held.demand.tokens, now_us)

    def cancel(self, reservation: Reservation) -> None:
        """Give all of it back, the request itself too: nothing was done for it; returns at once."""
        held = self._close(reservation.id)
        if held is None:
            return
        now_us = self.now_us()
        for each in held.counted:
            counter = self._counters[each.name].counter
            if isinstance(counter, Bucket):
                allowance = each.limit.allowance
                counter.add(allowance, -units_of(allowance, held.demand), now_us)

    async def standings(self, limits: Sequence[Limit]) -> tuple[Standing, ...]:
        """Return where limits stand, in the order given, and take nothing."""
        now = self._now()
        counted = self._prepared.of(tuple(limits), now)
        counting = self._counting_of(counted, self.now_us())
        while counting is None:
            await self._sow(counted)
            counting = self._counting_of(counted, self.now_us())
        now_us = self.now_us()
        self._end_leases(now_us)
        return _standings(counting, now, now_us)

    def now_us(self) -> int:
        """Return the time by which it counts, in microseconds."""
        return self._clock() // 1_000

    def is_open(self, reservation_id: str) -> bool:
        """Return whether it made a reservation that nobody has settled."""
        return reservation_id in self._open

    def counter(self, name: str) -> Counter | None:
        """Return a counter, if there is one."""
        kept = self._counters.get(name)
        return None if kept is None else kept.counter

    def adopt(self, counted: Counted, counter: Counter) -> None:
        """Go on from a counter that somebody else kept."""
        self._counters[counted.name] = _Kept(counter, counted, self.now_us())

    def demand_more(self, reservation_id: str, demand: Demand) -> None:
        """Put as many tokens as ``demand`` has in the place of those that a reservation was made with."""
        held = self._open[reservation_id]
        more, held.demand = demand.tokens - held.demand.tokens, demand
        for each in held.counted:
            counter = self._counters[each.name].counter
            if isinstance(counter, Bucket) and each.limit.allowance.measure is Measure.TOKENS:
                counter.add(each.limit.allowance, more, self.now_us())

    def _counting_of(self, counted: tuple[Counted, ...], now_us: int) -> list[_Counting] | None:
        """Return the counters of limits; None where it is not known what was spent."""
        found: list[_Counting] = []
        counters = self._counters
        for each in counted:
            kept = counters.get(each.name)
            if kept is None:
                measure = each.limit.allowance.measure
                if measure is Measure.SPEND:
                    return None
                new = Places() if measure is Measure.CONCURRENT else Bucket(0, now_us)
                kept = counters[each.name] = _Kept(new, each, now_us)
            kept.used_us = now_us
            kept.counted = each
            found.append(_Counting(each, kept))
        return found

    async def _sow(self, counted: tuple[Counted, ...]) -> None:
        """Make the accounts that are missing, with what was spent before."""
        missing = [
            each
            for each in counted
            if each.limit.allowance.measure is Measure.SPEND and each.name not in self._counters
        ]
        spent = await asyncio.gather(*(self._seeds.spent(each) for each in missing))
        now_us = self.now_us()
        for each, amount in zip(missing, spent, strict=True):
            self._counters.setdefault(each.name, _Kept(Account(amount), each, now_us))

    def _ceiling(self, counting: list[_Counting], demand: Demand) -> int | None:
        """Return what the request may come to: the least that any budget grants that refuses."""
        rooms = [
            each.counter.headroom(each.allowance.amount, demand, self._headroom_share)
            for each in counting
            if isinstance(each.counter, Account) and not each.counted.limit.shadow
        ]
        return demand.spend + min(rooms) if rooms else None

    def _take(self, counting: list[_Counting], demand: Demand, ceiling: int | None, now_us: int) -> None:
        for each in counting:
            counter = each.counter
            each.kept.open += 1
            self._counters.move_to_end(each.counted.name)
            if isinstance(counter, Bucket):
                counter.add(each.allowance, units_of(each.allowance, demand), now_us)
            elif isinstance(counter, Places):
                counter.running += 1
            else:
                counter.hold(demand.spend, demand.spend if ceiling is None else ceiling)

    def _close(self, reservation_id: str) -> _Open | None:
        """Forget a reservation and free what it holds; None where that was done before."""
        self._end_leases(self.now_us())
        held = self._open.pop(reservation_id, None)
        if held is None:
            return None
        self._free(held)
        for each in held.counted:
            self._counters[each.name].open -= 1
        if len(self._leases) > 2 * len(self._open) + 1_000:
            self._leases = [each for each in self._leases if each[1] in self._open]
            heapify(self._leases)
        return held

    def _free(self, held: _Open) -> None:
        if not held.is_held:
            return
        held.is_held = False
        for each in held.counted:
            counter = self._counters[each.name].counter
            if isinstance(counter, Places):
                counter.running -= 1
            elif isinstance(counter, Account):
                counter.hold(-held.expected, -held.held)

    def _end_leases(self, now_us: int) -> None:
        while self._leases and self._leases[0][0] <= now_us:
            end, name = heappop(self._leases)
            held = self._open.get(name)
            if held is None:
                continue
            if held.is_held:
                self._free(held)
                heappush(self._leases, (end + _LATE_US, name))
            else:
                del self._open[name]
                for each in held.counted:
                    self._counters[each.name].open -= 1

    def _forget_idle(self, limits: int, now_us: int) -> None:
        """Look at those that nobody has used for longest: more than a call can add."""
        for _ in range(_FORGOTTEN_PER_LIMIT * limits):
            name, oldest = next(iter(self._counters.items()))
            if oldest.used_us > now_us - _IDLE_US:
                return
            if oldest.open or not self._is_over(oldest, now_us):
                self._counters.move_to_end(name)
                oldest.used_us = now_us
            else:
                del self._counters[name]

    def _is_over(self, kept: _Kept, now_us: int) -> bool:
        """Return whether a counter says nothing any more, or nothing that could not be found again."""
        counter, counted = kept.counter, kept.counted
        if isinstance(counter, Bucket):
            return not counter.level(counted.limit.allowance, now_us)
        if isinstance(counter, Places):
            return not counter.running
        return self._seeds.has_history or (counted.period is not EVER and counted.period.end < self._now() - LATE)


def _standings(counting: list[_Counting], now: datetime, now_us: int) -> tuple[Standing, ...]:
    return tuple(_standing(each, now, now_us) for each in counting)


def _standing(counting: _Counting, now: datetime, now_us: int) -> Standing:
    counter, counted = counting.counter, counting.counted
    if isinstance(counter, Account):
        return counter.standing(counted.limit, counted.until_reset(now))
    return counter.standing(counted.limit, now_us)


def _microseconds(duration: timedelta) -> int:
    return (duration.days * 86_400 + duration.seconds) * 1_000_000 + duration.microseconds
