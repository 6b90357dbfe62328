"""Answers of several choices: any split of a stream says the same, and each choice is whole or none is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.llm.events import Answer
from penstock_common.llm.types import (
    ChoiceFinished,
    FinishReason,
    GenerationInput,
    SamplingParams,
    Tool,
    Usage,
)
from penstock_inference.adapters.providers.openai.choices import ChoicesReader, are_asked_for
from penstock_inference.adapters.providers.openai.reader import whole_answer
from penstock_inference.adapters.providers.openai.stream import CompletionStream
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Stopped, UpstreamEvent

TOKEN = {"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": []}
TWO = GenerationInput(model="m", messages=(), sampling=SamplingParams(choices=2, top_logprobs=0))
DONE = b"data: [DONE]\n\n"


def frame(*choices: dict[str, Any], **more: Any) -> bytes:
    return b"data: " + json.dumps({"choices": choices, **more}).encode() + b"\n\n"


def piece(index: int, text: str = "", **more: Any) -> dict[str, Any]:
    return {"index": index, "delta": {"content": text}, **more}


STREAM = (
    frame(piece(0, "o", logprobs={"content": [TOKEN]}), piece(1, "t"))
    + b": ping\n\n"
    + frame(piece(1, "wo"))
    + frame(piece(0, "ne", logprobs={"content": [TOKEN]}))
    + frame(piece(0, finish_reason="stop"))
    + frame(piece(1, finish_reason="length"))
    + frame(usage={"prompt_tokens": 3, "completion_tokens": 4})
    + DONE
)


def summed(events: list[UpstreamEvent]) -> tuple[Answer, list[Stopped], list[Usage]]:
    answer = Answer()
    stops: list[Stopped] = []
    for event in events:
        if isinstance(event, Stopped):
            stops.append(event)
        else:
            answer.add(event)
    return answer, stops, [event for event in events if isinstance(event, Usage)]


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_any_split_of_a_stream_says_the_same(cuts: list[int]) -> None:
    stream, events = CompletionStream(ChoicesReader(TWO)), list[UpstreamEvent]()
    edges = [0, *sorted(cuts), len(STREAM)]
    for start, end in zip(edges, edges[1:], strict=False):
        events += stream.feed(STREAM[start:end])
    answer, stops, usage = summed(events)
    (other,) = answer.more
    assert (answer.text, other.text, other.reason) == ("one", "two", FinishReason.LENGTH)
    assert json.loads(answer.logprobs_json) == [TOKEN, TOKEN]
    assert not other.logprobs
    assert [(stop.reason, stream.done) for stop in stops] == [(FinishReason.STOP, True)]
    assert [use.output_tokens for use in usage] == [4]


def test_the_first_choices_end_waits_for_the_others() -> None:
    stream = CompletionStream(ChoicesReader(TWO))
    assert not [event for event in stream.feed(frame(piece(0, finish_reason="stop"))) if isinstance(event, Stopped)]
    events = stream.feed(frame(piece(1, finish_reason="stop")))
    assert [type(event) for event in events] == [ChoiceFinished, Stopped]


@pytest.mark.parametrize(
    "last", [frame(piece(0, finish_reason="stop")) + DONE, frame(piece(2, "x")), frame(piece(-1, "x")), frame(piece("2", "x"))]
)  # fmt: skip
def test_another_number_of_choices_is_no_answer(last: bytes) -> None:
    with pytest.raises(AttemptFailed) as failed:
        CompletionStream(ChoicesReader(TWO)).feed(last)
    assert failed.value.kind is FailureKind.MALFORMED


def test_an_error_in_band_is_one() -> None:
    with pytest.raises(AttemptFailed):
        CompletionStream(ChoicesReader(TWO)).feed(b'data: {"error": {"message": "broken", "code": 500}}\n\n')
    with pytest.raises(AttemptFailed):
        whole_answer(b'{"error": {"message": "broken"}}', ChoicesReader(TWO))


def test_probabilities_that_cannot_be_read_cost_no_answer() -> None:
    for odd in ("x", {"content": "x"}, {"content": [{"token": 1}]}, {"content": [None]}, None):
        choices = [
            {"index": index, "message": {"content": "a"}, "finish_reason": "stop", "logprobs": odd} for index in (0, 1)
        ]
        answer, _, _ = summed(whole_answer(json.dumps({"choices": choices}).encode(), ChoicesReader(TWO)))
        assert (answer.text, answer.logprobs) == ("a", [])


CUSTOM = GenerationInput(model="m", messages=(), tools=(Tool(name="run", custom_json="{}"),))


def custom(name: str | None, *inputs: str) -> list[dict[str, Any]]:
    """Return the pieces of a call of a custom tool; the first has its name and id."""
    head: list[dict[str, Any]] = [{"index": 0, "id": "c", "type": "custom", "custom": {"name": name, "input": ""}}]
    return [*head, *({"index": 0, "custom": {"input": text}} for text in inputs)]


@pytest.mark.parametrize("inputs", [(), ("{}", "{}"), ("[1]", "[1]"), ("{", "}"), ("ls ", "-l"), ("{}", "{ }")])
def test_free_text_is_told_as_it_came_whatever_it_looks_like(inputs: tuple[str, ...]) -> None:
    frames = [frame({"index": 0, "delta": {"tool_calls": [piece]}}) for piece in custom("run", *inputs)]
    stream = b"".join([*frames, frame({"index": 0, "delta": {}, "finish_reason": "tool_calls"}), DONE])
    answer, _, _ = summed(CompletionStream(ChoicesReader(CUSTOM)).feed(stream))
    (call,) = answer.tool_calls
    assert (call.id, call.name, call.arguments_json, call.is_custom) == ("c", "run", "".join(inputs), True)


def test_probabilities_of_a_cut_pair_come_once_in_their_order() -> None:
    asked = GenerationInput(model="m", messages=(), sampling=SamplingParams(top_logprobs=0))
    tokens = [{**TOKEN, "token": name} for name in "ab"]
    halves = [json.dumps({"choices": [piece(0, "HALF", logprobs={"content": [token]})]}).encode() for token in tokens]
    frames = [
        b"data: " + one.replace(b"HALF", half) + b"\n\n"
        for one, half in zip(halves, (rb"\ud83d", rb"\ude00"), strict=True)
    ]
    events = CompletionStream(ChoicesReader(asked)).feed(
        b"".join(frames) + frame(piece(0, finish_reason="stop")) + DONE
    )
    answer, _, _ = summed(events)
    assert (answer.text, json.loads(answer.logprobs_json)) == ("\U0001f600", tokens)


def test_few_answers_are_read_like_this() -> None:
    usual = GenerationInput(model="m", messages=(), tools=(Tool(name="f"),))
    assert not are_asked_for(usual)
    assert are_asked_for(TWO)
    assert are_asked_for(GenerationInput(model="m", messages=(), tools=(Tool(name="f", custom_json="{}"),)))
