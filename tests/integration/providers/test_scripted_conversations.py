"""One set of conversations over every provider, streamed and whole, on its own wire."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from penstock_common import errors
from penstock_common.llm.types import FinishReason, TextDelta, UnsupportedFields
from penstock_faults.named import SCRIPTS, SEEN
from penstock_faults.script import TEXT, Answer, Refusal
from penstock_inference.adapters.providers.carried import How, uses_of
from penstock_inference.adapters.providers.registry import PROVIDERS

sys.path.insert(0, str(Path(__file__).parent))

from conversations import CONVERSATIONS, Conversation  # noqa: E402
from wires import ELSEWHERE, WIRES, as_document, table_of  # noqa: E402

DROP = UnsupportedFields.DROP
EVERY = pytest.mark.parametrize("provider", WIRES)
MODES = pytest.mark.parametrize("whole", [False, True], ids=["streamed", "whole"])


def test_every_provider_has_a_wire_and_a_table():
    assert {wire.provider or name for name, wire in WIRES.items()} | ELSEWHERE == PROVIDERS.keys()
    for provider in WIRES:
        assert table_of(provider)


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=str)
@MODES
@EVERY
async def test_a_conversation(provider: str, whole: bool, conversation: Conversation, stage_of):
    wire, stage = WIRES[provider], await stage_of(provider)
    stage.plays(conversation.answer)
    outcome = await stage.caller.ask("first/m", value=conversation.input, whole=whole)
    untold = [use for use in uses_of(conversation.input) if table_of(provider)[use].how is How.NO]
    if untold:
        assert isinstance(outcome.error, errors.UnsupportedParameter)
        outcome = await stage.caller.ask("first/m", value=conversation.input, whole=whole, unsupported=DROP)
        assert outcome.answer.started.dropped == tuple(use.value for use in untold)
    assert outcome.error is None
    answer = outcome.answer
    assert answer.text == conversation.text
    assert answer.reasoning == conversation.reasoning
    calls = [(call.id if wire.ids else "", call.name, as_document(call.arguments_json)) for call in answer.tool_calls]
    assert calls == [(one if wire.ids else "", name, arguments) for one, name, arguments in conversation.calls]
    _check_end(wire, conversation, answer)
    asked = stage.last
    assert stage.server.record.requests == [asked]
    assert asked.streams is not whole
    for word in conversation.holds if not untold else ():
        assert word in json.dumps(asked.body, ensure_ascii=False), word


def _check_end(wire, conversation, answer):
    finished, usage = answer.finished, answer.usage
    filtered = conversation.reason is FinishReason.CONTENT_FILTER and not wire.filters
    assert finished.reason is (FinishReason.STOP if filtered else conversation.reason)
    if wire.matched_stop:
        assert finished.matched_stop == conversation.answer.matched_stop
    assert not usage.estimated
    if not conversation.usage:
        assert (usage.input_tokens, usage.output_tokens) == (7, sum(_pieces(conversation.answer)))
        return
    said = conversation.usage
    assert (usage.input_tokens, usage.output_tokens) == (said["input"], said["output"])
    for name, counted in (
        ("cached", usage.cached_input_tokens),
        ("written", usage.cache_write_input_tokens),
        ("written_1h", usage.cache_write_1h_input_tokens),
        ("reasoning", usage.reasoning_tokens),
    ):
        assert counted == (said[name] if name in wire.counts else 0), name


def _pieces(answer: Answer) -> list[int]:
    return [len(answer.tokens), len(answer.reasoning), *(len(call.fragments) for call in answer.tool_calls)]


@MODES
@EVERY
async def test_a_refusal_is_told(provider: str, whole: bool, stage_of):
    wire, stage = WIRES[provider], await stage_of(provider)
    details = {"category": "cyber", "explanation": "It may be misused."}
    stage.plays(Answer(blocks=(Refusal(pieces=("I ", "will not.")),), finish_reason="content_filter", details=details))
    outcome = await stage.caller.ask("first/m", whole=whole)
    assert outcome.error is None
    assert outcome.answer.text == "I will not."
    assert outcome.answer.is_refusal is wire.refusals
    if wire.filters:
        assert outcome.answer.finished.reason is FinishReason.CONTENT_FILTER
    if wire.details:
        told = outcome.answer.finished.stop_details
        assert told.explanation == details["explanation"]


@MODES
@EVERY
async def test_a_filter_that_refuses_is_no_fault_of_the_upstream(provider: str, whole: bool, stage_of):
    stage = await stage_of(provider)
    stage.plays(SCRIPTS["content-filter"])
    outcome = await stage.caller.ask("first/m", whole=whole)
    if WIRES[provider].filters:
        assert isinstance(outcome.error, errors.ContentRefused)
    else:
        assert outcome.error is not None
    assert len(stage.server.record.requests) == 1


BEFORE = {
    "503": errors.UpstreamFailed,
    "529": errors.UpstreamFailed,
    "401": errors.UpstreamFailed,
    "error-first": errors.UpstreamFailed,
    "error-object": errors.UpstreamFailed,
    "context-length": errors.ContextLengthExceeded,
    "429-a-minute": errors.RateLimited,
}


@pytest.mark.parametrize("script", BEFORE)
@MODES
@EVERY
async def test_an_error_before_the_answer(provider: str, whole: bool, script: str, stage_of):
    stage = await stage_of(provider)
    stage.plays(SCRIPTS[script])
    outcome = await stage.caller.ask("first/m", whole=whole)
    assert type(outcome.error) is BEFORE[script]
    assert not outcome.events
    if isinstance(outcome.error, errors.RateLimited):
        assert 55 <= outcome.error.retry_after.total_seconds() <= 60


@EVERY
async def test_an_error_within_the_stream(provider: str, stage_of):
    stage = await stage_of(provider)
    stage.plays(SCRIPTS["error-event"])

    def seen(answer):
        if answer.text:
            stage.gates.open(SEEN)

    outcome = await stage.caller.ask("first/m", seen=seen)
    assert isinstance(outcome.error, errors.UpstreamFailed)
    assert outcome.answer.text
    assert TEXT.startswith(outcome.answer.text)
    assert outcome.answer.finished is None


@EVERY
async def test_signs_of_life_are_no_part_of_the_answer(provider: str, stage_of):
    stage = await stage_of(provider)
    stage.plays(SCRIPTS["pings"])
    outcome = await stage.caller.ask("first/m")
    assert outcome.error is None
    assert outcome.answer.text == TEXT
    assert all(not isinstance(event, TextDelta) or event.text for event in outcome.events)
