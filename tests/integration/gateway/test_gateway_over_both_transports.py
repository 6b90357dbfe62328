"""The gateway cannot tell whether its services are in its process: the same answers over both transports."""

from __future__ import annotations

import asyncio
import re

import pytest

from penstock_common.testing.openai_upstream import Answer, End, Failure, NoResponse


@pytest.fixture
async def suite(serve, transport):
    return await serve(transport)


def steady(answered):
    """What must not differ between two answers to one question: all but ids and times."""
    body = re.sub(rb'chatcmpl-[0-9a-f]{24}|"created":\d+|"overhead_ms":[0-9.]+', b"", answered.body)
    names = {"x-penstock-cache", "x-penstock-model", "x-penstock-upstream", "x-penstock-cost-usd", "x-should-retry"}
    return answered.status, body, {name: answered.header[name] for name in names & answered.header.keys()}


CASES = {
    "answer": (),
    "down": (Failure(503),) * 4,
    "content filter": (Failure(400, {"message": "no", "code": "content_filter"}),),
    "cut": (Answer(tokens=["one"], stop_after=2, end=End.FIN),) * 4,
}
EXPECTED = {"answer": 200, "down": 502, "content filter": 400}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("case", CASES)
async def test_answer_and_row_are_the_same(suite, upstream, case, stream):
    upstream.enqueue(*CASES[case])
    answered = await suite.ask(stream=stream, stream_options={"include_usage": True} if stream else None)
    status, body, header = steady(answered)
    assert status == EXPECTED.get(case, 200 if stream else 502)
    if case == "answer":
        assert header["x-penstock-upstream"] == "first"
        assert b"Hello, world." in body
    elif case == "cut" and stream:
        assert b'"code":"upstream_failed"' in body
        assert b"[DONE]" not in body
    (row,) = await suite.ledger_after_close()
    outcomes = {"answer": "ok", "content filter": "content_refused"}
    assert row["outcome"] == outcomes.get(case, "upstream_failed")
    assert row["attempts"] >= 1


async def test_errors_of_the_router_arrive_whole(suite):
    answered = await suite.ask(model="nope")
    assert (answered.status, answered.error["code"]) == (404, "model_not_found")
    assert answered.error["param"] == "model"


async def test_second_identical_question_is_a_hit(suite, upstream):
    await suite.ask()
    async with asyncio.timeout(60):
        while "hit" not in (await suite.ask()).header["x-penstock-cache"]:
            await asyncio.sleep(0.005)


async def test_time_that_the_caller_grants_reaches_the_upstream(suite, upstream):
    upstream.enqueue(NoResponse())
    answered = await suite.ask(headers={"x-penstock-timeout": "300ms"})
    assert (answered.status, answered.error["code"]) == (504, "deadline_exceeded")
    (request,) = upstream.requests
    async with asyncio.timeout(60):
        await request.left.wait()


async def test_client_that_leaves_ends_the_upstreams_work(suite, upstream):
    upstream.enqueue(Answer(tokens=["12345678"], stop_after=2, end=End.STALL))
    async with suite.open_stream() as response:
        while b"12345678" not in await response.content.readuntil(b"\n\n"):
            pass
        response.close()
    async with asyncio.timeout(60):
        await upstream.requests[0].left.wait()
    (row,) = await suite.ledger_after_close()
    assert (row["outcome"], row["usage_estimated"], row["output_tokens"]) == ("cancelled", 1, 2)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_client_that_leaves_before_the_first_token_owes_the_prompt(suite, upstream, stream):
    upstream.enqueue(NoResponse())
    asking = asyncio.ensure_future(suite.ask("x" * 4000, stream=stream))
    request = await upstream.next_request()
    asking.cancel()
    async with asyncio.timeout(10):
        await request.left.wait()
    (row,) = await suite.ledger_after_close()
    assert (row["outcome"], row["upstream"], row["usage_estimated"]) == ("cancelled", "first", 1)
    # A turn of 4,000 bytes, four to a token, and four for the turn; 1 USD a million.
    assert (row["input_tokens"], row["output_tokens"], row["cost_nano_usd"]) == (1004, 0, 1_004_000)


async def test_a_failure_of_the_upstream_before_the_first_token_costs_nothing(suite, upstream):
    upstream.enqueue(*(Failure(503),) * 4)
    assert (await suite.ask("x" * 4000)).status == 502
    (row,) = await suite.ledger_after_close()
    assert (row["input_tokens"], row["cost_nano_usd"]) == (0, 0)
