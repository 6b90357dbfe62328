"""The bill of an answer, finished or not."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from penstock_common.llm.owed import Owed
from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    Plan,
    ReasoningDelta,
    Started,
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
    # Four bytes a token: a turn of 8 bytes asked; 8 + 4 + 11 delivered.
    assert bill.usage == Usage(input_tokens=6, output_tokens=6, estimated=True)
    assert bill.unit_prices == PRICES
    assert bill.cost_nano_usd == 6 * 1_000 + 6 * 2_000


def test_interruption_after_the_usage_is_billed_by_the_usage(ask):
    usage = Usage(input_tokens=100, cached_input_tokens=40, output_tokens=10)
    bill = after(STARTED, TextDelta(text="x"), usage).bill(ask())
    assert bill.usage == usage
    assert bill.cost_nano_usd == 60 * 1_000 + 40 * 500 + 10 * 2_000


@pytest.mark.parametrize(("events", "who"), [((), None), ((STARTED,), FIRST)])
def test_interrupted_answer_names_who_was_answering(events, who):
    assert after(*events).answered_by == who


def test_first_event_is_timed_once():
    progress = after(STARTED)
    first_ns = progress.first_event_ns
    assert first_ns > 0
    progress.note((TextDelta(text="x"),))
    assert progress.first_event_ns == first_ns


def attempt(**attributes):
    return Step("attempt", 1, 2, attributes={"upstream": "second", "model": "m", **attributes})


OWED = {
    "owed_input_tokens": 5, "owed_cached_input_tokens": 2, "owed_output_tokens": 3,
    "input_nano_usd": 10**9, "cached_input_nano_usd": 5 * 10**8, "output_nano_usd": 2 * 10**9,
}  # fmt: skip
PLAN = Plan(candidates=(FIRST, SECOND), prices=(OTHER_PRICES, PRICES))


def test_who_leaves_before_the_first_token_owes_what_inference_says_at_the_prices_of_who_was_asked(ask):
    progress = after()
    progress.note_ended([attempt(**OWED)])
    bill = progress.bill(ask())
    assert bill.usage == Usage(input_tokens=5, cached_input_tokens=2, output_tokens=3, estimated=True)
    assert bill.cost_nano_usd == 3 * 1_000 + 2 * 500 + 3 * 2_000
    assert progress.answered_by == SECOND
    assert progress.finished is None


def test_every_attempt_at_an_answer_that_nobody_ended_is_owed_for(ask):
    progress = after(STARTED, TextDelta(text="abcd"))
    progress.note_ended([attempt(), attempt(**OWED), attempt(**{**OWED, "input_nano_usd": 2 * 10**9})])
    bill = progress.bill(ask())
    assert bill.usage == Usage(input_tokens=10, cached_input_tokens=4, output_tokens=6, estimated=True)
    assert bill.cost_nano_usd == 2 * (3 * 1_000 + 2 * 500 + 3 * 2_000) + 3 * 1_000


def test_nothing_is_owed_where_the_prompt_was_not_sent_or_the_attempt_failed(ask):
    progress = after()
    progress.note_ended([attempt()])
    assert progress.bill(ask()) == Bill()


def test_what_had_begun_is_billed_as_inference_counted_and_priced_as_it_started(ask):
    progress = after(STARTED, TextDelta(text="abcd"))
    progress.note_ended([attempt(**OWED)])
    assert progress.answered_by == FIRST
    assert progress.bill(ask()).usage.output_tokens == 3


def test_where_inference_cannot_tell_the_first_candidate_is_taken_to_have_been_asked(ask):
    progress = after()
    progress.assume_asked(PLAN, ask())
    assert progress.bill(ask()) == Bill(Usage(input_tokens=6, estimated=True), OTHER_PRICES, 6 * 7_000)
    assert progress.answered_by == FIRST


def test_what_began_says_itself_who_was_asked(ask):
    progress = after(Started(generation_id="g", answered_by=SECOND, unit_prices=PRICES), TextDelta(text="abcd"))
    progress.assume_asked(PLAN, ask())
    assert progress.answered_by == SECOND
    assert progress.bill(ask()).usage == Usage(input_tokens=6, output_tokens=1, estimated=True)


def test_once_the_usage_has_come_nothing_else_is_owed(ask):
    usage = Usage(input_tokens=100, output_tokens=10)
    progress = after(STARTED, TextDelta(text="x"), usage)
    progress.note_ended([attempt(outcome="cancelled", **OWED)])
    assert progress.bill(ask()) == Bill(usage, PRICES, 100 * 1_000 + 10 * 2_000)


def test_who_broke_off_is_owed_beside_the_usage_of_who_made_the_answer_whole(ask):
    usage = Usage(input_tokens=100, output_tokens=10)
    progress = after(STARTED, TextDelta(text="x"), usage)
    progress.note_ended([attempt(outcome="cut", **OWED), attempt(outcome="answered")])
    broken_off = 3 * 1_000 + 2 * 500 + 3 * 2_000
    assert progress.bill(ask()) == Bill(usage, PRICES, 100 * 1_000 + 10 * 2_000 + broken_off)


UNKNOWN = UnitPrices(is_unknown=True)


def test_what_is_written_to_a_cache_is_owed_at_its_price(ask):
    usage = Usage(input_tokens=10, cache_write_input_tokens=6, cache_write_1h_input_tokens=2, output_tokens=1)
    prices = UnitPrices(1_000_000, 0, 2_000_000, 3_000_000, 4_000_000)
    progress = after(STARTED, TextDelta(text="abcd"))
    progress.note_ended([attempt(**Owed(usage, prices).told())])
    bill = progress.bill(ask())
    assert bill.usage == replace(usage, estimated=True)
    assert (bill.unit_prices, bill.cost_nano_usd) == (prices, 4 * 1 + 4 * 3 + 2 * 4 + 1 * 2)


@pytest.mark.parametrize("order", [1, -1])
def test_a_bill_is_unknown_where_a_part_of_it_is(ask, order):
    owed = [Owed(Usage(input_tokens=1), prices).told() for prices in (PRICES, UNKNOWN)]
    progress = after()
    progress.note_ended([attempt(**told) for told in owed[::order]])
    assert progress.bill(ask()).known_cost_nano_usd is None


def test_who_broke_off_at_an_unknown_price_makes_the_whole_cost_unknown(ask):
    progress = after(STARTED, TextDelta(text="x"), Usage(input_tokens=1))
    progress.note_ended([attempt(outcome="cut", **Owed(Usage(input_tokens=1), UNKNOWN).told())])
    assert progress.bill(ask()).known_cost_nano_usd is None


def test_a_price_of_nothing_makes_a_known_bill(ask):
    finished = Finished(reason=FinishReason.STOP, answered_by=FIRST)
    assert after(STARTED, TextDelta(text="x"), Usage(input_tokens=1), finished).bill(ask()).known_cost_nano_usd == 0
