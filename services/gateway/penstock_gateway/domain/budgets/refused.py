"""Which budgets have refused a request in this process, until somebody is told: a spent one may never reach its last cent."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from penstock_gateway.domain.administration.audit import Now, utc_now
from penstock_gateway.domain.limits.admission import Demand, Verdict
from penstock_gateway.domain.limits.limit import Limit
from penstock_gateway.domain.limits.windows import period_of


class Refused(NamedTuple):
    """How much a budget allowed when it last refused, in nano-dollars, and when that was."""

    limit: Limit
    at: datetime

    def still_holds(self, limit: Limit, now: datetime) -> bool:
        """Return whether the budget, which is ``limit`` by now, is of the same period and has not been raised."""
        window = limit.allowance.window
        return (
            limit.allowance.amount <= self.limit.allowance.amount
            and period_of(window, self.at).start == period_of(window, now).start
        )


class RefusedBudgets:
    """Remembers each once, the newest refusal: as many as there are budgets."""

    def __init__(self, now: Now = utc_now) -> None:
        self._now = now
        self._refused: dict[str, Refused] = {}

    def noted(self, verdict: Verdict, demand: Demand) -> None:
        """Take in the budgets of a verdict that have less left than is demanded, whatever others give back."""
        for standing in verdict.refused_by:
            limit = standing.limit
            if limit.budget and standing.spent + demand.spend > limit.allowance.amount:
                self._refused[limit.budget] = Refused(limit, self._now())

    @property
    def by_id(self) -> dict[str, Refused]:
        """Return them by the budgets' ids."""
        return dict(self._refused)

    def forget(self, told: dict[str, Refused]) -> None:
        """Forget these, unless a budget has refused again since."""
        for name, refused in told.items():
            if self._refused.get(name) is refused:
                del self._refused[name]
