"""OpenAI's own SDK, unchanged, against the public port."""

from __future__ import annotations

import json
import re
import uuid

import openai
import pytest

from penstock_common.testing.openai_upstream import Answer, Failure, ToolCall

KEY_OF_NOBODY = "psk_nobody-nobody-nobody-nobody-nobody"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"zip": {"type": "string"}, "city": {"type": "string", "minLength": 1.0}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def hello() -> list[dict[str, str]]:
    """Return a conversation that no other test has, so that the cache has no answer to it."""
    return [{"role": "user", "content": f"Hello {uuid.uuid4()}"}]


async def test_a_chat_is_answered_whole(stack, first):
    first.enqueue(Answer(tokens=["Hel", "lo"]))
    async with stack.sdk() as client:
        answer = await client.chat.completions.create(model="fast", messages=hello(), user="sdk-whole")
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.content == "Hello"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens == 9
    assert answer._request_id


async def test_the_demonstration_model_answers_about_penstock(stack):
    async with stack.sdk() as client:
        answer = await client.chat.completions.create(
            model="penstock-demo", messages=[{"role": "user", "content": "What is Penstock?"}], temperature=0
        )
    assert "Penstock" in answer.choices[0].message.content
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.completion_tokens > 0


async def test_a_stream_ends_with_its_usage_when_asked_for(stack, first):
    first.enqueue(Answer(tokens=["Hel", "lo", "!"]))
    async with stack.sdk() as client:
        stream = await client.chat.completions.create(
            model="fast", messages=hello(), stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "Hello!"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert len({chunk.id for chunk in chunks}) == 1
    *before, last = chunks
    assert last.choices == []
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (7, 3)
    assert all(chunk.usage is None for chunk in before)


async def test_a_stream_has_no_usage_when_not_asked_for(stack, first):
    async with stack.sdk() as client:
        stream = await client.chat.completions.create(model="fast", messages=hello(), stream=True)
        chunks = [chunk async for chunk in stream]
    assert all(chunk.usage is None and len(chunk.choices) == 1 for chunk in chunks)


async def test_tools_pass_through_and_their_results_go_up(stack, first):
    call = ToolCall("get_weather", ['{"ci', 'ty": "Bo', 'nn"}'], id="call_77")
    first.enqueue(Answer(tokens=[], tool_calls=[call], finish_reason="tool_calls"), Answer(tokens=["Sunny."]))
    async with stack.sdk() as client:
        asked = [{"role": "user", "content": "Weather in Bonn?"}]
        answer = await client.chat.completions.create(
            model="fast", messages=asked, tools=[WEATHER], tool_choice="auto", parallel_tool_calls=False
        )
        message = answer.choices[0].message
        assert answer.choices[0].finish_reason == "tool_calls"
        assert [(made.id, made.function.name) for made in message.tool_calls] == [("call_77", "get_weather")]
        assert message.tool_calls[0].function.arguments == '{"city": "Bonn"}'
        result = {"role": "tool", "tool_call_id": "call_77", "content": '{"sky": "clear"}'}
        turns = [*asked, message.model_dump(exclude_none=True), result]
        last = await client.chat.completions.create(model="fast", messages=turns, tools=[WEATHER])
    assert last.choices[0].message.content == "Sunny."
    opened, followed = (request.body for request in first.requests)
    assert opened["tools"] == [WEATHER]
    schema = json.dumps(WEATHER["function"]["parameters"], separators=(",", ":"))
    assert schema.encode() in first.requests[0].raw_body.replace(b", ", b",").replace(b": ", b":"), (
        "verbatim, keys in order"
    )
    assert opened["parallel_tool_calls"] is False
    assert followed["messages"][-1] == result
    assert followed["messages"][-2]["tool_calls"][0]["function"] == {
        "name": "get_weather", "arguments": '{"city": "Bonn"}',
    }  # fmt: skip


async def test_streamed_tool_calls_come_in_fragments(stack, first):
    call = ToolCall("get_weather", ['{"ci', 'ty": "Bo', 'nn"}'], id="call_78")
    first.enqueue(Answer(tokens=[], tool_calls=[call], finish_reason="tool_calls"))
    async with (
        stack.sdk() as client,
        client.chat.completions.stream(model="fast", messages=hello(), tools=[WEATHER]) as stream,
    ):
        final = await stream.get_final_completion()
    (made,) = final.choices[0].message.tool_calls
    assert (made.id, made.function.name, made.function.arguments) == ("call_78", "get_weather", '{"city": "Bonn"}')


async def test_a_json_schema_reaches_the_upstream(stack, first):
    first.enqueue(Answer(tokens=['{"name":', ' "Ada"}']))
    wanted = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
    async with stack.sdk() as client:
        answer = await client.chat.completions.create(model="fast", messages=hello(), response_format=wanted)
    assert json.loads(answer.choices[0].message.content) == {"name": "Ada"}
    assert first.requests[0].body["response_format"] == wanted


async def test_an_image_by_data_url_reaches_the_upstream(stack, first):
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    async with stack.sdk() as client:
        await client.chat.completions.create(model="fast", messages=[{"role": "user", "content": content}])
    sent = first.requests[0].body["messages"][0]["content"]
    assert sent[0] == {"type": "text", "text": "What is this?"}
    assert sent[1]["image_url"]["url"] == PIXEL


async def test_the_older_completions_are_whole_and_streamed(stack, first):
    first.enqueue(Answer(tokens=["there", " was"]), Answer(tokens=["there", " was"]))
    async with stack.sdk() as client:
        whole = await client.completions.create(model="fast", prompt=f"Once {uuid.uuid4()}")
        stream = await client.completions.create(model="fast", prompt=f"Once {uuid.uuid4()}", stream=True)
        pieces = [chunk.choices[0].text async for chunk in stream]
        with pytest.raises(openai.BadRequestError) as caught:
            await client.completions.create(model="fast", prompt="Once", suffix="end")
    assert whole.choices[0].text == "".join(pieces) == "there was"
    assert whole.usage.completion_tokens == 2
    assert caught.value.code == "unsupported_parameter"


async def test_models_are_listed_and_retrieved(stack, public_models):
    async with stack.sdk() as client:
        names = [model.id async for model in client.models.list()]
        one = await client.models.retrieve("penstock-demo")
    assert names == sorted(names)
    assert set(names) == public_models
    assert (one.id, one.object) == ("penstock-demo", "model")


async def test_a_key_sees_and_uses_only_its_models(stack, first):
    async with stack.sdk("key-of-narrow-key-of-narrow") as client:
        assert [model.id async for model in client.models.list()] == ["fast"]
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("penstock-demo")
        with pytest.raises(openai.PermissionDeniedError, match="penstock-demo"):
            await client.chat.completions.create(model="penstock-demo", messages=hello())
        answer = await client.chat.completions.create(model="fast", messages=hello())
    assert answer.choices[0].message.content


async def test_a_wrong_key_is_an_authentication_error(stack, first):
    async with stack.sdk(KEY_OF_NOBODY) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.chat.completions.create(model="fast", messages=hello())
    assert caught.value.code == "invalid_api_key"
    assert "key" in caught.value.message.lower()
    assert KEY_OF_NOBODY not in caught.value.message
    assert caught.value.request_id
    assert first.requests == []


async def test_an_unknown_model_is_not_found(stack):
    async with stack.sdk() as client:
        with pytest.raises(openai.NotFoundError, match="no-such-model") as caught:
            await client.chat.completions.create(model="no-such-model", messages=hello())
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("temperature", {"temperature": 7}),
        ("temperature", {"temperature": "hot"}),
        ("messages", {"messages": []}),
        ("tools[0].function.parameters", {"tools": [{"type": "function", "function": {"name": "f", "parameters": 5}}]}),
        ("n", {"n": 0}),
        ("frobnicate", {"extra_body": {"frobnicate": True}}),
    ],
)
async def test_an_invalid_field_is_named(stack, first, field, body):
    async with stack.sdk() as client:
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(**{"model": "fast", "messages": hello(), **body})
    assert caught.value.param == field
    assert field.split("[")[0].split(".")[-1] in caught.value.message
    assert caught.value.type == "invalid_request_error"
    assert first.requests == []


async def test_a_conversation_longer_than_the_window_is_refused_with_both_numbers(stack):
    text = "What does the router do? " * 120
    async with stack.sdk() as client:
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(model="penstock-demo", messages=[{"role": "user", "content": text}])
    assert caught.value.code == "context_length_exceeded"
    asked, most = (int(number) for number in re.findall(r"\d+", caught.value.body["message"]))
    assert asked > most
    assert most <= 512


async def test_the_eleventh_request_in_a_minute_is_refused_on_the_free_tier(stack, first):
    async with stack.sdk("key-of-free-sdk-key-of-free-sdk", max_retries=0) as client:
        for _ in range(10):
            await client.chat.completions.create(model="fast", messages=hello())
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="fast", messages=hello())
    headers = caught.value.response.headers
    assert caught.value.code == "rate_limit_exceeded"
    assert "10" in caught.value.message
    assert "minute" in caught.value.message
    assert 1 <= int(headers["retry-after"]) <= 60
    assert headers["x-ratelimit-limit-requests"] == "10"
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert len(first.requests) == 10


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_provider_that_fails_everywhere_is_told_once(stack, broken, streamed):
    for server in broken:
        server.enqueue(*[Failure(500)] * 30)
    user = f"sdk-hopeless-{streamed}"
    async with stack.sdk() as client:
        with pytest.raises(openai.InternalServerError) as caught:
            await client.chat.completions.create(model="hopeless", messages=hello(), stream=streamed, user=user)
    assert client.max_retries == 2
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert caught.value.status_code == 502
    assert caught.value.code == "upstream_failed"
    assert "broken" in caught.value.message
    assert len(caught.value.message) > 20
    await stack.ledger_row(user=user)
    assert all(server.requests for server in broken), "each candidate was asked"


async def test_responses_are_kept_and_made_in_the_background(stack, first):
    first.enqueue(Answer(tokens=["One"]), Answer(tokens=["Two"]))
    async with stack.sdk() as client:
        kept = await client.responses.create(model="fast", input=f"First {uuid.uuid4()}")
        events = await client.responses.create(
            model="fast", input="Second", previous_response_id=kept.id, background=True, stream=True
        )
        seen = [event async for event in events]
        assert [event.sequence_number for event in seen] == list(range(len(seen)))
        assert seen[-1].response.output_text == "Two"
        rest = await client.responses.retrieve(seen[-1].response.id, stream=True, starting_after=2)
        assert [event.to_dict() async for event in rest] == [event.to_dict() for event in seen[3:]]
        assert (await client.responses.retrieve(kept.id)).output_text == "One"
        await client.responses.delete(kept.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(kept.id)
        (item,) = (await client.responses.input_items.list(seen[-1].response.id)).data
        assert item.content[0].text == "Second"
