"""What Redis is told of a set of limits, and how what it answers is read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from penstock_gateway.adapters.counting.prepared import Counted
from penstock_gateway.adapters.counting.scripts import ACCOUNT, PLACES, REQUESTS, TOKENS
from penstock_gateway.domain.limits.admission import Demand, Standing
from penstock_gateway.domain.limits.counting import NO_TIME, PARTS, Account, Bucket, Lack, Places
from penstock_gateway.domain.limits.limit import Measure

_KINDS = {
    Measure.REQUESTS: REQUESTS,
    Measure.TOKENS: TOKENS,
    Measure.CONCURRENT: PLACES,
    Measure.SPEND: ACCOUNT,
}
_FIRST_NUMBER = 3

Counter = Bucket | Places | Account


class Held(msgspec.Struct):
    """A reservation that nobody has settled: what Redis must be told of it, should it forget.

    ``is_alone``: it was made without Redis. Its lease ends at ``until_us``, and is renewed at ``renew_us``.
    """

    id: str
    plan: Plan
    demand: Demand
    expected: int
    ceiling: int
    until_us: int
    renew_us: int
    is_alone: bool = False


class Told(NamedTuple):
    """A bucket: how many parts were in it at least, how many microseconds ago, and how many more there are."""

    counted: Counted
    least: int
    age_us: int
    more: int


Untold = dict[str, Told]
"""Of buckets, by their names, what Redis may not know."""


class TenantState(msgspec.Struct):
    """A tenant, as this process knows it: Redis' epoch of it, and the reservations made here."""

    name: str
    keys: tuple[bytes, bytes, bytes]
    prefix: bytes
    epoch: bytes = b""
    open: dict[str, Held] = msgspec.field(default_factory=dict[str, Held])


class Plan(msgspec.Struct):
    """Limits as the scripts know them. ``heard`` is when Redis last answered, in microseconds, and what."""

    counted: tuple[Counted, ...]
    tenant: TenantState
    keys: tuple[bytes, ...]
    packed: bytes
    epoch: bytes
    shapes: tuple[tuple[int, Counted, int], ...]
    has_budget: bool
    heard: tuple[int, Sequence[int]] | None = None

    def standings(self, reply: Sequence[int], now: datetime) -> tuple[Standing, ...]:
        """Return where the limits stand, of a reply with two numbers for each."""
        found: list[Standing] = []
        at = _FIRST_NUMBER
        for kind, counted, capacity_parts in self.shapes:
            first, second = reply[at], reply[at + 1]
            at += 2
            limit = counted.limit
            if kind == ACCOUNT:
                free = limit.allowance.amount - first - second
                found.append(Standing(limit, max(0, free), counted.until_reset(now), first, second))
            elif kind == PLACES:
                free = limit.allowance.amount - first
                found.append(Standing(limit, max(0, free), NO_TIME))
            elif second or not limit.allowance.amount:
                found.append(Bucket(first, -second).standing(limit, NO_TIME, 0))
            else:
                free = (capacity_parts - first) // PARTS
                allowance = limit.allowance
                drain_us = -(-first * allowance.window.seconds // allowance.amount)
                found.append(Standing(limit, max(0, free), timedelta(0, 0, drain_us)))
        return tuple(found)

    def lacks(self, reply: Sequence[int], demand: Demand) -> list[Lack | None]:
        """Return why each limit refuses, of a reply that says that nothing was taken."""
        return [
            self.counter(at, reply).lack(counted.limit.allowance, demand, 0)
            for at, (_, counted, _) in enumerate(self.shapes)
        ]

    def counter(self, at: int, reply: Sequence[int]) -> Counter:
        """Return a limit's counter as Redis had it, at its time 0."""
        first, second = reply[_FIRST_NUMBER + 2 * at], reply[_FIRST_NUMBER + 2 * at + 1]
        kind = self.shapes[at][0]
        if kind == ACCOUNT:
            return Account(first, second, second)
        return Places(first) if kind == PLACES else Bucket(first, -second)


def tenant_state(name: str) -> TenantState:
    """Return a tenant of which nothing is known; the hash tag keeps its keys in one slot of a cluster."""
    prefix = f"{{t:{name}}}:limits:".encode()
    return TenantState(name, (prefix + b"epoch", prefix + b"open", prefix + b"leases"), prefix)


def plan_of(counted: tuple[Counted, ...], tenant: TenantState) -> Plan:
    """Return the plan of limits, all of one tenant."""
    shapes = tuple(
        (_KINDS[each.limit.allowance.measure], each, each.limit.allowance.capacity * PARTS) for each in counted
    )
    keys = (*tenant.keys, *(tenant.prefix + name_of(each).encode() for each in counted))
    return Plan(counted, tenant, keys, packed(counted), tenant.epoch, shapes, any(each.is_budget for each in counted))


def packed(counted: Sequence[Counted]) -> bytes:
    """Return what the scripts must know of limits: MessagePack of a row for each."""
    rows = [
        (
            _KINDS[each.limit.allowance.measure],
            name_of(each),
            each.limit.allowance.amount,
            each.limit.allowance.capacity,
            each.limit.allowance.window.seconds,
            int(each.limit.shadow),
        )
        for each in counted
    ]
    return msgspec.msgpack.encode(rows)


def name_of(counted: Counted) -> str:
    """Return a counter's name within its tenant; a letter keeps it apart from the tenant's own keys."""
    return "c:" + counted.name.partition("/")[2]
