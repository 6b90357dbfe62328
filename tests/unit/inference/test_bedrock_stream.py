"""The events of a Converse stream, in every chunking, and of the same answer in one piece."""

import json

import pytest

from penstock_common.llm.events import Answer, merge_deltas
from penstock_common.llm.types import (
    FinishReason,
    Image,
    Message,
    Opaque,
    OpaqueDelta,
    Reasoning,
    ReasoningDelta,
    Role,
    StopDetails,
    Text,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from penstock_common.testing.bedrock_answers import (
    Block,
    Converse,
    event,
    exception,
    frame,
    reasoning,
    redacted,
    text,
    tool_use,
)
from penstock_inference.adapters.providers.bedrock.stream import ConverseStream, whole_answer
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Stopped

CITATION = {"title": "a", "location": {"documentChar": {"documentIndex": 0, "start": 1, "end": 2}}}
CITED = Block(
    [{"text": "It is "}, {"text": "so."}, {"citation": CITATION}, {"citation": {"title": "b"}}],
    {"citationsContent": {"content": [{"text": "It is so."}], "citations": [CITATION, {"title": "b"}]}},
)
SEARCH = {"toolUseId": "s1", "name": "search", "type": "server_tool_use"}
SERVER_TOOL = Block(
    [{"toolUse": {"input": '{"q": '}}, {"toolUse": {"input": '"x"}'}}],
    {"toolUse": {"toolUseId": "s1", "name": "search", "input": {"q": "x"}, "type": "server_tool_use"}},
    {"toolUse": SEARCH},
)
SERVER_RESULT = Block(
    [{"toolResult": [{"text": "found"}]}, {"toolResult": [{"json": {"a": 1}}]}],
    {"toolResult": {"toolUseId": "s1", "status": "success", "content": [{"text": "found"}, {"json": {"a": 1}}]}},
    {"toolResult": {"toolUseId": "s1", "status": "success"}},
)
PICTURE = Block(
    [{"image": {"source": {"bytes": "aGk="}}}],
    {"image": {"format": "png", "source": {"bytes": "aGk="}}},
    {"image": {"format": "png"}},
)
USAGE = {
    "inputTokens": 10,
    "outputTokens": 20,
    "totalTokens": 330,
    "cacheReadInputTokens": 100,
    "cacheWriteInputTokens": 200,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 150}, {"ttl": "5m", "inputTokens": 50}],
}
EVERYTHING = Converse(
    blocks=[
        reasoning("Let me ", "see.", signature="c2ln"),
        redacted("aGlkZGVu"),
        CITED,
        text("And ", "näch\u2028ste."),
        SERVER_TOOL,
        SERVER_RESULT,
        PICTURE,
        tool_use("t1", "weather", '{"city": ', '"Oslo", ', '"n": 1.0}'),
        tool_use("t2", "now"),
    ],
    stop_reason="tool_use",
    usage=USAGE,
    more={"serviceTier": {"type": "flex"}},
)


def streamed(sent: bytes, size: int) -> list:
    stream, events = ConverseStream(), []
    for start in range(0, len(sent), size):
        events += stream.feed(sent[start : start + size])
    if not stream.done:
        events += stream.end()
    return events


def read(answer: Converse) -> list:
    return streamed(b"".join(answer.frames()), 1 << 20)


def content(events: list) -> list:
    return merge_deltas([one for one in events if not isinstance(one, Stopped | Usage)])


def test_all_that_can_come_is_told_in_its_order():
    assert read(EVERYTHING) == [
        ReasoningDelta(text="Let me see.", signature=b"c2ln"),
        ReasoningDelta(hidden=b"aGlkZGVu"),
        TextDelta(
            text="It is so.",
            citations_json='[{"title":"a","location":{"documentChar":{"documentIndex":0,"start":1,"end":2}}},{"title":"b"}]',
        ),
        TextDelta(text="And näch\u2028ste."),
        OpaqueDelta(
            block=Opaque(
                format="bedrock",
                json='{"toolUse":{"toolUseId":"s1","name":"search","type":"server_tool_use","input":{"q": "x"}}}',
            )
        ),
        OpaqueDelta(
            block=Opaque(
                format="bedrock",
                json='{"toolResult":{"toolUseId":"s1","status":"success","content":[{"text":"found"},{"json":{"a":1}}]}}',
            )
        ),
        OpaqueDelta(block=Opaque(format="bedrock", json='{"image":{"format":"png","source":{"bytes":"aGk="}}}')),
        ToolCallDelta(index=0, id="t1", name="weather", arguments_json_fragment='{"city": "Oslo", "n": 1.0}'),
        ToolCallDelta(index=1, id="t2", name="now", arguments_json_fragment="{}"),
        # The end is told when it comes, and again with what is known of it later.
        Stopped(FinishReason.TOOL_CALLS),
        Usage(
            input_tokens=310,
            output_tokens=20,
            cached_input_tokens=100,
            cache_write_input_tokens=200,
            cache_write_1h_input_tokens=150,
        ),
        Stopped(FinishReason.TOOL_CALLS, service_tier="flex"),
    ]


@pytest.mark.parametrize("size", [1, 2, 7, 64, 1000])
def test_every_chunking_gives_equal_events(size):
    sent = b"".join(EVERYTHING.frames())
    events = streamed(sent, size)
    assert content(events) == content(read(EVERYTHING))
    assert [one for one in events if not isinstance(one, Stopped | Usage)]
    assert [one for one in events if isinstance(one, Stopped | Usage)] == read(EVERYTHING)[-3:]


def test_event_by_event_it_is_the_same():
    stream = ConverseStream()
    events = [one for sent in EVERYTHING.frames() for one in stream.feed(sent)]
    assert content(events) == content(read(EVERYTHING))
    assert stream.done


def answer_of(events: list) -> Message:
    answer = Answer()
    answer.extend(content(events))
    return answer.message()


def plain(message: Message) -> tuple:
    """Return what a turn says, whichever blanks its JSON has."""
    parts = [
        json.loads(part.json) if isinstance(part, Opaque) else (part.text, json.loads(part.citations_json or "[]"))
        if isinstance(part, Text) else part
        for part in message.parts
    ]  # fmt: skip
    return parts, [
        (call.id, call.name, json.loads(call.arguments_json), call.parts_before) for call in message.tool_calls
    ]


def test_a_whole_answer_says_the_same():
    events = whole_answer(EVERYTHING.completion().frames[0])
    assert plain(answer_of(events)) == plain(answer_of(read(EVERYTHING)))
    assert events[-2:] == read(EVERYTHING)[-2:]
    assert not any(isinstance(part, Image) for part in answer_of(events).parts)


def test_arguments_of_a_whole_answer_are_verbatim():
    body = (
        b'{"output":{"message":{"role":"assistant","content":[{"toolUse":{"toolUseId":"t","name":"f",'
        b'"input":{"b": 1.0, "a": 1e2}}}]}},"stopReason":"tool_use"}'
    )
    assert whole_answer(body)[0] == ToolCallDelta(
        index=0, id="t", name="f", arguments_json_fragment='{"b": 1.0, "a": 1e2}'
    )


@pytest.mark.parametrize(
    ("word", "reason", "details"),
    [
        ("end_turn", FinishReason.STOP, None),
        ("stop_sequence", FinishReason.STOP, None),
        ("tool_use", FinishReason.TOOL_CALLS, None),
        ("max_tokens", FinishReason.LENGTH, None),
        ("model_context_window_exceeded", FinishReason.LENGTH, StopDetails(word="model_context_window_exceeded")),
        ("content_filtered", FinishReason.CONTENT_FILTER, StopDetails(word="content_filtered")),
        ("guardrail_intervened", FinishReason.CONTENT_FILTER, StopDetails(word="guardrail_intervened")),
        ("refusal", FinishReason.CONTENT_FILTER, StopDetails(word="refusal")),
        ("weary", FinishReason.STOP, StopDetails(word="weary")),
    ],
)
def test_every_reason_is_known_streamed_and_whole(word, reason, details):
    answer = Converse(stop_reason=word)
    for events in (read(answer), whole_answer(answer.completion().frames[0])):
        assert [one for one in events if isinstance(one, Stopped)] == [Stopped(reason, details=details)]


def test_an_end_with_calls_that_says_it_is_a_plain_one_asks_for_their_results():
    answer = Converse(blocks=[tool_use("t1", "weather", "{}")], stop_reason="end_turn")
    for events in (read(answer), whole_answer(answer.completion().frames[0])):
        assert [one for one in events if isinstance(one, Stopped)] == [Stopped(FinishReason.TOOL_CALLS)]


@pytest.mark.parametrize("usage", [{"inputTokens": "10"}, {"outputTokens": 1.5}, {"inputTokens": None}, [], "none"])
def test_usage_that_cannot_be_read_takes_nothing_from_the_answer(usage):
    answer = Converse(usage=usage)
    for events in (read(answer), whole_answer(answer.completion().frames[0])):
        assert not [one for one in events if isinstance(one, Usage)]
        assert [one for one in events if isinstance(one, Stopped)] == [Stopped(FinishReason.STOP)]


@pytest.mark.parametrize("word", ["malformed_model_output", "malformed_tool_use"])
def test_what_broke_is_no_end(word):
    answer = Converse(stop_reason=word)
    for reading in (lambda: read(answer), lambda: whole_answer(answer.completion().frames[0])):
        with pytest.raises(AttemptFailed) as caught:
            reading()
        assert caught.value.kind is FailureKind.CUT
        assert word in caught.value.detail


def test_the_stop_string_that_was_met_is_told():
    answer = Converse(
        stop_reason="stop_sequence", stop_more={"additionalModelResponseFields": {"stop_sequence": "END"}}
    )
    for events in (read(answer), whole_answer(answer.completion().frames[0])):
        assert events[-1 if isinstance(events[-1], Stopped) else -2].matched_stop == "END"


EXCEPTIONS = [
    ("throttlingException", "Too many requests", FailureKind.RATE_LIMITED),
    ("throttlingException", "Too many tokens per day, please wait", FailureKind.QUOTA),
    ("modelStreamErrorException", "The model failed", FailureKind.SERVER_ERROR),
    ("internalServerException", "Oops", FailureKind.SERVER_ERROR),
    ("serviceUnavailableException", "Busy", FailureKind.SERVER_ERROR),
    ("modelTimeoutException", "Slow", FailureKind.SERVER_ERROR),
    ("validationException", "messages: roles must alternate", FailureKind.BAD_REQUEST),
    ("validationException", "Input is too long for requested model.", FailureKind.CONTEXT_LENGTH),
    ("validationException", "prompt is too long: 210000 tokens > 200000 maximum", FailureKind.CONTEXT_LENGTH),
    ("accessDeniedException", "no", FailureKind.CREDENTIALS),
    ("somethingNewException", "?", FailureKind.SERVER_ERROR),
]


@pytest.mark.parametrize(("kind", "message", "means"), EXCEPTIONS)
@pytest.mark.parametrize("blocks", [[], [text("Hel")]], ids=["at once", "within"])
def test_an_exception_in_the_stream_is_one_of_its_type(kind, message, means, blocks):
    with pytest.raises(AttemptFailed) as caught:
        read(Converse(blocks=blocks, failure=exception(kind, message)))
    assert caught.value.kind is means
    if means is FailureKind.BAD_REQUEST:
        assert message in caught.value.detail


def test_a_models_error_is_424():
    with pytest.raises(AttemptFailed, match="424"):
        read(Converse(failure=exception("modelStreamErrorException", "x", originalStatusCode=500)))


def test_an_error_frame_is_an_error():
    headers = {":message-type": "error", ":error-code": "ThrottlingException", ":error-message": "slow down"}
    with pytest.raises(AttemptFailed) as caught:
        ConverseStream().feed(frame(headers, b""))
    assert caught.value.kind is FailureKind.RATE_LIMITED


def test_a_cut_before_the_end_is_a_cut_and_after_it_whole():
    frames = Converse().frames()
    for count in range(len(frames)):
        stream = ConverseStream()
        events = [one for sent in frames[:count] for one in stream.feed(sent)]
        assert not stream.done
        if count == len(frames) - 1:
            assert stream.end() == []
            assert Stopped(FinishReason.STOP) in events
        else:
            with pytest.raises(AttemptFailed) as caught:
                stream.end()
            assert caught.value.kind is FailureKind.CUT


@pytest.mark.parametrize("rest", [exception("internalServerException", "x"), b"\x00" * 16])
def test_what_fails_after_the_end_takes_nothing_away(rest):
    stream = ConverseStream()
    stream.feed(b"".join(Converse(usage=None).frames()))
    assert stream.feed(rest) == []
    assert stream.done


def test_a_broken_frame_within_the_answer_is_malformed():
    with pytest.raises(AttemptFailed) as caught:
        streamed(b"".join(Converse().frames()[:3]) + b"\x00" * 16, 64)
    assert caught.value.kind is FailureKind.MALFORMED


def test_events_that_nobody_knows_are_passed_over():
    frames = Converse().frames()
    frames.insert(1, event("somethingNew", {"x": 1}))
    frames.insert(2, event("contentBlockDelta", {"delta": {"video": {}}, "contentBlockIndex": 0}))
    assert streamed(b"".join(frames), 1 << 20) == read(Converse())


@pytest.mark.parametrize("payload", [b"{", b"[]", b'{"delta":{"text":7}}', b"\xff", b"[" * 100_000])
def test_an_event_that_cannot_be_read_is_malformed(payload):
    with pytest.raises(AttemptFailed) as caught:
        ConverseStream().feed(frame({":message-type": "event", ":event-type": "contentBlockDelta"}, payload))
    assert caught.value.kind is FailureKind.MALFORMED


def test_a_signature_in_pieces_is_one():
    block = Block([{"reasoningContent": {"text": "Hm."}}, {"reasoningContent": {"signature": "ab"}},
                   {"reasoningContent": {"signature": "cd"}}], {})  # fmt: skip
    assert answer_of(read(Converse(blocks=[block, text("So.")]))) == Message(
        role=Role.ASSISTANT, parts=(Reasoning(text="Hm.", signature=b"abcd"), Text(text="So."))
    )


@pytest.mark.parametrize(
    ("more", "tier"),
    [
        ({}, ""),
        ({"serviceTier": {"type": "priority"}}, "priority"),
        ({"performanceConfig": {"latency": "optimized"}}, "optimized"),
        ({"performanceConfig": {"latency": "standard"}, "serviceTier": {"type": "default"}}, "default"),
    ],
)
def test_the_tier_that_answered_is_told(more, tier):
    answer = Converse(more=more)
    for events in (read(answer), whole_answer(answer.completion().frames[0])):
        assert [one for one in events if isinstance(one, Stopped)][-1].service_tier == tier
