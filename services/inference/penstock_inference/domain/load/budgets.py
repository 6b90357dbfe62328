"""What gates count requests and tokens by: this process' own allowance, or its part of one that all processes share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol
from weakref import WeakValueDictionary

import msgspec

from penstock_inference.domain.load.allowance import Allowance
from penstock_inference.domain.load.shared_allowance import BudgetName, Clock, Lender, SharedAllowance


class Budget(Protocol):
    """So many units in any minute."""

    @property
    def is_asking(self) -> bool:
        """Whether somebody was asked for more, and has not answered yet."""
        ...

    def wait_seconds(self, units: float, now: float) -> float:
        """Return 0 where so many units are there, or the seconds until it is worth asking again; infinite where that is told."""
        ...

    def take(self, units: float, now: float) -> None:
        """Take units that are there."""
        ...

    def correct(self, units: float, now: float) -> None:
        """Take more, or give back (below 0), once it is known what an answer took."""
        ...

    def listen(self, told: Callable[[], None]) -> None:
        """Call ``told`` whenever there may be more than was said."""
        ...

    def forget(self, told: Callable[[], None]) -> None:
        """Call it no more."""
        ...

    async def answered(self) -> None:
        """Return once whoever was asked for more has answered."""
        ...


class Fellows(msgspec.Struct, eq=False, weakref=True):
    """How many processes share an upstream's limits, this one included, and where it stands among them."""

    count: int = 1
    rank: int | None = None
    """From 0; None where it is not known, and nobody has what does not divide."""

    def part_of(self, places: int) -> int:
        """Return this process' part of places, one at least."""
        rest = self.rank is not None and self.rank < places % self.count
        return max(1, places // self.count + rest)


class Sharing(Lender, Protocol):
    """Whoever lends, knows who is there; see ``adapters/shared_limits``."""

    def join(self, budget: SharedAllowance) -> None:
        """Tell a budget when nobody can be asked, and when somebody can again."""
        ...

    def tell(self, fellows: Fellows) -> None:
        """Keep ``fellows`` up to date."""
        ...


class GateParts(NamedTuple):
    """What one gate counts by; None is without limit."""

    requests: Budget | None
    tokens: Budget | None
    fellows: Fellows


class Budgets:
    """Makes what gates count by. Upstreams of one quota that say the same number share it."""

    def __init__(self, clock: Clock, sharing: Sharing | None = None) -> None:
        self._clock = clock
        self._sharing = sharing
        # With the number of processes that the settings say, by which each has its share where nobody tells.
        # As long as a gate counts by it.
        self._made: WeakValueDictionary[tuple[BudgetName, int], Budget] = WeakValueDictionary()

    def parts(self, group: str, requests: int, tokens: int, processes: int) -> GateParts:
        """Return what a gate of the quota ``group`` counts by; 0 is without limit.

        So many ``processes`` share them as long as nobody has told another number.
        """
        fellows = Fellows(processes)
        if self._sharing is not None:
            self._sharing.tell(fellows)
        return GateParts(
            self._budget(BudgetName(group, "requests", requests), processes, fellows) if requests else None,
            self._budget(BudgetName(group, "tokens", tokens), processes, fellows) if tokens else None,
            fellows,
        )

    def _budget(self, name: BudgetName, processes: int, fellows: Fellows) -> Budget:
        budget = self._made.get((name, processes))
        if budget is None:
            budget = self._made[name, processes] = self._new(name, fellows)
        return budget

    def _new(self, name: BudgetName, fellows: Fellows) -> Budget:
        if self._sharing is None:
            return Allowance(name.per_minute / fellows.count, self._clock.time())
        budget = SharedAllowance(name, self._sharing, lambda: fellows.count, self._clock)
        self._sharing.join(budget)
        return budget
