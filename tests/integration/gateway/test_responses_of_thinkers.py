"""Chains over a provider that signs its reasoning: what is kept gives it back as it came, whoever goes on from it."""

from __future__ import annotations

import httpx2
import openai
import pytest

from penstock_common.testing.anthropic_answers import Message

WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "Says it.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVk"}
HIDDEN = {"type": "redacted_thinking", "data": "aGlkZGVu"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}


@pytest.fixture
def thinker(document, upstream):
    """The first upstream speaks Anthropic's format, and there is another that does not."""
    document["upstreams"][0] |= {"provider": "anthropic", "base_url": upstream.base_url.removesuffix("/v1")}
    document["models"].append({"name": "other", "candidates": ["second/m1"]})
    return upstream


def sdk(suite):
    http = httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=suite.http_socket))
    return openai.AsyncOpenAI(base_url="http://penstock/v1", api_key=suite.KEY, http_client=http, max_retries=0)


@pytest.mark.parametrize("stream", [False, True])
async def test_reasoning_is_gone_on_from_though_the_caller_never_saw_what_proves_it(thinker, serve, stream):
    suite = await serve()
    answer = Message(content=[THOUGHT, HIDDEN, CALL], stop_reason="tool_use")
    thinker.enqueue(answer.streamed(), Message(content=[{"type": "text", "text": "Cold."}]).streamed())
    async with sdk(suite) as client:
        first = await client.responses.create(model="fast", input="Weather?", tools=[WEATHER], stream=stream)
        if stream:
            first = [event async for event in first][-1].response
        assert "encrypted_content" not in str(first.to_dict())
        output = {"type": "function_call_output", "call_id": first.output[-1].call_id, "output": "-3"}
        second = await client.responses.create(
            model="fast", input=[output], tools=[WEATHER], previous_response_id=first.id
        )
        assert second.output_text == "Cold."
        sent = thinker.requests[1].body["messages"][1]["content"]
        assert sent == [THOUGHT, HIDDEN, CALL]
        # Who asks for it is given it, and may hand it back without what is kept.
        whole = await client.responses.retrieve(first.id, include=["reasoning.encrypted_content"])
        assert [item.type for item in whole.output][-1] == "function_call"
        assert all(item.encrypted_content for item in whole.output if item.type == "reasoning")


async def test_another_provider_goes_on_from_the_same_conversation(thinker, serve, second_upstream):
    suite = await serve()
    thinker.enqueue(Message(content=[THOUGHT, {"type": "text", "text": "Cold."}]).streamed())
    async with sdk(suite) as client:
        first = await client.responses.create(model="fast", input="Weather?")
        second = await client.responses.create(model="other", input="Sure?", previous_response_id=first.id)
    assert second.status == "completed"
    asked = [(each["role"], each["content"]) for each in second_upstream.requests[0].body["messages"]]
    assert asked == [("user", "Weather?"), ("assistant", "Cold."), ("user", "Sure?")]
