"""What Redis is told: how reservations ended, which go on, and all that it has forgotten or never heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, groupby
from typing import Any, TypeVar

import msgspec
import structlog

from penstock_common.background import StartWork
from penstock_common.redis_connection import RedisConnection, RedisUnavailable, Script
from penstock_gateway.adapters.counting.plans import Held, Plan, TenantState, Told, Untold, name_of, packed
from penstock_gateway.adapters.counting.prepared import Counted
from penstock_gateway.adapters.counting.processes import Processes
from penstock_gateway.adapters.counting.scripts import ASSERT, END, FORGOTTEN, RENEW, SEED, TELL, UNKNOWN
from penstock_gateway.adapters.counting.seeds import Seeds
from penstock_gateway.domain.limits.admission import Used
from penstock_gateway.domain.limits.counting import PARTS, Bucket, units_of

_log = structlog.get_logger(__name__)

MAX_OWED = 10_000
"""Ends of reservations that Redis has not confirmed; the oldest of more are lost, and end with their leases."""
LEASE_MS = 30_000
"""A lease in Redis, which is renewed for as long as the process lives: one that dies frees what it held after so long."""
RENEW_US = 10_000_000
RECOVERY_MS = 6_000
"""After Redis has forgotten, budgets wait for so long until every process has said what it holds: two beats."""

_REPLY_US = 1_000_000
_AT_ONCE = 500
_MAX_TRIES = 8


class Owed(msgspec.Struct):
    """How a reservation ended, of which Redis has not said that it knows; ``used`` None: it was cancelled.

    ``is_alone``: it was made without Redis. Then ``corrects`` says whether Redis counted it nevertheless in its buckets.
    """

    id: str
    plan: Plan
    used: Used | None
    at_us: int
    held: Held | None
    is_alone: bool
    epoch: bytes
    corrects: bool = True
    is_sent: bool = False


class Teller:
    """Speaks to Redis for the limiter; none of it blocks a request that Redis has room for."""

    def __init__(
        self,
        redis: RedisConnection,
        seeds: Seeds,
        processes: Processes,
        now_us: Callable[[], int],
        *,
        in_background: StartWork,
    ) -> None:
        self.owed: dict[str, Owed] = {}
        self._redis = redis
        self._seeds = seeds
        self._processes = processes
        self._now_us = now_us
        self._in_background = in_background
        self._asserting: dict[str, asyncio.Task[list[Held]]] = {}
        self._seeding: dict[str, asyncio.Task[None]] = {}
        self._numbers = count()

    async def ask(self, script: Script, plan: Plan, *arguments: Any) -> Sequence[Any]:
        """Return what a script answers, once Redis has been told what it lacks.

        Raises:
            RedisUnavailable, ResponseError: it cannot be asked.
            Overloaded: it lacks what was spent, and that cannot be found out.
        """
        for _ in range(_MAX_TRIES):
            reply = await self._redis.run(script, plan.keys, plan.epoch, self._recovery_ms, *arguments)
            if reply[0] == FORGOTTEN:
                await self._adopt(plan, reply[1])
            elif reply[0] == UNKNOWN:
                await self._seed_all(plan, reply[1:])
            else:
                return reply
        raise RedisUnavailable("Redis forgets what it is told")

    def owe(self, owed: Owed) -> None:
        """Keep in mind what Redis must be told."""
        if len(self.owed) >= MAX_OWED:
            lost = self.owed.pop(next(iter(self.owed)))
            _log.error("limits_settlement_lost", reservation=lost.id, nano_usd=lost.used and lost.used.spend)
        self.owed[owed.id] = owed

    def send(self, owed: Owed) -> None:
        """Tell how a reservation ended, behind the requests; it is owed until Redis has confirmed it."""
        plan, used = owed.plan, owed.used

        def heard(reply: Any) -> None:
            if isinstance(reply, list) and reply[0] != FORGOTTEN:
                self.owed.pop(owed.id, None)
            elif isinstance(reply, list):
                self._forgot(plan.tenant, reply[1])
                self._in_background(self._end(owed))

        age_ms = (self._now_us() - owed.at_us) // 1_000
        what = (0, 0, 0) if used is None else (1, used.tokens, used.spend)
        what = (owed.id, *what, age_ms, int(owed.is_alone), int(owed.corrects))
        owed.is_sent = self._redis.send_script(END, plan.keys, plan.tenant.epoch, 0, *what, heard=heard)

    def send_old(self) -> None:
        """Tell again what could not be sent, or was not confirmed for longer than a reply takes."""
        before_us = self._now_us() - _REPLY_US
        for owed in [owed for owed in self.owed.values() if not owed.is_sent or owed.at_us < before_us]:
            self.send(owed)

    async def tell_alone(self, tenants: Iterable[TenantState], untold: Untold) -> None:
        """Tell what was let in without Redis: its reservations, those that have ended, and what is in its buckets.

        Raises:
            RedisUnavailable, ResponseError: it is away again; what was told is not told twice.
        """
        states = {tenant.name: tenant for tenant in tenants}
        for tenant in states.values():
            await self._of_tenant(RENEW, tenant, ())
        told: set[str] = set()
        await self._tell_ended(told, untold)
        forgotten = [owed for owed in self.owed.values() if owed.epoch != owed.plan.tenant.epoch and not owed.is_alone]
        await self._assert_all([owed.held for owed in forgotten if owed.held is not None])
        for owed in forgotten:
            owed.is_alone = True
        going_on = [held for tenant in states.values() for held in tenant.open.values()]
        told.update([owed.id for owed in forgotten], [held.id for held in going_on])
        for held in await self._assert_all(going_on):
            if held.is_alone:
                _take_out(held, Used(held.demand.tokens), untold)
        for held in going_on:
            held.is_alone = False
        await self._tell_ended(told, untold)
        buckets = sorted(untold.values(), key=_tenant_of)
        for name, of_tenant in groupby(buckets, _tenant_of):
            await self._tell(states[name], list(of_tenant), f"{self._processes.name}:{next(self._numbers)}")
        await self._tell_ended(told, untold)

    async def renew(self, tenants: Iterable[TenantState]) -> None:
        """Renew the leases in Redis of what goes on, and find out whether it knows the tenants.

        Raises:
            RedisUnavailable, ResponseError: it cannot be asked.
        """
        now_us = self._now_us()
        for tenant in [tenant for tenant in tenants if tenant.open]:
            if tenant.is_untold:
                await self._assert_all(list(tenant.open.values()))
                tenant.is_untold = False
            due = [held for held in tenant.open.values() if held.renew_us <= now_us]
            for some in _in_parts(due) if due else [due]:
                await self._renew(tenant, some, now_us)

    async def _renew(self, tenant: TenantState, some: Sequence[Held], now_us: int) -> None:
        """Renew leases; what goes on though its lease has ended, because Redis was away for long, is held again."""
        leases = [word for held in some for word in (held.id, _lease_ms(held, now_us))]
        _, *ended = await self._of_tenant(RENEW, tenant, (), *leases)
        going_on = [tenant.open.get(name.decode()) for name in ended]
        await self._assert_all([held for held in going_on if held is not None and held.until_us > now_us])
        for held in some:
            held.renew_us = now_us + RENEW_US

    @property
    def _recovery_ms(self) -> int:
        return RECOVERY_MS if self._processes.count > 1 else 0

    async def _adopt(self, plan: Plan, epoch: bytes) -> None:
        """Take over that Redis counts anew, and say what this process knows of it."""
        tenant = plan.tenant
        self._forgot(tenant, epoch)
        asserting = self._asserting.get(tenant.name)
        if asserting is not None:
            await asyncio.shield(asserting)
        knew, plan.epoch = plan.epoch, epoch
        if knew and plan.heard is not None:
            await self._tell(tenant, _levels(plan, self._now_us()), "")

    def _forgot(self, tenant: TenantState, epoch: bytes) -> None:
        if tenant.epoch == epoch:
            return
        knew, tenant.epoch = tenant.epoch, epoch
        if knew and tenant.open:
            task = asyncio.ensure_future(self._assert_all(list(tenant.open.values())))
            self._asserting[tenant.name] = task
            task.add_done_callback(lambda done: self._asserted(tenant, done))

    def _asserted(self, tenant: TenantState, done: asyncio.Task[list[Held]]) -> None:
        """Go on; or try again with the next beat."""
        self._asserting.pop(tenant.name, None)
        tenant.is_untold = done.cancelled() or done.exception() is not None

    async def _tell_ended(self, told: set[str], untold: Untold) -> None:
        """Put in what ended that was let in without Redis and is not among what was told, until nothing has ended meanwhile."""
        while ended := [owed for owed in self.owed.values() if owed.is_alone and owed.id not in told]:
            by_id = {owed.id: owed for owed in ended}
            told.update(by_id)
            known = await self._assert_all([owed.held for owed in ended if owed.held is not None])
            for owed in ended:
                owed.corrects = False
            for held in known:
                # What Redis let in before its answer was lost, it has counted itself.
                owed = by_id[held.id]
                owed.corrects = True
                _take_out(held, owed.used, untold)

    async def _assert_all(self, all_held: Sequence[Held]) -> list[Held]:
        """Put reservations in; return those that Redis knew."""
        known: list[Held] = []
        for some in _in_parts(all_held):
            were_new = await asyncio.gather(*map(self._assert, some))
            known += [held for held, was_new in zip(some, were_new, strict=True) if not was_new]
        return known

    async def _assert(self, held: Held) -> bool:
        """Put a reservation in; return whether Redis did not know it."""
        plan, lease_ms = held.plan, _lease_ms(held, self._now_us())
        what = (held.id, plan.packed, held.demand.tokens, held.expected, held.ceiling, lease_ms)
        for _ in range(_MAX_TRIES):
            reply = await self._of_tenant(ASSERT, plan.tenant, plan.keys[3:], *what)
            if reply[0] != UNKNOWN:
                return bool(reply[0])
            await self._seed_all(plan, reply[1:])
        raise RedisUnavailable("Redis forgets what it is told")

    async def _of_tenant(
        self, script: Script, tenant: TenantState, keys: tuple[bytes, ...], *arguments: Any
    ) -> Sequence[Any]:
        """Return what a script answers that is not about what Redis has forgotten."""
        for _ in range(_MAX_TRIES):
            reply = await self._redis.run(script, (*tenant.keys, *keys), tenant.epoch, self._recovery_ms, *arguments)
            if reply[0] != FORGOTTEN:
                return reply
            self._forgot(tenant, reply[1])
        raise RedisUnavailable("Redis forgets what it is told")

    async def correct(self, plan: Plan, before: int) -> None:
        """Have a plan's account, which said ``before``, say what the ledger does; what was settled since then is added.

        Raises:
            RedisUnavailable, ResponseError: it cannot be asked.
            Overloaded: the ledger cannot be asked.
        """
        epoch, asked_us = plan.epoch, self._now_us()
        more = await self._seeds.spent_now(plan.counted[0]) - before
        # Redis that has forgotten meanwhile begins with what the ledger says: there is nothing to correct.
        took_us = self._now_us() - asked_us
        await self._redis.run(SEED, plan.keys, epoch, self._recovery_ms, more, 1, took_us, 1)

    async def _seed(self, counted: Counted, tenant: TenantState) -> None:
        """Tell an account what was spent before it began. It is done once for all who wait."""
        task = self._seeding.get(counted.name)
        if task is None:
            task = self._seeding[counted.name] = asyncio.ensure_future(self._seed_anew(counted, tenant))
            task.add_done_callback(lambda _: self._seeding.pop(counted.name))
        await asyncio.shield(task)

    async def _seed_anew(self, counted: Counted, tenant: TenantState) -> None:
        spent, known = await self._seeds.spent(counted), int(self._seeds.has_history)
        key = tenant.prefix + name_of(counted).encode()
        await self._of_tenant(SEED, tenant, (key,), spent, known, 0, 0)

    async def _seed_all(self, plan: Plan, indexes: Iterable[int]) -> None:
        await asyncio.gather(*(self._seed(plan.counted[index], plan.tenant) for index in indexes))

    async def _tell(self, tenant: TenantState, buckets: Sequence[Told], name: str) -> None:
        for some in _in_parts(buckets):
            counted = [each.counted for each in some]
            keys = tuple(tenant.prefix + name_of(each).encode() for each in counted)
            await self._of_tenant(TELL, tenant, keys, name, packed(counted), *(n for each in some for n in each[1:]))

    async def _end(self, owed: Owed) -> None:
        """Tell how a reservation ended that Redis has forgotten."""
        if owed.held is not None:
            await self._assert(owed.held)
        self.send(msgspec.structs.replace(owed, is_alone=True))


def _levels(plan: Plan, now_us: int) -> list[Told]:
    """Return what this process last heard of a plan's buckets."""
    if plan.heard is None:
        return []
    heard_us, reply = plan.heard
    found: list[Told] = []
    for at, counted in enumerate(plan.counted):
        counter = plan.counter(at, reply)
        if isinstance(counter, Bucket):
            found.append(Told(counted, counter.used, now_us - heard_us - counter.at_us, 0))
    return found


def _take_out(held: Held, used: Used | None, untold: Untold) -> None:
    """Leave out of what is untold what a reservation has in its buckets."""
    for counted in held.plan.counted:
        if counted.name in untold and used is not None:
            told = untold[counted.name]
            more = told.more - units_of(counted.allowance, used) * PARTS
            untold[counted.name] = told._replace(more=max(0, more))


def _lease_ms(held: Held, now_us: int) -> int:
    return max(1, min(LEASE_MS, (held.until_us - now_us) // 1_000))


def _tenant_of(told: Told) -> str:
    return told.counted.limit.tenant


T = TypeVar("T")


def _in_parts(all_of_it: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(all_of_it), _AT_ONCE):
        yield all_of_it[start : start + _AT_ONCE]
