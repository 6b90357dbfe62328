"""The bill of an answer, finished or not."""

from __future__ import annotations

import pytest

from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    Message,
    Plan,
    ReasoningDelta,
    Role,
    Started,
    Text,
    TextDelta,
    ToolCallDelta,
    UnitPrices,
    Usage,
)
from penstock_common.telemetry.steps import Step
from penstock_gateway.domain.life.progress import Bill, Progress

FIRST, SECOND = Candidate(upstream="first", model="m"), Candidate(upstream="second", model="m")
PRICES = UnitPrices(input_nano_usd=1_000_000_000, cached_input_nano_usd=500_000_000, output_nano_usd=2_000_000_000)
OTHER_PRICES = UnitPrices(input_nano_usd=7_000_000_000, output_nano_usd=9_000_000_000)
STARTED = Started(generation_id="g", answered_by=FIRST, unit_prices=PRICES)


def after(*events):
    progress = Progress()
    for event in events:
        progress.note((event,))
    return progress


def test_nothing_is_owed_before_anybody_answers(ask):
    assert after().bill(ask()) == Bill()


def test_finished_answer_is_billed_as_it_says(ask):
    usage = Usage(input_tokens=5, output_tokens=6)
    finished = Finished(reason=FinishReason.STOP, answered_by=SECOND, cost_nano_usd=42, unit_prices=OTHER_PRICES)
    progress = after(STARTED, TextDelta(text="x"), usage, finished)
    assert progress.bill(ask()) == Bill(usage, OTHER_PRICES, 42)
    assert progress.answered_by == SECOND


def test_interrupted_answer_is_estimated_and_priced_as_it_started(ask):
    deltas = (
        TextDelta(text="abcd" * 2),
        ReasoningDelta(text="efgh"),
        ToolCallDelta(index=0, id="call_1", name="weather", arguments_json_fragment='{"a"'),
    )
    bill = after(STARTED, *deltas).bill(ask())
    # Four bytes a token: 8 bytes asked; 8 + 4 + 4 delivered.
    assert bill.usage == Usage(input_tokens=2, output_tokens=4, estimated=True)
    assert bill.unit_prices == PRICES
    assert bill.cost_nano_usd == 2 * 1_000 + 4 * 2_000


def test_interruption_after_the_usage_is_billed_by_the_usage(ask):
    usage = Usage(input_tokens=100, cached_input_tokens=40, output_tokens=10)
    bill = after(STARTED, TextDelta(text="x"), usage).bill(ask())
    assert bill.usage == usage
    assert bill.cost_nano_usd == 60 * 1_000 + 40 * 500 + 10 * 2_000


def test_every_turn_is_estimated(ask):
    turns = (
        Message(role=Role.SYSTEM, parts=(Text(text="1234"),)),
        Message(role=Role.USER, parts=(Text(text="12345"), Text(text="ä" * 4))),
    )
    assert after(STARTED).bill(ask(messages=turns)).usage.input_tokens == 1 + 2 + 2


@pytest.mark.parametrize(("events", "who"), [((), None), ((STARTED,), FIRST)])
def test_interrupted_answer_names_who_was_answering(events, who):
    assert after(*events).answered_by == who


def test_first_event_is_timed_once():
    progress = after(STARTED)
    first_ns = progress.first_event_ns
    assert first_ns > 0
    progress.note((TextDelta(text="x"),))
    assert progress.first_event_ns == first_ns


def attempt(outcome, **attributes):
    return Step("attempt", 1, 2, attributes={"upstream": "second", "model": "m", "outcome": outcome, **attributes})


BEGUN = {"whole": True, "begun": True, "estimated_output_tokens": 3}


@pytest.mark.parametrize("outcome", ["cancelled", "deadline:deadline"])
def test_who_leaves_when_a_whole_answer_had_begun_owes_an_estimate_at_the_prices_of_who_was_answering(ask, outcome):
    progress = after()
    progress.note_unseen(
        [attempt("cut"), attempt(outcome, **BEGUN)],
        Plan(candidates=(FIRST, SECOND), prices=(OTHER_PRICES, PRICES)),
        ask(),
    )
    bill = progress.bill(ask())
    assert bill.usage == Usage(input_tokens=2, output_tokens=3, estimated=True)
    assert bill.cost_nano_usd == 2 * 1_000 + 3 * 2_000
    assert progress.answered_by == SECOND
    assert progress.finished is None


@pytest.mark.parametrize(
    "attempts", [[], [attempt("cancelled", whole=True)], [attempt("cut", **BEGUN)], [attempt("timeout:whole", **BEGUN)]]
)
def test_nothing_is_owed_where_nothing_had_begun_or_the_answer_failed(ask, attempts):
    progress = after()
    progress.note_unseen(attempts, Plan(candidates=(FIRST, SECOND), prices=(OTHER_PRICES, PRICES)), ask())
    assert progress.bill(ask()) == Bill()


def test_what_reached_us_is_billed_as_it_did(ask):
    progress = after(STARTED, TextDelta(text="abcd"))
    progress.note_unseen([attempt("cancelled", **BEGUN)], Plan(candidates=(SECOND,), prices=(OTHER_PRICES,)), ask())
    assert progress.answered_by == FIRST
    assert progress.bill(ask()).usage.output_tokens == 1
