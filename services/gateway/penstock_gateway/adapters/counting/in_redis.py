"""Limits shared by every process of the suite, counted in Redis in one atomic step."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Literal

import msgspec
import structlog
from redis.exceptions import ResponseError

from penstock_common.background import StartWork, background_work, running
from penstock_common.errors import Overloaded
from penstock_common.redis_connection import RedisConnection, RedisUnavailable
from penstock_gateway.adapters.counting.alone import Alone
from penstock_gateway.adapters.counting.clocks import SharedClock, utc_now
from penstock_gateway.adapters.counting.in_memory import InMemoryLimiter
from penstock_gateway.adapters.counting.plans import Held, Plan, TenantState, plan_of, tenant_state
from penstock_gateway.adapters.counting.prepared import Counted, PreparedLimits
from penstock_gateway.adapters.counting.processes import Processes
from penstock_gateway.adapters.counting.scripts import ADMITTED, EXTEND, RECOVERING, RESERVE
from penstock_gateway.adapters.counting.seeds import Seeds
from penstock_gateway.adapters.counting.telling import LEASE_MS, RENEW_US, Owed, Teller
from penstock_gateway.domain.limits.admission import (
    NO_LIMITS,
    Demand,
    Reservation,
    SpendHistory,
    Standing,
    Used,
    Verdict,
)
from penstock_gateway.domain.limits.counting import HELD_RETRY_US, Lack
from penstock_gateway.domain.limits.limit import Limit, Measure
from penstock_gateway.domain.limits.verdicts import judge

WithoutRedis = Literal["share", "open", "closed"]

BEAT_SECONDS = 3.0
"""How often a process says that it is there, and renews the leases of what goes on."""

LAST_WORDS_SECONDS = 1.0
"""How long a process that ends may tell Redis what that has not confirmed."""
_CONFIRMED_SECONDS = 0.01

_log = structlog.get_logger(__name__)


class Terms(msgspec.Struct, frozen=True):
    """How limits count, as ``admission_settings`` says it; ``processes``: at least so many share a limit without Redis."""

    headroom_share: float = 0.125
    without_redis: WithoutRedis = "share"
    budgets_without_redis: Literal["share", "closed"] = "share"
    processes: int = 1


@asynccontextmanager
async def open_limiter(
    url: str, patience: timedelta, terms: Terms, history: SpendHistory | None
) -> AsyncGenerator[InMemoryLimiter | RedisLimiter, None]:
    """Yield a limiter that counts in the Redis at ``url``; in this process alone where that is empty."""
    if not url:
        yield InMemoryLimiter(history=history, headroom_share=terms.headroom_share)
        return
    async with RedisConnection(url, patience) as redis, background_work() as in_background:
        limiter = RedisLimiter(redis, terms, history, in_background=in_background)
        try:
            async with running(limiter.run()):
                yield limiter
        finally:
            await limiter.close()


class RedisLimiter:
    """Counts in Redis; while Redis is away, each process counts its share of what was left.

    What is let in meanwhile, and how it ended, is told to Redis before the next request is let in by it: being away for a
    moment grants nobody anything twice. A Redis that has forgotten is told what this process knows, and what was spent
    comes from ``history``. ``clock`` gives nanoseconds; ``now`` says in which day or month it is.
    """

    def __init__(
        self,
        redis: RedisConnection,
        terms: Terms,
        history: SpendHistory | None,
        *,
        in_background: StartWork,
        clock: Callable[[], int] = time.monotonic_ns,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._redis = redis
        self._terms = terms
        self._history = history
        self._clock = clock
        self._now = SharedClock(now)
        self._seeds = Seeds(history)
        self._processes = Processes(redis, terms.processes, self._now)
        self._teller = Teller(redis, self._seeds, self._processes, self._now_us, in_background=in_background)
        self._tenants: dict[str, TenantState] = {}
        self._plans: PreparedLimits[Plan] = PreparedLimits(self._plan)
        self._alone: Alone | None = None
        self._returning: asyncio.Task[bool] | None = None
        self._is_used = asyncio.Event()
        self._rebuilding = asyncio.Lock()

    @property
    def _is_strict(self) -> bool:
        return self._terms.budgets_without_redis == "closed"

    @property
    def mode(self) -> str:
        """How limits are counted just now: exactly, or as is set for when Redis is away."""
        return "exact" if self._alone is None else self._terms.without_redis

    def outstanding(self) -> Iterable[tuple[str, int]]:
        """Return the ids of reservations that nobody has settled, and the nano-dollars that each holds."""
        return [(held.id, held.ceiling) for tenant in self._tenants.values() for held in tenant.open.values()]

    async def run(self) -> None:
        """Say for ever that this process is there and what goes on in it, once it counts anything; never return."""
        await self._is_used.wait()
        while True:
            await self.beat()
            await asyncio.sleep(BEAT_SECONDS)

    async def beat(self) -> None:
        """Say so once, and what Redis has not confirmed to have heard."""
        try:
            await self._processes.beat()
            if self._alone is None or await self._is_back():
                await self._teller.renew(list(self._tenants.values()))
                self._teller.send_old()
        except (RedisUnavailable, ResponseError) as error:
            self._go_alone(error)
        except Overloaded as error:
            _log.warning("limits_not_told", reason=str(error))

    async def close(self) -> None:
        """Tell what Redis has not confirmed, for a second at the most, and say that this process is gone."""
        try:
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await self._tell_owed()
        except TimeoutError:
            _log.error("limits_settlement_lost", count=len(self._teller.owed))
        finally:
            await self._processes.leave()

    async def answers(self) -> bool:
        """Return whether Redis can be asked just now."""
        try:
            await self._redis.execute("PING")
        except (RedisUnavailable, ResponseError):
            return False
        return True

    async def reserve(
        self, reservation_id: str, tenant: str, limits: Sequence[Limit], demand: Demand, lease: timedelta
    ) -> Verdict:
        """Take what is demanded of every limit, or of none; with no limits there is nothing to take."""
        if not limits:
            return NO_LIMITS
        now = self._now()
        limits = limits if isinstance(limits, tuple) else tuple(limits)
        plan = self._plans.of(limits, now)
        while reservation_id in self._teller.owed:
            # Its end is still to be told, as the answer to it was lost: what is asked again must not end with it.
            reservation_id += "~"
        reservation = Reservation(reservation_id, tenant, limits, demand, now, None, plan)
        if self._alone is not None and not await self._is_back():
            return await self._reserve_alone(self._alone, plan, reservation, lease)
        try:
            reply = await self._ask(plan, reservation_id, demand, lease)
        except (RedisUnavailable, ResponseError) as error:
            return await self._reserve_after(error, plan, reservation, lease)
        except asyncio.CancelledError:
            # The command is on its way, and nobody will settle what it reserves.
            self.cancel(reservation)
            raise
        plan.heard = self._now_us(), reply
        standings = plan.standings(reply, now)
        if reply[0] != ADMITTED:
            return judge(standings, _lacks(plan, reply, demand), None)
        ceiling = None if reply[1] < 0 else reply[1]
        reservation = Reservation(reservation_id, tenant, limits, demand, now, ceiling, plan)
        self._hold(reservation, plan, lease)
        shadows = reply[2]
        if not shadows:
            return Verdict(standings, reservation)
        shadowed = tuple(each for at, each in enumerate(standings) if shadows >> at & 1)
        return Verdict(standings, reservation, shadowed=shadowed)

    async def extend(self, reservation: Reservation, more: int) -> int:
        """Return by how many nano-dollars the request's ceiling is raised, from 0 to ``more``."""
        plan = reservation.marks
        if reservation.ceiling is None or not isinstance(plan, Plan):
            return more
        held = plan.tenant.open.get(reservation.id)
        if held is None:
            return 0
        granted = await self._extend(held, more)
        held.ceiling += granted
        held.expected += granted
        return granted

    async def standings(self, limits: Sequence[Limit]) -> tuple[Standing, ...]:
        """Return where limits stand, in the order given, and take nothing."""
        found: dict[int, Standing] = {}
        for name in {limit.tenant for limit in limits}:
            places = [at for at, limit in enumerate(limits) if limit.tenant == name]
            of_tenant = await self._standings(tuple(limits[at] for at in places))
            found.update(zip(places, of_tenant, strict=True))
        return tuple(found[at] for at in range(len(limits)))

    async def rebuild(self, limits: Sequence[Limit]) -> None:
        """Take what the ledger says for what was spent of money; what is reserved stays, and what is settled meanwhile is added.

        Raises:
            Overloaded: the ledger or Redis does not answer.
        """
        if self._history is None:
            return
        now = self._now()
        plans = [self._plans.once((limit,), now) for limit in limits if limit.allowance.measure is Measure.SPEND]
        try:
            async with self._rebuilding:
                for plan in plans:
                    reply = await self._teller.ask(RESERVE, plan, "", plan.packed, 0, 0, 0, 0, 0, 0)
                    await self._teller.correct(plan, reply[3])
        except (RedisUnavailable, ResponseError) as error:
            raise Overloaded("Redis does not answer just now. Try again.") from error

    def settle(self, reservation: Reservation, used: Used) -> None:
        """Put what was used in the place of what was reserved; returns at once."""
        self._end(reservation, used)

    def cancel(self, reservation: Reservation) -> None:
        """Give all of it back, the request itself too: nothing was done for it; returns at once."""
        self._end(reservation, None)

    async def _ask(self, plan: Plan, reservation_id: str, demand: Demand, lease: timedelta) -> Sequence[int]:
        self._is_used.set()
        return await self._teller.ask(
            RESERVE,
            plan,
            reservation_id,
            plan.packed,
            demand.tokens,
            demand.spend,
            demand.most,
            min(LEASE_MS, int(lease.total_seconds() * 1_000)),
            self._terms.headroom_share,
            1,
        )

    def _hold(self, reservation: Reservation, plan: Plan, lease: timedelta, *, is_alone: bool = False) -> None:
        demand, now_us = reservation.demand, self._now_us()
        ceiling = demand.spend if reservation.ceiling is None else reservation.ceiling
        until_us = now_us + int(lease.total_seconds() * 1_000_000)
        plan.tenant.open[reservation.id] = Held(
            reservation.id, plan, demand, demand.spend, ceiling, until_us, now_us + RENEW_US, is_alone
        )

    async def _extend(self, held: Held, more: int) -> int:
        if self._alone is None or await self._is_back():
            try:
                return (await self._teller.ask(EXTEND, held.plan, held.id, more))[0]
            except (RedisUnavailable, ResponseError) as error:
                self._go_alone(error)
        if self._alone is None or self._terms.without_redis == "closed" or self._is_strict:
            return 0
        return await self._alone.extend(held, more)

    async def _standings(self, limits: tuple[Limit, ...]) -> tuple[Standing, ...]:
        now = self._now()
        plan = self._plans.once(limits, now)
        if self._alone is None or await self._is_back():
            try:
                reply = await self._teller.ask(RESERVE, plan, "", plan.packed, 0, 0, 0, 0, 0, 0)
            except (RedisUnavailable, ResponseError) as error:
                return await self._go_alone(error).standings(plan)
            return plan.standings(reply, now)
        return await self._alone.standings(plan)

    def _end(self, reservation: Reservation, used: Used | None) -> None:
        if isinstance(reservation.marks, Plan) and reservation.id not in self._teller.owed:
            owed = self._owe(reservation, used)
            if self._alone is None:
                self._teller.send(owed)

    def _owe(self, reservation: Reservation, used: Used | None) -> Owed:
        plan = reservation.marks
        assert isinstance(plan, Plan)
        self._is_used.set()
        held = plan.tenant.open.pop(reservation.id, None)
        if self._alone is not None and held is not None:
            self._alone.end(held, used)
        is_alone = held is not None and held.is_alone
        owed = Owed(reservation.id, plan, used, self._now_us(), held, is_alone, plan.tenant.epoch)
        self._teller.owe(owed)
        return owed

    async def _reserve_after(self, error: Exception, plan: Plan, reservation: Reservation, lease: timedelta) -> Verdict:
        """Reserve alone what Redis may have reserved before its answer was lost: then it is told if nothing comes of it."""
        made = None
        try:
            verdict = await self._reserve_alone(self._go_alone(error), plan, reservation, lease)
            made = verdict.reservation
            return verdict
        finally:
            if made is None and isinstance(error, RedisUnavailable) and error.may_be_done:
                self._owe(reservation, None)

    async def _reserve_alone(self, alone: Alone, plan: Plan, reservation: Reservation, lease: timedelta) -> Verdict:
        if self._terms.without_redis == "closed" or (self._is_strict and plan.has_budget and reservation.demand.spend):
            raise Overloaded("Limits cannot be counted just now, and nothing is let in uncounted. Try again.")
        verdict = await alone.reserve(plan, reservation, lease)
        if verdict.reservation is not None:
            self._hold(verdict.reservation, plan, lease, is_alone=True)
        return verdict

    def _go_alone(self, error: Exception) -> Alone:
        """Return what counts from now on, until Redis is back."""
        if self._alone is None:
            processes = self._processes.count
            _log.warning(
                "limits_counted_locally", reason=str(error), processes=processes, mode=self._terms.without_redis
            )
            limiter = InMemoryLimiter(self._clock, self._now, self._history, self._terms.headroom_share)
            share = 0 if self._terms.without_redis == "open" else processes
            self._alone = Alone(limiter, self._seeds, self._plans.all(), self._own(), share)
        return self._alone

    def _own(self) -> dict[str, tuple[int, int]]:
        own: dict[str, tuple[int, int]] = {}
        for held in [held for tenant in self._tenants.values() for held in tenant.open.values()]:
            for counted in held.plan.counted:
                if counted.limit.allowance.measure in (Measure.SPEND, Measure.CONCURRENT):
                    ceilings, running = own.get(counted.name, (0, 0))
                    own[counted.name] = ceilings + held.ceiling, running + 1
        return own

    async def _is_back(self) -> bool:
        """Return whether Redis counts again; it has heard then what was let in without it."""
        try:
            await self._redis.execute("PING")
        except (RedisUnavailable, ResponseError):
            return False
        if self._alone is None:
            return True
        if self._returning is None:
            self._returning = asyncio.ensure_future(self._return(self._alone))
        return await asyncio.shield(self._returning)

    async def _tell_owed(self) -> None:
        """Tell how reservations ended until Redis has confirmed all of it."""
        while self._teller.owed:
            if await self._is_back():
                self._teller.send_old()
            await asyncio.sleep(_CONFIRMED_SECONDS)

    async def _return(self, alone: Alone) -> bool:
        try:
            await self._teller.tell_alone(self._tenants.values(), alone.untold())
        except (RedisUnavailable, ResponseError, Overloaded):
            return False
        finally:
            self._returning = None
        self._alone = None
        _log.info("limits_shared_again", processes=self._processes.count)
        for owed in list(self._teller.owed.values()):
            self._teller.send(owed)
        return True

    def _plan(self, counted: tuple[Counted, ...]) -> Plan:
        name = counted[0].limit.tenant
        tenant = self._tenants.get(name)
        if tenant is None:
            tenant = self._tenants[name] = tenant_state(name)
        return plan_of(counted, tenant)

    def _now_us(self) -> int:
        return self._clock() // 1_000


def _lacks(plan: Plan, reply: Sequence[int], demand: Demand) -> list[Lack | None]:
    lacks = plan.lacks(reply, demand)
    if reply[0] != RECOVERING:
        return lacks
    # Other processes may hold money that Redis has forgotten.
    held = Lack(HELD_RETRY_US, is_held=True)
    return [
        held if lack is None and each.limit.allowance.measure is Measure.SPEND and not each.limit.shadow else lack
        for lack, each in zip(lacks, plan.counted, strict=True)
    ]
