"""Two attempts side by side until either has content: in whatever order things happen, one wins and nothing stays open."""

from __future__ import annotations

import asyncio
import itertools
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from penstock_common.errors import ContentRefused, DeadlineExceeded, PenstockError, UpstreamFailed
from penstock_common.llm.estimate import estimated_input_tokens
from penstock_common.llm.types import (
    Finished,
    FinishReason,
    Message,
    Reasoning,
    Role,
    Started,
    Text,
    TextDelta,
    UnitPrices,
    Usage,
    cost_nano_usd,
)
from penstock_inference.domain.batches import Batches
from penstock_inference.domain.catalogue import Model, Timeouts, WholeAnswers
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.health.latency import size_class
from penstock_inference.domain.hedging import BURST, SAMPLES_WANTED, HedgeOutcome
from penstock_inference.domain.model_facts import ModelFacts
from penstock_inference.domain.upstream import Stopped, UpstreamCall

sys.path.insert(0, str(Path(__file__).parent))
from racing import END, QUESTION, ROOM, WHOLE, A, Races, settled  # noqa: E402

TIMEOUT, ERROR, REFUSED = FailureKind.TIMEOUT, FailureKind.SERVER_ERROR, FailureKind.REFUSED
PRICES = UnitPrices(input_nano_usd=10, output_nano_usd=20)
ASKED = 14
"""Tokens of the question: four bytes a token, and four for the turn."""


def text_of(events) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize("whole", [False, True], ids=["streamed", "whole"])
async def test_the_first_content_wins_and_the_other_is_cancelled_at_once(whole: bool):
    races = Races()
    asking = races.ask(whole=whole)
    first, second = await races.both()
    second.tell(A)
    second.tell(END)
    events = await asking
    assert isinstance(events[0], Started)
    assert events[0].answered_by.upstream == "second"
    assert (text_of(events), events[-1].attempts) == ("a", 2)
    assert races.outcomes == ["first hedge_lost", "second answered"]
    assert [step.attributes.get("hedge", False) for step in races.steps.recorded] == [False, True]
    assert [step.error for step in races.steps.recorded] == ["", ""]
    assert races.observer.hedges == [HedgeOutcome.WON]
    assert (first.closed > 0, races.open()) == (True, [])


async def test_the_loser_is_closed_before_the_caller_has_the_first_content():
    races = Races()
    batches = races.batches()
    reading = asyncio.ensure_future(anext(batches))
    first, second = await races.both()
    second.tell(A)
    await reading
    assert first.closed > 0
    gate = races.pools["first"].gate
    assert gate is not None
    assert gate.in_flight == 0
    await batches.aclose()
    assert races.open() == []


async def test_who_answers_is_counted_with_what_it_was_asked_itself():
    """The second reads none of the reasoning in the conversation, which is as long as all the rest."""
    races = Races()
    races.models[0] = replace(races.models[0], facts=ModelFacts(reads_thinking_of=frozenset({"x"})))
    reasoned = Message(
        role=Role.ASSISTANT, parts=(Reasoning(text="y" * 400, signature=b"s", origin="gone/x"), Text(text="So."))
    )
    races.question = msgspec.structs.replace(QUESTION, messages=(*QUESTION.messages, reasoned, *QUESTION.messages))
    for candidate in races.candidates:
        known = races.hedging.first_tokens(candidate, races.question)
        for _ in range(SAMPLES_WANTED):
            known.observe(0.0)
    asking = races.ask()
    first, second = await races.both()
    assert len(second.call.input.messages[1].parts) < len(first.call.input.messages[1].parts)
    first.tell([TextDelta(text="a b"), Stopped(FinishReason.STOP)])
    usage = next(event for event in await asking if isinstance(event, Usage))
    assert usage.input_tokens == estimated_input_tokens(first.call.input) > estimated_input_tokens(second.call.input)


async def test_who_was_asked_first_wins_a_tie():
    races = Races()
    asking = races.ask()
    first, second = await races.both()
    second.tell(WHOLE)
    first.tell(WHOLE)
    events = await asking
    assert events[0].answered_by.upstream == "first"
    assert races.outcomes == ["first answered", "second hedge_lost"]
    # It has counted what it wrote.
    assert races.steps.recorded[1].attributes["owed_output_tokens"] == 2
    assert (races.observer.hedges, races.open()) == ([HedgeOutcome.LOST], [])


async def test_the_first_token_of_each_is_learned_of_once_whoever_wins():
    races = Races()
    known = [races.hedging.first_tokens(candidate, QUESTION) for candidate in races.candidates]
    before = [len(each._recent) for each in known]
    asking = races.ask()
    first, second = await races.both()
    second.tell(WHOLE)
    first.tell(WHOLE)
    await asking
    assert [len(each._recent) for each in known] == [count + 1 for count in before]


async def test_who_was_late_and_comes_first_all_the_same_is_the_answer():
    races = Races()
    asking = races.ask()
    first, _ = await races.both()
    first.tell(A)
    await settled()
    first.tell(END)
    events = await asking
    assert (events[0].answered_by.upstream, events[-1].attempts) == ("first", 2)
    assert (races.observer.hedges, races.open()) == ([HedgeOutcome.LOST], [])


MOVES = ("first answers", "second answers", "first fails", "second fails", "the caller leaves")
ORDERS = {moves[:some] for moves in itertools.permutations(MOVES) for some in (2, len(MOVES))}


async def play(moves: tuple[str, ...], kind: FailureKind, *, whole: bool, at_once: bool) -> tuple[Races, object]:
    """Return what a request came to: events, an error, or None where the caller left."""
    races = Races()
    asking = races.ask(whole=whole)
    answers = dict(zip(("first", "second"), await races.both(), strict=True))
    for move in moves:
        name, _, does = move.partition(" ")
        if does == "answers":
            answers[name].tell(A)
        elif does == "fails":
            answers[name].tell(AttemptFailed(kind, "it failed", stage="idle" if kind is TIMEOUT else ""))
        else:
            asking.cancel()
        if not at_once:
            await settled()
    for answer in answers.values():
        answer.tell(END)
    try:
        return races, await asking
    except PenstockError as error:
        return races, error
    except asyncio.CancelledError:
        return races, None


@pytest.mark.parametrize("kind", [TIMEOUT, ERROR, REFUSED])
@pytest.mark.parametrize("whole", [False, True], ids=["streamed", "whole"])
@pytest.mark.parametrize("at_once", [False, True], ids=["one after another", "at once"])
async def test_in_any_order_of_things_there_is_one_outcome_and_nothing_stays_open(
    kind: FailureKind, whole: bool, at_once: bool
):
    before = asyncio.all_tasks()
    came = {"answered": 0, "failed": 0, "left": 0}
    for some in sorted(ORDERS):
        races, outcome = await play(some, kind, whole=whole, at_once=at_once)
        assert races.open() == [], some
        assert asyncio.all_tasks() == before, some
        assert len(races.observer.hedges) == 1, some
        assert all(len(races.upstream(name).answers) <= 2 for name in ("first", "second")), some
        answered = [one for one in races.outcomes if one.endswith(" answered")]
        if isinstance(outcome, list):
            came["answered"] += 1
            assert [type(event) for event in outcome].count(Finished) == 1, some
            assert (len(answered), isinstance(outcome[-1], Finished)) == (1, True), some
            assert text_of(outcome) in ("a", "a b"), some
        else:
            came["failed" if outcome is not None else "left"] += 1
            # Whoever leaves may do so when all of it is there already.
            assert len(answered) <= (outcome is None), some
    assert came["answered"], came
    assert came["left"], came
    # After an error the same is asked once more, and answers.
    assert bool(came["failed"]) == (kind is not ERROR), came


async def test_a_second_attempt_that_fails_disturbs_nobody():
    races = Races()
    asking = races.ask()
    first, second = await races.both()
    second.tell(AttemptFailed(ERROR, "503"))
    await settled()
    assert (second.closed > 0, first.closed, asking.done()) == (True, 0, False)
    first.tell(WHOLE)
    events = await asking
    assert events[0].answered_by.upstream == "first"
    assert (races.outcomes, races.observer.hedges) == (
        ["first answered", "second server_error"], [HedgeOutcome.FAILED],
    )  # fmt: skip


async def test_a_first_attempt_that_fails_leaves_it_to_the_second():
    races = Races()
    asking = races.ask()
    first, second = await races.both()
    first.tell(AttemptFailed(ERROR, "503"))
    await settled()
    assert (first.closed > 0, second.closed, asking.done()) == (True, 0, False)
    second.tell(WHOLE)
    assert (await asking)[0].answered_by.upstream == "second"
    assert races.outcomes == ["first server_error", "second answered"]
    assert races.observer.hedges == [HedgeOutcome.WON]


@pytest.mark.parametrize("order", [("first", "second"), ("second", "first")], ids=" then ".join)
async def test_after_both_have_failed_the_first_ones_rules_hold_and_each_is_asked_twice_at_most(order):
    races = Races()
    asking = races.ask()
    answers = dict(zip(("first", "second"), await races.both(), strict=True))
    for name in order:
        answers[name].tell(AttemptFailed(ERROR, "503"))
        await settled()
    # The same once more, as after any 503.
    events = await asking
    assert events[0].answered_by.upstream == "first"
    assert events[-1].attempts == 3
    assert [len(races.upstream(name).answers) for name in ("first", "second")] == [2, 1]


async def test_where_nobody_answers_each_was_asked_twice():
    races = Races()
    asking = races.ask()

    for name in ("first", "second"):
        races.upstream(name).later = AttemptFailed(ERROR, f"503 of {name}")
    first, second = await races.both()
    second.tell(AttemptFailed(ERROR, "503 of second"))
    first.tell(AttemptFailed(ERROR, "503 of first"))
    with pytest.raises(UpstreamFailed):
        await asking
    assert [len(races.upstream(name).answers) for name in ("first", "second")] == [2, 2]
    assert races.open() == []


async def test_once_the_first_is_refused_for_what_was_asked_nobody_else_answers():
    races = Races()
    asking = races.ask()
    first, second = await races.both()
    first.tell(AttemptFailed(REFUSED, "a content filter"))
    with pytest.raises(ContentRefused):
        await asking
    assert races.outcomes == ["first refused", "second hedge_lost"]
    assert (second.closed > 0, races.open()) == (True, [])


async def test_a_refusal_of_the_second_is_the_end_where_the_first_fails_too():
    races = Races()
    asking = races.ask()
    first, second = await races.both()
    second.tell(AttemptFailed(REFUSED, "a content filter"))
    await settled()
    assert not asking.done()
    first.tell(AttemptFailed(ERROR, "503"))
    with pytest.raises(ContentRefused):
        await asking
    assert [len(races.upstream(name).answers) for name in ("first", "second")] == [1, 1]


async def test_an_empty_answer_wins_no_race():
    races = Races()
    asking = races.ask()
    first, second = await races.both()
    second.tell(END)
    await settled()
    first.tell(WHOLE)
    assert (await asking)[0].answered_by.upstream == "first"
    assert races.outcomes == ["first answered", "second empty"]


async def test_an_answer_that_breaks_after_it_has_won_is_made_whole_by_whom_it_outran():
    races = Races()
    asking = races.ask()
    first, second = await races.both()
    second.tell(A)
    await settled()
    assert first.closed > 0
    second.tell(AttemptFailed(FailureKind.CUT, "cut"))
    events = await asking
    assert text_of(events) == "a b"
    assert events[-1].answered_by.upstream == "first"
    assert events[-1].attempts == 3
    assert races.outcomes == ["first hedge_lost", "second cut", "first answered"]
    assert races.open() == []


async def test_an_answer_of_the_first_that_breaks_may_be_made_whole_by_the_second():
    races = Races()
    asking = races.ask()
    first, second = await races.both()
    first.tell(A)
    await settled()
    assert second.closed > 0
    first.tell(AttemptFailed(FailureKind.CUT, "cut"))
    events = await asking
    assert (text_of(events), events[-1].answered_by.upstream, events[-1].attempts) == ("a b", "second", 3)


async def test_both_are_paid_for():
    races = Races(prices=PRICES)
    asking = races.ask()
    _, second = await races.both()
    second.tell(WHOLE)
    events = await asking
    lost, won = races.steps.recorded
    assert (lost.attributes["owed_input_tokens"], lost.attributes["owed_output_tokens"]) == (ASKED, 0)
    assert "owed_input_tokens" not in won.attributes
    (usage,) = [event for event in events if isinstance(event, Usage)]
    # The usage is the answer's, the cost is of both.
    assert (usage.input_tokens, usage.output_tokens) == (10, 2)
    of_both = cost_nano_usd(usage, PRICES) + cost_nano_usd(Usage(input_tokens=ASKED), PRICES)
    assert events[-1].cost_nano_usd == of_both


async def test_nothing_is_owed_for_a_loser_that_was_not_sent_the_prompt():
    races = Races(prices=PRICES)
    asking = races.ask()
    first, second = await races.both()
    first.sent = False
    second.tell(WHOLE)
    events = await asking
    (usage,) = [event for event in events if isinstance(event, Usage)]
    assert events[-1].cost_nano_usd == cost_nano_usd(usage, PRICES)
    assert "owed_input_tokens" not in races.steps.recorded[0].attributes


async def test_who_leaves_within_a_race_owes_both_and_leaves_nothing_open():
    races = Races()
    asking = races.ask()
    await races.both()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert sorted(races.outcomes) == ["first cancelled", "second cancelled"]
    assert [step.attributes["owed_input_tokens"] for step in races.steps.recorded] == [ASKED, ASKED]
    assert (races.observer.hedges, races.open()) == ([HedgeOutcome.LEFT], [])


async def test_who_leaves_while_the_loser_is_closed_leaves_nothing_open():
    races = Races()
    asking = races.ask()
    first, second = await races.both()
    closing, close = asyncio.Event(), first.aclose

    async def slowly() -> None:
        await close()
        if not closing.is_set():
            closing.set()
            await asyncio.Event().wait()

    first.aclose = slowly
    second.tell(A)
    await closing.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert races.open() == []


async def test_who_leaves_while_the_loser_is_still_read_leaves_after_its_reading_has_ended():
    races = Races()
    asking = races.ask()
    first, second = await races.both()
    cancelled, may_end, read, close = asyncio.Event(), asyncio.Event(), first._told.get, first.aclose
    was_read_when_closed: list[bool] = []

    async def ends_slowly():
        try:
            return await read()
        finally:
            cancelled.set()
            await may_end.wait()

    async def noted() -> None:
        assert first.reading is not None
        was_read_when_closed.append(not first.reading.done())
        await close()

    # What it waits in now is the earlier one: it reads on from here.
    first._told.get = ends_slowly
    first.tell([Usage(input_tokens=1)])
    await settled()
    first.aclose = noted
    second.tell(A)
    await cancelled.wait()
    asking.cancel()
    await settled()
    assert not asking.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (set(was_read_when_closed), races.open()) == ({False}, [])


async def test_who_leaves_while_the_loser_is_closed_owes_what_the_winner_wrote():
    races = Races()
    asking = races.ask()
    first, second = await races.both()
    closing, close = asyncio.Event(), first.aclose

    async def slowly() -> None:
        await close()
        if not closing.is_set():
            closing.set()
            await asyncio.Event().wait()

    first.aclose = slowly
    second.tell([TextDelta(text="one two three four five six seven")])
    await closing.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    owed = [step.attributes["owed_output_tokens"] for step in races.steps.recorded]
    assert owed[0] == 0
    assert isinstance(owed[1], int)
    assert owed[1] > 0


async def test_closing_the_batches_within_a_race_ends_both():
    races = Races()
    batches = races.batches()
    reading = asyncio.ensure_future(anext(batches))
    first, second = await races.both()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await batches.aclose()
    assert (first.closed > 0, second.closed > 0, races.open()) == (True, True, [])


async def test_the_callers_deadline_ends_both_and_both_are_owed():
    races = Races()
    asking = races.ask()
    first, _ = await races.both()
    first.tell(AttemptFailed(FailureKind.DEADLINE, "no answer in time", stage="deadline"))
    with pytest.raises(DeadlineExceeded):
        await asking
    assert [step.attributes["owed_input_tokens"] for step in races.steps.recorded] == [ASKED, ASKED]
    assert (races.observer.hedges, races.open()) == ([HedgeOutcome.LOST], [])


async def test_a_second_attempt_that_the_deadline_ends_first_is_owed():
    races = Races()
    asking = races.ask()
    first, second = await races.both()
    second.tell(AttemptFailed(FailureKind.DEADLINE, "no answer in time", stage="deadline"))
    await settled()
    first.tell(WHOLE)
    await asking
    assert races.steps.recorded[1].attributes["owed_input_tokens"] == ASKED


async def test_a_silent_first_attempt_is_left_to_the_second_by_its_own_timer():
    hour = timedelta(hours=1)
    races = Races(timeouts=Timeouts(first_token_with_others=timedelta(milliseconds=20), total=hour, idle=hour))
    # The second has nobody left to ask after it, and so more time.
    asking = races.ask()
    first, second = await races.both()
    while not first.closed:
        await asyncio.sleep(0.001)
    second.tell(WHOLE)
    assert (await asking)[0].answered_by.upstream == "second"
    assert races.outcomes[1] == "second answered"
    assert races.outcomes[0] in ("first timeout:first_token", "first timeout:headers")


# Whom to ask, and when not to.


async def alone(races: Races, outcome: HedgeOutcome | None, **asked) -> None:
    """Require that nobody is asked beside the first."""
    asking = races.ask(**asked)
    first = await races.upstream(races.candidates[0].upstream).asked()
    await settled()
    first.tell(WHOLE)
    events = await asking
    assert events[-1].attempts == 1
    assert races.observer.hedges == ([] if outcome is None else [outcome])
    assert [step.attributes["outcome"] for step in races.steps.recorded] == ["answered"]
    assert races.open() == []


async def test_who_is_not_well_is_passed_over():
    races = Races("first", "second", "third", "fourth")
    races.pools["second"].places("m")[0].eject(races.health.clock(), "connect")
    races.pools["third"].places("m")[0].slow_down(races.health.clock())
    asking = races.ask()
    (await races.upstream("fourth").asked()).tell(WHOLE)
    assert (await asking)[0].answered_by.upstream == "fourth"
    assert races.outcomes == ["first hedge_lost", "fourth answered"]


async def test_an_only_candidate_is_asked_at_another_of_its_places_as_a_retry():
    races = Races("first", endpoints=2)
    asking = races.ask()
    while not all(races.upstream("first", number).answers for number in (0, 1)):
        await asyncio.sleep(0)
    budget = races.health.upstream("first").budget
    assert (budget.retries, budget.spent) == (1, 1)
    hedge = next(step for step in races.steps.recorded if step.attributes.get("hedge"))
    assert hedge is races.steps.recorded[1]
    for number in (0, 1):
        await races.upstream("first", number).asked()
    races.upstream("first", 1).answers[0].tell(WHOLE)
    assert (await asking)[-1].attempts == 2
    assert (budget.retries, races.open()) == (0, [])


async def test_an_only_candidate_with_one_place_is_not_asked_twice():
    await alone(Races("first"), None)


async def test_where_nobody_else_is_well_nobody_is_asked():
    races = Races()
    races.pools["second"].places("m")[0].slow_down(races.health.clock())
    await alone(races, HedgeOutcome.NO_CANDIDATE)


async def test_a_request_with_side_effects_is_not_hedged():
    await alone(Races(), None, may_hedge=False)


@pytest.mark.parametrize("rule", [WholeAnswers.ALWAYS, WholeAnswers.ALONE])
async def test_an_answer_asked_for_whole_is_not_hedged_and_hedges_none(rule: WholeAnswers):
    races = Races("first", "second", whole_answers=rule)
    if rule is WholeAnswers.ALWAYS:
        await alone(races, None, whole=True)
    else:
        # With another left it is asked for a stream, and so is the hedge.
        asking = races.ask(whole=True)
        _, second = await races.both()
        assert not second.call.whole
        second.tell(WHOLE)
        assert (await asking)[0].answered_by.upstream == "second"


async def test_an_answer_that_will_come_in_one_piece_is_not_hedged():
    races = Races()
    upstream = races.upstream("first")
    ask = upstream.ask

    def whole(call):
        call.whole_expected()
        return ask(call)

    upstream.ask = whole
    await alone(races, None)


async def test_nothing_is_hedged_while_little_is_known_of_the_model():
    races = Races()
    races.hedging._first_tokens.clear()
    await alone(races, None)


async def test_where_less_time_is_left_than_was_waited_nobody_is_asked(monkeypatch):
    monkeypatch.setattr(Batches, "_seconds_left", lambda _: -0.001)
    await alone(Races(), HedgeOutcome.NO_TIME)


async def test_where_as_much_time_is_left_as_was_waited_another_is_asked(monkeypatch):
    monkeypatch.setattr(Batches, "_seconds_left", lambda _: 0.0)
    races = Races()
    asking = races.ask()
    _, second = await races.both()
    second.tell(WHOLE)
    await asking
    assert races.outcomes == ["first hedge_lost", "second answered"]


async def test_a_second_attempt_that_cannot_be_begun_leaves_its_permit_and_nothing_open(monkeypatch):
    begin = Batches._begin_attempt

    def faulty(self, succession, beside=None):
        if beside is not None:
            raise KeyError("ours")
        return begin(self, succession)

    monkeypatch.setattr(Batches, "_begin_attempt", faulty)
    races = Races()
    with pytest.raises(KeyError):
        await races.ask()
    assert races.open() == []


async def test_a_share_that_is_used_up_lets_nobody_ask():
    races = Races(share=1e-6)
    while races.hedging.take():
        pass
    await alone(races, HedgeOutcome.NO_SHARE)


@pytest.mark.parametrize("failing", ["first", "second"])
async def test_while_half_of_the_retry_budget_is_spent_nobody_is_asked_and_the_share_is_kept(failing: str):
    races = Races()
    budget = races.health.upstream(failing).budget
    while budget.is_ample:
        budget.failed()
    await alone(races, HedgeOutcome.NO_BUDGET)
    assert sum(races.hedging.take() for _ in range(20)) == BURST


async def test_a_hedge_never_waits_for_a_permit():
    races = Races()
    gate = races.pools["second"].gate
    assert gate is not None
    for _ in range(ROOM):
        assert gate.try_enter(races.batches()._generation.priority, 0)
    asking = races.ask()
    first = await races.upstream("first").asked()
    await settled()
    assert (len(gate.queue), gate.shed, races.observer.hedges) == (0, 0, [HedgeOutcome.NO_PERMIT])
    assert sum(races.hedging.take() for _ in range(20)) == BURST
    first.tell(WHOLE)
    await asking
    assert gate.in_flight == ROOM


async def test_a_hedge_that_asked_nobody_is_not_counted():
    races = Races()
    asking = races.ask()
    first, second = await races.both()
    second.tell(AttemptFailed(FailureKind.UNSUPPORTED, "seed is not supported", parameter="seed"))
    await settled()
    first.tell(WHOLE)
    assert (await asking)[-1].attempts == 1
    assert sum(races.hedging.take() for _ in range(20)) == BURST


async def test_a_first_attempt_that_asked_nobody_is_not_counted_where_the_second_answers():
    races = Races()
    asking = races.ask()
    first, second = await races.both()
    first.tell(AttemptFailed(FailureKind.UNSUPPORTED, "seed is not supported", parameter="seed"))
    await settled()
    second.tell(WHOLE)
    assert (await asking)[-1].attempts == 1


async def test_who_takes_no_more_than_the_first_is_not_asked_after_the_second_has_broken_off():
    races = Races("first", "second", "small", context_window_tokens=100)
    races.models[1] = Model(races.candidates[1], context_window_tokens=1000)
    asking = races.ask()
    first, second = await races.both()
    first.tell(AttemptFailed(FailureKind.CONTEXT_LENGTH, "too long", max_input_tokens=100))
    await settled()
    second.tell(A)
    await settled()
    second.tell(AttemptFailed(FailureKind.CUT, "cut"))
    await asking
    assert races.upstream("small").answers == []
    assert races.outcomes == ["first context_length", "second cut", "second answered"]


async def test_nothing_is_hedged_once_an_attempt_has_failed():
    races = Races("first", "second", "third")
    asking = races.ask()
    # Before it was late: no second attempt has begun.
    while not races.upstream("first").answers:
        await asyncio.sleep(0)
    first = races.upstream("first").answers[0]
    first.tell(AttemptFailed(TIMEOUT, "silent", stage="headers"))
    second = await races.upstream("second").asked()
    await settled()
    assert races.upstream("third").answers == []
    second.tell(WHOLE)
    await asking
    assert races.outcomes == ["first timeout:headers", "second answered"]
    assert races.observer.hedges == []


# What is learned of who lost.


class Lost:
    """Attempts at the first upstream, on a clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0
        races = Races()
        races.health.clock = lambda: self.now
        self.pool = races.pools["first"]
        self.place = self.pool.places("m")[0]

    def turn(self, seconds: float):
        """Return an attempt that has been waiting for so long."""
        turn = self.pool.turn(UpstreamCall("m", QUESTION, 3.0, lambda: None, lambda: None))
        self.now += seconds
        return turn


async def test_who_loses_is_neither_a_success_nor_a_failure():
    lost = Lost()
    before = lost.place.evidence.answers
    for seconds in (0.0, 0.1, 60.0):
        lost.turn(seconds).outrun()
    evidence = lost.place.evidence
    assert (evidence.answers, evidence.in_a_row, lost.place.latency.peak) == (before, 0, -1.0)
    assert (lost.place.in_flight, lost.place.waiting) == (0, {})


async def test_who_was_slow_when_it_lost_becomes_slow_in_the_end():
    lost = Lost()
    for _ in range(30):
        lost.turn(0.3).answered(Usage(input_tokens=ASKED, output_tokens=1))
    slow = lost.place.latency.slow_after(size_class(ASKED, 0, whole=False), whole=False)
    for _ in range(20):
        lost.turn(slow / 2).outrun()
    assert lost.place.latency.slow_share == 0
    states: list[str] = []
    while len(states) < 10 and "slow" not in states:
        lost.turn(slow * 10).outrun()
        states.append(lost.place.condition.value)
    # Six in a row, as of answers.
    assert states == ["ok"] * 5 + ["slow"]
