from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_cache.domain.eligibility import Eligibility
from penstock_common.contract.cache import Probe, probe_of
from penstock_common.llm.events import StreamInvariantError, StreamInvariants
from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationInput,
    Image,
    Message,
    ReasoningDelta,
    Role,
    SamplingParams,
    Started,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
)

Ask = Callable[..., GenerationInput]
POLICY = Eligibility(max_temperature=0.3)
CANDIDATE = Candidate(upstream="openai", model="gpt-4o-mini")
STARTED = Started(generation_id="g", answered_by=CANDIDATE)
STOPPED = Finished(reason=FinishReason.STOP, answered_by=CANDIDATE)
TEXT = TextDelta(text="Yes.")


def _finished(reason: FinishReason) -> Finished:
    return Finished(reason=reason, answered_by=CANDIDATE)


@pytest.mark.parametrize("temperature", [None, 0.0, 0.1, 0.3])
def test_a_request_is_cacheable_up_to_the_temperature_limit(ask: Ask, temperature: float | None) -> None:
    request = msgspec.structs.replace(ask(), sampling=SamplingParams(temperature=temperature))
    assert POLICY.bypass(probe_of(request)).sentence == ""


@pytest.mark.parametrize("temperature", [0.31, 1.0, 2.0, math.nan])
def test_a_request_bypasses_above_the_temperature_limit(ask: Ask, temperature: float) -> None:
    reason = POLICY.bypass(probe_of(ask(temperature=temperature))).sentence
    assert reason == "The temperature is above the cache's limit of 0.3."


@pytest.mark.parametrize(
    "turn",
    [
        Message(role=Role.TOOL, parts=(Text(text="42"),), tool_call_id="c"),
        Message(role=Role.ASSISTANT, tool_calls=(ToolCall(id="c", name="f", arguments_json="{}"),)),
    ],
)
def test_a_request_bypasses_while_tools_are_in_flight(ask: Ask, turn: Message) -> None:
    request = msgspec.structs.replace(ask(), messages=(*ask().messages, turn))
    assert "Tools are in flight" in POLICY.bypass(probe_of(request)).sentence


def test_a_request_that_only_offers_tools_is_cacheable(ask: Ask) -> None:
    assert POLICY.bypass(probe_of(msgspec.structs.replace(ask(), tools=(Tool(name="f"),)))).sentence == ""


@pytest.mark.parametrize(
    ("image", "cacheable"),
    [
        (Image(url="https://example.com/a.png"), False),
        (Image(url="data:image/png;base64,AA"), True),
        (Image(data=b"\x89PNG", media_type="image/png"), True),
    ],
)
def test_an_image_is_cacheable_only_by_its_content(ask: Ask, image: Image, cacheable: bool) -> None:
    request = msgspec.structs.replace(ask(), messages=(Message(role=Role.USER, parts=(image,)),))
    assert (POLICY.bypass(probe_of(request)).sentence == "") is cacheable


@pytest.mark.parametrize(
    "events",
    [
        [STARTED, TEXT, STOPPED],
        [STARTED, TEXT, Usage(output_tokens=2), STOPPED],
        [STARTED, ReasoningDelta(text="Hm."), TEXT, Usage(output_tokens=2, estimated=True), STOPPED],
        [STARTED, TEXT, TEXT, STOPPED],
    ],
)
def test_a_complete_clean_answer_is_stored(ask: Ask, events: Sequence[GenerationEvent]) -> None:
    assert POLICY.refusal_reason(probe_of(ask(max_output_tokens=100)), events) == ""


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([], "not a complete stream"),
        ([STARTED, TEXT], "not a complete stream"),
        ([TEXT, STOPPED], "not a complete stream"),
        ([STARTED, TEXT, STOPPED, TEXT], "not a complete stream"),
        ([STARTED, STARTED, TEXT, STOPPED], "not a complete stream"),
        ([STARTED, TextDelta(text=""), STOPPED], "not a complete stream"),
        ([STARTED, TEXT, Usage(), TEXT, STOPPED], "not a complete stream"),
        ([STARTED, TEXT, _finished(FinishReason.LENGTH)], "did not finish with stop"),
        ([STARTED, TEXT, _finished(FinishReason.CONTENT_FILTER)], "did not finish with stop"),
        ([STARTED, TEXT, _finished(FinishReason.TOOL_CALLS)], "did not finish with stop"),
        ([STARTED, TEXT, ToolCallDelta(index=0, id="c", name="f"), STOPPED], "calls tools"),
        ([STARTED, STOPPED], "no text"),
        ([STARTED, TextDelta(text=" \n"), STOPPED], "no text"),
        ([STARTED, ReasoningDelta(text="Hm."), STOPPED], "no text"),
        ([STARTED, TEXT, Usage(output_tokens=100, estimated=True), STOPPED], "may be cut"),
    ],
)
def test_an_incomplete_or_unclean_answer_is_refused(ask: Ask, events: Sequence[GenerationEvent], reason: str) -> None:
    refusal = POLICY.refusal_reason(probe_of(ask(max_output_tokens=100)), events)
    assert reason in refusal
    assert refusal.endswith(".")


EVENTS = st.sampled_from(
    [
        STARTED,
        TEXT,
        TextDelta(text=""),
        ReasoningDelta(text="Hm."),
        ToolCallDelta(index=0, id="c", name="f"),
        Usage(output_tokens=2),
        STOPPED,
    ]
)


@given(st.lists(EVENTS, max_size=5) | st.permutations([STARTED, TEXT, Usage(), STOPPED]))
def test_nothing_is_stored_that_breaks_the_contract_of_a_stream(events: Sequence[GenerationEvent]) -> None:
    """The shape that most answers have is recognised at once; it must be the contract's all the same."""
    turn = Message(role=Role.USER, parts=(Text(text="Hi?"),))
    refusal = POLICY.refusal_reason(probe_of(GenerationInput(model="fast", messages=(turn,))), events)
    invariants = StreamInvariants()
    try:
        for event in events:
            invariants.observe(event)
        invariants.end()
    except StreamInvariantError:
        assert "not a complete stream" in refusal
    else:
        assert "not a complete stream" not in refusal


@pytest.mark.parametrize(("caches", "bypasses"), [(True, False), (False, True)])
def test_an_unset_temperature_is_cached_or_not_as_the_configuration_says(caches, bypasses):
    policy = Eligibility(max_temperature=0.3, caches_unset_temperature=caches)
    assert bool(policy.bypass(Probe(digest=b"d")).sentence) is bypasses
    assert not policy.bypass(Probe(digest=b"d", temperature=0)).sentence
    assert policy.bypass(Probe(digest=b"d", temperature=1)).sentence
