"""What a caller is told whose limits or budgets have no room."""

from __future__ import annotations

from datetime import timedelta

import pytest

from penstock_common.errors import InvalidRequest, QuotaExhausted, RateLimited
from penstock_gateway.domain.life.admission import BudgetReserved, refusal
from penstock_gateway.domain.limits.admission import Demand, Standing, Verdict
from penstock_gateway.domain.limits.limit import TENANT, Allowance, Limit, Measure, Scope, ScopeKind
from penstock_gateway.domain.limits.windows import NOW, PER_MINUTE, TOTAL, Window, WindowKind

MONTH = Window(WindowKind.MONTH)
SEARCH = Scope(ScopeKind.TEAM, "search")


def standing(measure, window, amount, *, scope=TENANT, name="n", spent=0, reset=timedelta(seconds=1)):
    limit = Limit("demo", scope, Allowance(measure, window, amount), name)
    return Standing(limit, 0, reset, spent=spent)


def refused(*by, wait=timedelta(seconds=1.25), held=False, amounts=False):
    return refusal(Verdict(by, None, by, wait, held_by_others=held), Demand(tokens=9), discloses_amounts=amounts)


@pytest.mark.parametrize(
    ("measure", "window", "scope", "said"),
    [
        (Measure.REQUESTS, PER_MINUTE, TENANT, "The tenant 'demo' may use 7 requests per minute."),
        (Measure.CONCURRENT, NOW, SEARCH, "The team 'search' may use 7 requests at once."),
        (Measure.TOKENS, PER_MINUTE, SEARCH, "The team 'search' may use 7 tokens per minute."),
    ],
)
def test_refusal_names_whose_limit_it_is_and_when_to_return(measure, window, scope, said):
    error = refused(standing(measure, window, 7, scope=scope))
    assert isinstance(error, RateLimited)
    assert (error.limit, error.scope, error.retry_after) == ("n", str(scope), timedelta(seconds=1.25))
    assert error.message == f"{said} Try again in 1.2 s."


def test_all_limits_that_refuse_are_told_and_no_more_than_eight():
    by = [standing(Measure.REQUESTS, PER_MINUTE, each, scope=SEARCH) for each in range(10)]
    error = refused(*by)
    assert len(error.violations) == 8
    assert error.violations[3] == ("team search", "n: 3 requests per minute")


def test_what_never_passes_is_an_invalid_request():
    error = refused(standing(Measure.TOKENS, PER_MINUTE, 7), wait=None)
    assert isinstance(error, InvalidRequest)
    assert "9 tokens" in error.message
    assert "7 tokens per minute" in error.message


def test_a_spent_budget_is_final_and_says_when_it_begins_anew():
    error = refused(standing(Measure.SPEND, MONTH, 10**9, scope=SEARCH, name="month", spent=10**9))
    assert isinstance(error, QuotaExhausted)
    assert (error.limit, error.scope) == ("month", "team search")
    assert error.resets_at.endswith("-01T00:00:00Z")
    assert error.resets_at in error.message
    assert "100 %" in error.message


def test_a_fixed_sum_never_begins_anew():
    assert refused(standing(Measure.SPEND, TOTAL, 10**9)).resets_at == ""


def test_dollars_are_told_only_where_the_operator_says_so():
    spent = standing(Measure.SPEND, MONTH, 2 * 10**9, spent=10**9)
    assert "$" not in refused(spent).message + str(refused(spent).violations)
    assert "$1.000000 spent" in refused(spent, amounts=True).message


def test_what_others_hold_may_come_free():
    error = refused(standing(Measure.SPEND, MONTH, 10**9, spent=1), held=True)
    assert isinstance(error, BudgetReserved)
    assert error.retry_after == timedelta(seconds=1.25)
