"""Whose turn it is: pure arithmetic over the lanes in which jobs wait.

A lane holds the jobs of one tenant, one priority and one target. Priorities go
in their order; but every ``AGED_SHARE``-th place goes to a lane whose first
job has waited longer than its priority's patience, so that nothing starves,
and critical jobs wait for one other at most. Within a priority the tenant with
the fewest jobs running is next, then the one that was served longest ago: a
tenant with one job does not wait behind another's fifty thousand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from penstock_common.priority import Priority

AGED_SHARE = 10
"""One of so many places goes to who has waited for too long."""
PATIENCE = {
    Priority.CRITICAL: timedelta(0),
    Priority.DEFAULT: timedelta(seconds=30),
    Priority.SHEDDABLE: timedelta(minutes=10),
}
"""How long a job of each priority waits behind others that matter more, before it gets a share of the places."""


class LaneName(NamedTuple):
    """Whose jobs wait in it, how much they matter, and what they are for."""

    tenant: str
    priority: Priority
    target: str


class Lane(msgspec.Struct, frozen=True):
    """A lane with jobs that are due: since when the first is, and when one of its jobs was last begun."""

    name: LaneName
    due_since: datetime
    served_at: datetime | None = None


class Running(NamedTuple):
    """How many jobs of a tenant, for a target, run anywhere."""

    tenant: str
    target: str
    jobs: int


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Of jobs that run at once, over all workers; 0: none."""

    per_tenant: int = 0
    per_target: int = 0


class Waiting(msgspec.Struct, frozen=True):
    """What a claim sees."""

    lanes: Sequence[Lane]
    running: Sequence[Running]
    now: datetime


class Turns:
    """Shares out places; of one worker, as it remembers how many it has given."""

    def __init__(self, bounds: Bounds, patience: Mapping[Priority, timedelta] = PATIENCE) -> None:
        self._bounds = bounds
        self._patience = patience
        self._given = 0
        self._paused: dict[LaneName, datetime] = {}

    def pause(self, lane: LaneName, until: datetime) -> None:
        """Take none of a lane's jobs before then: its tenant's limits would refuse them as they have the last."""
        self._paused[lane] = until

    def allot(self, waiting: Waiting, places: Mapping[Priority, int]) -> Sequence[LaneName]:
        """Return the lane of each job to be begun, the first first; a lane may come several times.

        ``places``: how many jobs of each priority may be begun, those of the others counted in; it falls from critical
        to sheddable, whose places are the fewest.
        """
        for lane, until in list(self._paused.items()):
            # One by one: claims may be made in a thread, and a pause begin meanwhile.
            if until <= waiting.now and self._paused.get(lane) == until:
                del self._paused[lane]
        lanes = [lane for lane in waiting.lanes if lane.name not in self._paused]
        tenants, targets = self._counts(waiting.running)
        left, allotted = dict(places), list[LaneName]()
        last: dict[LaneName, int] = {}
        while lanes:
            usable = [lane for lane in lanes if left[lane.name.priority] > 0 and self._is_free(lane, tenants, targets)]
            if not usable:
                break
            chosen = self._next(usable, tenants, last, waiting.now)
            self._given += 1
            allotted.append(chosen.name)
            last[chosen.name] = len(allotted)
            tenants[chosen.name.tenant] += 1
            targets[chosen.name.target] += 1
            left = {priority: count - 1 for priority, count in left.items()}
        return allotted

    def _counts(self, running: Sequence[Running]) -> tuple[Counter[str], Counter[str]]:
        tenants, targets = Counter[str](), Counter[str]()
        for one in running:
            tenants[one.tenant] += one.jobs
            targets[one.target] += one.jobs
        return tenants, targets

    def _is_free(self, lane: Lane, tenants: Counter[str], targets: Counter[str]) -> bool:
        per_tenant, per_target = self._bounds.per_tenant, self._bounds.per_target
        return not (per_tenant and tenants[lane.name.tenant] >= per_tenant) and not (
            per_target and targets[lane.name.target] >= per_target
        )

    def _next(self, lanes: Sequence[Lane], tenants: Counter[str], last: dict[LaneName, int], now: datetime) -> Lane:
        first = min(lane.name.priority for lane in lanes)
        if (self._given + 1) % AGED_SHARE == 0:
            aged = [lane for lane in lanes if now - lane.due_since > self._patience[lane.name.priority]]
            others = [lane for lane in aged if lane.name.priority != first]
            if others:
                return min(others, key=lambda lane: lane.due_since)
        nobody = datetime.min.replace(tzinfo=now.tzinfo)
        return min(
            (lane for lane in lanes if lane.name.priority == first),
            key=lambda lane: (
                tenants[lane.name.tenant],
                last.get(lane.name, 0),
                lane.served_at or nobody,
                lane.due_since,
            ),
        )
