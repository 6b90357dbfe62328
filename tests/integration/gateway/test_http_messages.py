"""Anthropic's Messages, as the vendor's SDK asks for them, of a provider of another format and of its own."""

from __future__ import annotations

import base64
import json
from typing import Any

import anthropic
import httpx2
import pytest

from penstock_common.testing.anthropic_answers import Message
from penstock_common.testing.openai_upstream import Answer, Failure, ToolCall

MODEL, MAX = "fast", 100
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = {
    "name": "weather",
    "description": "Says it.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def _client(suite, key=None):
    http = httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=suite.http_socket))
    return anthropic.AsyncAnthropic(
        base_url="http://penstock", api_key=key or suite.KEY, http_client=http, max_retries=0
    )


def _asked(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": MAX, "messages": list(messages), **more}


def _user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


async def test_a_whole_answer_is_a_message(suite, upstream):
    upstream.enqueue(Answer(tokens=["Good", " day"]))
    async with _client(suite) as client:
        message = await client.messages.create(
            **_asked(_user("Hi")), system="Be brief.", extra_body={"temperature": 0.5}
        )
    assert (message.type, message.role, message.stop_reason) == ("message", "assistant", "end_turn")
    assert message.id.startswith("msg_")
    assert [block.text for block in message.content] == ["Good day"]
    assert message.usage.output_tokens > 0
    assert message._request_id
    sent = upstream.requests[0].body
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (sent["temperature"], sent.get("max_tokens") or sent.get("max_completion_tokens")) == (0.5, MAX)


async def test_a_stream_has_the_vendors_events_in_their_order(suite, upstream):
    upstream.enqueue(Answer(tokens=["Good", " day"]))
    head = {"x-api-key": suite.KEY, "anthropic-version": "2023-06-01"}
    body = _asked(_user("Hi"), stream=True)
    answered = await suite.request("POST", "/v1/messages?beta=true", json=body, headers=head)
    assert answered.status == 200
    assert answered.header["request-id"] == answered.header["x-request-id"]
    events = [dict(line.split(": ", 1) for line in frame.split("\n")) for frame in answered.frames]
    assert all(json.loads(event["data"])["type"] == event["event"] for event in events)
    names = [event["event"] for event in events]
    assert names[:2] == ["message_start", "content_block_start"]
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(names[2:-3]) == {"content_block_delta"}
    begun, ended = json.loads(events[0]["data"])["message"], json.loads(events[-2]["data"])
    assert begun["usage"]["input_tokens"] > 0
    assert (begun["content"], begun["stop_reason"]) == ([], None)
    assert (ended["delta"]["stop_reason"], ended["delta"]["stop_sequence"]) == ("end_turn", None)
    assert ended["usage"]["output_tokens"] > 0
    assert ended["x_penstock"]["cache"]


async def test_a_loop_of_tools_goes_there_and_back(suite, upstream):
    calls = [ToolCall("weather", ['{"ci', 'ty":"Oslo"}'], "call_1"), ToolCall("weather", ['{"city":"Rome"}'], "call_2")]
    upstream.enqueue(
        Answer(tokens=["Let me see."], tool_calls=calls, finish_reason="tool_calls"), Answer(tokens=["Cold."])
    )
    async with _client(suite) as client:
        async with client.messages.stream(
            **_asked(_user("Weather?"), tools=[WEATHER], tool_choice={"type": "any"})
        ) as stream:
            message = await stream.get_final_message()
        assert message.stop_reason == "tool_use"
        assert [block.type for block in message.content] == ["text", "tool_use", "tool_use"]
        assert [block.input for block in message.content[1:]] == [{"city": "Oslo"}, {"city": "Rome"}]
        results = [
            {"type": "tool_result", "tool_use_id": "call_1", "content": "-3"},
            {
                "type": "tool_result",
                "tool_use_id": "call_2",
                "content": [{"type": "text", "text": "?"}],
                "is_error": True,
            },
            {"type": "text", "text": "Go on."},
        ]
        answer = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in message.content]}
        await client.messages.create(**_asked(_user("Weather?"), answer, _user(results), tools=[WEATHER]))
    first, second = (request.body for request in upstream.requests)
    assert first["tools"][0]["function"]["parameters"] == WEATHER["input_schema"]
    assert first["tool_choice"] == "required"
    said = second["messages"]
    assert [turn["role"] for turn in said] == ["user", "assistant", "tool", "tool", "user"]
    assert [call["id"] for call in said[1]["tool_calls"]] == ["call_1", "call_2"]
    assert (said[2]["tool_call_id"], said[4]["content"]) == ("call_1", "Go on.")


async def test_pictures_and_system_blocks_reach_a_provider_of_another_format(suite, upstream):
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    system = [
        {"type": "text", "text": "One."},
        {"type": "text", "text": "Two.", "cache_control": {"type": "ephemeral"}},
    ]
    async with _client(suite) as client:
        await client.messages.create(**_asked(_user([image, {"type": "text", "text": "What?"}])), system=system)
    said = upstream.requests[0].body["messages"]
    assert "One." in json.dumps(said[0])
    assert "Two." in json.dumps(said[0])
    assert said[1]["content"][0]["image_url"]["url"] == f"data:image/png;base64,{PIXEL}"


async def test_what_only_the_vendors_own_models_follow_does_not_stop_others(suite, upstream):
    body = _asked(
        _user("Hi"), context_management={"edits": []}, thinking={"type": "adaptive"}, metadata={"user_id": "u-1"}
    )
    head = {"x-api-key": suite.KEY, "anthropic-version": "2023-06-01", "anthropic-beta": "a-2026-01-01,b-2026-01-01"}
    answered = await suite.request("POST", "/v1/messages", json=body, headers=head)
    assert answered.status == 200, answered.body
    assert set(answered.header["x-penstock-dropped"].split(", ")) >= {"context_management", "anthropic_beta"}
    assert "thinking" not in upstream.requests[0].body
    (row,) = await suite.ledger_after_close()
    assert (row["surface"], row["user"], row["outcome"]) == ("anthropic", "u-1", "ok")


@pytest.fixture
def own_format(document, upstream):
    """The first upstream speaks the format itself."""
    document["upstreams"][0] |= {
        "provider": "anthropic",
        "base_url": upstream.base_url.removesuffix("/v1"),
        "models": [{"name": "m1", "context_window": 8000, "price": {"input": 1, "output": 2},
                    "capabilities": ["chat", "tools", "vision", "json_schema"]}],
    }  # fmt: skip
    return upstream


async def test_signed_thinking_comes_back_to_the_provider_as_it_gave_it(own_format, serve):
    suite = await serve()
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVk"}
    hidden = {"type": "redacted_thinking", "data": "aGlkZGVu"}
    call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}
    own_format.enqueue(
        Message(content=[thought, hidden, call], stop_reason="tool_use").streamed(),
        Message(content=[{"type": "text", "text": "Cold."}]).whole(),
    )
    async with _client(suite) as client:
        async with client.messages.stream(**_asked(_user("Weather?"), tools=[WEATHER])) as stream:
            message = await stream.get_final_message()
        blocks = [block.model_dump(exclude_none=True) for block in message.content]
        assert [block["type"] for block in blocks] == ["thinking", "redacted_thinking", "tool_use"]
        assert blocks[0]["signature"] != thought["signature"]
        result = _user([{"type": "tool_result", "tool_use_id": "toolu_1", "content": "-3"}])
        answer = {"role": "assistant", "content": blocks}
        await client.messages.create(**_asked(_user("Weather?"), answer, result, tools=[WEATHER]))
    sent = own_format.requests[1].body["messages"][1]["content"]
    assert sent[:2] == [thought, hidden]
    assert sent[2] == call


async def test_blocks_and_tools_that_only_the_provider_knows_travel_as_they_are(own_format, serve):
    suite = await serve()
    found = {
        "type": "web_search_tool_result",
        "tool_use_id": "srv_1",
        "content": [{"type": "web_search_result", "url": "u"}],
    }
    searched = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "q"}}
    own_format.enqueue(
        Message(content=[searched, found, {"type": "text", "text": "It is."}], stop_reason="pause_turn").whole(),
        Message(content=[{"type": "text", "text": "Done."}]).whole(),
    )
    head = {"x-api-key": suite.KEY, "anthropic-version": "2023-06-01", "anthropic-beta": "web-2026-01-01"}
    own_tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    body = _asked(_user("Search."), tools=[own_tool], container="c-1")
    answered = await suite.request("POST", "/v1/messages", json=body, headers=head)
    assert answered.json["content"][:2] == [searched, found]
    assert answered.json["stop_reason"] == "pause_turn"
    again = _asked(_user("Search."), {"role": "assistant", "content": answered.json["content"]}, tools=[own_tool])
    await suite.request("POST", "/v1/messages", json=again, headers=head)
    first, second = own_format.requests
    assert first.body["tools"] == [own_tool]
    assert first.body["container"] == "c-1"
    assert "web-2026-01-01" in first.headers["anthropic-beta"]
    assert second.body["messages"][1]["content"][:2] == [searched, found]


async def test_errors_are_raised_as_the_vendors_own(suite, upstream):
    async with _client(suite, key="psk_nobody") as client:
        with pytest.raises(anthropic.AuthenticationError) as refused:
            await client.messages.create(**_asked(_user("Hi")))
    assert refused.value.body["error"]["type"] == "authentication_error"
    async with _client(suite) as client:
        with pytest.raises(anthropic.NotFoundError):
            await client.messages.create(**{**_asked(_user("Hi")), "model": "nobody"})
        with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
            await client.messages.create(**{**_asked(_user("Hi")), "max_tokens": 0})
        upstream.enqueue(*[Failure(500)] * 8)
        with pytest.raises(anthropic.InternalServerError) as failed:
            await client.messages.create(**_asked(_user("Hi")))
    assert failed.value.response.headers["x-should-retry"] == "false"
    assert failed.value.response.headers["request-id"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"messages": [], "max_tokens": 1}, "model"),
        ({"model": MODEL, "max_tokens": 1}, "messages"),
        ({"model": MODEL, "messages": [{"role": "user", "content": "x"}]}, "max_tokens"),
        (_asked({"role": "robot", "content": "x"}), "messages[0].role"),
        (_asked(_user([{"type": "text"}])), "messages[0].content[0].text"),
        (_asked(_user([{"type": "image"}])), "messages[0].content[0].source"),
        (_asked(_user([{"type": "image", "source": {"type": "base64", "data": "?"}}])), "source.data"),
        (
            _asked({"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "b", "input": []}]}),
            "input",
        ),
        (_asked(_user("x"), tools=[{"name": "t", "input_schema": 5}]), "tools[0].input_schema"),
        (_asked(_user("x"), tool_choice={"type": "tool"}), "tool_choice.name"),
    ],
)
async def test_a_request_that_is_none_is_told_what_to_change(suite, upstream, body, field):
    answered = await suite.request("POST", "/v1/messages", json=body, headers={"x-api-key": suite.KEY})
    assert answered.status == 400
    assert (answered.json["type"], answered.error["type"]) == ("error", "invalid_request_error")
    assert field in answered.error["message"]
    assert not upstream.requests


async def test_a_stream_that_breaks_off_ends_in_an_error_event(suite, upstream, document):
    upstream.enqueue(Answer(tokens=["Good", " day"], stop_after=2, finish_reason=None, done=False))
    body = _asked(_user("Hi"), stream=True)
    head = {"x-api-key": suite.KEY, "x-penstock-recovery": "off"}
    answered = await suite.request("POST", "/v1/messages", json=body, headers=head)
    last = answered.frames[-1].split("\n")
    assert last[0] == "event: error"
    assert json.loads(last[1].removeprefix("data: "))["error"]["type"] == "api_error"
    assert not any("message_stop" in frame for frame in answered.frames)


async def test_tokens_are_counted_without_asking_anybody(suite, upstream):
    async with _client(suite) as client:
        short = await client.messages.count_tokens(model=MODEL, messages=[_user("Hi")])
        long = await client.messages.count_tokens(model=MODEL, messages=[_user("word " * 1000)], tools=[WEATHER])
        with pytest.raises(anthropic.NotFoundError):
            await client.messages.count_tokens(model="nobody", messages=[_user("Hi")])
    assert 0 < short.input_tokens < 20
    assert 1000 < long.input_tokens < 1500
    assert not upstream.requests


async def test_models_are_listed_in_the_words_of_whoever_asks(suite):
    async with _client(suite) as client:
        models = [model async for model in client.models.list()]
        one = await client.models.retrieve("fast")
    assert [model.id for model in models] == ["fast", "safe"]
    assert (one.type, one.display_name, one.max_input_tokens) == ("model", "fast", 8000)
    answered = await suite.request("GET", "/v1/models", headers={"authorization": f"Bearer {suite.KEY}"})
    assert answered.json["object"] == "list"


async def test_the_cache_answers_an_equal_request_whole_and_streamed(suite, upstream):
    async with _client(suite) as client:
        first = await client.messages.create(**_asked(_user("Same?")), extra_body={"temperature": 0})
        async with client.messages.stream(**_asked(_user("Same?")), extra_body={"temperature": 0}) as stream:
            second = await stream.get_final_message()
    assert len(upstream.requests) == 1
    assert [block.text for block in second.content] == [block.text for block in first.content]
    assert second.usage.output_tokens == first.usage.output_tokens


def test_the_picture_is_one():
    assert base64.b64decode(PIXEL).startswith(b"\x89PNG")
