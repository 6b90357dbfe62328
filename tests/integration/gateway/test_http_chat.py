"""A chat over HTTP that goes well: its headers, its stream, its names."""

from __future__ import annotations

import asyncio

import pytest

from penstock_common.testing.openai_upstream import Answer, End

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_answer_says_who_answered_and_what_it_cost(suite):
    answered = await suite.ask()
    assert answered.status == 200
    assert answered.json["choices"][0]["message"]["content"] == "Hello, world."
    assert answered.header["x-penstock-model"] == "m1"
    assert answered.header["x-penstock-upstream"] == "first"
    assert answered.header["x-penstock-cache"] == "miss"
    # 7 input tokens at 1 USD and 4 output tokens at 2 USD a million.
    assert answered.header["x-penstock-cost-usd"] == "0.000015"
    assert float(answered.header["x-penstock-overhead-ms"]) > 0


async def test_request_id_is_echoed_when_well_formed(suite):
    answered = await suite.ask(headers={"x-request-id": "Order-7.a_b"})
    assert answered.header["x-request-id"] == "Order-7.a_b"


@pytest.mark.parametrize("bad", ["", "a b", "x" * 129, "<script>"])
async def test_request_id_is_replaced_when_malformed(suite, bad):
    answered = await suite.ask(headers={"x-request-id": bad})
    assert len(answered.header["x-request-id"]) == 32
    assert answered.header["x-request-id"] != bad


async def test_upstream_is_asked_with_its_own_key_and_model_and_never_the_callers(suite, upstream):
    await suite.ask()
    (request,) = upstream.requests
    assert request.headers["authorization"] == "Bearer sk-x"
    assert request.body["model"] == "m1"
    assert "demo-key" not in str(request.headers) + request.raw_body.decode()


async def test_stream_has_role_text_finish_usage_and_done_in_order(suite, upstream):
    upstream.enqueue(Answer(tokens=["Hel", "lo"]))
    answered = await suite.ask(stream=True, stream_options={"include_usage": True})
    assert answered.header["content-type"] == "text/event-stream; charset=utf-8"
    assert answered.header["x-penstock-model"] == "m1"
    assert answered.header["x-penstock-cache"] == "miss"
    role, *deltas, finish, usage = answered.chunks
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in deltas) == "Hello"
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert usage["usage"]["completion_tokens"] == 2
    assert usage["x_penstock"]["cost_usd"] == 0.000011
    assert usage["x_penstock"]["cache"] == "miss"
    assert answered.frames[-1] == "data: [DONE]"
    assert len({chunk["id"] for chunk in answered.chunks}) == 1


async def test_first_token_does_not_wait_for_the_second(suite, upstream, hold):
    upstream.enqueue(Answer(tokens=["one", "two"], hold={2: hold}))
    async with suite.open_stream() as response:
        received = b""
        while b"one" not in received:
            received += await response.content.readany()
        assert b"two" not in received
        hold.set()
        assert (await response.read()).endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("stream", [False, True])
async def test_rate_limit_headers_count_down_and_the_refusal_says_when_to_return(suite, stream):
    remaining = []
    for text in "abc":
        answered = await suite.ask(text, key=suite.FREE_KEY, stream=stream)
        assert answered.status == 200
        assert answered.header["x-ratelimit-limit-requests"] == "3"
        remaining.append(answered.header["x-ratelimit-remaining-requests"])
    assert remaining == ["2", "1", "0"]
    refused = await suite.ask("d", key=suite.FREE_KEY, stream=stream)
    assert refused.status == 429
    assert refused.error["code"] == "rate_limit_exceeded"
    assert "3 requests per minute" in refused.error["message"]
    assert refused.header["x-ratelimit-remaining-requests"] == "0"
    assert 1 <= int(refused.header["retry-after"]) <= 60
    assert "x-request-id" in refused.header


async def test_tenant_without_a_limit_gets_no_limit_headers(serve, document):
    document["tenants"][0]["tier"] = {}
    answered = await (await serve()).ask()
    assert answered.status == 200
    assert not [name for name in answered.header if name.startswith("x-ratelimit")]


async def test_more_requests_at_once_than_allowed_are_refused_and_the_place_comes_back(suite, upstream, hold):
    upstream.enqueue(Answer(hold={2: hold}), Answer(hold={2: hold}))
    async with suite.open_stream("a", key=suite.FREE_KEY) as a, suite.open_stream("b", key=suite.FREE_KEY) as b:
        refused = await suite.ask("c", key=suite.FREE_KEY)
        assert refused.status == 429
        assert "2 requests at once" in refused.error["message"]
        assert refused.header["x-ratelimit-remaining-requests"] == "1"
        hold.set()
        await asyncio.gather(a.read(), b.read())
    assert (await suite.ask("c", key=suite.FREE_KEY)).status == 200


BREAKS = {
    "reset within a whole answer": ("whole", Answer(stop_after=1, end=End.RESET)),
    "closed within a whole answer": ("whole", Answer(stop_after=1, end=End.FIN)),
    "reset within a stream": ("stream", Answer(stop_after=3, end=End.RESET)),
    "a stream that ends too soon": ("stream", Answer(stop_after=3)),
    "an error within a stream": ("stream", Answer(insert={3: b'data: {"error":{"message":"it broke"}}\n\n'})),
}


@pytest.mark.parametrize("name", BREAKS)
async def test_who_does_not_stream_never_hears_of_a_break_that_another_attempt_makes_good(
    name, serve, document, upstream
):
    asked, broken = BREAKS[name]
    document["upstreams"][0]["whole_answers"] = asked
    suite = await serve()
    upstream.enqueue(broken)
    answered = await suite.ask()
    assert answered.status == 200
    assert answered.json["choices"][0]["message"]["content"] == "Hello, world."
    assert len(upstream.requests) == 2
