"""An estimate against what came: of a month from the one before."""

from __future__ import annotations

import msgspec

from penstock_suite.domain.estimate.observed import Observed
from penstock_suite.domain.estimate.projection import Figure, Load, Machines, estimate

_NANO = 1e9


class Backtest(msgspec.Struct, frozen=True, kw_only=True):
    """What the month before said that the requests of a month would cost at models, and what they did."""

    month: str
    requests: int
    projected_usd: Figure
    actual_usd: float
    error_ratio: float | None
    """What was projected too much; None where nothing was paid."""
    is_within: bool
    """Whether it came between the tenth and the ninetieth percentile."""
    warnings: tuple[str, ...]


def backtest(month: str, before: Observed, came: Observed) -> Backtest:
    """Return how well the days before foretold those that came.

    Raises:
        ValueError: if one of both has no request.
    """
    total = came.total
    if not total.requests:
        raise ValueError(f"the ledger has no request of {month}")
    load = Load(requests_per_day=total.requests / came.length_days, days=came.length_days)
    told = estimate(before, load, Machines())
    projected, actual = told.items[0].usd, total.cost / _NANO
    return Backtest(
        month=month,
        requests=round(total.requests),
        projected_usd=projected,
        actual_usd=actual,
        error_ratio=projected.value / actual - 1 if actual else None,
        is_within=projected.p10 <= actual <= projected.p90,
        warnings=told.warnings,
    )
