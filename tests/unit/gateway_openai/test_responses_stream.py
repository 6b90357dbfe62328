"""An answer as the events of the Responses API, whatever order and pieces its own events come in."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.errors import (
    ContextLengthExceeded,
    Overloaded,
    PenstockError,
    RateLimited,
    UpstreamFailed,
)
from penstock_common.llm.encrypted_reasoning import EncryptedReasoning, hidden_of
from penstock_common.llm.events import Answer
from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    GenerationEvent,
    Opaque,
    OpaqueDelta,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from penstock_gateway.surfaces.wire_formats.format import StreamSummary
from penstock_gateway.surfaces.wire_formats.openai.responses.parse import parse_responses_request
from penstock_gateway.surfaces.wire_formats.openai.responses.stream import ResponseRenderer
from penstock_gateway.surfaces.wire_formats.openai.responses.whole import render_response

sys.path.append(str(Path(__file__).parent))

from responses_events import Reader, check_response, events_in  # noqa: E402

BY = Candidate(upstream="o", model="m")
STARTED = Started(generation_id="g", answered_by=BY)
SUMMARY = StreamSummary(overhead_ms=1.0, cache="miss")
ENCRYPTED = hidden_of(EncryptedReasoning(id="rs_theirs", encrypted_content="gAAA"))


def form(**asked: Any):
    body = {"model": "public", "input": "Hi", **asked}
    return parse_responses_request(json.dumps(body).encode()).form


def end(reason: FinishReason = FinishReason.STOP) -> Finished:
    return Finished(reason=reason, answered_by=BY)


def streamed(*events: GenerationEvent, split: int = 1, **asked: Any) -> list[dict[str, Any]]:
    renderer = ResponseRenderer("resp_g", 5, True, form(**asked))
    batches = [events[at : at + split] for at in range(0, len(events), split)]
    return events_in(b"".join(map(renderer.render, batches)) + renderer.end(SUMMARY))


def whole(*events: GenerationEvent, **asked: Any) -> dict[str, Any]:
    answer = Answer()
    answer.extend(events)
    response = json.loads(render_response((answer,), "resp_g", 5, form(**asked)))
    check_response(response)
    return response


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def call(index: int, *pieces: str, name: str = "f", **more: Any) -> list[ToolCallDelta]:
    first = ToolCallDelta(index=index, id=f"call_{index}", name=name, **more)
    return [first, *[ToolCallDelta(index=index, arguments_json_fragment=piece) for piece in pieces]]


def test_a_call_without_text_has_no_message():
    told = streamed(STARTED, *call(0, '{"a"', ":1}"), end(FinishReason.TOOL_CALLS))
    (item,) = Reader().read(told)["output"]
    assert item == {
        "id": "fc_g_0", "type": "function_call", "status": "completed", "call_id": "call_0", "name": "f",
        "arguments": '{"a":1}',
    }  # fmt: skip
    assert kinds(told) == [
        "created", "in_progress", "output_item.added", "function_call_arguments.delta",
        "function_call_arguments.delta", "function_call_arguments.done", "output_item.done", "completed",
    ]  # fmt: skip


def test_pieces_of_calls_in_turn_are_told_apart():
    first, second = call(0, '{"a":', "1}"), call(1, '{"b":', "2}")
    told = streamed(
        STARTED, first[0], second[0], first[1], second[1], second[2], first[2], end(FinishReason.TOOL_CALLS)
    )
    assert [item["arguments"] for item in Reader().read(told)["output"]] == ['{"a":1}', '{"b":2}']


def test_a_call_is_ended_when_the_next_begins():
    told = streamed(STARTED, *call(0, "{}"), *call(1, "{}"), end(FinishReason.TOOL_CALLS))
    Reader().read(told)
    done = kinds(told).index("output_item.done")
    assert "output_item.added" in kinds(told)[done:]


def test_blanks_after_a_call_that_was_ended_are_no_call():
    late = ToolCallDelta(index=0, arguments_json_fragment=" ")
    told = streamed(STARTED, *call(0, "{}"), *call(1, "{}"), late, end(FinishReason.TOOL_CALLS))
    assert [item["arguments"] for item in Reader().read(told)["output"]] == ["{}", "{}"]


def test_reasoning_that_is_hidden_is_an_item_of_its_own():
    events = (STARTED, ReasoningDelta(text="Seen"), ReasoningDelta(hidden=b"claude"), TextDelta(text="Y"), end())
    assert [item["type"] for item in Reader().read(streamed(*events))["output"]] == ["reasoning"] * 2 + ["message"]


def test_text_goes_on_after_a_refusal_in_a_part_of_its_own():
    events = [TextDelta(text="A"), TextDelta(text="B"), TextDelta(text="No", is_refusal=True)]
    events += [TextDelta(text="C"), TextDelta(text="D")]
    (item,) = Reader().read(streamed(STARTED, *events, end()))["output"]
    assert [part.get("text", part.get("refusal")) for part in item["content"]] == ["AB", "No", "CD"]


def test_tools_are_repeated_with_all_that_the_schema_wants():
    tools = [{"type": "function", "name": "f", "strict": True}, {"type": "custom", "name": "p"}]
    said = whole(STARTED, TextDelta(text="Hi"), end(), tools=tools)["tools"]
    function = {"type": "function", "name": "f", "description": None, "parameters": None, "strict": True}
    assert said == [function, tools[1]]


def test_a_call_of_nothing_says_an_empty_object():
    told = streamed(STARTED, *call(0), end(FinishReason.TOOL_CALLS))
    assert Reader().read(told)["output"][0]["arguments"] == "{}"
    assert kinds(told).count("function_call_arguments.delta") == 1
    assert whole(STARTED, *call(0), end())["output"][0]["arguments"] == "{}"


def test_free_text_is_told_as_it_is():
    said = '*** Begin Patch\n"quoted" \\ é'
    told = streamed(STARTED, *call(0, said[:7], said[7:], is_custom=True), end(FinishReason.TOOL_CALLS))
    (item,) = Reader().read(told)["output"]
    assert (item["type"], item["id"], item["input"]) == ("custom_tool_call", "ctc_g_0", said)
    assert kinds(told)[3:6] == ["custom_tool_call_input.delta"] * 2 + ["custom_tool_call_input.done"]


def test_a_function_in_a_namespace_is_called_by_its_own_name():
    tools = [{"type": "namespace", "name": "agents", "tools": [{"type": "function", "name": "spawn"}]}]
    events = (STARTED, *call(0, "{}", name="agents__spawn"), end(FinishReason.TOOL_CALLS))
    for response in (Reader().read(streamed(*events, tools=tools)), whole(*events, tools=tools)):
        (item,) = response["output"]
        assert (item["namespace"], item["name"]) == ("agents", "spawn")


def test_a_refusal_is_a_part_of_its_own():
    events = (STARTED, TextDelta(text="I "), TextDelta(text="will not.", is_refusal=True), end())
    told = streamed(*events)
    (item,) = Reader().read(told)["output"]
    assert [part["type"] for part in item["content"]] == ["output_text", "refusal"]
    assert "refusal.done" in kinds(told)


@pytest.mark.parametrize(
    ("reason", "why"), [(FinishReason.LENGTH, "max_output_tokens"), (FinishReason.CONTENT_FILTER, "content_filter")]
)
def test_an_answer_that_is_not_whole_says_so(reason, why):
    for last in (TextDelta(text="So"), ReasoningDelta(text="Hm"), *call(0, '{"a":')[:1]):
        events = (STARTED, TextDelta(text="Well", citations_json="[]"), last, end(reason))
        response = Reader().read(streamed(*events))
        assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": why})
        assert response["completed_at"] is None
        assert response["output"][-1]["status"] == "incomplete"


def test_the_arguments_of_a_call_that_was_cut_are_not_completed():
    told = streamed(STARTED, *call(0, "{}"), *call(1, '{"a":'), end(FinishReason.LENGTH))
    first, second = Reader().read(told)["output"]
    assert (first["status"], second["status"], second["arguments"]) == ("completed", "incomplete", '{"a":')


def test_reasoning_is_a_summary_for_whoever_asks_for_one():
    events = (STARTED, ReasoningDelta(text="H"), ReasoningDelta(text="m"), TextDelta(text="Yes"), end())
    told = streamed(*events, reasoning={"summary": "auto"})
    item, _ = Reader().read(told)["output"]
    assert item["summary"] == [{"type": "summary_text", "text": "Hm"}]
    assert kinds(told)[2:8] == [
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.delta", "reasoning_summary_text.done", "reasoning_summary_part.done",
    ]  # fmt: skip
    item, _ = Reader().read(streamed(*events))["output"]
    assert (item["summary"], item["content"]) == ([], [{"type": "reasoning_text", "text": "Hm"}])


SIGNED = ReasoningDelta(text="Hm", signature=b"s\xff", origin="o/m")


def handed_back(output: list[dict[str, Any]]) -> Any:
    body = {"model": "m", "input": [*output, {"role": "user", "content": "Go on."}]}
    return parse_responses_request(json.dumps(body).encode()).input.messages[0]


@pytest.mark.parametrize(
    "events",
    [
        [SIGNED, TextDelta(text="Yes"), *call(0, "{}")],
        [ReasoningDelta(signature=b"alone", origin="o/m"), TextDelta(text="Yes")],
        [ReasoningDelta(text="Seen"), ReasoningDelta(hidden=b"claude", origin="o/m"), TextDelta(text="Yes")],
        [ReasoningDelta(text="Sum"), ReasoningDelta(hidden=ENCRYPTED, origin="o/m"), TextDelta(text="Yes")],
        [SIGNED, *call(0, "{}"), SIGNED, *call(1, "{}"), TextDelta(text="Yes")],
        [*call(0, "{}", extra_json='{"extra_content":{"google":{"thought_signature":"x"}}}', origin="o/m")],
        [
            ReasoningDelta(text="R", extra_json='{"reasoning_details":[{"data":"x"}]}', origin="o/m"),
            TextDelta(text="Y"),
        ],
    ],
    ids=["signed", "omitted", "hidden", "encrypted", "interleaved", "beside a call", "beside a turn"],
)
@pytest.mark.parametrize("summary", [None, "auto"])
def test_reasoning_that_is_handed_back_is_what_it_was(events, summary):
    asked = {"include": ["reasoning.encrypted_content"], "reasoning": {"summary": summary}}
    answer = Answer()
    answer.extend([STARTED, *events, end()])
    for response in (
        whole(STARTED, *events, end(), **asked),
        Reader().read(streamed(STARTED, *events, end(), **asked)),
    ):
        assert handed_back(response["output"]) == answer.message()
    without = whole(STARTED, *events, end())
    assert "encrypted_content" not in json.dumps(without["output"])


def test_what_was_altered_on_its_way_is_nobodys():
    (item, _) = whole(STARTED, SIGNED, TextDelta(text="Y"), end(), include=["reasoning.encrypted_content"])["output"]
    item["encrypted_content"] = item["encrypted_content"][:-8] + "!"
    assert [part.text for part in handed_back([item]).parts] == ["Hm"]


def test_items_of_the_vendors_own_stand_as_they_are_and_others_are_left_out():
    own = {"id": "ws_1", "type": "web_search_call", "status": "completed"}
    events = [OpaqueDelta(block=Opaque(format="openai_responses", json=json.dumps(own)))]
    events += [OpaqueDelta(block=Opaque(format="anthropic", json='{"type":"x"}'))]
    assert Reader().read(streamed(STARTED, *events, end()))["output"] == [own]
    assert whole(STARTED, *events, end())["output"] == [own]


def test_citations_are_annotations_of_the_text_before_them():
    theirs = [{"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 2}]
    claudes = [{"type": "char_location", "document_title": "a.pdf", "cited_text": "x"}]
    web = [{"type": "web_search_result_location", "url": "w", "title": "W"}]
    events = [
        TextDelta(text="One. ", citations_json=json.dumps(theirs)), TextDelta(text="Two. ", citations_json="[]"),
        TextDelta(text="Three.", citations_json=json.dumps(claudes)), TextDelta(text="!", citations_json=json.dumps(web)),
        TextDelta(text="Last", citations_json=json.dumps(theirs)),
    ]  # fmt: skip
    told = streamed(STARTED, *events, end())
    (item,) = Reader().read(told)["output"]
    assert item["content"][0]["annotations"] == [
        theirs[0],
        {"type": "file_citation", "file_id": "", "filename": "a.pdf", "index": 16},
        {"type": "url_citation", "url": "w", "title": "W", "start_index": 16, "end_index": 17},
        {**theirs[0], "start_index": 17, "end_index": 19},
    ]
    assert kinds(told).count("output_text.annotation.added") == 4
    assert whole(STARTED, *events, end())["output"] == [item]


def test_probabilities_are_told_to_whoever_asks():
    told = [{"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}]
    events = (STARTED, TextDelta(text="Hi", logprobs_json=json.dumps(told)), end())
    asked = {"include": ["message.output_text.logprobs"], "top_logprobs": 1}
    for response in (Reader().read(streamed(*events, **asked)), whole(*events, **asked)):
        assert response["output"][0]["content"][0]["logprobs"] == told
    assert whole(*events)["output"][0]["content"][0]["logprobs"] == []
    several = (*events[:2], *call(0, "{}"), TextDelta(text="Yo"), end())
    assert whole(*several, **asked)["output"][2]["content"][0]["logprobs"] == []


def test_a_silence_is_an_event_and_is_counted():
    renderer = ResponseRenderer("resp_g", 5, True, form())
    raw = renderer.silence() + renderer.render([STARTED, TextDelta(text="Hi")])
    raw += renderer.silence() + renderer.render([TextDelta(text="!"), end()]) + renderer.end(SUMMARY)
    told = events_in(raw)
    assert Reader().read(told)["output"][0]["content"][0]["text"] == "Hi!"
    assert kinds(told)[:2] == ["created", "in_progress"]
    assert kinds(told)[5:7] == ["in_progress", "output_text.delta"]


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UpstreamFailed("It broke off."), "server_error", "It broke off."),
        (ContextLengthExceeded("Too long."), "context_length_exceeded", "Too long."),
        (Overloaded("Full."), "server_is_overloaded", "Full."),
        (RateLimited("Slow down."), "rate_limit_exceeded", "try again in "),
    ],
)
@pytest.mark.parametrize("begun", [0, 1, 4])
def test_a_stream_that_fails_ends_what_is_open_and_says_why(error: PenstockError, code, words, begun):
    renderer = ResponseRenderer("resp_g", 5, True, form())
    events = [STARTED, ReasoningDelta(text="Hm"), TextDelta(text="Hi"), *call(0, '{"a":')]
    told = events_in(renderer.render(events[:begun]) + renderer.fail(error))
    response = Reader().read(told)
    assert (response["status"], response["error"]["code"]) == ("failed", code)
    assert words in response["error"]["message"]
    said = told[-2]
    assert said["type"] == "error"
    assert said["code"] == said["error"]["code"] == code
    assert said["message"] == said["error"]["message"]


texts = st.text(st.sampled_from('aé"\\\n\u2028日'), min_size=1, max_size=4)
blocks = st.one_of(
    st.builds(lambda text: [TextDelta(text=text)], texts),
    st.builds(lambda text: [ReasoningDelta(text=text)], texts),
    st.builds(lambda text: [ReasoningDelta(text=text, signature=b"s")], texts),
    st.builds(lambda text: [ReasoningDelta(hidden=text.encode())], texts),
    st.builds(lambda: [OpaqueDelta(block=Opaque(format="openai_responses", json='{"id":"x","type":"y"}'))]),
    st.builds(lambda custom: ["call", custom], st.booleans()),
)


def laid(blocks: list[list[Any]]) -> list[Any]:
    events: list[Any] = []
    opaque = 0
    for index, block in enumerate(blocks):
        if block[0] == "call":
            events += call(index, '{"a":', f"{index}}}", is_custom=block[1])
        elif isinstance(block[0], OpaqueDelta):
            opaque += 1
            item = json.dumps({"id": f"x_{opaque}", "type": "y"})
            events.append(OpaqueDelta(block=Opaque(format="openai_responses", json=item)))
        else:
            events += block
    return events


@given(st.lists(blocks, max_size=6), st.integers(1, 4), st.sampled_from(list(FinishReason)), st.booleans())
def test_a_stream_is_what_the_whole_answer_is(made, split, reason, asks):
    asked = {"include": ["reasoning.encrypted_content"], "reasoning": {"summary": "auto"}} if asks else {}
    events = (STARTED, *laid(made), Usage(input_tokens=3, output_tokens=2), end(reason))
    ends = Reader().read(streamed(*events, split=split, **asked))
    assert {**ends, "completed_at": 0} == {**whole(*events, **asked), "completed_at": 0}
