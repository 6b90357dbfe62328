"""OpenAI's Responses, as the vendor's SDK asks for them, of providers of other formats and of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx2
import openai
import pydantic
import pytest

from penstock_common.testing.openai_upstream import Answer, Failure, ToolCall

sys.path.append(str(Path(__file__).parents[2] / "unit" / "gateway_openai"))

from responses_events import Reader, events_in  # noqa: E402

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


async def test_a_loop_of_tools_goes_there_and_back(suite, upstream):
    calls = [ToolCall("weather", ['{"ci', 'ty":"Oslo"}'], "call_1"), ToolCall("weather", ['{"city":"Rome"}'], "call_2")]
    upstream.enqueue(
        Answer(tokens=["Let me see."], tool_calls=calls, finish_reason="tool_calls"), Answer(tokens=["Cold."])
    )
    asked: list[Any] = [{"role": "user", "content": "Weather?"}]
    async with _client(suite) as client:
        async with client.responses.stream(model=MODEL, input=asked, tools=[WEATHER], tool_choice="required") as stream:
            response = await stream.get_final_response()
        assert [item.type for item in response.output] == ["message", "function_call", "function_call"]
        asked += [item.model_dump(exclude_none=True) for item in response.output]
        asked += [{"type": "function_call_output", "call_id": "call_1", "output": "-3"}]
        asked += [
            {"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "?"}]}
        ]
        last = await client.responses.create(model=MODEL, input=asked, tools=[WEATHER])
    assert last.output_text == "Cold."
    first, second = (request.body for request in upstream.requests)
    assert first["tools"][0]["function"]["parameters"] == WEATHER["parameters"]
    assert first["tool_choice"] == "required"
    said = second["messages"]
    assert [turn["role"] for turn in said] == ["user", "assistant", "tool", "tool"]
    assert [call["id"] for call in said[1]["tool_calls"]] == ["call_1", "call_2"]
    assert [turn["content"] for turn in said[2:]] == ["-3", "?"]


async def test_the_sdks_stream_puts_together_what_a_whole_answer_says(suite, upstream):
    call = ToolCall("weather", ['{"city":', '"Oslo"}'], "call_1")
    answer = Answer(reasoning=["Hm", ", so"], tokens=["I ", "look."], tool_calls=[call], finish_reason="tool_calls")
    upstream.enqueue(answer, answer)
    asked: dict[str, Any] = {"model": MODEL, "input": "Oslo?", "tools": [WEATHER]}
    uncached = {"x-penstock-cache": "no-store"}
    async with _client(suite) as client:
        for summary in ("auto", None):
            reasoning: Any = {"effort": "low", "summary": summary}
            async with client.responses.stream(**asked, reasoning=reasoning, extra_headers=uncached) as stream:
                streamed = await stream.get_final_response()
            upstream.enqueue(answer)
            whole = await client.responses.create(**asked, reasoning=reasoning, extra_headers=uncached)
            told = [
                json.loads(each.model_dump_json(exclude={"id", "created_at", "completed_at"}))
                for each in (streamed, whole)
            ]
            for each in told:
                for item in each["output"]:
                    item.pop("parsed_arguments", None)
                    item["id"] = item["id"].split("_")[0] + item["id"].split("_")[-1]
                    for part in item.get("content") or ():
                        part.pop("parsed", None)
            assert told[0] == told[1]
    shown = whole.output[0]
    assert [part.text for part in shown.content] == ["Hm, so"]


async def test_structured_output_is_parsed(suite, upstream):
    class Color(pydantic.BaseModel):
        color: str

    upstream.enqueue(Answer(tokens=['{"color"', ':"red"}']))
    async with _client(suite) as client:
        parsed = await client.responses.parse(model=MODEL, input="Which?", text_format=Color)
    assert parsed.output_parsed == Color(color="red")
    form = upstream.requests[0].body["response_format"]
    assert (form["type"], form["json_schema"]["name"], form["json_schema"]["strict"]) == ("json_schema", "Color", True)


async def test_pictures_reach_a_provider_of_another_format(suite, upstream):
    content: list[Any] = [
        {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"},
        {"type": "input_text", "text": "What?"},
    ]
    async with _client(suite) as client:
        await client.responses.create(model=MODEL, input=[{"role": "user", "content": content}])
    (said,) = upstream.requests[0].body["messages"]
    assert said["content"][0]["image_url"]["url"] == f"data:image/png;base64,{PIXEL}"


async def test_what_only_openai_follows_does_not_stop_others(suite, upstream):
    async with _client(suite) as client:
        raw = await client.responses.with_raw_response.create(
            model=MODEL, input="Hi", reasoning={"summary": "auto"}, include=["web_search_call.action.sources"],
            prompt_cache_key="k", metadata={"a": "b"}, store=False, extra_body={"client_metadata": {"x": "1"}},
        )  # fmt: skip
    assert set(raw.headers["x-penstock-dropped"].split(", ")) >= {"reasoning_summary", "include"}
    assert raw.parse().metadata == {"a": "b"}
    assert "reasoning_summary" not in upstream.requests[0].body
    (row,) = await suite.ledger_after_close()
    assert (row["surface"], row["outcome"]) == ("openai", "ok")


async def test_tools_that_others_run_are_refused_by_their_place(suite, upstream):
    async with _client(suite) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.responses.create(model=MODEL, input="Hi", tools=[WEATHER, {"type": "web_search"}])
    assert refused.value.param == "tools[1]"
    assert not upstream.requests


async def test_errors_are_raised_as_the_vendors_own(suite, upstream):
    async with _client(suite, key="psk_nobody") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.responses.create(model=MODEL, input="Hi")
    async with _client(suite) as client:
        with pytest.raises(openai.NotFoundError) as unknown:
            await client.responses.create(model="nobody", input="Hi")
        assert unknown.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError) as wrong:
            await client.responses.create(model=MODEL, input="Hi", max_output_tokens=0)
        assert wrong.value.param == "max_output_tokens"
        with pytest.raises(openai.NotFoundError):
            await client.responses.create(model=MODEL, input="Hi", previous_response_id="resp_1")
        upstream.enqueue(*[Failure(500)] * 8)
        with pytest.raises(openai.InternalServerError) as failed:
            await client.responses.create(model=MODEL, input="Hi")
    assert failed.value.response.headers["x-request-id"]


async def _events(suite, **asked: Any) -> list[dict[str, Any]]:
    head = {"authorization": f"Bearer {suite.KEY}", "x-penstock-recovery": "off"}
    answered = await suite.request(
        "POST", "/v1/responses", json={"model": MODEL, "input": "Hi", "stream": True, **asked}, headers=head
    )
    assert answered.status == 200, answered.body
    return events_in(answered.body)


async def test_a_stream_that_breaks_off_ends_what_is_open_and_fails(suite, upstream):
    upstream.enqueue(Answer(tokens=["Good", " day"], stop_after=2, finish_reason=None, done=False))
    told = await _events(suite)
    response = Reader().read(told)
    assert (response["status"], response["error"]["code"]) == ("failed", "server_error")
    assert [item["status"] for item in response["output"]] == ["incomplete"]
    assert told[-2]["type"] == "error"
    upstream.enqueue(Answer(tokens=["Good", " day"], stop_after=2, finish_reason=None, done=False))
    async with _client(suite) as client:
        with pytest.raises(openai.APIError):
            stream = await client.responses.create(
                model=MODEL, input="Hi", stream=True, extra_headers={"x-penstock-recovery": "off"}
            )
            async for _ in stream:
                pass


async def test_a_silence_is_filled_with_events(serve, document, upstream, hold):
    document["gateway"] |= {"hold_back": "20ms", "keep_alive": "20ms"}
    suite = await serve()
    upstream.enqueue(Answer(tokens=["one", "two"], hold={1: hold}))
    asked = asyncio.ensure_future(_events(suite))
    await upstream.next_request()
    # Longer than both of them, by the loop's own clock.
    await asyncio.sleep(0.2)
    hold.set()
    told = await asked
    response = Reader().read(told)
    kinds = [event["type"] for event in told]
    assert kinds.count("response.created") == 1
    assert kinds.count("response.in_progress") > 1
    assert response["model"] == MODEL
    assert response["output"][0]["content"][0]["text"] == "onetwo"


@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_asked_again_under_a_key_is_told_alike(suite, upstream, stream):
    head = {"authorization": f"Bearer {suite.KEY}", "idempotency-key": "k1"}
    body = {"model": MODEL, "input": "Hi", "stream": stream}
    first = await suite.request("POST", "/v1/responses", json=body, headers=head)
    again = await suite.request("POST", "/v1/responses", json=body, headers=head)
    assert (first.status, again.status) == (200, 200), first.body
    assert again.header["idempotent-replayed"] == "true"
    assert len(upstream.requests) == 1
    if stream:
        ends = [Reader().read(events_in(answered.body)) for answered in (first, again)]
        assert ends[0] == ends[1]
    else:
        assert first.body == again.body


async def test_a_socket_is_refused_at_once(suite):
    head = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-key": "x", "sec-websocket-version": "13"}
    answered = await suite.request("GET", "/v1/responses", headers=head)
    assert answered.status == 426
    assert answered.error["type"] == "invalid_request_error"
    assert "POST" in answered.error["message"]
    assert (await suite.request("GET", "/v1/responses")).status == 405
