"""From the chunks of a chat completion to our events, whatever a vendor's dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock_common.llm.types import FinishReason, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from penstock_inference.adapters.providers.openai.stream import CompletionStream
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Stopped, Unread, UpstreamEvent


def sse(document: Any) -> bytes:
    """Return an event with this data."""
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def chunk(delta: dict[str, Any] | None = None, **choice: Any) -> bytes:
    """Return a chunk with this delta."""
    return sse({"choices": [{"index": 0, "delta": delta, **choice}]})


def read(*data: bytes) -> list[UpstreamEvent]:
    """Return the events of these reads, but for what nobody reads of them."""
    stream = CompletionStream()
    return [event for piece in data for event in stream.feed(piece) if not isinstance(event, Unread)]


CALLED = chunk({}, finish_reason="tool_calls")


def call(**piece: Any) -> bytes:
    """Return a chunk with one fragment of a tool call."""
    return chunk({"tool_calls": [piece]})


def test_neighbouring_deltas_of_one_read_are_one() -> None:
    assert read(chunk({"content": "a"}) + chunk({"content": "b"}), chunk({"content": "c"})) == [
        TextDelta(text="ab"),
        TextDelta(text="c"),
    ]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_has_two_names(field: str) -> None:
    assert read(chunk({field: "Hm."}) + chunk({"content": "Hi"})) == [ReasoningDelta(text="Hm."), TextDelta(text="Hi")]


def test_a_refusal_is_text_that_says_so() -> None:
    assert read(chunk({"refusal": "No"}) + chunk({"refusal": "."}), chunk({"content": "But"})) == [
        TextDelta(text="No.", is_refusal=True),
        TextDelta(text="But"),
    ]


@pytest.mark.parametrize(
    "lifecycle",
    [
        chunk({"role": "assistant", "content": ""}),
        chunk({"role": "assistant", "content": None}),
        chunk(None),
        sse({"choices": []}),
        sse({"choices": None}),
        sse({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}),
        sse({"choices": [{"index": 0, "delta": {}, "finish_reason": None}], "error": None, "usage": None}),
        sse({"choices": [{"index": 1, "delta": {"content": "the second of two"}}]}),
        b": ping\n\n",
    ],
)
def test_what_carries_no_content_is_held_back(lifecycle: bytes) -> None:
    assert read(lifecycle) == []


def test_tool_calls_keep_their_id_and_name_on_the_first_fragment() -> None:
    events = read(
        call(index=0, id="c0", type="function", function={"name": "f", "arguments": ""}),
        call(index=0, function={"arguments": '{"a"'}),
        call(index=0, id="c0", function={"name": "f", "arguments": ":1}"}),
        call(index=1, id="c1", function={"name": "g", "arguments": "{}"}),
        CALLED,
    )
    assert events == [
        # Whether id and name are whole is known as soon as arguments come without them.
        ToolCallDelta(index=0, id="c0", name="f", arguments_json_fragment='{"a"'),
        ToolCallDelta(index=0, arguments_json_fragment=":1}"),
        ToolCallDelta(index=1, id="c1", name="g", arguments_json_fragment="{}"),
        Stopped(FinishReason.TOOL_CALLS),
    ]


def test_tool_calls_without_an_index_are_told_apart_by_their_id() -> None:
    events = read(
        call(id="c0", function={"name": "f", "arguments": ""}),
        call(function={"arguments": "{}"}),
        call(id="c1", function={"name": "f", "arguments": "[]"}),
        CALLED,
    )
    assert [(event.index, event.id) for event in events if isinstance(event, ToolCallDelta)] == [(0, "c0"), (1, "c1")]


def test_parallel_tool_calls_of_one_index_are_told_apart_by_their_id() -> None:
    first = call(index=0, id="a", function={"name": "f", "arguments": "{}"})
    second = call(index=0, id="b", function={"name": "f", "arguments": "[]"})
    assert read(first, second, CALLED) == [
        ToolCallDelta(index=0, id="a", name="f", arguments_json_fragment="{}"),
        ToolCallDelta(index=1, id="b", name="f", arguments_json_fragment="[]"),
        Stopped(FinishReason.TOOL_CALLS),
    ]


def test_a_tool_call_without_an_id_is_given_one() -> None:
    event, _ = read(call(index=0, function={"name": "f", "arguments": "{}"}), CALLED)
    assert isinstance(event, ToolCallDelta)
    assert event.id.startswith("call_")


def test_usage_with_every_detail() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert read(sse({"choices": [], "usage": usage})) == [
        Usage(input_tokens=9, output_tokens=5, cached_input_tokens=4, cache_write_input_tokens=1, reasoning_tokens=3)
    ]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("eos", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("model_length", FinishReason.LENGTH),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("function_call", FinishReason.TOOL_CALLS),
        ("content_filter", FinishReason.CONTENT_FILTER),
    ],
)
def test_finish_reasons(word: str, reason: FinishReason) -> None:
    assert read(chunk({}, finish_reason=word)) == [Stopped(reason)]


def test_the_stop_string_that_matched_is_told() -> None:
    assert read(chunk({"content": "Hi"}, finish_reason="stop", stop_reason="END")) == [
        TextDelta(text="Hi"),
        Stopped(FinishReason.STOP, "END"),
    ]


@pytest.mark.parametrize("word", ["abort", "error", "insufficient_system_resource"])
def test_a_word_for_a_broken_answer_is_no_finish_reason(word: str) -> None:
    with pytest.raises(AttemptFailed) as failed:
        read(chunk({}, finish_reason=word))
    assert failed.value.kind is FailureKind.CUT


def test_nothing_after_done_is_read() -> None:
    stream = CompletionStream()
    assert stream.feed(b"data: [DONE]\n\n" + chunk({"content": "late"})) == []
    assert stream.done


@pytest.mark.parametrize(
    "document",
    [
        {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5, "cached_tokens": 4}},
        {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5, "prompt_cache_hit_tokens": 4}},
        {"choices": [], "usage": {"prompt_tokens": 9.0, "completion_tokens": 5, "prompt_cache_hit_tokens": "4"}},
        {
            "choices": [],
            "x_groq": {"id": "r", "usage": {"prompt_tokens": 9, "completion_tokens": 5, "cached_tokens": 4}},
        },
        {
            "id": 7,
            "choices": {},
            "x_groq": {"usage": {"prompt_tokens": 9, "completion_tokens": "5", "cached_tokens": 4}},
        },
    ],
)
def test_usage_stands_in_several_places(document: dict[str, Any]) -> None:
    assert read(sse(document)) == [Usage(input_tokens=9, output_tokens=5, cached_input_tokens=4)]


def test_reasoning_that_only_the_total_counts_is_output() -> None:
    (usage,) = read(sse({"choices": [], "usage": {"prompt_tokens": 8, "completion_tokens": 5, "total_tokens": 313}}))
    assert usage == Usage(input_tokens=8, output_tokens=305, reasoning_tokens=300)
