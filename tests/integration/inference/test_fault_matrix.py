"""The table of faults, for a caller who streams."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from penstock_common import errors
from penstock_common.llm.types import RecoveryWay
from penstock_common.testing.openai_upstream import Answer, Body

sys.path.insert(0, str(Path(__file__).parent))

from fault_rows import BROKEN_OFF, ELSEWHERE, FAIL_OVER, FAILED, GOOD, RETRIED, TOO_LONG, Row, failure  # noqa: E402


@pytest.mark.parametrize("row", [*FAIL_OVER, *RETRIED, *FAILED], ids=str)
async def test_the_caller_and_the_upstreams_see_what_the_design_says(row, caller, first, second, pauses):
    first.enqueue(*row.first)
    second.enqueue(*row.second)
    outcome = await caller.ask(*row.plan)

    assert outcome.outcomes == list(row.outcomes)
    assert len(first.requests) + len(second.requests) == len(row.outcomes)
    assert pauses == list(row.pauses)
    assert outcome.answer.text == row.text
    if row.error is not None:
        assert type(outcome.error) is row.error
        assert row.says in str(outcome.error)
        assert "sk-ours" not in str(outcome.error)
        return
    assert outcome.error is None
    finished, usage, started = outcome.answer.finished, outcome.answer.usage, outcome.answer.started
    assert finished is not None
    assert usage is not None
    assert started is not None
    assert finished.attempts == len(row.outcomes)
    assert finished.answered_by == started.answered_by
    assert str(finished.answered_by) == row.outcomes[-1].split()[0] + "/m"
    assert usage.estimated is row.estimated
    assert usage.output_tokens > 0


@pytest.mark.parametrize("row", BROKEN_OFF, ids=str)
async def test_an_answer_that_breaks_off_is_made_whole_by_who_answers_the_same(row: Row, caller, first, second):
    outcome = await break_off(row, caller, first)
    assert outcome.error is None
    assert outcome.answer.text == ELSEWHERE
    assert outcome.outcomes == [*row.outcomes, "second answered"]
    finished = outcome.answer.finished
    assert finished is not None
    assert str(finished.answered_by) == "second/m"
    (recovery,) = finished.recoveries
    assert (str(recovery.broke), recovery.way) == ("first/m", RecoveryWay.REGENERATED)
    assert recovery.delivered_characters == len(row.text)


@pytest.mark.parametrize("row", BROKEN_OFF, ids=str)
async def test_where_another_answers_otherwise_the_error_is_the_first_break_and_says_how_much_came(
    row: Row, caller, first, second
):
    second.otherwise = lambda _: GOOD
    outcome = await break_off(row, caller, first)
    assert outcome.answer.text == row.text
    assert outcome.outcomes == [*row.outcomes, "second diverged"]
    assert type(outcome.error) is row.error
    assert row.says in str(outcome.error)
    assert "first/m" in str(outcome.error)
    assert outcome.answer.finished is None


@pytest.mark.parametrize("row", BROKEN_OFF, ids=str)
async def test_a_request_may_forbid_recovery(row: Row, caller, first, second):
    outcome = await break_off(row, caller, first, may_recover=False)
    assert outcome.answer.text == row.text
    assert type(outcome.error) is row.error
    assert row.says in str(outcome.error)
    assert second.requests == []


async def break_off(row: Row, caller, first, **more):
    """Let the fault come once the caller has seen all of the row's text."""
    (behaviour,) = row.first
    assert isinstance(behaviour, Answer | Body)
    seen = asyncio.Event()
    first.enqueue(replace(behaviour, hold={row.held: seen}))
    return await caller.ask(*row.plan, seen=lambda answer: seen.set() if answer.text == row.text else None, **more)


async def test_a_rate_limit_passes_on_when_to_come_again(caller, first):
    first.enqueue(failure(429, retry_after="42"))
    outcome = await caller.ask("first/m")
    assert isinstance(outcome.error, errors.RateLimited)
    assert outcome.error.retry_after == timedelta(seconds=42)


async def test_a_wait_that_does_not_fit_the_deadline_is_not_begun(caller, first, pauses):
    first.enqueue(failure(429, retry_after="3"))
    outcome = await caller.ask("first/m", timeout=2)
    assert isinstance(outcome.error, errors.RateLimited)
    assert pauses == []


async def test_context_length_carries_the_sizes(caller, first):
    first.enqueue(TOO_LONG)
    outcome = await caller.ask("first/m")
    assert isinstance(outcome.error, errors.ContextLengthExceeded)
    assert (outcome.error.input_tokens, outcome.error.max_input_tokens) == (5000, 4096)


async def test_a_refused_connection_fails_over(caller, first):
    await first.__aexit__(None, None, None)
    outcome = await caller.ask("first/m", "second/m")
    assert outcome.outcomes == ["first connect", "first connect", "second answered"]
    await first.__aenter__()


async def test_candidates_this_instance_does_not_know_are_passed_over(caller):
    outcome = await caller.ask("elsewhere/m", "first/other", "second/m")
    assert outcome.outcomes == ["second answered"]


async def test_a_plan_of_strangers_has_no_healthy_upstream(caller):
    outcome = await caller.ask("elsewhere/m")
    assert isinstance(outcome.error, errors.NoHealthyUpstream)


async def test_an_empty_plan_is_invalid(caller):
    outcome = await caller.ask()
    assert isinstance(outcome.error, errors.InvalidRequest)
    assert outcome.error.field == "plan.candidates"


async def test_the_next_request_is_served_normally_after_each_fault(caller, first):
    for row in BROKEN_OFF:
        assert (await break_off(row, caller, first, may_recover=False)).error is not None
        assert (await caller.ask("first/m")).answer.text == ELSEWHERE
