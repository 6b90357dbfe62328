"""The exact bytes of answers, streamed and whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from openai._streaming import SSEDecoder
from openai.types import Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from penstock_common.errors import UpstreamFailed
from penstock_common.llm.events import Answer
from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    GenerationEvent,
    ModelInfo,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UnitPrices,
    Usage,
)
from penstock_gateway.surfaces.wire_formats.answer_head import format_cost_usd
from penstock_gateway.surfaces.wire_formats.format import USUAL_FORM, StreamSummary
from penstock_gateway.surfaces.wire_formats.openai.chat.render import ChunkRenderer, render_whole
from penstock_gateway.surfaces.wire_formats.openai.completions.render import costing
from penstock_gateway.surfaces.wire_formats.openai.errors import error_event
from penstock_gateway.surfaces.wire_formats.openai.models.render import render_model, render_model_list
from penstock_gateway.surfaces.wire_formats.sse import COMMENT

MINI = Candidate(upstream="openai", model="gpt-4o-mini")
STARTED = Started(generation_id="g", answered_by=MINI)
USAGE = Usage(input_tokens=10, output_tokens=4, cached_input_tokens=3, cache_write_input_tokens=2, reasoning_tokens=1)
STOP = Finished(reason=FinishReason.STOP, answered_by=MINI, attempts=1, cost_nano_usd=12_000)
SUMMARY = StreamSummary(overhead_ms=1.23456, cache="miss")

HEAD = (
    'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-mini","choices":['
)
USAGE_JSON = (
    '{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14,'
    '"prompt_tokens_details":{"cached_tokens":3,"cache_write_tokens":2,"audio_tokens":0},'
    '"completion_tokens_details":{"reasoning_tokens":1,"audio_tokens":0,'
    '"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}'
)


def renderer(include_usage: bool = False) -> ChunkRenderer:
    return ChunkRenderer("chatcmpl-1", 1_700_000_000, include_usage)


def chunk(delta: str, finish_reason: str = "null", tail: str = "") -> str:
    return f'{HEAD}{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish_reason}}}]{tail}}}\n\n'


def chunks_of(frames: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in frames.decode().split("\n\n") if line and line != "data: [DONE]"]


def answer_of(*events: GenerationEvent) -> Answer:
    answer = Answer()
    for event in events:
        answer.add(event)
    return answer


@pytest.mark.parametrize(
    ("told", "word"),
    [("priority", "priority"), ("on_demand", None), ("standard", "default"), ("batch", None), ("", None)],
)
@pytest.mark.parametrize("include_usage", [False, True])
def test_the_tier_that_an_answer_was_given_in_is_told(told: str, word: str | None, include_usage: bool) -> None:
    events = [STARTED, TextDelta(text="Hi"), USAGE, replace(STOP, service_tier=told)]
    whole = ChatCompletion.model_validate_json(render_whole([answer_of(*events)], "chatcmpl-1", 1, USUAL_FORM))
    assert whole.service_tier == word
    *_, last = chunks_of(renderer(include_usage).render(events))
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last.get("service_tier", None) == word


def test_a_text_stream_is_rendered_to_the_byte() -> None:
    stream = renderer()
    frames = stream.render([STARTED, TextDelta(text='Hé"\n'), TextDelta(text="lo"), USAGE, STOP]) + stream.end(SUMMARY)
    assert frames.decode() == (
        chunk('{"role":"assistant","content":"","refusal":null}')
        + chunk('{"content":"Hé\\"\\n"}')
        + chunk('{"content":"lo"}')
        + chunk("{}", '"stop"')
        + "data: [DONE]\n\n"
    )


def test_a_stream_with_usage_is_rendered_to_the_byte() -> None:
    stream = renderer(include_usage=True)
    frames = stream.render([STARTED, TextDelta(text="Hi"), USAGE, STOP]) + stream.end(SUMMARY)
    null = ',"usage":null'
    assert frames.decode() == (
        chunk('{"role":"assistant","content":"","refusal":null}', tail=null)
        + chunk('{"content":"Hi"}', tail=null)
        + chunk("{}", '"stop"', tail=null)
        + f'{HEAD}],"usage":{USAGE_JSON},"x_penstock":{{"cost_usd":0.000012,"overhead_ms":1.235,"cache":"miss"}}}}\n\n'
        + "data: [DONE]\n\n"
    )


def test_a_stream_of_tool_calls_is_rendered_to_the_byte() -> None:
    frames = renderer().render(
        [
            STARTED,
            ToolCallDelta(index=0, id="call_1", name="f"),
            ToolCallDelta(index=0, arguments_json_fragment='{"a"'),
            ToolCallDelta(index=0, arguments_json_fragment=":1}"),
            ToolCallDelta(index=1, id="call_2", name="g", arguments_json_fragment="{}"),
            Finished(reason=FinishReason.TOOL_CALLS, answered_by=MINI),
        ]
    )
    assert frames.decode() == (
        chunk('{"role":"assistant","content":"","refusal":null}')
        + chunk('{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]}')
        + chunk('{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\""}}]}')
        + chunk('{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}')
        + chunk('{"tool_calls":[{"index":1,"id":"call_2","type":"function","function":{"name":"g","arguments":"{}"}}]}')
        + chunk("{}", '"tool_calls"')
    )


def test_reasoning_is_rendered_where_clients_of_open_models_read_it() -> None:
    frames = renderer().render([STARTED, ReasoningDelta(text="Hm"), ReasoningDelta(text="m")])
    assert frames.decode().removeprefix(chunk('{"role":"assistant","content":"","refusal":null}')) == (
        chunk('{"reasoning_content":"Hm"}') + chunk('{"reasoning_content":"m"}')
    )


@pytest.mark.parametrize("include_usage", [False, True])
def test_batching_changes_no_byte(include_usage: bool) -> None:
    events = [
        STARTED, ReasoningDelta(text="r"), TextDelta(text="a"), ToolCallDelta(index=0, id="c", name="f"),
        TextDelta(text="b"), USAGE, STOP,
    ]  # fmt: skip
    one_by_one = renderer(include_usage)
    assert renderer(include_usage).render(events) == b"".join(one_by_one.render([event]) for event in events)


def test_nothing_is_rendered_for_events_that_have_no_frame() -> None:
    stream = renderer()
    stream.render([STARTED])
    assert stream.render([]) == b""
    assert stream.render([USAGE]) == b""


@pytest.mark.parametrize("reason", list(FinishReason))
@pytest.mark.parametrize("include_usage", [False, True])
def test_every_chunk_is_valid_for_the_sdks_strict_type(reason: FinishReason, include_usage: bool) -> None:
    stream = renderer(include_usage)
    frames = stream.render(
        [
            STARTED, ReasoningDelta(text="r"), TextDelta(text="a"), ToolCallDelta(index=0, id="c", name="f"),
            ToolCallDelta(index=0, arguments_json_fragment="{"), USAGE, Finished(reason=reason, answered_by=MINI),
        ]
    ) + stream.end(SUMMARY)  # fmt: skip
    chunks = chunks_of(frames)
    assert len(chunks) == 6 + include_usage
    for one in chunks:
        assert ChatCompletionChunk.model_validate(one, strict=True).id == "chatcmpl-1"
    assert [("usage" in one) for one in chunks] == [include_usage] * len(chunks)


def test_the_last_chunks_name_the_model_that_finished_when_a_recovery_changed_it() -> None:
    other = Candidate(upstream="azure", model="gpt-4o")
    stream = renderer(include_usage=True)
    frames = stream.render([STARTED, TextDelta(text="a"), Finished(reason=FinishReason.STOP, answered_by=other)])
    chunks = chunks_of(frames + stream.end(SUMMARY))
    assert [one["model"] for one in chunks] == ["gpt-4o-mini", "gpt-4o-mini", "gpt-4o", "gpt-4o"]


def test_the_usage_chunk_says_null_when_no_usage_came() -> None:
    stream = renderer(include_usage=True)
    stream.render([STARTED, STOP])
    (last,) = chunks_of(stream.end(SUMMARY))
    assert last["usage"] is None
    assert last["choices"] == []


def test_names_are_escaped_in_a_chunk() -> None:
    stream = ChunkRenderer('id"\n%d', 1, False)
    (first,) = chunks_of(stream.render([Started(generation_id="g", answered_by=Candidate(upstream="u", model='m"%b'))]))
    assert (first["id"], first["model"]) == ('id"\n%d', 'm"%b')


@settings(deadline=None)
@given(st.lists(st.text(min_size=1), max_size=6))
def test_the_sdks_decoder_reads_back_any_text(texts: list[str]) -> None:
    stream = renderer()
    frames = stream.render([STARTED, *(TextDelta(text=text) for text in texts), STOP]) + stream.end(SUMMARY)
    events = [event.data for event in SSEDecoder().iter_bytes(iter([frames]))]
    assert events.pop() == "[DONE]"
    deltas = [json.loads(event)["choices"][0]["delta"] for event in events[1:-1]]
    assert [delta["content"] for delta in deltas] == texts


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("a\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029é日"), min_size=1))
def test_no_text_ends_a_line_for_readers_that_split_at_unicode_separators(text: str) -> None:
    events = [TextDelta(text=text), ReasoningDelta(text=text), ToolCallDelta(index=0, arguments_json_fragment=text)]
    frames = renderer().render([STARTED, *events]).decode()
    assert frames.splitlines() == frames.split("\n")[:-1]
    (failure,) = error_event(UpstreamFailed(text)).decode().split("\n\n")[:-1]
    assert failure.splitlines() == [failure]


def test_a_whole_answer_is_rendered_to_the_byte() -> None:
    answer = answer_of(STARTED, TextDelta(text="Hé"), TextDelta(text="llo"), USAGE, STOP)
    assert render_whole((answer,), "chatcmpl-1", 1_700_000_000, USUAL_FORM).decode() == (
        '{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt-4o-mini",'
        '"choices":[{"index":0,"message":{"role":"assistant","content":"Héllo","refusal":null,"annotations":[]},'
        f'"logprobs":null,"finish_reason":"stop"}}],"usage":{USAGE_JSON}}}'
    )


def test_a_whole_answer_of_tool_calls_is_rendered_to_the_byte() -> None:
    answer = answer_of(
        STARTED,
        ReasoningDelta(text="Hm"),
        ToolCallDelta(index=0, id="call_1", name="f"),
        ToolCallDelta(index=0, arguments_json_fragment='{"a":1}'),
        Finished(reason=FinishReason.TOOL_CALLS, answered_by=MINI),
    )
    assert render_whole((answer,), "chatcmpl-1", 1, USUAL_FORM).decode() == (
        '{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-mini",'
        '"choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"reasoning_content":"Hm",'
        '"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\\"a\\":1}"}}],'
        '"annotations":[]},"logprobs":null,"finish_reason":"tool_calls"}]}'
    )


@pytest.mark.parametrize("reason", list(FinishReason))
def test_a_whole_answer_is_valid_for_the_sdks_strict_type(reason: FinishReason) -> None:
    answer = answer_of(
        STARTED, TextDelta(text="a"), ToolCallDelta(index=0, id="c", name="f"), USAGE,
        Finished(reason=reason, answered_by=MINI),
    )  # fmt: skip
    body = json.loads(render_whole((answer,), "chatcmpl-1", 1, USUAL_FORM))
    parsed = ChatCompletion.model_validate(body, strict=True)
    assert parsed.choices[0].finish_reason == reason.value
    assert parsed.model_dump(exclude_unset=True) == body


def test_an_empty_answer_has_empty_content() -> None:
    body = json.loads(render_whole((answer_of(STARTED, USAGE, STOP),), "i", 1, USUAL_FORM))
    assert body["choices"][0]["message"]["content"] == ""


def test_an_incomplete_answer_is_never_rendered() -> None:
    with pytest.raises(ValueError, match="not complete"):
        render_whole((answer_of(STARTED, TextDelta(text="a")),), "i", 1, USUAL_FORM)


def test_models_are_rendered_to_the_byte() -> None:
    fast = '{"id":"fast","object":"model","created":7,"owned_by":"penstock"}'
    assert render_model(ModelInfo(name="fast"), 7).decode() == fast
    assert render_model_list([ModelInfo(name="fast")], 7).decode() == f'{{"object":"list","data":[{fast}]}}'
    assert Model.model_validate_json(render_model(ModelInfo(name="fast"), 7), strict=True).id == "fast"


def test_a_failure_is_one_frame_and_no_end() -> None:
    assert error_event(UpstreamFailed("It broke.\nTwice.")).decode() == (
        'data: {"error":{"message":"It broke.\\nTwice.","type":"server_error","param":null,"code":"upstream_failed"}}'
        "\n\n"
    )


def test_keep_alive_is_a_comment() -> None:
    assert list(SSEDecoder().iter_bytes(iter([COMMENT * 3]))) == []
    assert COMMENT == b": keep-alive\n\n"


@pytest.mark.parametrize(
    ("cost_nano_usd", "expected"),
    [
        (0, "0"), (1, "0.000000001"), (12_000, "0.000012"), (10**9, "1"), (12 * 10**9, "12"),
        (20 * 10**9 + 5, "20.000000005"),
    ],
)  # fmt: skip
def test_cost_is_exact_and_without_exponent(cost_nano_usd: int, expected: str) -> None:
    assert format_cost_usd(cost_nano_usd) == expected


@pytest.mark.parametrize("logprobs", ["", '[{"token":"No","logprob":-0.5,"bytes":null,"top_logprobs":[]}]'])
def test_a_refusal_stands_in_the_place_of_content(logprobs: str) -> None:
    refusal = TextDelta(text="No.", is_refusal=True, logprobs_json=logprobs)
    told = f'{{"content":null,"refusal":{logprobs}}}' if logprobs else "null"
    chunks = renderer()
    chunks.render([STARTED])
    assert chunks.render([refusal]).decode() == (
        f'{HEAD}{{"index":0,"delta":{{"refusal":"No."}},"logprobs":{told},"finish_reason":null}}]}}\n\n'
    )
    answer = Answer()
    for event in (STARTED, refusal, STOP):
        answer.add(event)
    body = render_whole([answer], "chatcmpl-1", 1, USUAL_FORM)
    message = ChatCompletion.model_validate_json(body).choices[0].message
    assert (message.content, message.refusal) == (None, "No.")
    assert json.loads(body)["choices"][0]["logprobs"] == (json.loads(told) if logprobs else None)


def test_a_cost_that_nobody_knows_is_null() -> None:
    stream = renderer(include_usage=True)
    unknown = replace(STOP, unit_prices=UnitPrices(is_unknown=True), cost_nano_usd=0)
    stream.render([STARTED, TextDelta(text="Hi"), USAGE, unknown])
    assert b'"x_penstock":{"cost_usd":null,' in stream.end(SUMMARY)


def test_answers_cost_what_nobody_knows_where_one_of_them_does() -> None:
    unknown = replace(STOP, unit_prices=UnitPrices(is_unknown=True))
    for finished, before in ((STOP, unknown), (unknown, STOP)):
        assert costing(finished, before).known_cost_nano_usd is None
    assert costing(STOP, STOP).known_cost_nano_usd == 2 * STOP.cost_nano_usd
