"""From the events of a response to ours: whole, cut anywhere, and wherever it can fail."""

import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai._streaming import SSEDecoder
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from penstock_common.llm.encrypted_reasoning import EncryptedReasoning, encrypted_in, hidden_of
from penstock_common.llm.events import Answer, merge_deltas
from penstock_common.llm.types import (
    FinishReason,
    Opaque,
    OpaqueDelta,
    Reasoning,
    ReasoningDelta,
    StopDetails,
    Text,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from penstock_inference.adapters.providers.openai_responses.stream import ResponseStream, whole_answer
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Stopped

sys.path.insert(0, str(Path(__file__).parent))

import responses_streams as recorded  # noqa: E402

HIDDEN = hidden_of(EncryptedReasoning(id="rs_1", encrypted_content="gAAAwhole"))
COUNTED = Usage(
    input_tokens=30, output_tokens=20, cached_input_tokens=12, cache_write_input_tokens=8, reasoning_tokens=9
)
CITED = json.dumps([recorded.ANNOTATION])


def told(*events):
    return [*events, COUNTED]


ALL_TOLD = told(
    OpaqueDelta(block=Opaque(format="openai_responses", json=json.dumps(recorded.SEARCH))),
    ReasoningDelta(text="Look first.\n\nThen say."),
    ReasoningDelta(hidden=HIDDEN),
    TextDelta(text="Größe: 5 🙂", citations_json=CITED),
    ToolCallDelta(index=0, id="call_1", name="look", arguments_json_fragment='{"city":"Ås"}'),
    ToolCallDelta(index=1, id="call_2", name="bare", arguments_json_fragment="{}"),
    ToolCallDelta(index=2, id="call_3", name="run", arguments_json_fragment="ls -l", is_custom=True),
)
INCOMPLETE = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
FILTERED = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
ANSWERS = {
    "all": (recorded.stream(recorded.ALL), ALL_TOLD, Stopped(FinishReason.TOOL_CALLS, service_tier="default")),
    "refusal": (
        recorded.stream([recorded.REFUSAL]),
        told(TextDelta(text="I will not.", is_refusal=True)),
        Stopped(FinishReason.STOP, service_tier="default"),
    ),
    "length": (
        recorded.stream([recorded.MESSAGE], **INCOMPLETE),
        told(TextDelta(text="Größe: 5 🙂", citations_json=CITED)),
        Stopped(FinishReason.LENGTH, service_tier="default", details=StopDetails(word="max_output_tokens")),
    ),
    "length without a message": (
        recorded.stream([], **INCOMPLETE),
        told(),
        Stopped(FinishReason.LENGTH, service_tier="default", details=StopDetails(word="max_output_tokens")),
    ),
    "filtered": (
        recorded.stream([], **FILTERED),
        told(),
        Stopped(FinishReason.CONTENT_FILTER, service_tier="default", details=StopDetails(word="content_filter")),
    ),
}


def read(*data):
    stream = ResponseStream()
    events = []
    for piece in data:
        if not stream.done:
            events += stream.feed(piece)
    if not stream.done:
        events += stream.end()
    return events


def canonical(events):
    """Return neighbours made one, and the end."""
    return merge_deltas(events[:-1]), events[-1]


@pytest.mark.parametrize("name", ANSWERS)
def test_every_chunking_of_a_recorded_stream_gives_equal_events(name):
    frames, expected, stopped = ANSWERS[name]
    whole = b"".join(frames)
    byte_by_byte = [whole[at : at + 1] for at in range(len(whole))]
    for chunking in (frames, [whole], byte_by_byte, [whole.replace(b"\n", b"\r\n")], [whole + b"data: [DONE]\n\n"]):
        assert canonical(read(*chunking)) == (expected, stopped)


@given(st.data())
def test_any_cut_of_the_bytes_gives_equal_events(data):
    whole = b"".join(ANSWERS["all"][0])
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=8)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert canonical(read(*pieces)) == ANSWERS["all"][1:]


@pytest.mark.parametrize("name", ANSWERS)
def test_a_whole_answer_tells_the_same(name):
    frames, expected, stopped = ANSWERS[name]
    final = json.loads(frames[-1].partition(b"data: ")[2])["response"]
    assert canonical(whole_answer(json.dumps(final).encode())) == (expected, stopped)


@pytest.mark.parametrize("name", ANSWERS)
def test_the_terminal_event_alone_tells_the_same(name):
    frames, expected, stopped = ANSWERS[name]
    assert canonical(read(frames[0], frames[-1])) == (expected, stopped)


@pytest.mark.parametrize("name", ANSWERS)
def test_the_vendors_sdk_reads_the_recorded_streams(name):
    known = TypeAdapter(ResponseStreamEvent)
    events = [known.validate_python(event.json()) for event in SSEDecoder().iter_bytes(iter(ANSWERS[name][0]))]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    final = events[-1].response
    assert isinstance(final, Response)
    assert final.usage.input_tokens_details.cache_write_tokens == COUNTED.cache_write_input_tokens
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == final.output_text


def test_the_answer_keeps_the_order_and_the_id_of_encrypted_reasoning():
    answer = Answer()
    for event in read(*ANSWERS["all"][0])[:-1]:
        answer.add(event)
    kinds = [type(part) for part in answer.parts]
    assert kinds == [Opaque, Reasoning, Reasoning, Text]
    assert encrypted_in(answer.parts[2].hidden) == EncryptedReasoning(id="rs_1", encrypted_content="gAAAwhole")
    assert [call.parts_before for call in answer.tool_calls] == [None, None, None]


def event(kind, **fields):
    return recorded.numbered([{"type": kind, **fields}])[0]


BEGUN = recorded.numbered(recorded.begun())
HI = event("response.output_text.delta", output_index=0, content_index=0, item_id="msg_1", delta="Hi")
END = recorded.numbered([recorded.ended("completed", [])])[0]


def failed_with(*frames):
    with pytest.raises(AttemptFailed) as failed:
        read(*BEGUN, *frames)
    return failed.value


def test_a_stream_without_its_terminal_event_is_cut():
    assert failed_with(HI).kind is FailureKind.CUT
    assert failed_with(HI, b"data: [DONE]\n\n").kind is FailureKind.CUT
    for frames, _, _ in ANSWERS.values():
        assert failed_with(*frames[2:-1]).kind is FailureKind.CUT


CODES = {
    "server_error": FailureKind.SERVER_ERROR,
    "server_is_overloaded": FailureKind.SERVER_ERROR,
    "slow_down": FailureKind.SERVER_ERROR,
    "rate_limit_exceeded": FailureKind.RATE_LIMITED,
    "insufficient_quota": FailureKind.QUOTA,
    "usage_not_included": FailureKind.QUOTA,
    "invalid_prompt": FailureKind.BAD_REQUEST,
    "context_length_exceeded": FailureKind.CONTEXT_LENGTH,
    "bio_policy": FailureKind.REFUSED,
    "cyber_policy": FailureKind.REFUSED,
    "image_content_policy_violation": FailureKind.REFUSED,
    "content_filter": FailureKind.REFUSED,
    "invalid_image_url": FailureKind.BAD_REQUEST,
    "anything_else": FailureKind.SERVER_ERROR,
}


@pytest.mark.parametrize("code", CODES)
def test_what_failed_is_known_by_its_code_in_every_shape(code):
    error = {"code": code, "message": "So it was."}
    shapes = [
        recorded.numbered([recorded.ended("failed", [], error=error)])[0],
        event("error", **error, param=None),
        event("error", error={"type": "x", **error}),
        event("error", **error, error={"type": "x", **error}),
        b"event: error\ndata: %b\n\n" % json.dumps(error).encode(),
    ]
    for frame in shapes:
        failure = failed_with(HI, frame)
        assert failure.kind is CODES[code]
        if failure.kind in (FailureKind.REFUSED, FailureKind.BAD_REQUEST):
            assert failure.detail == "So it was."
    with pytest.raises(AttemptFailed) as failed:
        whole_answer(json.dumps(recorded.response("failed", [], error=error)).encode())
    assert failed.value.kind is CODES[code]


@pytest.mark.parametrize(
    ("words", "wait"),
    [
        ("Please try again in 11.054s.", timedelta(seconds=11.054)),
        ("Please try again in 120ms.", timedelta(milliseconds=120)),
        ("Slow down.", None),
    ],
)
def test_the_wait_stands_in_the_message(words, wait):
    frame = recorded.numbered([recorded.ended("failed", [], error={"code": "rate_limit_exceeded", "message": words})])[
        0
    ]
    assert failed_with(frame).retry_after == wait


def test_a_failure_without_words_is_one():
    assert failed_with(recorded.numbered([recorded.ended("failed", [])])[0]).kind is FailureKind.SERVER_ERROR
    assert failed_with(event("error")).kind is FailureKind.SERVER_ERROR
    assert failed_with(b'data: {"error":{"message":"x","code":"429"}}\n\n').kind is FailureKind.RATE_LIMITED
    assert failed_with(event("response.incomplete", response={"incomplete_details": {"reason": "cancelled"}})).kind is (
        FailureKind.CUT
    )


def test_what_nobody_needs_is_skipped():
    unknown = event("response.new_thing.delta", delta={"x": 1}, output_index="one")
    assert read(*BEGUN, b": ping\n\n", b"data: ping\n\n", event("ping"), unknown, HI, END) == [
        TextDelta(text="Hi"), COUNTED, Stopped(FinishReason.STOP, service_tier="default"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "frame",
    [
        b'data: {"type":"response.output_text.delta","delta":\n\n',
        b"event: response.output_text.delta\ndata: nothing\n\n",
        event("response.output_text.delta", delta=7),
        event("response.function_call_arguments.delta", output_index=3, delta="{"),
    ],
)
def test_what_may_have_been_a_part_of_the_answer_is_malformed(frame):
    assert failed_with(HI, frame).kind is FailureKind.MALFORMED


def test_halves_of_pairs_are_mended():
    frame = b'data: {"type":"response.output_text.delta","output_index":0,"delta":"a\\ud83d"}\n\n'
    assert read(*BEGUN, frame, END)[0] == TextDelta(text="a\ufffd")


def test_probabilities_are_told_in_the_contracts_form():
    token = {"token": "Hi", "logprob": -0.5, "top_logprobs": [{"token": "Ho", "logprob": -1.0}]}
    frame = event("response.output_text.delta", output_index=0, delta="Hi", logprobs=[token])
    (said, *_) = read(*BEGUN, frame, END)
    assert json.loads(said.logprobs_json) == [
        {"token": "Hi", "logprob": -0.5, "bytes": None,
         "top_logprobs": [{"token": "Ho", "logprob": -1.0, "bytes": None}]},
    ]  # fmt: skip


def test_the_last_event_may_repeat_a_long_answer_and_no_opaque_item_is_larger_than_one_may_be():
    long = "x" * 2_000_000
    part = {"type": "output_text", "text": long, "annotations": []}
    (said, *_) = read(
        *BEGUN, recorded.numbered([recorded.ended("completed", [{**recorded.MESSAGE, "content": [part]}])])[0]
    )
    assert said == TextDelta(text=long)
    picture = {"type": "image_generation_call", "id": "ig_1", "result": long}
    assert failed_with(recorded.numbered([recorded.done(0, picture)])[0]).kind is FailureKind.OVERSIZE
    assert failed_with(b"data: " + b"x" * 17_000_000).kind is FailureKind.OVERSIZE


@pytest.mark.parametrize("kind", ["response.reasoning_text.delta", "response.reasoning.delta"])
def test_raw_reasoning_has_two_names(kind):
    assert read(*BEGUN, event(kind, output_index=0, delta="Hm."), HI, END)[:2] == [
        ReasoningDelta(text="Hm."),
        TextDelta(text="Hi"),
    ]


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"output":{}}', b'{"object":"chat.completion","choices":[]}'])
def test_what_is_no_response_is_malformed(body):
    with pytest.raises(AttemptFailed) as failed:
        whole_answer(body)
    assert failed.value.kind is FailureKind.MALFORMED


def test_a_whole_answer_that_goes_on_elsewhere_is_none():
    for status in ("in_progress", "queued", "cancelled"):
        with pytest.raises(AttemptFailed):
            whole_answer(json.dumps(recorded.response(status, [])).encode())


@pytest.mark.parametrize("hidden", [b"", b"EoIB", b"{}", b'{"id":1}', b'{"id":"a","encrypted_content":7}'])
def test_hidden_content_of_others_is_not_openais(hidden):
    assert encrypted_in(hidden) is None
