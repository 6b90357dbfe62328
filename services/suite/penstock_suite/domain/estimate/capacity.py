"""How many pods of each role a load takes, and their memory, from the table that the bench has measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias

import msgspec

from penstock_suite.domain.estimate.costs import Sizes
from penstock_suite.domain.estimate.observed import Day, Observed
from penstock_suite.domain.estimate.projection import Figure, Load, draws_of

Seconds: TypeAlias = Mapping[str, float]
"""Of CPU that a request takes, by role."""

LEAST_PODS = 2
"""Of a role, so that one may go."""
_SECONDS_OF_A_DAY = 86_400.0
_LOW, _HIGH = 0.1, 0.9
_NOT_OURS = frozenset({"redis", "embedding"})
"""Redis is a service of its own, and who asks for vectors is not among those whom the ledger's chats tell of."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A request of a kind: while 16 are in flight, when each takes the least, and alone, when it takes the most."""

    busy: Seconds
    alone: Seconds


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """What ``bench/capacity.py`` has measured of six processes: where, when, and at which commit."""

    machine: str
    python: str
    commit: str
    measured_at: str
    interpreter_ms: float
    """What a fixed piece of interpreter work took then (bench/machine.py), to compare machines and moments by."""
    load_average: float
    """Of the machine before, without the bench; above 1, others made requests dearer."""
    cases: Mapping[Literal["unary", "stream", "hit", "embedding"], Case]
    memory_mb: Mapping[str, float]
    """Resident, of one process, after the load."""


class Pods(msgspec.Struct, frozen=True, kw_only=True):
    """The pods of a role, each with a core, and the memory of all of them."""

    role: str
    pods: Figure
    memory_mb: Figure


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """What the busiest hour takes of each role."""

    per_second: float
    """Requests, in the busiest hour."""
    hit_rate: float
    roles: tuple[Pods, ...]
    table: Table


@cache
def carried() -> Table:
    """Return the table that the package carries."""
    text = (files("penstock_suite.domain.estimate") / "capacity.json").read_bytes()
    return msgspec.json.decode(text, type=Table)


def capacity(observed: Observed, load: Load, sizes: Sizes, table: Table) -> Capacity:
    """Return the pods that the load takes, were its requests like those observed.

    The figure is that of streams of 100 tokens on busy processes; p10 that of whole answers and many hits, p90 that of
    streams which come one at a time and few hits.

    Raises:
        ValueError: if none was observed.
    """
    total = observed.total
    if not total.requests:
        raise ValueError("the ledger has no request of that time: say another with --from, or what to --assume")
    per_second = load.requests_per_day / _SECONDS_OF_A_DAY * observed.peak
    rates = sorted(_hit_rate(day) for day in draws_of(observed.days))
    low, high = rates[round(_HIGH * (len(rates) - 1))], rates[round(_LOW * (len(rates) - 1))]
    cases = table.cases
    value = _mixed(cases["stream"].busy, cases["hit"].busy, _hit_rate(total))
    least = _mixed(cases["unary"].busy, cases["hit"].busy, low)
    most = _mixed(cases["stream"].alone, cases["hit"].alone, high)
    names = [role for role in table.cases["stream"].busy if role not in _NOT_OURS]
    return Capacity(
        per_second=per_second,
        hit_rate=_hit_rate(total),
        roles=tuple(_pods(role, per_second / sizes.cpu_utilisation, (value, least, most), table) for role in names),
        table=table,
    )


def _hit_rate(day: Day) -> float:
    return day.hits / day.requests


def _mixed(miss: Seconds, hit: Seconds, hit_rate: float) -> Seconds:
    return {role: hit_rate * hit.get(role, 0.0) + (1 - hit_rate) * seconds for role, seconds in miss.items()}


def _pods(role: str, per_second: float, seconds: Sequence[Seconds], table: Table) -> Pods:
    value, least, most = (max(LEAST_PODS, math.ceil(round(per_second * each.get(role, 0.0), 9))) for each in seconds)
    found = Figure(value, min(least, value), max(most, value))
    each = table.memory_mb.get(role, 0.0)
    return Pods(role=role, pods=found, memory_mb=Figure(*(pods * each for pods in (found.value, found.p10, found.p90))))
