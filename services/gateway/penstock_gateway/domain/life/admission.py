"""What a caller is told whose limits, or whose budget, have no room."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from penstock_common.errors import (
    MAX_VIOLATIONS,
    InvalidRequest,
    Overloaded,
    PenstockError,
    QuotaExhausted,
    RateLimited,
    Violation,
)
from penstock_gateway.domain.limits.admission import Demand, Standing, Verdict
from penstock_gateway.domain.limits.limit import Measure
from penstock_gateway.domain.limits.windows import WindowKind, period_of

# When a place comes free, or money that others hold, is unknown; callers come again after this long.
_USUAL_WAIT = timedelta(seconds=1)


class TurnedAway(Overloaded):
    """This process is full, ends, or cannot write bills: it has done nothing for the request, so another may take it.

    Overload of whatever the request needs, such as a provider, is an ``Overloaded`` and no more: others would
    find it so too, and each would have asked for it.
    """


class BudgetExceeded(QuotaExhausted):
    """A budget is spent: nothing that costs is done before it begins anew."""


class BudgetReserved(RateLimited):
    """What is left of a budget is held by requests under way, and may come free."""


def refusal(verdict: Verdict, demand: Demand, *, discloses_amounts: bool = False) -> PenstockError:
    """Return the error that tells a refused caller what to do."""
    broke = [standing for standing in verdict.refused_by if standing.limit.allowance.measure is Measure.SPEND]
    if broke:
        return budget_refusal(
            broke,
            is_held=verdict.held_by_others,
            wait=verdict.retry_after,
            discloses_amounts=discloses_amounts,
            needed=demand.spend,
        )
    first = verdict.refused_by[0]
    limit, violations = first.limit, _violations(verdict.refused_by)
    if verdict.retry_after is None:
        return InvalidRequest(
            f"The request needs {demand.tokens} tokens or more, and {limit.scope} may use {limit}: it never passes.",
            field="input",
        )
    return RateLimited(
        f"{_owner(first)} may use {limit}. Try again in {_seconds(verdict.retry_after)} s.",
        limit=limit.name,
        retry_after=verdict.retry_after,
        scope=str(limit.scope),
        violations=violations,
    )


def budget_refusal(
    broke: Sequence[Standing],
    *,
    is_held: bool,
    wait: timedelta | None = None,
    discloses_amounts: bool = False,
    needed: int = 0,
) -> PenstockError:
    """Return what is told of budgets that have no room: spent, or held by others.

    ``needed`` nano-dollars are expected to be spent: a budget that is less as a whole has no room for them at any time.
    """
    too_small = [standing for standing in broke if standing.limit.allowance.amount < needed]
    # Who waits for the last of them waits for all.
    worst = max(too_small or broke, key=lambda standing: standing.reset)
    limit, violations = worst.limit, _violations(broke)
    figures = _figures(worst) if discloses_amounts else _share(worst)
    name = f"The limit '{limit.name}' of {limit.scope} ({figures})"
    if is_held:
        wait = wait or _USUAL_WAIT
        return BudgetReserved(
            f"{name} has no room beside the requests under way. Try again in {_seconds(wait)} s.",
            limit=limit.name,
            retry_after=wait,
            scope=str(limit.scope),
            violations=violations,
        )
    window = limit.allowance.window
    if too_small:
        resets_at, when = "", "All of it is less than that, so it never has room for it"
    elif window.kind is WindowKind.TOTAL or not window.is_calendar:
        resets_at, when = "", "It does not begin anew by itself"
    else:
        end = period_of(window, datetime.now(UTC)).end
        resets_at = end.strftime("%Y-%m-%dT%H:%M:%SZ")
        when = f"It begins anew at {resets_at}"
    may_shrink = too_small or worst.remaining
    why = "has less left than the request may cost: a smaller max_tokens needs less" if may_shrink else "is spent"
    return BudgetExceeded(
        f"{name} {why}. {when}; what costs nothing is still answered.",
        limit=limit.name,
        scope=str(limit.scope),
        resets_at=resets_at,
        violations=violations,
    )


def given_back(standings: Sequence[Standing], demand: Demand) -> tuple[Standing, ...]:
    """Return where limits stand once a request is counted no more."""
    taken = {Measure.REQUESTS: 1, Measure.TOKENS: demand.tokens, Measure.CONCURRENT: 1, Measure.SPEND: demand.spend}
    return tuple(
        [
            msgspec.structs.replace(standing, remaining=standing.remaining + taken[standing.limit.allowance.measure])
            for standing in standings
        ]
    )


def _violations(refused: Sequence[Standing]) -> tuple[Violation, ...]:
    return tuple(
        [Violation(str(each.limit.scope), f"{each.limit.name}: {_allowed(each)}") for each in refused[:MAX_VIOLATIONS]]
    )


def _allowed(standing: Standing) -> str:
    limit = standing.limit
    return str(limit) if limit.allowance.measure is not Measure.SPEND else f"{_share(standing)} used"


def _owner(standing: Standing) -> str:
    limit = standing.limit
    return f"The tenant '{limit.tenant}'" if not limit.scope.name else f"The {limit.scope.kind} '{limit.scope.name}'"


def _share(standing: Standing) -> str:
    amount = standing.limit.allowance.amount
    return "100 %" if not amount else f"{100 * standing.spent // amount} %"


def _figures(standing: Standing) -> str:
    spent, held = standing.spent / 1e9, standing.reserved / 1e9
    return f"${spent:,.6f} spent and ${held:,.6f} held of {standing.limit}"


def _seconds(wait: timedelta) -> str:
    return f"{wait.total_seconds():.1f}"
