"""The typed API as REST, against the public port."""

from __future__ import annotations

import asyncio
import json

import pytest
from google.protobuf import json_format

from penstock.gateway.v1 import chat_service_pb2 as chat_pb
from penstock_common.llm.convert import event_from_proto
from penstock_common.llm.events import StreamInvariants
from penstock_common.testing.openai_upstream import Answer, End, Failure, NoResponse

CHAT, STREAM = "/api/v1/chat", "/api/v1/chat:stream"


def body(text: str, model: str = "fast", **more) -> dict:
    return {"input": {"model": model, "messages": [{"role": "ROLE_USER", "parts": [{"text": text}]}]}, **more}


def checked(messages: list[dict]) -> str:
    """Return the text of a stream that obeys the contract."""
    invariants, text = StreamInvariants(), ""
    for message in messages:
        event = json_format.ParseDict(message, chat_pb.StreamChatResponse()).event
        invariants.observe(event_from_proto(event))
        text += event.text_delta.text
    invariants.end()
    return text


def reason_of(status: dict) -> str:
    (info,) = [detail for detail in status["details"] if detail["@type"].endswith("google.rpc.ErrorInfo")]
    assert info["domain"] == "penstock.dev"
    return info["reason"]


async def test_a_whole_chat(stack, first):
    first.enqueue(Answer(tokens=["Hel", "lo"]))
    answer = await stack.request("POST", CHAT, json=body("rest whole"))
    assert answer.status == 200
    assert answer.header["content-type"].startswith("application/json")
    assert answer.json["message"]["parts"] == [{"text": "Hello"}]
    assert answer.json["finish_reason"] == "FINISH_REASON_STOP"
    assert answer.json["usage"] == {"input_tokens": 7, "output_tokens": 2}
    assert answer.json["cost_nano_usd"] == "11000"
    assert answer.json["cache"]["status"] == "STATUS_MISS"
    assert answer.header["x-penstock-cache"].startswith("miss")
    row = await stack.ledger_row(request_id=answer.header["x-request-id"])
    assert row["generation_id"] == answer.json["generation_id"]


async def test_the_demonstration_model_over_rest(stack):
    answer = await stack.request("POST", CHAT, json=body("What is Penstock?", "penstock-demo"))
    assert "Penstock" in answer.json["message"]["parts"][0]["text"]


async def test_a_stream_as_lines(stack, first):
    first.enqueue(Answer(tokens=["Hel", "lo"]))
    answer = await stack.request("POST", STREAM, json=body("rest lines"))
    assert answer.status == 200
    messages = [json.loads(line) for line in answer.body.decode().splitlines()]
    assert all(set(message) == {"result"} for message in messages)
    assert checked([message["result"] for message in messages]) == "Hello"


async def test_a_stream_as_events(stack, first):
    first.enqueue(Answer(tokens=["Hel", "lo"]))
    answer = await stack.request("POST", STREAM, json=body("rest events"), headers={"accept": "text/event-stream"})
    assert answer.status == 200
    assert answer.header["content-type"].startswith("text/event-stream")
    frames = answer.body.decode().split("\n\n")[:-1]
    assert all(frame.startswith("data: ") and "\n" not in frame for frame in frames)
    assert checked([json.loads(frame[6:]) for frame in frames]) == "Hello"


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_tokens_arrive_while_the_upstream_still_writes(stack, first, accept):
    rest = asyncio.Event()
    first.enqueue(Answer(tokens=["Hel", "lo"], hold={2: rest}))
    headers = {"authorization": f"Bearer {stack.keys['app']}", "accept": accept}
    async with stack.session.post(stack.http + STREAM, json=body(f"rest early {accept}"), headers=headers) as response:
        async for line in response.content:
            if b"Hel" in line:
                break
        rest.set()
        assert b"finished" in await response.content.read()


async def test_a_stream_that_breaks_says_so_last(stack, first):
    first.enqueue(Answer(tokens=["Hel", "lo"], stop_after=2, end=End.RESET))
    answer = await stack.request("POST", STREAM, json={**body("rest cut"), "noRecovery": True})
    assert answer.status == 200
    *_, last = [json.loads(line) for line in answer.body.decode().splitlines()]
    assert set(last) == {"error"}
    assert last["error"]["code"] == 14
    assert reason_of(last["error"]) == "UPSTREAM_FAILED"


async def test_a_stream_that_breaks_is_made_whole(stack, frail):
    frail.enqueue(Answer(tokens=["Hello, ", "world."], stop_after=2, end=End.RESET))
    answer = await stack.request("POST", STREAM, json=body("rest recovered", "frail"))
    events = [json.loads(line)["result"]["event"] for line in answer.body.decode().splitlines()]
    assert "".join(event.get("text_delta", {}).get("text", "") for event in events) == "Hello, world."
    (recovery,) = events[-1]["finished"]["recoveries"]
    assert recovery["cause"] == "cut"


async def test_an_event_stream_that_breaks_says_so_last(stack, first):
    first.enqueue(Answer(tokens=["Hel", "lo"], stop_after=2, end=End.FIN))
    headers = {"accept": "text/event-stream", "x-penstock-recovery": "off"}
    answer = await stack.request("POST", STREAM, json=body("rest cut sse"), headers=headers)
    event, data = answer.body.decode().split("\n\n")[-2].split("\n")
    assert event == "event: error"
    assert reason_of(json.loads(data.removeprefix("data: "))) == "UPSTREAM_FAILED"


@pytest.mark.parametrize("path", [CHAT, STREAM])
@pytest.mark.parametrize(
    ("wrong", "status", "code", "reason"),
    [
        ({"model": "no-such-model"}, 404, 5, "MODEL_NOT_FOUND"),
        ({"sampling": {"temperature": 9}}, 400, 3, "INVALID_REQUEST"),
        ({"messages": []}, 400, 3, "INVALID_REQUEST"),
    ],
)
async def test_a_refusal_is_a_status_with_details(stack, path, wrong, status, code, reason):
    request = body("rest wrong")
    request["input"] |= wrong
    answer = await stack.request("POST", path, json=request)
    assert answer.status == status
    assert answer.header["content-type"].startswith("application/json")
    assert answer.json["code"] == code
    assert answer.json["message"]
    assert reason_of(answer.json) == reason


async def test_an_unknown_field_is_refused(stack):
    answer = await stack.request("POST", CHAT, json=body("rest unknown", inputt={}))
    assert (answer.status, answer.json["code"]) == (400, 3)
    assert "inputt" in answer.json["message"]


async def test_a_wrong_key_is_refused(stack):
    answer = await stack.request("POST", CHAT, json=body("rest nobody"), key="psk_nobody-nobody-nobody")
    assert (answer.status, reason_of(answer.json)) == (401, "INVALID_CREDENTIALS")


async def test_the_eleventh_request_in_a_minute_is_refused(stack, first):
    key = stack.keys["free-rest"]
    for number in range(10):
        answer = await stack.request("POST", CHAT, json=body(f"rest free {number}"), key=key)
        assert answer.status == 200
        assert answer.header["x-ratelimit-remaining-requests"] == str(9 - number)
    for path in (CHAT, STREAM):
        refused = await stack.request("POST", path, json=body("rest free 11"), key=key)
        assert (refused.status, reason_of(refused.json)) == (429, "RATE_LIMITED")
        assert 1 <= int(refused.header["retry-after"]) <= 60


async def test_a_provider_that_fails_everywhere_is_unavailable(stack, broken):
    for server in broken:
        server.enqueue(*[Failure(500)] * 30)
    answer = await stack.request("POST", STREAM, json=body("rest hopeless", "hopeless"))
    assert answer.status == 503
    assert answer.json["code"] == 14


async def test_models_over_rest(stack, public_models):
    listed = await stack.request("GET", "/api/v1/models")
    assert {model["name"] for model in listed.json["models"]} == public_models
    one = await stack.request("GET", "/api/v1/models/penstock-demo")
    assert one.json["model"]["context_window_tokens"] == 512
    none = await stack.request("GET", "/api/v1/models/no-such-model")
    assert (none.status, reason_of(none.json)) == (404, "MODEL_NOT_FOUND")


async def test_the_openapi_document_describes_the_chat(stack):
    answer = await stack.request("GET", "/openapi.json")
    assert answer.status == 200
    assert answer.json["openapi"] == "3.1.0"
    assert {CHAT, STREAM, "/api/v1/models", "/v1/chat/completions"} <= set(answer.json["paths"])
    assert "post" in answer.json["paths"][CHAT]


CALLS = {
    "typed, whole": (CHAT, body),
    "typed, streamed": (STREAM, body),
    "openai, whole": ("/v1/chat/completions", lambda text: {"model": "fast", "messages": [user(text)]}),
    "openai, streamed": (
        "/v1/chat/completions",
        lambda text: {"model": "fast", "messages": [user(text)], "stream": True},
    ),
}


def user(text: str) -> dict:
    return {"role": "user", "content": text}


@pytest.mark.parametrize("name", CALLS)
async def test_who_leaves_closes_the_upstreams_connection_and_owes_the_prompt(stack, first, name):
    path, asked = CALLS[name]
    first.enqueue(NoResponse())
    request_id = f"leaves-{name.replace(', ', '-')}"
    asking = asyncio.ensure_future(
        stack.request("POST", path, json=asked("rest leave"), headers={"x-request-id": request_id})
    )
    request = await first.next_request()
    asking.cancel()
    await asyncio.wait_for(request.left.wait(), 60)
    row = await stack.ledger_row(request_id=request_id)
    # Ten bytes, four to a token, and four for the turn.
    assert (row["outcome"], row["input_tokens"], row["output_tokens"]) == ("cancelled", 7, 0)
