"""An answer as the events of the Messages API, whatever order and pieces its own events come in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.llm.encrypted_reasoning import EncryptedReasoning, hidden_of
from penstock_common.llm.events import Answer
from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    Opaque,
    OpaqueDelta,
    ReasoningDelta,
    Started,
    StopDetails,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from penstock_gateway.surfaces.wire_formats.anthropic.messages.parse import parse_messages_request
from penstock_gateway.surfaces.wire_formats.anthropic.messages.stream import EventRenderer
from penstock_gateway.surfaces.wire_formats.anthropic.messages.whole import render_message
from penstock_gateway.surfaces.wire_formats.format import AnswerForm, StreamSummary

BY = Candidate(upstream="o", model="m")
STARTED = Started(generation_id="g", answered_by=BY)
SUMMARY = StreamSummary(overhead_ms=1.0, cache="miss")


def _end(reason=FinishReason.STOP, **more):
    return Finished(reason=reason, answered_by=BY, **more)


def _events(*events, form=AnswerForm(), split=1):  # noqa: B008 - frozen
    renderer = EventRenderer("msg_1", 0, True, form)
    batches = [events[at : at + split] for at in range(0, len(events), split)]
    raw = b"".join(map(renderer.render, batches)) + renderer.end(SUMMARY)
    frames = [frame.split("\n") for frame in raw.decode().split("\n\n")[:-1]]
    told = [json.loads(frame[1].removeprefix("data: ")) for frame in frames]
    assert [frame[0].removeprefix("event: ") for frame in frames] == [event["type"] for event in told]
    return told


def _assembled(told):
    """Return the content that a reader puts together by the blocks' numbers, which must begin in their order."""
    blocks, open_blocks, arguments = [], set(), {}
    for event in told:
        at = event.get("index")
        if event["type"] == "content_block_start":
            assert at == len(blocks)
            blocks.append(dict(event["content_block"]))
            open_blocks.add(at)
        elif event["type"] == "content_block_delta":
            assert at in open_blocks
            _add(blocks[at], event["delta"], arguments, at)
        elif event["type"] == "content_block_stop":
            open_blocks.remove(at)
    assert not open_blocks
    for at, text in arguments.items():
        blocks[at]["input"] = json.loads(text)
    return blocks


def _add(block, delta, arguments, at):
    if delta["type"] == "text_delta":
        block["text"] += delta["text"]
    elif delta["type"] == "thinking_delta":
        block["thinking"] += delta["thinking"]
    elif delta["type"] == "signature_delta":
        block["signature"] = delta["signature"]
    elif delta["type"] == "citations_delta":
        block["citations"] = [*(block["citations"] or []), delta["citation"]]
    else:
        arguments[at] = arguments.get(at, "") + delta["partial_json"]


def _call(index, identity="", name="", piece=""):
    return ToolCallDelta(index=index, id=identity, name=name, arguments_json_fragment=piece)


def test_pieces_of_several_calls_that_come_in_turn_are_each_call_its_own():
    told = _events(
        STARTED,
        _call(0, "a", "f", '{"x":'),
        _call(1, "b", "g", '{"y":'),
        _call(0, piece="1}"),
        _call(1, piece="2}"),
        _end(FinishReason.TOOL_CALLS),
    )
    assert [block["input"] for block in _assembled(told)] == [{"x": 1}, {"y": 2}]
    assert told[-2]["delta"]["stop_reason"] == "tool_use"


def test_calls_that_begin_before_any_has_its_arguments_are_each_their_own():
    begun = [ToolCallDelta(index=index, id=f"call_{index}", name="f") for index in (0, 1)]
    said = [ToolCallDelta(index=index, arguments_json_fragment=f'{{"a":{index}}}') for index in (0, 1)]
    blocks = _assembled(_events(STARTED, *begun, *said, _end(FinishReason.TOOL_CALLS)))
    assert [(block["id"], block["input"]) for block in blocks] == [("call_0", {"a": 0}), ("call_1", {"a": 1})]


def test_a_whole_call_is_ended_before_the_next_begins():
    told = _events(STARTED, _call(0, "a", "f", '{"x":1}'), _call(1, "b", "g", "{}"), _end(FinishReason.TOOL_CALLS))
    kinds = [(event["type"], event.get("index")) for event in told[1:-2]]
    start, piece, stop = "content_block_start", "content_block_delta", "content_block_stop"
    assert kinds == [(start, 0), (piece, 0), (stop, 0), (start, 1), (piece, 1), (stop, 1)]


CITED = '[{"type":"char_location","cited_text":"x"},{"type":"url_citation","url":"u"}]'
PIECES = st.lists(
    st.one_of(
        st.builds(lambda text: TextDelta(text=text), st.text(min_size=1, max_size=5)),
        st.builds(lambda text: ReasoningDelta(text=text), st.text(min_size=1, max_size=5)),
        st.just(ReasoningDelta(signature=b"c2ln", origin="u/m")),
        st.just(ReasoningDelta(hidden=b"aGlk", origin="u/m")),
        st.just(TextDelta(text="", citations_json=CITED)),
        st.just(OpaqueDelta(block=Opaque(format="anthropic", json='{"type":"server_tool_use","id":"s"}'))),
        st.just(OpaqueDelta(block=Opaque(format="openai_responses", json='{"type":"other"}'))),
    ),
    max_size=12,
)


@given(PIECES, st.integers(1, 4), st.integers(0, 3))
def test_every_stream_is_well_formed_and_says_what_the_whole_answer_says(pieces, split, calls):
    made = [_call(at, f"id{at}", "f", json.dumps({"at": at})) for at in range(calls)]
    events = [STARTED, *pieces, *made, Usage(input_tokens=9, output_tokens=4), _end()]
    told = _events(*events, split=split)
    answer = Answer()
    answer.extend(events)
    whole = json.loads(render_message((answer,), "msg_1", 0, AnswerForm()))
    streamed = _assembled(told)
    assert _texts(streamed, "text") == _texts(whole["content"], "text")
    assert _texts(streamed, "thinking") == _texts(whole["content"], "thinking")
    for kind in ("tool_use", "redacted_thinking", "server_tool_use"):
        assert [each for each in streamed if each["type"] == kind] == [
            each for each in whole["content"] if each["type"] == kind
        ]
    assert told[-2]["usage"]["output_tokens"] == whole["usage"]["output_tokens"] == 4


def _texts(blocks, kind):
    return "".join(block[kind] for block in blocks if block["type"] == kind)


@pytest.mark.parametrize(
    ("finished", "word", "sequence"),
    [
        (_end(), "end_turn", None),
        (_end(matched_stop="###"), "stop_sequence", "###"),
        (_end(FinishReason.LENGTH), "max_tokens", None),
        (_end(FinishReason.LENGTH, stop_details=StopDetails(word="pause_turn")), "pause_turn", None),
        (_end(FinishReason.LENGTH, stop_details=StopDetails(word="odd")), "max_tokens", None),
        (_end(FinishReason.CONTENT_FILTER), "refusal", None),
    ],
)
def test_the_end_is_told_in_the_vendors_words(finished, word, sequence):
    delta = _events(STARTED, finished)[-2]["delta"]
    assert (delta["stop_reason"], delta["stop_sequence"]) == (word, sequence)


def test_why_a_model_refused_is_told():
    details = StopDetails(word="refusal", category="bio", explanation="no")
    delta = _events(STARTED, _end(FinishReason.CONTENT_FILTER, stop_details=details))[-2]["delta"]
    assert delta["stop_details"] == {"type": "refusal", "category": "bio", "explanation": "no"}


def test_usage_apart_from_the_cache_adds_up():
    usage = Usage(
        input_tokens=100,
        output_tokens=7,
        cached_input_tokens=60,
        cache_write_input_tokens=30,
        cache_write_1h_input_tokens=10,
        reasoning_tokens=3,
    )
    answer = Answer()
    answer.extend([STARTED, TextDelta(text="x"), usage, _end(service_tier="priority")])
    told = json.loads(render_message((answer,), "msg_1", 0, AnswerForm()))["usage"]
    assert told["input_tokens"] == 10
    assert (told["cache_read_input_tokens"], told["cache_creation_input_tokens"]) == (60, 30)
    assert told["cache_creation"] == {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10}
    assert told["output_tokens_details"] == {"thinking_tokens": 3}
    assert told["service_tier"] == "priority"


def test_what_is_read_is_told_before_the_answer():
    begun = _events(STARTED, _end(), form=AnswerForm(input_tokens=42))[0]["message"]
    assert begun["usage"]["input_tokens"] == 42


def test_arguments_that_are_no_object_are_not_lost():
    answer = Answer()
    answer.extend([STARTED, _call(0, "a", "f", "broken {"), _end(FinishReason.TOOL_CALLS)])
    (block,) = json.loads(render_message((answer,), "msg_1", 0, AnswerForm()))["content"]
    assert block["input"] == {"arguments": "broken {"}


def test_openai_s_encrypted_reasoning_is_the_signature_of_what_is_shown_of_it():
    hidden = hidden_of(EncryptedReasoning(id="rs_1", encrypted_content="gAAA"))
    proof = ReasoningDelta(hidden=hidden, origin="o/m")
    events = [STARTED, ReasoningDelta(text="so"), proof, TextDelta(text="Hi"), _end()]
    streamed = _assembled(_events(*events))
    answer = Answer()
    answer.extend(events)
    whole = json.loads(render_message([answer], "msg_1", 0, AnswerForm()))["content"]
    assert [block["type"] for block in whole] == [block["type"] for block in streamed] == ["thinking", "text"]
    assert whole[0]["signature"] == streamed[0]["signature"]
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    body["messages"] += [{"role": "assistant", "content": streamed}, {"role": "user", "content": "y"}]
    turn = parse_messages_request(json.dumps(body).encode()).input.messages[1]
    assert turn.parts == answer.parts


def test_encrypted_reasoning_that_nothing_is_shown_of_stays_hidden():
    proof = ReasoningDelta(hidden=hidden_of(EncryptedReasoning(id="rs_1", encrypted_content="gAAA")), origin="o/m")
    told = _assembled(_events(STARTED, proof, TextDelta(text="Hi"), _end()))
    assert [block["type"] for block in told] == ["redacted_thinking", "text"]
