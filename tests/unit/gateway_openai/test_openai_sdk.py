"""The vendor's unchanged SDK over real HTTP: it reads what is rendered, and what it sends is parsed."""

from __future__ import annotations

import json
from typing import Any, Literal

import openai
import pydantic
import pytest
from openai.types.chat import ChatCompletionMessageParam

from penstock_common.errors import UpstreamFailed
from penstock_common.llm.events import Answer
from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    GenerationEvent,
    JsonSchema,
    ModelInfo,
    Reasoning,
    ReasoningDelta,
    Role,
    Started,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    UnitPrices,
    Usage,
)
from penstock_gateway.surfaces.wire_formats.format import USUAL_FORM, StreamSummary
from penstock_gateway.surfaces.wire_formats.openai.chat.parse import parse_chat_request
from penstock_gateway.surfaces.wire_formats.openai.chat.render import ChunkRenderer, render_whole
from penstock_gateway.surfaces.wire_formats.openai.errors import error_event
from penstock_gateway.surfaces.wire_formats.openai.models.render import render_model, render_model_list
from penstock_gateway.surfaces.wire_formats.sse import COMMENT

MINI = Candidate(upstream="openai", model="gpt-4o-mini")
STARTED = Started(generation_id="g", answered_by=MINI)
TEXT = [STARTED, ReasoningDelta(text="Hm. "), TextDelta(text="Hé"), TextDelta(text="llo\n\ndata: 日本")]
CALLS = [
    STARTED,
    ToolCallDelta(index=0, id="call_1", name="weather"),
    ToolCallDelta(index=0, arguments_json_fragment='{"city"'),
    ToolCallDelta(index=0, arguments_json_fragment=':"Paris"}'),
    ToolCallDelta(index=1, id="call_2", name="weather", arguments_json_fragment='{"city":"Rome"}'),
]
USAGE = Usage(input_tokens=10, output_tokens=4, cached_input_tokens=3, reasoning_tokens=1)
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]


def finished(reason: FinishReason) -> Finished:
    return Finished(reason=reason, answered_by=MINI, attempts=1, cost_nano_usd=12_000)


def stream_of(events: list[GenerationEvent], reason: FinishReason, include_usage: bool = False) -> bytes:
    renderer = ChunkRenderer("chatcmpl-1", 1_700_000_000, include_usage)
    frames = renderer.render(events) + COMMENT + renderer.render([USAGE, finished(reason)])
    return frames + renderer.end(StreamSummary(overhead_ms=1.2, cache="miss"))


def completion_of(events: list[GenerationEvent], reason: FinishReason) -> bytes:
    answer = Answer()
    for event in [*events, USAGE, finished(reason)]:
        answer.add(event)
    return render_whole((answer,), "chatcmpl-1", 1_700_000_000, USUAL_FORM)


def test_a_whole_answer_is_read(server: Any, sdk: openai.OpenAI) -> None:
    server.answer(completion_of(TEXT, FinishReason.STOP))
    completion = sdk.chat.completions.create(model="fast", messages=HELLO)
    choice = completion.choices[0]
    assert (completion.id, completion.model, completion.created) == ("chatcmpl-1", "gpt-4o-mini", 1_700_000_000)
    assert (choice.message.role, choice.message.content) == ("assistant", "Héllo\n\ndata: 日本")
    assert choice.message.tool_calls is None
    assert choice.message.model_extra == {"reasoning_content": "Hm. "}
    assert choice.finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.prompt_tokens_details is not None
    assert completion.usage.completion_tokens_details is not None
    assert (completion.usage.total_tokens, completion.usage.prompt_tokens_details.cached_tokens) == (14, 3)
    assert completion.usage.completion_tokens_details.reasoning_tokens == 1


def test_a_whole_answer_sent_back_is_parsed_as_it_was(server: Any, sdk: openai.OpenAI) -> None:
    for events, reason in ((TEXT, FinishReason.STOP), (CALLS, FinishReason.TOOL_CALLS)):
        server.answer(completion_of(events, reason))
        message = sdk.chat.completions.create(model="fast", messages=HELLO).choices[0].message
        sdk.chat.completions.create(model="fast", messages=[*HELLO, message])  # type: ignore[list-item]  # as in the docs
        turn = parse_chat_request(server.received[-1]).input.messages[1]
        answer = Answer()
        for event in events:
            answer.add(event)
        assert turn == answer.message()


def test_a_text_stream_is_read(server: Any, sdk: openai.OpenAI) -> None:
    server.stream(stream_of(TEXT, FinishReason.STOP))
    chunks = list(sdk.chat.completions.create(model="fast", messages=HELLO, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Héllo\n\ndata: 日本"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert {(chunk.id, chunk.created, chunk.model) for chunk in chunks} == {
        ("chatcmpl-1", 1_700_000_000, "gpt-4o-mini")
    }
    assert parse_chat_request(server.received[0]).stream


def test_a_streams_usage_is_read_when_asked_for(server: Any, sdk: openai.OpenAI) -> None:
    server.stream(stream_of(TEXT, FinishReason.STOP, include_usage=True))
    *chunks, last = sdk.chat.completions.create(
        model="fast", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    assert all(chunk.usage is None for chunk in chunks)
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens) == (10, 4, 14)
    assert last.model_extra == {"x_penstock": {"cost_usd": 0.000012, "overhead_ms": 1.2, "cache": "miss"}}
    assert parse_chat_request(server.received[0]).include_usage


def test_the_sdks_accumulator_sums_a_stream_of_tool_calls(server: Any, sdk: openai.OpenAI) -> None:
    server.stream(stream_of(CALLS, FinishReason.TOOL_CALLS, include_usage=True))
    with sdk.chat.completions.stream(model="fast", messages=HELLO) as stream:
        completion = stream.get_final_completion()
    message = completion.choices[0].message
    assert message.tool_calls is not None
    assert [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls] == [
        ("call_1", "weather", '{"city":"Paris"}'),
        ("call_2", "weather", '{"city":"Rome"}'),
    ]
    assert completion.choices[0].finish_reason == "tool_calls"
    assert completion.usage is not None
    assert completion.usage.total_tokens == 14
    # A client that loops sends the sum back beside the tools' answers.
    sdk.chat.completions.stream(model="fast", messages=[*HELLO, message]).__enter__().close()  # type: ignore[list-item]
    turn = parse_chat_request(server.received[-1]).input.messages[1]
    assert turn.parts == ()
    assert turn.tool_calls[1] == ToolCall(id="call_2", name="weather", arguments_json='{"city":"Rome"}')


def test_a_failure_amid_a_stream_raises_after_what_came_before(server: Any, sdk: openai.OpenAI) -> None:
    renderer = ChunkRenderer("chatcmpl-1", 1, include_usage=True)
    server.stream(renderer.render(TEXT) + error_event(UpstreamFailed("The upstream broke off.")))
    texts: list[str] = []
    with pytest.raises(openai.APIError) as caught:  # noqa: PT012  # what came before the failure counts
        for chunk in sdk.chat.completions.create(model="fast", messages=HELLO, stream=True):
            texts.append(chunk.choices[0].delta.content or "")
    assert "".join(texts) == "Héllo\n\ndata: 日本"
    assert caught.value.message == "The upstream broke off."
    assert (caught.value.type, caught.value.code) == ("server_error", "upstream_failed")


async def test_the_async_sdk_reads_a_stream(server: Any) -> None:
    server.stream(stream_of(TEXT, FinishReason.LENGTH))
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="psk_test") as client:
        stream = await client.chat.completions.create(model="fast", messages=HELLO, stream=True)
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Héllo\n\ndata: 日本"
    assert chunks[-1].choices[0].finish_reason == "length"


class Weather(pydantic.BaseModel):
    """What the SDK makes a schema of."""

    city: str
    unit: Literal["C", "F"]


def test_the_sdks_structured_output_is_carried_and_read(server: Any, sdk: openai.OpenAI) -> None:
    server.answer(completion_of([STARTED, TextDelta(text='{"city":"Rome","unit":"C"}')], FinishReason.STOP))
    completion = sdk.chat.completions.parse(model="fast", messages=HELLO, response_format=Weather)
    message = completion.choices[0].message
    assert message.parsed == Weather(city="Rome", unit="C")
    wanted = parse_chat_request(server.received[0]).input.response_format
    assert isinstance(wanted, JsonSchema)
    assert (wanted.name, wanted.strict) == ("Weather", True)
    assert '"additionalProperties":false' in wanted.schema_json


def test_every_option_of_the_sdk_arrives_somewhere(server: Any, sdk: openai.OpenAI) -> None:
    server.answer(completion_of(TEXT, FinishReason.STOP))
    options: dict[str, Any] = {
        "frequency_penalty": 0.1, "logit_bias": {"1": 2}, "max_completion_tokens": 9, "metadata": {"a": "b"}, "n": 1,
        "parallel_tool_calls": False, "presence_penalty": 0.2, "prompt_cache_key": "k", "reasoning_effort": "low",
        "seed": 4, "stop": ["x"], "temperature": 0.5, "tool_choice": "auto", "top_p": 0.9, "user": "u",
        "verbosity": "low", "extra_body": {"min_p": 0.1, "top_k": 5},
        "tools": [openai.pydantic_function_tool(Weather)],
    }  # fmt: skip
    sdk.chat.completions.create(model="fast", messages=HELLO, **options)
    request = parse_chat_request(server.received[0])
    sampling = request.input.sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.seed) == (0.5, 0.9, 5, 4)
    assert (sampling.max_output_tokens, sampling.stop, sampling.reasoning_effort) == (9, ("x",), "low")
    assert (sampling.frequency_penalty, sampling.presence_penalty) == (0.1, 0.2)
    assert request.input.tools[0].name == "Weather"
    assert (request.context.user, request.context.tags) == ("u", {"a": "b"})
    assert request.input.extra_json == '{"logit_bias":{"1":2},"verbosity":"low","min_p":0.1}'
    assert json.loads(request.input.hints_json) == {"metadata": {"a": "b"}, "prompt_cache_key": "k", "user": "u"}
    assert request.input.messages[0].role is Role.USER
    assert request.input.messages[0].parts == (Text(text="Hello"),)


def test_reasoning_sent_back_is_reasoning(server: Any, sdk: openai.OpenAI) -> None:
    server.answer(completion_of(TEXT, FinishReason.STOP))
    message = sdk.chat.completions.create(model="fast", messages=HELLO).choices[0].message
    sdk.chat.completions.create(model="fast", messages=[message.to_dict()])  # type: ignore[list-item]  # as in the docs
    assert parse_chat_request(server.received[-1]).input.messages[0].parts[0] == Reasoning(text="Hm. ")


def test_models_are_read(server: Any, sdk: openai.OpenAI) -> None:
    server.answer(render_model_list([ModelInfo(name="fast"), ModelInfo(name="auto")], 7))
    assert [model.id for model in sdk.models.list()] == ["fast", "auto"]
    server.answer(render_model(ModelInfo(name="fast", context_window_tokens=9, prices=UnitPrices()), 7))
    model = sdk.models.retrieve("fast")
    assert (model.id, model.created, model.owned_by, model.object) == ("fast", 7, "penstock", "model")
