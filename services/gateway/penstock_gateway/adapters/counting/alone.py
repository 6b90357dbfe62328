"""Counting without Redis: each process has its share of what was left when Redis was last heard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from penstock_gateway.adapters.counting.in_memory import InMemoryLimiter
from penstock_gateway.adapters.counting.plans import Counter, Held, Plan, Told, Untold
from penstock_gateway.adapters.counting.prepared import Counted
from penstock_gateway.adapters.counting.seeds import Seeds
from penstock_gateway.domain.limits.admission import Demand, Reservation, Standing, Used, Verdict
from penstock_gateway.domain.limits.counting import MAX_AMOUNT, Account, Bucket, Places
from penstock_gateway.domain.limits.limit import Allowance, Limit, Measure

Own = Mapping[str, tuple[int, int]]
"""Of each counter's name what this process itself holds of it: nano-dollars, and requests."""


class Alone:
    """Counts in this process for as long as Redis is away; made anew each time that it goes.

    A share is an amount divided by the processes that were last known: of a rolling limit what is used, what is allowed and
    how fast it drains; of requests at once and of money what was free. One request at once, and one request of a rolling
    limit, is always allowed, where the limit itself allows it: so much may be let in beyond a limit, by each process.
    """

    def __init__(self, limiter: InMemoryLimiter, seeds: Seeds, plans: Iterable[Plan], own: Own, processes: int) -> None:
        """Take what is known from now on; ``processes`` 0 lets everything in."""
        self._limiter = limiter
        self._seeds = seeds
        self._processes = processes
        self._own = own
        self._known = _newest(plans)
        # Of each counter how it is counted here, and what would be in a bucket had nothing been let in here.
        self._shares: dict[str, Counted] = {}
        self._counted: dict[str, Counted] = {}
        self._without: dict[str, Bucket] = {}
        self._limits: dict[int, tuple[Plan, tuple[Limit, ...]]] = {}

    async def reserve(self, plan: Plan, reservation: Reservation, lease: timedelta) -> Verdict:
        """Take what is demanded of this process' share of every limit, or of none."""
        limits = await self._shares_of(plan)
        demand = reservation.demand
        least = _looked_for(plan, limits, demand)
        clipped = msgspec.structs.replace(demand, tokens=least)
        verdict = await self._limiter.reserve(reservation.id, reservation.tenant, limits, clipped, lease)
        if verdict.reservation is not None and least < demand.tokens:
            self._limiter.demand_more(reservation.id, demand)
        return _of_limits(verdict, reservation)

    async def standings(self, plan: Plan) -> tuple[Standing, ...]:
        """Return where the shares stand."""
        shares = [await self._share_of(counted) for counted in plan.counted]
        standings = await self._limiter.standings(shares)
        limits = (each.limit for each in plan.counted)
        return tuple(msgspec.structs.replace(each, limit=limit) for each, limit in zip(standings, limits, strict=True))

    async def extend(self, held: Held, more: int) -> int:
        """Return by how much a ceiling is raised: no more than this process' share has."""
        if not self._processes:
            return more
        await self._shares_of(held.plan)
        found = ((each.limit, self._shares[each.name], self._limiter.counter(each.name)) for each in held.plan.counted)
        accounts = [(limit, share, account) for limit, share, account in found if isinstance(account, Account)]
        frees = [account.free(share.limit.allowance.amount) for limit, share, account in accounts if not limit.shadow]
        more = max(0, min(more, *frees)) if frees else more
        for _, _, account in accounts:
            account.raise_by(more)
        return more

    def end(self, held: Held, used: Used | None) -> None:
        """Count a reservation no more, wherever it was made; ``used`` None: nothing was done for it."""
        if self._limiter.is_open(held.id):
            reservation = Reservation(held.id, "", (), held.demand, _NO_TIME)
            if used is None:
                self._limiter.cancel(reservation)
            else:
                self._limiter.settle(reservation, used)
            return
        for counted in held.plan.counted:
            counter = self._limiter.counter(counted.name)
            if isinstance(counter, Places):
                counter.running = max(0, counter.running - 1)
            elif isinstance(counter, Account):
                counter.hold(-held.expected, -held.ceiling)
                counter.spent += 0 if used is None else used.spend

    def untold(self) -> Untold:
        """Return of each bucket, by its name, what Redis said last, and the parts that were let in here and have not drained."""
        found: Untold = {}
        now_us = self._limiter.now_us()
        for name, share in self._shares.items():
            counter = self._limiter.counter(name)
            if isinstance(counter, Bucket):
                parts = counter.level(share.allowance, now_us) - self._without[name].level(share.allowance, now_us)
                known = self._known.get(name)
                used, at_us = (known.used, known.at_us) if isinstance(known, Bucket) else (0, now_us)
                found[name] = Told(self._counted[name], used, now_us - at_us, max(0, parts))
        return found

    async def _shares_of(self, plan: Plan) -> tuple[Limit, ...]:
        known = self._limits.get(id(plan))
        if known is not None:
            return known[1]
        limits = tuple([await self._share_of(counted) for counted in plan.counted])
        self._limits[id(plan)] = plan, limits
        return limits

    async def _share_of(self, counted: Counted) -> Limit:
        """Return a limit as it is here, with its counter in its place."""
        limit = counted.limit
        counter = self._known.get(counted.name)
        if counter is None:
            counter = await self._unknown(counted)
        held, running = self._own.get(counted.name, (0, 0))
        allowance = self._allowance(limit.allowance, counter, held, running)
        share = msgspec.structs.replace(limit, allowance=allowance)
        if counted.name not in self._shares:
            here = self._counter(counter, held, running)
            self._counted[counted.name] = counted
            self._shares[counted.name] = msgspec.structs.replace(counted, limit=share)
            if isinstance(here, Bucket):
                self._without[counted.name] = msgspec.structs.replace(here)
            self._limiter.adopt(self._shares[counted.name], here)
        return share

    async def _unknown(self, counted: Counted) -> Counter:
        measure = counted.limit.allowance.measure
        if measure is Measure.SPEND:
            return Account(await self._seeds.spent(counted))
        return Places() if measure is Measure.CONCURRENT else Bucket(0, self._limiter.now_us())

    def _counter(self, known: Counter, held: int, running: int) -> Counter:
        if isinstance(known, Account):
            return Account(0, held, held)
        if isinstance(known, Places):
            return Places(running)
        return Bucket(known.used // max(1, self._processes), known.at_us)

    def _allowance(self, allowance: Allowance, known: Counter, held: int, running: int) -> Allowance:
        if not self._processes:
            return msgspec.structs.replace(allowance, amount=MAX_AMOUNT, burst=0)
        if isinstance(known, Account):
            amount = held + known.free(allowance.amount) // self._processes
        elif isinstance(known, Places):
            amount = running + max(0, allowance.amount - known.running) // self._processes
            amount = max(amount, min(1, allowance.amount))
        else:
            amount = max(allowance.amount // self._processes, min(1, allowance.amount))
        burst = max(1, allowance.burst // self._processes) if allowance.burst else 0
        return msgspec.structs.replace(allowance, amount=amount, burst=burst)


def _newest(plans: Iterable[Plan]) -> dict[str, Counter]:
    """Return each counter as Redis last said it, its moments by this process' clock."""
    found: dict[str, tuple[int, Counter]] = {}
    for plan in plans:
        for name, heard_us, counter in _heard(plan):
            if name not in found or found[name][0] <= heard_us:
                found[name] = heard_us, counter
    return {name: counter for name, (_, counter) in found.items()}


def _heard(plan: Plan) -> Iterator[tuple[str, int, Counter]]:
    if plan.heard is None:
        return
    heard_us, reply = plan.heard
    for at, counted in enumerate(plan.counted):
        counter = plan.counter(at, reply)
        if isinstance(counter, Bucket):
            counter.at_us += heard_us
        yield counted.name, heard_us, counter


def _looked_for(plan: Plan, shares: Sequence[Limit], demand: Demand) -> int:
    """Return for how many tokens there must be room: what a bucket's share can hold, where the limit itself holds them all."""
    buckets = [
        (counted.limit.allowance.capacity, share.allowance.capacity)
        for counted, share in zip(plan.counted, shares, strict=True)
        if share.allowance.measure is Measure.TOKENS
    ]
    if any(capacity < demand.tokens for capacity, _ in buckets):
        return demand.tokens
    return min((share for _, share in buckets if share < demand.tokens), default=demand.tokens)


def _of_limits(verdict: Verdict, reservation: Reservation) -> Verdict:
    """Return the verdict with the limits themselves in the place of their shares."""
    by_counter = {limit.counter: limit for limit in reservation.limits}

    def of(standings: tuple[Standing, ...]) -> tuple[Standing, ...]:
        return tuple(msgspec.structs.replace(each, limit=by_counter[each.limit.counter]) for each in standings)

    made = None
    if verdict.reservation is not None:
        made = msgspec.structs.replace(reservation, ceiling=verdict.reservation.ceiling)
    return msgspec.structs.replace(
        verdict,
        standings=of(verdict.standings),
        reservation=made,
        refused_by=of(verdict.refused_by),
        shadowed=of(verdict.shadowed),
    )


_NO_TIME = datetime.min.replace(tzinfo=UTC)
