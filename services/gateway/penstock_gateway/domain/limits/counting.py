"""How limits count: a bucket that drains, places that are taken, an account that is spent. Every adapter counts like this.

All of it is whole numbers, so that counters anywhere agree: of a bucket in millionths of a unit, of time in microseconds.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from penstock_gateway.domain.limits.admission import Demand, Standing, Used
from penstock_gateway.domain.limits.limit import Allowance, Limit, Measure

NO_TIME = timedelta()
PARTS = 1_000_000
"""Of a unit: a bucket drains in parts."""
MAX_AMOUNT = 9_000_000_000_000_000
"""The most that can be allowed of anything: counters are exact below 2^53. In money that is nine million dollars."""
PLACE_RETRY_US = 1_000_000
"""When a place among concurrent requests comes free is unknown; callers come again after this long."""
HELD_RETRY_US = 2_000_000
"""When requests under way give back what they hold of a budget is unknown, too."""


class Lack(msgspec.Struct, frozen=True, gc=False):
    """Why there is no room: who waits ``wait_us`` finds some, None: nobody does. ``is_held``: others hold what is missing."""

    wait_us: int | None
    is_held: bool = False


class Bucket(msgspec.Struct, gc=False):
    """What was used of a rolling allowance and has not drained yet, in parts, at a moment.

    It keeps what is used and not what remains: another amount changes how fast it drains, and nothing else. More than the
    capacity may be in it, where requests used more than they were expected to; that drains first. A clock that goes back
    drains nothing twice.
    """

    used: int = 0
    at_us: int = 0

    def level(self, allowance: Allowance, now_us: int) -> int:
        """Return what is in it now."""
        elapsed = now_us - self.at_us
        if elapsed <= 0 or not self.used:
            return self.used
        drained = elapsed * allowance.amount // allowance.window.seconds
        return self.used - drained if drained < self.used else 0

    def lack(self, allowance: Allowance, demand: Demand, now_us: int) -> Lack | None:
        """Return why the demand has no room, if it has none."""
        units = 1 if allowance.measure is Measure.REQUESTS else demand.tokens
        capacity = allowance.burst or allowance.amount
        if not units or self.level(allowance, now_us) + units * PARTS <= capacity * PARTS:
            return None
        if units > capacity:
            return Lack(None)
        parts = self.used + (units - capacity) * PARTS
        return Lack(max(0, self.at_us - now_us - (-parts * allowance.window.seconds // allowance.amount)))

    def take(self, allowance: Allowance, demand: Demand, ceiling: int, now_us: int) -> None:
        """Take what is demanded."""
        self.used = self.level(allowance, now_us) + units_of(allowance, demand) * PARTS
        self.at_us = max(self.at_us, now_us)

    def add(self, allowance: Allowance, units: int, now_us: int) -> None:
        """Put units in, or (below 0) take out what is still there of them."""
        self.used = max(0, self.level(allowance, now_us) + units * PARTS)
        self.at_us = max(self.at_us, now_us)

    def standing(self, limit: Limit, reset: timedelta, now_us: int) -> Standing:
        """Return where the limit stands."""
        allowance = limit.allowance
        seconds, amount = allowance.window.seconds, allowance.amount
        free = (allowance.burst or amount) * PARTS - self.level(allowance, now_us)
        drain_us = self.at_us - now_us - (-self.used * seconds // amount) if amount else seconds * PARTS
        return Standing(limit, free // PARTS if free > 0 else 0, timedelta(0, 0, drain_us) if drain_us > 0 else NO_TIME)


class Places(msgspec.Struct, gc=False):
    """How many requests are under way."""

    running: int = 0

    def lack(self, allowance: Allowance, demand: Demand, now_us: int) -> Lack | None:
        """Return why one more has no room, if it has none."""
        if self.running < allowance.amount:
            return None
        return Lack(PLACE_RETRY_US if allowance.amount else None)

    def take(self, allowance: Allowance, demand: Demand, ceiling: int, now_us: int) -> None:
        """Let one more in."""
        self.running += 1

    def standing(self, limit: Limit, reset: timedelta, now_us: int) -> Standing:
        """Return where the limit stands."""
        free = limit.allowance.amount - self.running
        return Standing(limit, max(free, 0), NO_TIME)


class Account(msgspec.Struct, gc=False):
    """Nano-dollars of a period: what is settled; and of requests under way what they are expected to cost, and may cost.

    The sum of what was spent and what may be spent never exceeds the amount, so that nothing is overrun.
    """

    spent: int = 0
    expected: int = 0
    ceilings: int = 0

    def lack(self, allowance: Allowance, demand: Demand, now_us: int) -> Lack | None:
        """Return why what is expected has no room, if it has none; what costs nothing always has."""
        if not demand.spend or self.spent + self.ceilings + demand.spend <= allowance.amount:
            return None
        if self.spent + demand.spend <= allowance.amount:
            return Lack(HELD_RETRY_US, is_held=True)
        return Lack(None)

    def headroom(self, amount: int, demand: Demand, share: float) -> int:
        """Return how much beyond what is expected a request may cost before it must ask for more.

        All that run may together have ``share`` of what is neither spent nor expected, and each half of what others left.
        """
        pool = int((amount - self.spent - self.expected - demand.spend) * share) - (self.ceilings - self.expected)
        return max(0, min(demand.most - demand.spend, pool // 2))

    def free(self, amount: int) -> int:
        """Return what nobody has."""
        return max(0, amount - self.spent - self.ceilings)

    def take(self, allowance: Allowance, demand: Demand, ceiling: int, now_us: int) -> None:
        """Hold what a request may cost."""
        self.expected += demand.spend
        self.ceilings += ceiling

    def hold(self, expected: int, ceiling: int) -> None:
        """Hold so much for a request."""
        self.expected += expected
        self.ceilings += ceiling

    def raise_by(self, more: int) -> None:
        """Expect more of one that runs."""
        self.hold(more, more)

    def standing(self, limit: Limit, reset: timedelta, now_us: int) -> Standing:
        """Return where the limit stands."""
        return Standing(limit, self.free(limit.allowance.amount), reset, self.spent, self.ceilings)


def units_of(allowance: Allowance, demand: Demand | Used) -> int:
    """Return how much of a rolling allowance a request takes."""
    return 1 if allowance.measure is Measure.REQUESTS else demand.tokens
