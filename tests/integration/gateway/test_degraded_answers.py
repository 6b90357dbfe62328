"""A model whose candidates have all failed, and what its ladder gives in their place: on each surface, billed and kept."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import grpc
import pytest

from penstock.gateway.v1 import admin_service_pb2 as admin
from penstock.gateway.v1 import chat_service_pb2 as pb
from penstock.gateway.v1 import chat_service_pb2_grpc as rpc
from penstock.gateway.v1.admin_service_pb2_grpc import AdminServiceStub as AdminStub
from penstock.llm.v1 import generation_pb2 as gen
from penstock_common.redis_connection import RedisConnection
from penstock_common.testing.openai_upstream import Answer, End, Failure, NoResponse
from penstock_gateway.domain.life import sources

TEXT = "Hello, world."
SORRY = "We cannot answer now. Please try again in an hour."
DOWN = Failure(500)

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}


@pytest.fixture
def ladder(document):
    """The steps of ``fast``, which only ``first`` answers; ``small`` is ``second`` at its own price. A test sets them."""
    document["upstreams"][1]["models"][0]["price"] = {"input": 100, "output": 100}
    small = {"name": "small", "candidates": ["second/m1"]}
    document["models"].append(small)
    steps = document["models"][0]["degradation"] = [{"model": "small"}, {"template": SORRY}]
    return steps


def fails(server, answer=DOWN):
    server.otherwise = lambda _: answer


def text_of(answered):
    choices = [choice for chunk in answered.chunks for choice in chunk.get("choices", ())]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def content_of(answered):
    return answered.json["choices"][0]["message"]["content"]


def question(kind=pb.StreamChatRequest, model="fast", **more):
    return kind(input={"model": model, "messages": [{"role": "ROLE_USER", "parts": [{"text": "Hi"}]}]}, **more)


def caller_of(suite):
    return rpc.ChatServiceStub(suite.channel), (("authorization", f"Bearer {suite.KEY}"),)


async def head_of(call):
    return {key: value for key, value in await call.initial_metadata() if isinstance(value, str)}


async def test_without_a_ladder_the_error_is_the_answer(serve, upstream):
    suite = await serve()
    fails(upstream)
    answered = await suite.ask()
    assert answered.status >= 500
    assert "x-penstock-degraded" not in answered.header


async def test_a_model_that_answers_is_not_degraded(ladder, serve):
    suite = await serve()
    answered = await suite.ask()
    assert content_of(answered) == TEXT
    assert "x-penstock-degraded" not in answered.header
    (row,) = await suite.ledger_after_close()
    assert row["degraded"] == ""


async def test_a_smaller_model_answers_and_is_billed_at_its_price(ladder, serve, upstream):
    suite = await serve()
    fails(upstream)
    answered = await suite.ask()
    assert content_of(answered) == TEXT
    assert answered.header["x-penstock-degraded"] == "smaller_model"
    assert answered.header["x-penstock-upstream"] == "second"
    tokens = answered.json["usage"]["total_tokens"]
    (row,) = await suite.ledger_after_close()
    assert (row["outcome"], row["degraded"], row["requested_model"]) == ("ok", "smaller_model", "fast")
    assert row["upstream"] == "second"
    assert row["cost_nano_usd"] == tokens * 100 * 1000
    assert row["attempts"] == len(upstream.requests) + 1


async def test_a_stream_says_so_in_its_head_and_in_its_last_chunk(ladder, serve, upstream):
    suite = await serve()
    fails(upstream)
    answered = await suite.ask(stream=True, stream_options={"include_usage": True})
    assert text_of(answered) == TEXT
    assert answered.frames[-1] == "data: [DONE]"
    assert answered.header["x-penstock-degraded"] == "smaller_model"
    assert answered.chunks[-1]["x_penstock"]["degraded"] == "smaller_model"
    assert len({chunk["id"] for chunk in answered.chunks}) == 1


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_where_the_smaller_one_fails_too_the_template_is_free(ladder, serve, upstream, second_upstream, stream):
    suite = await serve()
    fails(upstream)
    fails(second_upstream)
    answered = await suite.ask(stream=stream)
    assert (text_of(answered) if stream else content_of(answered)) == SORRY
    assert answered.header["x-penstock-degraded"] == "template"
    assert "x-penstock-upstream" not in answered.header
    (row,) = await suite.ledger_after_close()
    assert (row["outcome"], row["degraded"], row["cost_nano_usd"], row["input_tokens"]) == ("ok", "template", 0, 0)
    assert row["attempts"] == len(upstream.requests) + len(second_upstream.requests)


async def test_the_steps_have_the_order_of_the_configuration(ladder, serve, upstream, second_upstream):
    ladder.reverse()
    suite = await serve()
    fails(upstream)
    assert content_of(await suite.ask()) == SORRY
    assert second_upstream.requests == []


@pytest.mark.parametrize("transport", ["in_process", "socket"])
async def test_a_typed_stream_says_so_in_its_head_and_at_its_end(ladder, serve, upstream, transport):
    suite = await serve(transport)
    stub, metadata = caller_of(suite)
    fails(upstream)
    call = stub.StreamChat(question(), metadata=metadata)
    events = [response.event async for response in call]
    assert "".join(event.text_delta.text for event in events) == TEXT
    assert events[-1].finished.degraded == gen.DEGRADATION_SMALLER_MODEL
    assert (await head_of(call))["x-penstock-degraded"] == "smaller_model"


async def test_a_typed_answer_says_so(ladder, serve, upstream):
    suite = await serve()
    stub, metadata = caller_of(suite)
    fails(upstream)
    call = stub.Chat(question(pb.ChatRequest), metadata=metadata)
    answer = await call
    assert answer.degraded == gen.DEGRADATION_SMALLER_MODEL
    assert (await head_of(call))["x-penstock-degraded"] == "smaller_model"


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_a_header_refuses_all_steps(ladder, serve, upstream, second_upstream, stream):
    suite = await serve()
    fails(upstream)
    answered = await suite.ask(stream=stream, headers={"x-penstock-degrade": "off"})
    assert answered.status >= 500
    assert "x-penstock-degraded" not in answered.header
    assert second_upstream.requests == []


async def test_a_word_that_means_nothing_is_refused(ladder, serve):
    suite = await serve()
    answered = await suite.ask(headers={"x-penstock-degrade": "maybe"})
    assert answered.status == 400
    assert answered.error["message"].startswith("'x-penstock-degrade' must be on or off")


@pytest.mark.parametrize("kind", [pb.ChatRequest, pb.StreamChatRequest], ids=["whole", "streamed"])
async def test_a_typed_request_refuses_all_steps(ladder, serve, upstream, second_upstream, kind):
    suite = await serve()
    stub, metadata = caller_of(suite)
    fails(upstream)
    with pytest.raises(grpc.aio.AioRpcError):
        if kind is pb.ChatRequest:
            await stub.Chat(question(kind, no_degradation=True), metadata=metadata)
        else:
            [None async for _ in stub.StreamChat(question(kind, no_degradation=True), metadata=metadata)]
    assert second_upstream.requests == []


def error_of(code, kind, message="No."):
    return {"message": message, "type": kind, "code": code}


CALLERS_OWN = {
    "content filter": (Failure(400, error_of("content_filter", "invalid_request_error")), {}, 400),
    "a bad request": (Failure(400, error_of("invalid_value", "invalid_request_error")), {}, 400),
    "a wrong parameter": (None, {"temperature": 9}, 400),
}


@pytest.mark.parametrize(("answer", "more", "status"), CALLERS_OWN.values(), ids=CALLERS_OWN.keys())
async def test_a_callers_own_error_stays_one(ladder, serve, upstream, second_upstream, answer, more, status):
    suite = await serve()
    if answer is not None:
        fails(upstream, answer)
    answered = await suite.ask(**more)
    assert (answered.status, "x-penstock-degraded" in answered.header) == (status, False)
    assert second_upstream.requests == []


async def test_a_tenants_limit_stays_one(ladder, serve, upstream):
    suite = await serve()
    statuses = [(await suite.ask(f"Hi {n}", key=suite.FREE_KEY)).status for n in range(4)]
    assert statuses == [200, 200, 200, 429]


async def test_who_does_not_know_the_key_gets_nothing(ladder, serve):
    suite = await serve()
    answered = await suite.ask(key="nobody-knows-this-key")
    assert (answered.status, "x-penstock-degraded" in answered.header) == (401, False)


async def test_a_rate_limit_of_the_upstreams_is_no_callers(ladder, serve, upstream):
    suite = await serve()
    fails(upstream, Failure(429, headers={"retry-after": "60"}))
    assert (await suite.ask()).header["x-penstock-degraded"] == "smaller_model"


async def test_nothing_stands_in_for_an_answer_that_has_begun(ladder, serve, upstream, second_upstream):
    suite = await serve()
    upstream.enqueue(Answer(stop_after=3, end=End.RESET))
    fails(upstream)
    answered = await suite.ask(stream=True)
    assert text_of(answered) == "Hello, "
    assert "error" in json.loads(answered.frames[-1][6:])
    assert second_upstream.requests == []


async def test_a_key_that_may_not_use_the_smaller_one_gets_the_next_step(
    ladder, serve, document, upstream, second_upstream
):
    document["tenants"][0]["models"] = ["fast"]
    suite = await serve()
    fails(upstream)
    assert (await suite.ask()).header["x-penstock-degraded"] == "template"
    assert second_upstream.requests == []


async def test_a_smaller_model_elsewhere_is_left_out(ladder, serve, document, upstream, second_upstream):
    document["upstreams"][0]["region"], document["upstreams"][1]["region"] = "eu", "us"
    document["tenants"][0]["regions"] = ["eu"]
    suite = await serve()
    fails(upstream)
    assert (await suite.ask()).header["x-penstock-degraded"] == "template"
    assert second_upstream.requests == []


CANNOT_BE_A_TEXT = {
    "tools": {"tools": [TOOL]},
    "a schema": {"response_format": SCHEMA},
    "a JSON object": {"response_format": {"type": "json_object"}},
    "several answers": {"n": 2},
    "probabilities": {"logprobs": True, "top_logprobs": 1},
}


@pytest.mark.parametrize("more", CANNOT_BE_A_TEXT.values(), ids=CANNOT_BE_A_TEXT.keys())
async def test_a_request_that_no_text_answers_gets_the_models_own_error(ladder, serve, upstream, more):
    ladder[:] = [{"template": SORRY}]
    suite = await serve()
    fails(upstream)
    answered = await suite.ask(**more)
    assert answered.status >= 500
    assert answered.error["message"].startswith("first/m1")


async def test_a_template_that_is_an_object_is_one(ladder, serve, upstream):
    ladder[:] = [{"template": '{"answer": null}'}]
    suite = await serve()
    fails(upstream)
    assert content_of(await suite.ask(response_format={"type": "json_object"})) == '{"answer": null}'


async def test_the_error_is_the_first_one_where_no_step_is_left(ladder, serve, upstream, second_upstream):
    del ladder[1]
    suite = await serve()
    fails(upstream)
    fails(second_upstream, Failure(404))
    answered = await suite.ask()
    assert answered.error["message"].startswith("first/m1")
    (row,) = await suite.ledger_after_close()
    assert (row["outcome"], row["degraded"]) == ("upstream_failed", "")


async def test_what_the_smaller_one_refuses_is_refused(ladder, serve, upstream, second_upstream):
    suite = await serve()
    fails(upstream)
    fails(second_upstream, Failure(400, error_of("content_filter", "invalid_request_error")))
    answered = await suite.ask()
    assert (answered.status, "x-penstock-degraded" in answered.header) == (400, False)


async def test_what_stood_in_is_not_kept(ladder, serve, upstream):
    suite = await serve()
    fails(upstream)
    assert (await suite.ask()).header["x-penstock-degraded"] == "smaller_model"
    fails(upstream, Answer())
    again = await suite.ask()
    assert (again.header["x-penstock-cache"], "x-penstock-degraded" in again.header) == ("miss", False)


@pytest.fixture(params=["memory", "redis"])
def stale(request, document):
    """``fast``, whose answers are fresh for no time to speak of, and may serve for a day after that."""
    document["cache"] |= {"redis_ttl": "0.001ms", "memory_entries": 1000 if request.param == "memory" else 0}
    steps = document["models"][0]["degradation"] = [{"stale_if_error": "24h"}, {"template": SORRY}]
    return steps


async def test_a_kept_answer_past_its_time_serves_when_nobody_else_does(stale, serve, upstream):
    suite = await serve()
    await suite.ask()
    again = await suite.ask()
    assert again.header["x-penstock-cache"] == "miss"
    fails(upstream)
    answered = await suite.ask()
    assert content_of(answered) == TEXT
    assert answered.header["x-penstock-degraded"] == "stale"
    assert answered.header["x-penstock-cache"].endswith("; stale")
    assert int(answered.header["age"]) >= 0
    *_, row = await suite.ledger_after_close()
    assert (row["degraded"], row["cost_nano_usd"], row["outcome"], row["cache_status"]) == ("stale", 0, "ok", "hit")


async def test_a_stale_answer_is_told_as_one_over_grpc(stale, serve, upstream):
    suite = await serve("socket")
    stub, metadata = caller_of(suite)
    await stub.Chat(question(pb.ChatRequest), metadata=metadata)
    fails(upstream)
    call = stub.Chat(question(pb.ChatRequest), metadata=metadata)
    answer = await call
    assert (answer.degraded, answer.cache.stale, answer.cost_nano_usd) == (gen.DEGRADATION_STALE, True, 0)
    head = await head_of(call)
    assert (head["x-penstock-degraded"], int(head["age"]) >= 0) == ("stale", True)


@pytest.mark.parametrize("words", ["no-store", "no-cache", "max-age=0"])
async def test_who_wants_no_old_answer_gets_none(stale, serve, upstream, words):
    suite = await serve()
    await suite.ask()
    fails(upstream)
    answered = await suite.ask(headers={"x-penstock-cache": words})
    assert answered.header["x-penstock-degraded"] == "template"


async def test_what_was_not_to_be_kept_is_not(stale, serve, upstream):
    suite = await serve()
    await suite.ask(headers={"x-penstock-cache": "no-store"})
    fails(upstream)
    assert (await suite.ask()).header["x-penstock-degraded"] == "template"


async def test_another_tenant_does_not_get_it(stale, serve, upstream):
    suite = await serve()
    await suite.ask()
    fails(upstream)
    assert (await suite.ask(key=suite.OTHER_KEY)).header["x-penstock-degraded"] == "template"


async def test_what_was_invalidated_does_not_come_back(stale, serve, upstream, document):
    suite = await serve()
    await suite.ask()
    stub = AdminStub(suite.channel)
    metadata = (("authorization", f"Bearer {suite.OPERATOR_KEY}"),)
    await stub.ClearCache(admin.ClearCacheRequest(tenant="demo"), metadata=metadata)
    fails(upstream)
    assert (await suite.ask()).header["x-penstock-degraded"] == "template"


async def test_who_asks_the_cache_alone_gets_no_step(stale, serve, upstream):
    suite = await serve()
    await suite.ask()
    fails(upstream)
    answered = await suite.ask(headers={"x-penstock-cache": "only-if-cached"})
    assert (answered.status, "x-penstock-degraded" in answered.header) == (404, False)


async def test_without_the_step_answers_are_not_kept_longer(serve, document, upstream, redis_server):
    document["cache"] |= {"redis_ttl": "10m"}
    suite = await serve()
    await suite.ask()
    assert await longest_life_ms(redis_server) <= 10 * 60 * 1000


async def test_with_it_they_are_kept_for_so_much_longer(serve, document, upstream, redis_server):
    document["cache"] |= {"redis_ttl": "10m"}
    document["models"][0]["degradation"] = [{"stale_if_error": "24h"}]
    suite = await serve()
    await suite.ask()
    assert 24 * 3600 * 1000 < await longest_life_ms(redis_server) <= (24 * 3600 + 600) * 1000


async def longest_life_ms(redis_server):
    """Return the longest life of a kept answer; waits until one is."""
    async with RedisConnection(redis_server.url, timedelta(seconds=20)) as connection:
        while not (names := await connection.execute("KEYS", "*:cache:exact:*")):
            await asyncio.sleep(0)
        return max([await connection.execute("PTTL", name) for name in names])


async def test_of_several_inputs_one_that_something_stood_in_for_is_told(ladder, serve, upstream):
    suite = await serve()
    upstream.enqueue(DOWN, DOWN)
    body = json.dumps({"model": "fast", "prompt": ["Hi", "Ho"]}).encode()
    head = {"authorization": f"Bearer {suite.KEY}"}
    answered = await suite.request("POST", "/v1/completions", data=body, headers=head)
    assert [choice["text"] for choice in answered.json["choices"]] == [TEXT, TEXT]
    assert answered.header["x-penstock-degraded"] == "smaller_model"
    first, second = await suite.ledger_after_close()
    assert (first["degraded"], second["degraded"]) == ("smaller_model", "")


@pytest.mark.parametrize("transport", ["in_process", "socket"])
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_a_silence_that_would_use_up_the_callers_time_leaves_some_for_a_text(
    ladder, document, serve, upstream, second_upstream, stream, transport, monkeypatch
):
    # Much of it, as machines that run tests stall: a second for the model, and nine for what follows.
    document["gateway"]["degradation_reserve"] = "9s"
    monkeypatch.setattr(sources, "_MOST_RESERVED", 1.0)
    suite = await serve(transport)
    upstream.enqueue(NoResponse())
    answered = await suite.ask(stream=stream, headers={"x-penstock-timeout": "10s"})
    assert (text_of(answered) if stream else content_of(answered)) == SORRY
    assert answered.header["x-penstock-degraded"] == "template"
    assert second_upstream.requests == []
    async with asyncio.timeout(60):
        for request in upstream.requests:
            await request.left.wait()
    (row,) = await suite.ledger_after_close()
    # The text costs nothing; who was silent had read the prompt.
    assert (row["outcome"], row["degraded"], row["cost_nano_usd"]) == ("ok", "template", 5_000)
