"""Limits of one process: for a suite that is one, without Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush

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
from penstock_gateway.domain.limits.counting import NO_TIME, Account, Bucket, Lack, Places, units_of
from penstock_gateway.domain.limits.limit import Limit, Measure
from penstock_gateway.domain.limits.verdicts import judge
from penstock_gateway.domain.limits.windows import EVER

Counter = Bucket | Places | Account

LATE = timedelta(hours=1)
"""For so long after its lease a reservation may still be settled: what was spent is added, what was held is free."""
_LATE_US = int(LATE / timedelta(microseconds=1))
_MICROSECOND = timedelta(microseconds=1)

_LOOK_US = 1_000_000
_LOOKED_AT = 500
"""So often so many counters are looked at, whether anybody needs them."""

_NOTHING = Demand()
_HAS_ROOM, _SHADOWS_LACK, _REFUSED = range(3)


class _Open(msgspec.Struct, gc=False):
    """A reservation that nobody has settled; ``is_held`` until its lease ends. What it holds of money is no less if unbounded."""

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
        self._counters: dict[str, _Kept] = {}
        self._to_look_at: list[str] = []
        self._next_look_us = 0
        self._open: dict[str, _Open] = {}
        self._leases: list[tuple[int, str]] = []
        self._rebuilding = asyncio.Lock()

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
        now, limits = self._now(), tuple(limits)
        counted = self._prepared.of(limits, now)
        now_us = self._clock() // 1_000
        while (room := self._room(counted, demand, now_us)) is None:
            await self._sow(counted)
            now_us = self._clock() // 1_000
        already = self._open.get(reservation_id)
        if already is not None:
            reservation = Reservation(reservation_id, tenant, limits, demand, now, already.ceiling)
            return Verdict(self._standings(counted, now, now_us), reservation)
        # What a request finds lacking is said as it found it.
        lacks = self._lacks(counted, demand, now_us) if room else ()
        if room == _REFUSED:
            return judge(self._standings(counted, now, now_us), lacks, None)
        ceiling = self._take(reservation_id, counted, demand, now_us)
        heappush(self._leases, (now_us + lease // _MICROSECOND, reservation_id))
        standings = self._standings(counted, now, now_us)
        reservation = Reservation(reservation_id, tenant, limits, demand, now, ceiling)
        return judge(standings, lacks, reservation) if lacks else Verdict(standings, reservation)

    async def extend(self, reservation: Reservation, more: int) -> int:
        """Return by how many nano-dollars the request's ceiling is raised, from 0 to ``more``."""
        if reservation.ceiling is None:
            return more
        self._look_around(self.now_us())
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
        now_us = self._clock() // 1_000
        held = self._close(reservation.id, now_us)
        if held is None:
            return
        for each in held.counted:
            if each.is_money:
                account = self._counters[each.name].counter
                assert isinstance(account, Account)
                account.spent += used.spend
            elif each.allowance.measure is Measure.TOKENS:
                bucket = self._counters[each.name].counter
                assert isinstance(bucket, Bucket)
                bucket.add(each.allowance, used.tokens - held.demand.tokens, now_us)

    def cancel(self, reservation: Reservation) -> None:
        """Give all of it back, the request itself too: nothing was done for it; returns at once."""
        now_us = self._clock() // 1_000
        held = self._close(reservation.id, now_us)
        if held is None:
            return
        for each in held.counted:
            counter = self._counters[each.name].counter
            if isinstance(counter, Bucket):
                counter.add(each.allowance, -units_of(each.allowance, held.demand), now_us)

    async def standings(self, limits: Sequence[Limit]) -> tuple[Standing, ...]:
        """Return where limits stand, in the order given, and take nothing."""
        now = self._now()
        counted = self._prepared.once(tuple(limits), now)
        while self._room(counted, _NOTHING, self.now_us()) is None:
            await self._sow(counted)
        return self._standings(counted, now, self.now_us())

    async def rebuild(self, limits: Sequence[Limit]) -> None:
        """Take what the ledger says for what was spent; what is reserved stays, and what is settled meanwhile is added."""
        if not self._seeds.has_history:
            return
        async with self._rebuilding:
            await self.standings(limits)
            for each in self._prepared.once(tuple(limits), self._now()):
                account = self.counter(each.name)
                if isinstance(account, Account):
                    # The counter first and the ledger second: what comes between them may be counted twice, and is never lost.
                    before = account.spent
                    booked = await self._seeds.spent_now(each)
                    account.spent += booked - before

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
            if isinstance(counter, Bucket) and each.allowance.measure is Measure.TOKENS:
                counter.add(each.allowance, more, self.now_us())

    def _room(self, counted: tuple[Counted, ...], demand: Demand, now_us: int) -> int | None:
        """Return whether all limits have room for a demand; None where it is not known what was spent."""
        if now_us >= self._next_look_us or (self._leases and self._leases[0][0] <= now_us):
            self._look_around(now_us)
        counters, room = self._counters, _HAS_ROOM
        for each in counted:
            kept = counters.get(each.name)
            if kept is None:
                if each.is_money:
                    return None
                new = Places() if each.allowance.measure is Measure.CONCURRENT else Bucket(0, now_us)
                kept = counters[each.name] = _Kept(new, each, now_us)
            kept.used_us = now_us
            kept.counted = each
            if kept.counter.lack(each.allowance, demand, now_us) is not None:
                room = room or _SHADOWS_LACK if each.limit.shadow else _REFUSED
        return room

    def _lacks(self, counted: tuple[Counted, ...], demand: Demand, now_us: int) -> list[Lack | None]:
        return [self._counters[each.name].counter.lack(each.allowance, demand, now_us) for each in counted]

    def _standings(self, counted: tuple[Counted, ...], now: datetime, now_us: int) -> tuple[Standing, ...]:
        counters = self._counters
        return tuple(
            [
                counters[each.name].counter.standing(
                    each.limit, each.until_reset(now) if each.is_money else NO_TIME, now_us
                )
                for each in counted
            ]
        )

    async def _sow(self, counted: tuple[Counted, ...]) -> None:
        """Make the accounts that are missing, with what was spent before."""
        missing = [each for each in counted if each.is_money and each.name not in self._counters]
        spent = await asyncio.gather(*(self._seeds.spent(each) for each in missing))
        now_us = self.now_us()
        for each, amount in zip(missing, spent, strict=True):
            self._counters.setdefault(each.name, _Kept(Account(amount), each, now_us))

    def _take(self, reservation_id: str, counted: tuple[Counted, ...], demand: Demand, now_us: int) -> int | None:
        """Take it, and return what the request may come to: the least that any budget grants."""
        ceiling, held = None, demand.spend
        for each in counted:
            if each.is_budget:
                account = self._counters[each.name].counter
                assert isinstance(account, Account)
                most = demand.spend + account.headroom(each.allowance.amount, demand, self._headroom_share)
                ceiling = held = most if ceiling is None or most < ceiling else ceiling
        for each in counted:
            kept = self._counters[each.name]
            kept.open += 1
            kept.counter.take(each.allowance, demand, held, now_us)
        self._open[reservation_id] = _Open(counted, demand, ceiling, demand.spend, held)
        return ceiling

    def _close(self, reservation_id: str, now_us: int) -> _Open | None:
        """Forget a reservation and free what it holds; None where that was done before."""
        if self._leases and self._leases[0][0] <= now_us:
            self._look_around(now_us)
        held = self._open.pop(reservation_id, None)
        if held is None:
            return None
        if held.is_held:
            self._free(held)
        for each in held.counted:
            self._counters[each.name].open -= 1
        return held

    def _free(self, held: _Open) -> None:
        held.is_held = False
        for each in held.counted:
            counter = self._counters[each.name].counter
            if isinstance(counter, Places):
                counter.running -= 1
            elif isinstance(counter, Account):
                counter.hold(-held.expected, -held.held)

    def _look_around(self, now_us: int) -> None:
        """End leases that are over, and forget some counters that nobody needs."""
        while self._leases and self._leases[0][0] <= now_us:
            end, name = heappop(self._leases)
            held = self._open.get(name)
            if held is not None:
                self._end_lease(name, held, end)
        if now_us < self._next_look_us:
            return
        self._next_look_us = now_us + _LOOK_US
        if len(self._leases) > 2 * len(self._open) + 1_000:
            self._leases = [each for each in self._leases if each[1] in self._open]
            heapify(self._leases)
        if not self._to_look_at:
            self._to_look_at = list(self._counters)
        for name in self._to_look_at[-_LOOKED_AT:]:
            kept = self._counters.get(name)
            if kept is not None and not kept.open and kept.used_us <= now_us - _LATE_US and self._is_over(kept, now_us):
                del self._counters[name]
        del self._to_look_at[-_LOOKED_AT:]

    def _end_lease(self, name: str, held: _Open, end: int) -> None:
        if held.is_held:
            self._free(held)
            heappush(self._leases, (end + _LATE_US, name))
            return
        del self._open[name]
        for each in held.counted:
            self._counters[each.name].open -= 1

    def _is_over(self, kept: _Kept, now_us: int) -> bool:
        """Return whether a counter says nothing any more, or nothing that could not be found again."""
        counter, counted = kept.counter, kept.counted
        if isinstance(counter, Bucket):
            return not counter.level(counted.allowance, now_us)
        if isinstance(counter, Places):
            return not counter.running
        return self._seeds.has_history or (counted.period is not EVER and counted.period.end < self._now() - LATE)
