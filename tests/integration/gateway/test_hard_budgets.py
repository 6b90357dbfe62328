"""Hard budgets over sockets: never overrun, never pinned, and told of on each surface."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import asynccontextmanager, closing
from decimal import Decimal

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from penstock.gateway.v1 import chat_service_pb2 as pb
from penstock.gateway.v1 import chat_service_pb2_grpc as rpc
from penstock_common.testing.openai_upstream import Answer, End, Failure
from penstock_gateway.app import limits as limits_module

TOKEN_NANO_USD = 10_000
"""Of output, at $10 for a million; input is free here."""
SHORT = Answer(tokens=["word "] * 30)
ENDLESS = Answer(tokens=["word "] * 2_000, stop_after=2_000, end=End.REPEAT)


def usd(tokens):
    """What so many tokens of an answer cost."""
    return str(Decimal(tokens * TOKEN_NANO_USD).scaleb(-9))


@pytest.fixture
def limiters(monkeypatch):
    """The limiters that were made."""
    made = []
    opened = limits_module.open_limiter

    @asynccontextmanager
    async def opening(*args):
        async with opened(*args) as limiter:
            made.append(limiter)
            yield limiter

    monkeypatch.setattr(limits_module, "open_limiter", opening)
    return made


@pytest.fixture
def budget(document, upstream, second_upstream, limiters):
    """Sets how many tokens of answers the tenant ``demo`` may have in a month."""
    for each in document["upstreams"]:
        each["models"][0]["price"] = {"input": 0, "output": 10}
    document["cache"]["mode"] = "off"
    upstream.otherwise = second_upstream.otherwise = lambda _: SHORT

    def of_tokens(tokens, **tier):
        document["tenants"][0]["tier"] = {"spend_per_month": usd(tokens), **tier}

    return of_tokens


async def spent_tokens(suite):
    """What the ledger says was spent, in tokens of answers."""
    rows = await suite.ledger_after_close()
    return sum(row["cost_nano_usd"] for row in rows) / TOKEN_NANO_USD


async def introduce(suite):
    """Have Redis know the scripts: one that it has not seen comes after what was asked of it meanwhile."""
    assert (await suite.ask(model="nobody")).status == 404


def outstanding(limiters):
    return [held for limiter in limiters for held in limiter.outstanding()]


async def test_an_answer_that_outgrows_its_budget_is_ended_and_says_so(serve, budget, upstream, limiters):
    budget(2_000)
    upstream.otherwise = lambda _: ENDLESS
    suite = await serve()
    await introduce(suite)
    streamed = await suite.ask(stream=True, stream_options={"include_usage": True}, max_tokens=64_000)
    assert streamed.status == 200
    assert streamed.chunks[-2]["choices"][0]["finish_reason"] == "length"
    assert streamed.chunks[-1]["x_penstock"]["stopped_by"] == "budget"
    assert streamed.frames[-1] == "data: [DONE]"
    await upstream.requests[0].left.wait()
    async with asyncio.timeout(10):
        # The caller has the end before the gateway has settled it.
        while outstanding(limiters):
            await asyncio.sleep(0.01)
    assert 0 < await spent_tokens(suite) <= 2_000


async def test_what_an_attempt_in_vain_has_cost_is_counted_while_the_answer_goes_on(
    serve, budget, document, upstream, second_upstream
):
    budget(2_000)
    # An answer is expected to be short, so that a second attempt is paid for.
    document["admission"] = {"first_output_tokens": 64, "headroom_share": 0.9}
    words = ["wo "] * 2_000
    # Both go on as their answer is read, or it would come in a few large pieces.
    holds = {number: asyncio.Event() for number in range(50, 2_000, 50)}
    upstream.otherwise = lambda _: Answer(tokens=words, stop_after=600, end=End.FIN, hold=holds)
    second_upstream.otherwise = lambda _: Answer(tokens=words, hold=holds)
    suite = await serve()
    await introduce(suite)
    upstream.enqueue(Answer(tokens=["wo "]))
    # Its price is known from here on.
    assert (await suite.ask(model="safe")).status == 200
    given = 0
    async with suite.open_stream(model="safe", stream_options={"include_usage": True}) as response:
        async for line in response.content:
            given += line.count(b"wo ")
            for number, event in holds.items():
                if number <= given + 100:
                    event.set()
            if b"x_penstock" in line:
                last = json.loads(line[6:])
    assert last["x_penstock"]["stopped_by"] == "budget"
    assert len(second_upstream.requests) == 1
    rows = await suite.ledger_after_close()
    assert 600 < sum(row["cost_nano_usd"] for row in rows) / TOKEN_NANO_USD <= 2_000


async def test_a_whole_answer_is_metered_as_well(serve, budget, upstream):
    budget(2_000)
    upstream.otherwise = lambda _: ENDLESS
    suite = await serve()
    await introduce(suite)
    whole = await suite.ask(max_tokens=64_000)
    assert whole.status == 200
    assert whole.json["choices"][0]["finish_reason"] == "length"
    assert whole.header["x-penstock-budget"] == "stopped"
    assert float(whole.header["x-penstock-cost-usd"]) <= float(usd(2_000))
    assert upstream.requests[0].body["stream"] is True
    assert await spent_tokens(suite) <= 2_000


async def test_a_stream_that_wants_no_usage_is_told_too(serve, budget, upstream):
    budget(2_000)
    upstream.otherwise = lambda _: ENDLESS
    suite = await serve()
    await introduce(suite)
    streamed = await suite.ask(stream=True)
    assert streamed.chunks[-2]["choices"][0]["finish_reason"] == "length"
    assert streamed.chunks[-1]["x_penstock"] == {"stopped_by": "budget"}


async def test_a_spent_budget_refuses_for_good(serve, budget, upstream):
    budget(40, requests_per_minute=100)
    upstream.otherwise = lambda _: Answer(tokens=["word "] * 40)
    suite = await serve()
    await introduce(suite)
    await suite.ask(max_tokens=40)
    asked = len(upstream.requests)
    refused = await suite.ask(max_tokens=40)
    assert len(upstream.requests) == asked == 1
    assert refused.status == 429
    assert (refused.error["type"], refused.error["code"]) == ("insufficient_quota", "budget_exceeded")
    assert refused.header["x-should-retry"] == "false"
    assert refused.header["x-penstock-limit"] == "tenant; spend_per_month"
    assert "retry-after" not in refused.header
    # It used up no request either, and dollars are nobody's business.
    assert refused.header["x-ratelimit-remaining-requests"] == "99"
    assert "$" not in refused.error["message"]
    assert [row["outcome"] for row in await suite.ledger_after_close()] == ["model_not_found", "ok"]


def _alerts_told(suite):
    with closing(sqlite3.connect(suite.state / "penstock.db")) as database:
        return {name for (name,) in database.execute("SELECT threshold FROM budget_alerts")}


@pytest.mark.parametrize("knows_prices", [True, False], ids=["at_once", "once_it_is_routed"])
async def test_what_refuses_before_its_last_cent_is_told_as_spent(serve, budget, document, upstream, knows_prices):
    budget(1_000_000)
    document["budgets"] = [{"name": "small", "tenant": "demo", "amount": usd(100), "alerts": [100]}]
    document["budget_watch"] = {"every": "50ms"}
    upstream.otherwise = lambda _: Answer(tokens=["word "] * 40)
    suite = await serve()
    await introduce(suite)
    if knows_prices:
        assert (await suite.ask(max_tokens=40)).status == 200
    assert _alerts_told(suite) == set()
    refused = await suite.ask(max_tokens=400)
    assert (refused.status, refused.error["code"]) == (429, "budget_exceeded")
    async with asyncio.timeout(10):
        while not _alerts_told(suite):
            await asyncio.sleep(0.01)
    assert _alerts_told(suite) == {"100"}


async def test_grpc_is_told_the_same(serve, budget):
    budget(40)
    suite = await serve()
    await introduce(suite)
    await suite.ask(max_tokens=40)
    stub = rpc.ChatServiceStub(suite.channel)
    request = pb.ChatRequest(
        input={
            "model": "fast",
            "messages": [{"role": "ROLE_USER", "parts": [{"text": "Hi"}]}],
            "sampling": {"max_output_tokens": 40},
        }
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Chat(request, metadata=(("authorization", f"Bearer {suite.KEY}"),))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    trailing = dict(caught.value.trailing_metadata())
    assert trailing["grpc-retry-pushback-ms"] == "-1"
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    found = {detail.type_url.rpartition(".")[2]: detail for detail in status.details}
    assert set(found) == {"ErrorInfo", "QuotaFailure"}
    info, quota = error_details_pb2.ErrorInfo(), error_details_pb2.QuotaFailure()
    found["ErrorInfo"].Unpack(info)
    found["QuotaFailure"].Unpack(quota)
    assert (info.reason, info.metadata["scope"], info.metadata["limit"]) == (
        "QUOTA_EXHAUSTED",
        "tenant",
        "spend_per_month",
    )
    assert info.metadata["resets_at"].endswith("-01T00:00:00Z")
    assert [(each.subject, each.description) for each in quota.violations] == [("tenant", "spend_per_month: 75 % used")]


async def test_a_hundred_at_once_with_ten_that_run_on_overrun_by_nothing(serve, budget, upstream, limiters):
    budget(20_000)
    upstream.otherwise = lambda request: ENDLESS if b"run on" in request.raw_body else SHORT
    suite = await serve()
    asked = [suite.ask("run on" if number % 10 == 0 else f"{number}", max_tokens=64_000) for number in range(100)]
    answered = await asyncio.gather(*asked)
    assert {each.status for each in answered} <= {200, 429}
    assert outstanding(limiters) == []
    assert await spent_tokens(suite) <= 20_000


async def test_fifty_agents_share_a_budget_to_its_end(serve, budget, upstream, limiters, document):
    # They ask for 64,000 tokens each, and use 300: so no promise may be taken at its word.
    total = 60_000
    budget(total)
    document["gateway"]["refusals_per_minute"] = 100_000
    upstream.otherwise = lambda _: Answer(
        tokens=["word " * 50] * 6, usage={"prompt_tokens": 7, "completion_tokens": 300}
    )
    suite = await serve()
    spent, running, ended, freed = 0, 0, [], asyncio.Condition()

    async def work():
        nonlocal spent, running
        while True:
            running += 1
            answered = await suite.ask(max_tokens=64_000)
            running -= 1
            async with freed:
                freed.notify_all()
                if answered.status == 200:
                    assert answered.json["choices"][0]["finish_reason"] == "stop"
                    spent += answered.json["usage"]["completion_tokens"]
                elif answered.error["code"] == "budget_exceeded":
                    ended.append(spent)
                    return
                else:
                    assert answered.error["code"] == "budget_reserved"
                    assert answered.header["x-should-retry"] == "true"
                    if running:
                        await freed.wait()

    await asyncio.gather(*(work() for _ in range(50)))
    assert min(ended) >= 0.98 * total
    assert outstanding(limiters) == []
    assert await spent_tokens(suite) == spent <= total


async def test_whoever_leaves_at_any_step_leaves_nothing_reserved(serve, budget, upstream, limiters, hold):
    budget(20_000, tokens_per_minute=1_000_000, concurrent_requests=10)
    upstream.otherwise = lambda _: Answer(tokens=["word "] * 20, hold={0: hold})
    suite = await serve()
    silent = asyncio.create_task(suite.ask(stream=True))
    await upstream.next_request()
    assert outstanding(limiters)
    silent.cancel()
    await asyncio.gather(silent, return_exceptions=True)
    upstream.otherwise = lambda _: Answer(tokens=["word "] * 20, stop_after=10, end=End.STALL)
    async with suite.open_stream() as response:
        await response.content.readuntil(b"word")
    await upstream.requests[-1].left.wait()
    upstream.otherwise = lambda _: Failure(400)
    assert (await suite.ask()).status == 400
    assert (await suite.ask(model="nobody")).status == 404
    await suite.ledger_after_close()
    assert outstanding(limiters) == []


async def test_what_costs_nothing_passes_a_spent_budget(serve, budget, document):
    budget(30)
    document["upstreams"][1]["models"][0]["price"] = {"input": 0, "output": 0}
    document["models"].append({"name": "free", "candidates": ["second/m1"]})
    document["cache"]["mode"] = "exact"
    suite = await serve()
    first = await suite.ask("once", max_tokens=30)
    assert first.status == 200
    assert (await suite.ask("other", max_tokens=30)).status == 429
    again = await suite.ask("once", max_tokens=30)
    assert (again.status, again.header["x-penstock-cache"].split(";")[0]) == (200, "hit")
    assert (await suite.ask("other", model="free", max_tokens=30)).status == 200


async def test_another_model_answers_where_the_budget_has_no_room(serve, budget, document, second_upstream):
    budget(30)
    document["upstreams"][1]["models"][0]["price"] = {"input": 0, "output": 0}
    document["models"].append({"name": "small", "candidates": ["second/m1"]})
    document["models"][0]["on_budget"] = {"model": "small"}
    suite = await serve()
    await suite.ask("first", max_tokens=30)
    instead = await suite.ask("second", max_tokens=30)
    assert (instead.status, instead.header["x-penstock-degraded"]) == (200, "budget")
    assert len(second_upstream.requests) == 1
    refused = await suite.ask("third", max_tokens=30, headers={"x-penstock-degrade": "off"})
    assert refused.status == 429
    rows = await suite.ledger_after_close()
    assert [row["degraded"] for row in rows] == ["", "budget"]


async def test_a_model_without_a_price_is_refused_where_a_budget_binds(serve, budget, document):
    budget(1_000)
    del document["upstreams"][0]["models"][0]["price"]
    suite = await serve()
    refused = await suite.ask()
    assert (refused.status, refused.error["code"]) == (403, "model_not_permitted")
    assert "admission.unknown_price" in refused.error["message"]


async def test_a_model_without_a_price_is_allowed_where_the_operator_says_so(serve, budget, document):
    budget(1_000)
    del document["upstreams"][0]["models"][0]["price"]
    document["admission"] = {"unknown_price": "allow"}
    suite = await serve()
    assert (await suite.ask()).status == 200


async def test_tokens_are_taken_as_expected_and_settled_as_billed(serve, budget, document, upstream):
    document["tenants"][0]["tier"] = {"tokens_per_minute": 10_000}
    suite = await serve()
    answered = await suite.ask(max_tokens=500)
    taken = 10_000 - int(answered.header["x-ratelimit-remaining-tokens"])
    assert 500 <= taken <= 520
    after = await suite.ask(max_tokens=500)
    # What was not used is free again: 7 tokens of input and 30 of output were.
    left = int(after.header["x-ratelimit-remaining-tokens"]) + taken
    assert 10_000 - 37 <= left <= 10_000


async def test_a_request_that_never_fits_is_told_so(serve, budget, document):
    document["tenants"][0]["tier"] = {"tokens_per_minute": 100}
    suite = await serve()
    refused = await suite.ask("word " * 500)
    assert refused.status == 400
    assert "100 tokens per minute" in refused.error["message"]
    # One whose answer may only become long passes.
    assert (await suite.ask(max_tokens=64_000)).status == 200
    assert json.loads(refused.body)["error"]["type"] == "invalid_request_error"


async def test_what_hides_its_output_is_asked_for_no_more_than_is_paid_for(serve, budget, upstream):
    budget(3_000)
    hidden = {"prompt_tokens": 7, "completion_tokens": 1_000, "completion_tokens_details": {"reasoning_tokens": 990}}
    upstream.otherwise = lambda _: Answer(tokens=["word "] * 10, usage=hidden)
    suite = await serve()
    first = await suite.ask(max_tokens=2_000)
    assert (first.status, first.header.get("x-penstock-budget")) == (200, None)
    second = await suite.ask("Hi again", max_tokens=64_000)
    assert (second.status, second.header["x-penstock-budget"]) == (200, "capped")
    assert 0 < upstream.requests[1].body["max_tokens"] <= 2_000
    assert await spent_tokens(suite) <= 3_000


async def test_who_may_not_use_the_cheaper_model_is_refused(serve, budget, document):
    budget(30)
    document["models"].append({"name": "small", "candidates": ["second/m1"]})
    document["models"][0]["on_budget"] = {"model": "small"}
    document["tenants"][0]["models"] = ["fast"]
    suite = await serve()
    await suite.ask("first", max_tokens=30)
    assert (await suite.ask("second", max_tokens=30)).status == 429


SHADOW = "tenant; spend_per_month"


async def test_a_shadow_of_money_is_told_from_the_first_request_on(serve, budget, document, upstream):
    budget(1_000_000)
    document["tenants"][0]["tier"] = {"shadow": {"spend_per_month": usd(100)}}
    upstream.otherwise = lambda _: Answer(tokens=["word "] * 20)
    suite = await serve()
    await introduce(suite)
    first = await suite.ask(max_tokens=400)
    assert (first.status, first.header["x-penstock-shadow"]) == (200, SHADOW)
    # Its price is known by now, and by that there is room for little ones.
    assert "x-penstock-shadow" not in (await suite.ask(max_tokens=20)).header
    again = await suite.ask(max_tokens=400, stream=True)
    assert (again.status, again.header["x-penstock-shadow"]) == (200, SHADOW)


async def test_a_shadow_of_money_is_not_told_of_what_costs_nothing(serve, budget, document, upstream, second_upstream):
    budget(1_000_000)
    document["cache"]["mode"] = "exact"
    document["tenants"][0]["tier"] = {"shadow": {"spend_per_month": usd(100)}}
    document["upstreams"][1]["models"][0]["price"] = {"input": 0, "output": 0}
    suite = await serve()
    await introduce(suite)
    body = {"max_tokens": 400, "temperature": 0}
    asked = await suite.ask(**body)
    assert (asked.header["x-penstock-cache"].partition(";")[0], asked.header["x-penstock-shadow"]) == ("miss", SHADOW)
    async with asyncio.timeout(10):
        while not (hit := await suite.ask(**body)).header["x-penstock-cache"].startswith("hit"):
            await asyncio.sleep(0.01)
    assert "x-penstock-shadow" not in hit.header
