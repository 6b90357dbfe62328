"""What a recovery sums up: what came to nothing since each break, and the usage of an answer that two gave."""

from __future__ import annotations

import msgspec
import pytest

from penstock_common.llm.events import Answer
from penstock_common.llm.owed import Owed
from penstock_common.llm.types import (
    Candidate,
    FinishReason,
    GenerationInput,
    JsonSchema,
    Message,
    RecoveryWay,
    Role,
    SamplingParams,
    Started,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    UnitPrices,
    Usage,
)
from penstock_inference.domain.catalogue import Capability, Model
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.recovery import AnswerRecovery

FIRST, SECOND = Candidate(upstream="first", model="m"), Candidate(upstream="second", model="m")
QUESTION = GenerationInput(model="fast", messages=(Message(role=Role.USER, parts=(Text(text="Hi?"),)),))
CUT = AttemptFailed(FailureKind.CUT, "the stream ended")
PREFILL = Model(SECOND, capabilities=frozenset({Capability.CHAT, Capability.PREFILL}))
PRICES = UnitPrices(input_nano_usd=10**9, cached_input_nano_usd=5 * 10**8, output_nano_usd=2 * 10**9)
# Eight tokens, at four bytes a token.
SENT = "The quick brown fox jumps over. "


def recovery_of(*sent, value=QUESTION):
    answer = Answer()
    answer.extend([Started(generation_id="g", answered_by=FIRST), *sent])
    return AnswerRecovery(value, answer, CUT, FIRST), answer


def test_all_that_came_to_nothing_since_a_break_is_summed_up():
    recovery, _ = recovery_of(TextDelta(text=SENT))
    recovery.note_cost(Owed(Usage(input_tokens=5, cached_input_tokens=2, output_tokens=8), PRICES))
    written = Usage(input_tokens=7, cache_write_input_tokens=3, output_tokens=1, reasoning_tokens=1)
    recovery.note_cost(Owed(written, PRICES))
    (made,) = recovery.recoveries()
    assert made.usage == Usage(
        input_tokens=12,
        output_tokens=9,
        cached_input_tokens=2,
        cache_write_input_tokens=3,
        reasoning_tokens=1,
        estimated=True,
    )
    first, second = 3 * 1000 + 2 * 500 + 8 * 2000, 7 * 1000 + 2000
    assert made.cost_nano_usd == recovery.cost_nano_usd == first + second


def test_what_a_second_break_has_cost_is_its_own():
    recovery, _ = recovery_of(TextDelta(text=SENT))
    recovery.note_cost(Owed(Usage(input_tokens=5, output_tokens=8), PRICES))
    recovery.note_break(CUT, SECOND)
    recovery.note_cost(Owed(Usage(input_tokens=1, output_tokens=1), PRICES))
    assert [made.cost_nano_usd for made in recovery.recoveries()] == [21_000, 3_000]
    assert [made.broke for made in recovery.recoveries()] == [FIRST, SECOND]
    assert recovery.cost_nano_usd == 24_000


def test_no_part_of_the_usage_of_a_continued_answer_is_larger_than_its_whole():
    recovery, _ = recovery_of(TextDelta(text=SENT))
    recovery.begin(PREFILL)
    assert recovery.way is RecoveryWay.CONTINUED
    reported = Usage(input_tokens=20, cached_input_tokens=15, cache_write_input_tokens=19, output_tokens=4)
    assert recovery.usage_of(reported) == Usage(
        input_tokens=12, cached_input_tokens=12, cache_write_input_tokens=12, output_tokens=12, estimated=True
    )
    # A server that counts the prompt alone has counted something.
    assert recovery.usage_of(Usage(input_tokens=3, output_tokens=4)).input_tokens == 1


def test_usage_of_an_answer_that_was_given_anew_is_what_was_reported():
    recovery, _ = recovery_of(TextDelta(text=SENT))
    recovery.begin(Model(SECOND))
    reported = Usage(input_tokens=20, output_tokens=4)
    assert (recovery.way, recovery.usage_of(reported)) == (RecoveryWay.REGENERATED, reported)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param([TextDelta(text=" \n")], id="spaces alone"),
        pytest.param([TextDelta(text="Hm"), ToolCallDelta(index=0, id="c", name="look")], id="a call"),
    ],
)
def test_what_no_server_could_go_on_from_is_asked_for_anew(sent):
    recovery, _ = recovery_of(*sent)
    assert recovery.begin(PREFILL) is QUESTION
    assert recovery.way is RecoveryWay.REGENERATED


def test_a_turn_with_calls_is_not_the_one_that_is_gone_on_with():
    calling = Message(role=Role.ASSISTANT, tool_calls=(ToolCall(id="c", name="look", arguments_json="{}"),))
    value = GenerationInput(model="fast", messages=(*QUESTION.messages, calling))
    recovery, _ = recovery_of(TextDelta(text="So"), value=value)
    asked = recovery.begin(PREFILL)
    assert asked.messages == (*value.messages, Message(role=Role.ASSISTANT, parts=(Text(text="So"),)))


def test_a_token_at_least_is_asked_for():
    value = GenerationInput(model="fast", messages=QUESTION.messages, sampling=SamplingParams(max_output_tokens=2))
    recovery, _ = recovery_of(TextDelta(text=SENT), value=value)
    assert recovery.begin(PREFILL).sampling.max_output_tokens == 1


def test_each_candidate_is_asked_both_ways_and_one_that_broke_off_anew():
    recovery, sent = recovery_of(TextDelta(text=SENT))
    recovery.begin(PREFILL)
    refused = AttemptFailed(FailureKind.BAD_REQUEST, "no")
    assert recovery.may_ask_otherwise(refused)
    assert not recovery.may_ask_otherwise(CUT)
    recovery.begin(PREFILL)
    assert recovery.way is RecoveryWay.REGENERATED
    assert not recovery.may_ask_otherwise(refused)
    sent.extend([TextDelta(text="More. ")])
    recovery.note_break(CUT, SECOND)
    recovery.begin(PREFILL)
    assert recovery.way is RecoveryWay.CONTINUED


def test_what_an_attempt_has_written_is_forgotten_with_it():
    recovery, _ = recovery_of(TextDelta(text=SENT))
    recovery.begin(PREFILL)
    recovery.take([TextDelta(text="Well.")])
    assert recovery.has_written
    recovery.begin(PREFILL)
    assert not recovery.has_written


JSON = GenerationInput(model="fast", messages=QUESTION.messages, response_format=JsonSchema(name="a", schema_json="{}"))


def test_json_that_was_cut_by_its_bound_is_no_json_and_no_fault():
    recovery, _ = recovery_of(TextDelta(text='{"a": '), value=JSON)
    recovery.begin(Model(SECOND))
    new = recovery.take([TextDelta(text='{"a": 1')])
    assert recovery.end(new, FinishReason.LENGTH) == [TextDelta(text="1")]
    with pytest.raises(AttemptFailed) as refused:
        recovery.end(new, FinishReason.STOP)
    assert refused.value.kind is FailureKind.DIVERGED


def test_an_answer_that_calls_a_tool_need_be_no_json():
    call = ToolCallDelta(index=0, id="c", name="look", arguments_json_fragment="{}")
    recovery, _ = recovery_of(TextDelta(text="Wait"), value=JSON)
    recovery.begin(Model(SECOND))
    new = recovery.take([TextDelta(text="Wait"), call])
    assert recovery.end(new, FinishReason.STOP) == [call]


def test_parts_that_were_joined_and_do_not_fit_are_nobodys_to_mend():
    recovery, sent = recovery_of(TextDelta(text=SENT))
    diverged = AttemptFailed(FailureKind.DIVERGED, "no")
    recovery.begin(PREFILL)
    assert recovery.is_possible(diverged)
    sent.extend([TextDelta(text="More.")])
    assert not recovery.is_possible(diverged)
    assert recovery.is_possible(CUT)


@pytest.mark.parametrize(
    ("sampling", "possible"),
    [
        (SamplingParams(), True),
        (SamplingParams(choices=1), True),
        (SamplingParams(choices=2), False),
        (SamplingParams(top_logprobs=0), False),
        (SamplingParams(top_logprobs=5), False),
    ],
    ids=["one answer", "one that was asked for", "two answers", "with its probabilities", "with those of others, too"],
)
def test_nobody_goes_on_with_several_answers_or_with_probabilities(sampling, possible):
    value = msgspec.structs.replace(QUESTION, sampling=sampling)
    recovery, _ = recovery_of(TextDelta(text=SENT), value=value)
    assert recovery.is_possible(CUT) is possible


def test_an_attempt_has_given_something_once_the_caller_has_more_than_when_it_began():
    recovery, sent = recovery_of(TextDelta(text=SENT))
    recovery.begin(Model(SECOND))
    recovery.take([TextDelta(text=SENT)])
    assert (recovery.has_written, recovery.has_given) == (True, False)
    sent.extend(recovery.take([TextDelta(text="M")]))
    assert recovery.has_given
    recovery.begin(Model(SECOND))
    assert not recovery.has_given


def test_json_is_asked_for_anew_before_it_is_gone_on_with():
    recovery, _ = recovery_of(TextDelta(text='{"a": '), value=JSON)
    ways = []
    for _ in range(2):
        recovery.begin(PREFILL)
        ways.append(recovery.way)
    assert ways == [RecoveryWay.REGENERATED, RecoveryWay.CONTINUED]


@pytest.mark.parametrize("reason", [FinishReason.STOP, FinishReason.LENGTH])
def test_a_continuation_that_says_nothing_and_stops_is_none(reason):
    recovery, _ = recovery_of(TextDelta(text=SENT))
    recovery.begin(PREFILL)
    if reason is FinishReason.LENGTH:
        # The tokens that were left may not do for one.
        assert recovery.end([], reason) == []
        return
    with pytest.raises(AttemptFailed) as failed:
        recovery.end([], reason)
    assert recovery.may_ask_otherwise(failed.value)
    assert recovery.is_possible(failed.value)
