"""What Anthropic's Messages API answers: every kind of block, end and error, streamed in every way and whole."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.llm.events import Answer, merge_deltas
from penstock_common.llm.types import (
    FinishReason,
    Message,
    Opaque,
    OpaqueDelta,
    Reasoning,
    ReasoningDelta,
    Role,
    StopDetails,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from penstock_common.testing import anthropic_answers as answers
from penstock_inference.adapters.providers.anthropic.stream import MessageStream, whole_answer
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Stopped, Unread, UpstreamEvent

CUSTOM = frozenset({"python"})
RECORDED = b"""event: message_start
data: {"type":"message_start","message":{"model":"claude-x","id":"msg_01","type":"message","role":"assistant","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"cache_creation_input_tokens":30,"cache_read_input_tokens":200,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":1,"service_tier":"standard","inference_geo":"global"}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"I should "}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"look \xe2\x80\x94 twice."}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQBCgIYAhIM"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"ZW5j"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"Let me"}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":" see."}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: content_block_start
data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_01","name":"weather","input":{},"caller":{"type":"direct"}}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\\"zip\\": 1"}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"50, \\"at\\": 1.50}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":3}

event: content_block_start
data: {"type":"content_block_start","index":4,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":4,"delta":{"type":"signature_delta","signature":"c2Vjb25k"}}

event: content_block_stop
data: {"type":"content_block_stop","index":4}

event: content_block_start
data: {"type":"content_block_start","index":5,"content_block":{"type":"tool_use","id":"toolu_02","name":"now","input":{}}}

event: content_block_stop
data: {"type":"content_block_stop","index":5}

event: content_block_start
data: {"type":"content_block_start","index":6,"content_block":{"type":"tool_use","id":"toolu_03","name":"python","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":6,"delta":{"type":"input_json_delta","partial_json":"{\\"input\\": \\"print(\\\\\\"a"}}

event: content_block_delta
data: {"type":"content_block_delta","index":6,"delta":{"type":"input_json_delta","partial_json":"\\\\\\")\\"}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":6}

event: of_tomorrow
data: no JSON at all

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":3,"cache_creation_input_tokens":30,"cache_read_input_tokens":200,"output_tokens":89,"output_tokens_details":{"thinking_tokens":40}}}

event: message_stop
data: {"type":"message_stop"}

"""
PARTS = [
    ReasoningDelta(text="I should look — twice.", signature=b"EqQBCgIYAhIM"),
    ReasoningDelta(hidden=b"ZW5j"),
    TextDelta(text="Let me see."),
    ToolCallDelta(
        index=0,
        id="toolu_01",
        name="weather",
        arguments_json_fragment='{"zip": 150, "at": 1.50}',
    ),
    ReasoningDelta(signature=b"c2Vjb25k"),
    ToolCallDelta(index=1, id="toolu_02", name="now", arguments_json_fragment="{}"),
    ToolCallDelta(index=2, id="toolu_03", name="python", arguments_json_fragment='print("a")', is_custom=True),
]
USAGE = Usage(
    input_tokens=233,
    output_tokens=89,
    cached_input_tokens=200,
    cache_write_input_tokens=30,
    cache_write_1h_input_tokens=20,
    reasoning_tokens=40,
)
STOPPED = Stopped(FinishReason.TOOL_CALLS, service_tier="standard")


def read(pieces: Iterable[bytes], stream: MessageStream | None = None) -> list[UpstreamEvent]:
    stream = stream or MessageStream(CUSTOM)
    events: list[UpstreamEvent] = []
    for piece in pieces:
        if not stream.done:
            events += stream.feed(piece)
    return [*events, *([] if stream.done else stream.end())]


def told(events: list[UpstreamEvent]) -> tuple[list[Any], Usage | None, Stopped | None]:
    """Return the content, merged, and the last usage and end."""
    usages: list[Any] = [event for event in events if isinstance(event, Usage)]
    ends = [event for event in events if isinstance(event, Stopped)]
    content: list[Any] = [event for event in events if not isinstance(event, Usage | Stopped | Unread)]
    return merge_deltas(content), (usages or [None])[-1], (ends or [None])[-1]


def in_sizes(data: bytes, *sizes: int) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [*pieces, data[at:]]


def of_content(*blocks: dict[str, Any], **more: Any) -> list[UpstreamEvent]:
    """Return the events of an answer, after checking that it gives the same streamed, in pieces, and whole."""
    message = answers.Message(content=blocks, **more)
    frames = list(message.streamed().frames)
    events = read(frames)
    assert told(read([b"".join(frames)])) == told(events)
    assert told(whole_answer(message.whole().frames[0], CUSTOM)) == told(events)
    return events


def turn_of(events: list[UpstreamEvent]) -> Message:
    answer = Answer()
    for event in told(events)[0]:
        answer.add(event)
    return answer.message()


# The recorded stream.


@pytest.mark.parametrize("size", [1, 2, 7, 64, 1000, len(RECORDED)])
def test_a_recorded_stream_is_read_alike_in_pieces_of_any_size(size: int):
    pieces = [RECORDED[at : at + size] for at in range(0, len(RECORDED), size)]
    assert told(read(pieces)) == (PARTS, USAGE, STOPPED)


def test_a_recorded_stream_is_read_alike_event_by_event():
    stream = MessageStream(CUSTOM)
    assert told(read([event + b"\n\n" for event in RECORDED.split(b"\n\n")], stream)) == (PARTS, USAGE, STOPPED)
    assert stream.done


@given(st.lists(st.integers(0, 400), max_size=40), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_a_recorded_stream_is_read_alike_however_it_is_cut(sizes: list[int], line_end: bytes):
    assert told(read(in_sizes(RECORDED.replace(b"\n", line_end), *sizes))) == (PARTS, USAGE, STOPPED)


def test_input_tokens_are_known_from_the_start():
    (usage,) = MessageStream().feed(RECORDED[: RECORDED.index(b"event: content_block_start")])
    assert usage == Usage(
        input_tokens=233, output_tokens=1, cached_input_tokens=200, cache_write_input_tokens=30, cache_write_1h_input_tokens=20
    )  # fmt: skip


def test_the_turn_keeps_the_order_of_its_blocks():
    answer = Answer()
    for event in PARTS:
        answer.add(event)
    assert answer.message() == Message(
        role=Role.ASSISTANT,
        parts=(
            Reasoning(text="I should look — twice.", signature=b"EqQBCgIYAhIM"),
            Reasoning(hidden=b"ZW5j"),
            Text(text="Let me see."),
            Reasoning(signature=b"c2Vjb25k"),
        ),
        tool_calls=(
            ToolCall(
                id="toolu_01",
                name="weather",
                arguments_json='{"zip": 150, "at": 1.50}',
                parts_before=3,
            ),
            ToolCall(id="toolu_02", name="now", arguments_json="{}"),
            ToolCall(id="toolu_03", name="python", arguments_json='print("a")', is_custom=True),
        ),
    )


@pytest.mark.parametrize("cut", range(0, len(RECORDED), 97))
def test_a_stream_that_is_cut_has_no_end(cut: int):
    end = RECORDED.index(b"event: message_stop")
    stream = MessageStream(CUSTOM)
    _, _, stopped = told(read([RECORDED[:cut]], stream))
    assert not stream.done
    assert (stopped is not None) is (cut >= end)


def test_an_end_without_the_last_event_is_one():
    stream = MessageStream(CUSTOM)
    assert told(read([RECORDED[: RECORDED.index(b"event: message_stop")]], stream)) == (PARTS, USAGE, STOPPED)


# Blocks.


def test_a_custom_tools_call_that_is_of_no_such_form_stays_as_it_is():
    for written in ({"text": "a"}, {"input": 7}):
        events = of_content({"type": "tool_use", "id": "t", "name": "python", "input": written}, stop_reason="tool_use")
        assert json.loads(told(events)[0][0].arguments_json_fragment) == written


def test_arguments_that_come_with_the_start_alone_are_taken():
    start = {"type": "content_block_start", "index": 0,
             "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}}  # fmt: skip
    events = read([answers.event(start), answers.event({"type": "content_block_stop", "index": 0})])
    assert told(events)[0] == [ToolCallDelta(index=0, id="t", name="f", arguments_json_fragment='{"a":1}')]


def test_what_made_a_call_goes_with_it_where_it_was_not_the_model():
    caller = {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}, "caller": caller, "toolset_name": None}
    (event,) = told(of_content(call, stop_reason="tool_use"))[0]
    assert json.loads(event.extra_json) == {"caller": caller}


CITATION = {"type": "char_location", "cited_text": "é", "document_index": 0, "start_char_index": 1, "end_char_index": 2}
OTHER = {"type": "web_search_result_location", "url": "https://x", "cited_text": "y"}


def test_citations_belong_to_the_text_of_their_block():
    events = of_content(
        {"type": "text", "text": "As they say, "},
        {"type": "text", "text": "it is so", "citations": [CITATION, OTHER]},
        {"type": "text", "text": "."},
        {"type": "text", "text": " And so on."},
    )
    parts = turn_of(events).parts
    assert [part.text for part in parts if isinstance(part, Text)] == ["As they say, ", "it is so", ".", " And so on."]
    cited = parts[1]
    assert isinstance(cited, Text)
    assert json.loads(cited.citations_json) == [CITATION, OTHER]
    assert "é" in cited.citations_json
    assert [part.citations_json for part in parts if isinstance(part, Text)][::2] == ["[]", "[]"]


def test_a_single_text_is_told_without_any_end():
    assert told(of_content({"type": "text", "text": "Hello, world."}))[0] == [TextDelta(text="Hello, world.")]


def test_blocks_of_the_providers_own_are_kept_whole():
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x", "b": 1}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result"}]}
    unknown = {"type": "of_tomorrow", "z": 1, "a": [2.50]}
    events = of_content(search, found, {"type": "text", "text": "So."}, unknown)
    blocks = [event.block for event in told(events)[0] if isinstance(event, OpaqueDelta)]
    assert blocks == [Opaque(format="anthropic", json=json.dumps(block, separators=(",", ":")))
                      for block in (search, found, unknown)]  # fmt: skip
    assert [type(part) for part in turn_of(events).parts] == [Opaque, Opaque, Text, Opaque]


def test_pieces_of_a_block_that_nobody_knows_make_it_whole():
    def delta(**more: Any) -> bytes:
        return answers.event({"type": "content_block_delta", "index": 0, "delta": more})

    start = {"type": "content_block_start", "index": 0,
             "content_block": {"type": "compaction", "content": None, "list": [1], "citations": None}}  # fmt: skip
    events = read(
        [
            answers.event(start),
            delta(type="compaction_delta", content="Summed "),
            delta(type="compaction_delta", content="up.", list=[2]),
            delta(type="citations_delta", citation={"a": 1}),
            answers.event({"type": "content_block_stop", "index": 0}),
        ]
    )
    (event,) = told(events)[0]
    assert json.loads(event.block.json) == {
        "type": "compaction",
        "content": "Summed up.",
        "list": [1, 2],
        "citations": [{"a": 1}],
    }


def test_a_block_that_is_larger_than_can_be_kept_is_refused():
    start = answers.event({"type": "content_block_start", "index": 0, "content_block": {"type": "x", "content": ""}})
    piece = answers.event(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "x_delta", "content": "a" * 300_000}}
    )
    with pytest.raises(AttemptFailed) as caught:
        read([start, *[piece] * 4])
    assert caught.value.kind is FailureKind.OVERSIZE


# Ends.


@pytest.mark.parametrize(
    ("word", "reason", "details"),
    [
        ("end_turn", FinishReason.STOP, None),
        ("max_tokens", FinishReason.LENGTH, None),
        ("model_context_window_exceeded", FinishReason.LENGTH, StopDetails(word="model_context_window_exceeded")),
        ("pause_turn", FinishReason.LENGTH, StopDetails(word="pause_turn")),
        ("refusal", FinishReason.CONTENT_FILTER, StopDetails(word="refusal")),
        ("tool_use", FinishReason.TOOL_CALLS, None),
        ("of_tomorrow", FinishReason.STOP, StopDetails(word="of_tomorrow")),
    ],
)
def test_every_end(word: str, reason: FinishReason, details: StopDetails | None):
    _, _, stopped = told(of_content({"type": "text", "text": "Hm"}, stop_reason=word))
    assert stopped == Stopped(reason, details=details)


def test_a_stop_string_that_matched_is_told():
    _, _, stopped = told(of_content({"type": "text", "text": "Hm"}, stop_reason="stop_sequence", stop_sequence="END"))
    assert stopped == Stopped(FinishReason.STOP, "END")


@pytest.mark.parametrize("content", [(), ({"type": "text", "text": "It is"},)])
def test_a_refusal_says_of_what_and_why(content: tuple[dict[str, Any], ...]):
    said = {"type": "refusal", "category": "cyber", "explanation": "It could harm."}
    _, _, stopped = told(of_content(*content, stop_reason="refusal", stop_details=said))
    assert stopped == Stopped(
        FinishReason.CONTENT_FILTER, details=StopDetails(word="refusal", category="cyber", explanation="It could harm.")
    )


def test_a_word_that_says_that_it_broke_is_no_end():
    with pytest.raises(AttemptFailed) as caught:
        of_content({"type": "text", "text": "Hm"}, stop_reason="internal_error")
    assert caught.value.kind is FailureKind.CUT


def test_an_end_after_calls_is_one_for_them():
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    assert told(of_content(call, stop_reason="end_turn"))[2] == Stopped(FinishReason.TOOL_CALLS)
    assert told(of_content(call, stop_reason="max_tokens"))[2] == Stopped(FinishReason.LENGTH)


def test_blocks_that_are_not_ended_end_with_the_answer():
    content = [
        {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
        {"type": "text", "text": "So.", "citations": [CITATION]},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    ]
    frames = answers.Message(content=content, stop_reason="tool_use").streamed().frames
    unended = [frame for frame in frames if b"content_block_stop" not in frame]
    assert sorted(map(repr, read(unended))) == sorted(map(repr, read(frames)))


# Usage.


def counted(*usages: dict[str, Any]) -> tuple[Usage | None, str]:
    start = {"type": "message_start", "message": {"type": "message", "content": [], "usage": usages[0]}}
    ends = [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage} for usage in usages[1:]]
    _, usage, stopped = told(read([answers.event(start), *map(answers.event, ends)]))
    return usage, stopped.service_tier if stopped else ""


def test_usage_is_the_most_that_was_told_of_each():
    first = {"input_tokens": 5, "output_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": 7}}
    assert counted(first, {"output_tokens": 9}) == (
        Usage(input_tokens=12, output_tokens=9, cache_write_input_tokens=7, cache_write_1h_input_tokens=7), "",
    )  # fmt: skip
    # Of several ends, each leaves out something.
    later = {"input_tokens": 50, "cache_read_input_tokens": 3}
    assert counted(first, {"output_tokens": 9}, later)[0] == Usage(
        input_tokens=60, output_tokens=9, cached_input_tokens=3, cache_write_input_tokens=7, cache_write_1h_input_tokens=7
    )  # fmt: skip


def test_what_summing_up_took_is_billed_with_the_rest():
    summing = {"type": "compaction", "input_tokens": 1000, "output_tokens": 100}
    usage = {"input_tokens": 5, "output_tokens": 9, "iterations": [summing, {"type": "message", "input_tokens": 5}]}
    assert counted(usage, {"output_tokens": 9})[0] == Usage(input_tokens=1005, output_tokens=109)


@pytest.mark.parametrize(
    ("usage", "tier"),
    [
        ({"service_tier": "priority", "inference_geo": "global"}, "priority"),
        ({"service_tier": "standard", "inference_geo": "us"}, "us"),
        ({"service_tier": "standard", "speed": "fast", "inference_geo": "not_available"}, "fast"),
        ({"service_tier": "standard", "speed": "standard"}, "standard"),
        ({}, ""),
    ],
)
def test_what_changed_the_price_is_told(usage: dict[str, Any], tier: str):
    assert counted({"input_tokens": 1, **usage}, {"output_tokens": 1})[1] == tier


@pytest.mark.parametrize("usage", [None, "none", {"input_tokens": "many"}])
def test_usage_that_cannot_be_read_says_nothing(usage: Any):
    assert counted(usage, usage)[0] is None


# Errors and what is broken.

HELLO = answers.event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Hi"}})


@pytest.mark.parametrize(
    ("kind", "failure"),
    [
        ("overloaded_error", FailureKind.SERVER_ERROR),
        ("api_error", FailureKind.SERVER_ERROR),
        ("timeout_error", FailureKind.SERVER_ERROR),
        ("rate_limit_error", FailureKind.RATE_LIMITED),
        ("billing_error", FailureKind.QUOTA),
        ("invalid_request_error", FailureKind.BAD_REQUEST),
        ("authentication_error", FailureKind.CREDENTIALS),
    ],
)
def test_an_error_within_the_stream_is_known_by_its_type(kind: str, failure: FailureKind):
    for document in (answers.error(kind, "Overloaded"), {"error": {"type": kind, "message": "Overloaded"}}):
        data = b"data: %b\n\n" % json.dumps(document).encode()
        for pieces in ([data], [b"event: error\n" + data], [HELLO, b"event: error\n" + data]):
            with pytest.raises(AttemptFailed) as caught:
                read(pieces)
            assert caught.value.kind is failure
        with pytest.raises(AttemptFailed) as caught:
            whole_answer(json.dumps(document).encode())
        assert caught.value.kind is failure


@pytest.mark.parametrize(
    "broken",
    [
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"H\n\n',
        b'event: content_block_delta\ndata: {"type":"content_block_de\n\n',
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":7}}\n\n',
        b'data: {"type":"content_block_delta","index":4,"delta":{"type":"text_delta","text":"x"}}\n\n',
        b'data: {"type":"content_block_start","index":4,"content_block":7}\n\n',
    ],
)
def test_a_part_of_the_answer_that_cannot_be_read_breaks_it(broken: bytes):
    if broken.startswith(b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"H'):
        broken = b"event: content_block_delta\n" + broken
    with pytest.raises(AttemptFailed) as caught:
        read([HELLO, broken])
    assert caught.value.kind is FailureKind.MALFORMED


@pytest.mark.parametrize(
    "event",
    [b": comment\n\n", b"event: ping\ndata: {}\n\n", b'data: {"type":"of_tomorrow","index":"x"}\n\n', b"data: 7\n\n"],
)
def test_whatever_else_comes_is_passed_over(event: bytes):
    assert told(read([HELLO, event]))[0] == [TextDelta(text="Hi")]


@pytest.mark.parametrize(
    "body", [b"", b"7", b"[]", b"{}", b'{"type":"message"}', b'{"content":"Hi"}', b'{"content":[{}', b"<html>"]
)
def test_what_is_no_message_is_not_taken_for_one(body: bytes):
    with pytest.raises(AttemptFailed) as caught:
        whole_answer(body)
    assert caught.value.kind is FailureKind.MALFORMED
