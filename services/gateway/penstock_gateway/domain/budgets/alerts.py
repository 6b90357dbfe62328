"""When a budget is worth a word, and the word."""

from __future__ import annotations

from datetime import UTC, datetime

from penstock_gateway.domain.budgets.budget import Budget, scope_text, usd
from penstock_gateway.domain.budgets.standing import BudgetStanding

PROJECTED = "projected"
ALL = "100"
"""Is also told at the first request that a budget refuses: what is left may never be spent."""
THRESHOLD, RESOLVED = "budget.threshold", "budget.resolved"
_NO_START = datetime(1970, 1, 1, tzinfo=UTC)


def thresholds(budget: Budget) -> tuple[str, ...]:
    """Return what a budget is watched for: percents as texts, and ``projected``."""
    percents = tuple(str(percent) for percent in sorted(set(budget.alerts.percents)))
    return (*percents, PROJECTED) if budget.alerts.projected else percents


def is_reached(threshold: str, standing: BudgetStanding) -> bool:
    """Return whether so much is spent. What is reserved is not spent, and nothing spent is never worth a word."""
    if standing.spent <= 0:
        return False
    if threshold == PROJECTED:
        return standing.projected is not None and standing.projected > standing.limit
    return standing.spent * 100 >= standing.limit * int(threshold)


def period_start(standing: BudgetStanding) -> datetime:
    """Return what names the period among a budget's alerts."""
    return _NO_START if standing.is_endless else standing.period.start


def data_of(budget: Budget, standing: BudgetStanding, threshold: str, event: str = THRESHOLD) -> dict[str, object]:
    """Return what an event says. Nano-dollars are texts: JSON's numbers are not exact beyond 53 bits."""
    endless = standing.is_endless
    return {
        "budget_id": budget.id,
        "budget": budget.name,
        "tenant": budget.tenant,
        "scope": scope_text(budget.scope),
        "kind": budget.kind.value,
        "period": budget.period.value,
        "threshold": threshold,
        "refused": _has_refused(threshold, standing, event),
        "spent_nano_usd": str(standing.spent),
        "limit_nano_usd": str(standing.limit),
        "reserved_nano_usd": str(standing.reserved),
        "projected_nano_usd": None if standing.projected is None else str(standing.projected),
        "period_start": None if endless else standing.period.start.isoformat(),
        "period_end": None if endless else standing.period.end.isoformat(),
        "text": sentence(budget, standing, threshold, event),
    }


def sentence(budget: Budget, standing: BudgetStanding, threshold: str, event: str = THRESHOLD) -> str:
    """Return an event as people read it."""
    period = "" if standing.is_endless else f" of this {budget.period}"
    who = f"The budget '{budget.name}' of {budget.tenant} ({scope_text(budget.scope)})"
    spent = f"{who} has spent {usd(standing.spent)} of {usd(standing.limit)}{period}"
    if threshold == PROJECTED and standing.projected is not None:
        return f"{spent}; going on like this it comes to {usd(standing.projected)}."
    share = standing.spent * 100 // standing.limit if standing.limit else 100
    more = (
        ", and a request was refused that needs more than is left" if _has_refused(threshold, standing, event) else ""
    )
    return f"{spent}: {share} %{more}."


def _has_refused(threshold: str, standing: BudgetStanding, event: str) -> bool:
    """Return whether a refusal is why the threshold is told: so much is not spent."""
    return event == THRESHOLD and threshold == ALL and not is_reached(ALL, standing)
