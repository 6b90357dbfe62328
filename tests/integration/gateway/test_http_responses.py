"""OpenAI's Responses, as the vendor's SDK asks for them, of providers of other formats and of its own."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest

from penstock_common.testing.openai_upstream import Answer, Failure, ToolCall

MODEL = "fast"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "Says it.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def _client(suite, key=None):
    http = httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=suite.http_socket))
    return openai.AsyncOpenAI(base_url="http://penstock/v1", api_key=key or suite.KEY, http_client=http, max_retries=0)


async def test_a_whole_answer_is_a_response(suite, upstream):
    upstream.enqueue(Answer(tokens=["Good", " day"]))
    async with _client(suite) as client:
        response = await client.responses.create(model=MODEL, input="Hi", instructions="Be brief.", temperature=0.5)
    assert (response.object, response.status, response.error) == ("response", "completed", None)
    assert response.id.startswith("resp_")
    assert response.output_text == "Good day"
    assert (response.instructions, response.temperature, response.top_p) == ("Be brief.", 0.5, 1.0)
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens > 0
    assert response._request_id
    sent = upstream.requests[0].body
    assert sent["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert sent["temperature"] == 0.5


async def test_a_stream_has_the_vendors_events_in_their_order(suite, upstream):
    upstream.enqueue(Answer(tokens=["Good", " day"]))
    async with _client(suite) as client:
        stream = await client.responses.create(model=MODEL, input="Hi", stream=True)
        events = [event async for event in stream]
    kinds = [event.type.removeprefix("response.") for event in events]
    deltas = kinds.count("output_text.delta")
    assert kinds == [
        "created", "in_progress", "output_item.added", "content_part.added", *["output_text.delta"] * deltas,
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].response.output_text == "Good day"
