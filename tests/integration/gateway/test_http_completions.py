"""The older completions format over HTTP: the same request life, another wrapping."""

from __future__ import annotations

import json
from typing import Any

from penstock_common.testing.openai_upstream import Answer, End, Failure


async def complete(suite: Any, *, prompt: Any = "Once", **body: Any) -> Any:
    sent = json.dumps({"model": "fast", "prompt": prompt, **body}).encode()
    headers = {"authorization": f"Bearer {suite.KEY}"}
    return await suite.request("POST", "/v1/completions", data=sent, headers=headers)


async def test_completion_is_whole_and_billed(suite, upstream):
    upstream.enqueue(Answer(tokens=["there", " was"]))
    answered = await complete(suite)
    assert answered.status == 200
    assert answered.json["object"] == "text_completion"
    assert answered.json["id"].startswith("cmpl-")
    assert answered.json["choices"] == [{"text": "there was", "index": 0, "logprobs": None, "finish_reason": "stop"}]
    assert answered.header["x-penstock-model"] == "m1"
    assert float(answered.header["x-penstock-cost-usd"]) > 0
    (request,) = upstream.requests
    assert request.body["messages"] == [{"role": "user", "content": "Once"}]
    (row,) = await suite.ledger_after_close()
    assert (row["outcome"], row["output_tokens"]) == ("ok", 2)


async def test_sixteen_tokens_are_asked_for_when_the_caller_says_nothing(suite, upstream):
    await complete(suite)
    (request,) = upstream.requests
    assert 16 in (request.body.get("max_tokens"), request.body.get("max_completion_tokens"))


async def test_completion_streams_and_ends_with_usage(suite, upstream):
    upstream.enqueue(Answer(tokens=["there", " was"]))
    answered = await complete(suite, stream=True, stream_options={"include_usage": True})
    assert answered.header["content-type"] == "text/event-stream; charset=utf-8"
    *texts, finish, usage = answered.chunks
    assert "".join(chunk["choices"][0]["text"] for chunk in texts) == "there was"
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert usage["usage"]["completion_tokens"] == 2
    assert usage["x_penstock"]["cache"] == "miss"
    assert answered.frames[-1] == "data: [DONE]"


async def test_stream_that_breaks_ends_in_an_error_and_not_in_done(suite, upstream):
    upstream.enqueue(Answer(tokens=["there", " was"], stop_after=2, end=End.RESET))
    answered = await complete(suite, stream=True)
    assert "[DONE]" not in answered.frames[-1]
    assert json.loads(answered.frames[-1].removeprefix("data: "))["error"]["type"]


async def test_failure_before_the_first_token_has_a_status(suite, upstream):
    upstream.enqueue(*[Failure(503)] * 4)
    answered = await complete(suite, stream=True)
    assert answered.status >= 500
    assert answered.error["message"]


async def test_refused_field_is_named(suite, upstream):
    answered = await complete(suite, suffix=".")
    assert (answered.status, answered.error["param"], answered.error["code"]) == (
        400,
        "suffix",
        "unsupported_parameter",
    )
    assert not upstream.requests


async def test_wrong_method_says_which_is_right(suite):
    answered = await suite.request("GET", "/v1/completions")
    assert (answered.status, answered.header["allow"]) == (405, "POST")
