"""One ledger row for every admitted request, whatever ended it, and none for the others."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from penstock.gateway.v1 import chat_service_pb2
from penstock.gateway.v1.chat_service_pb2_grpc import ChatServiceStub
from penstock.llm.v1 import message_pb2
from penstock_common.llm.types import UnitPrices
from penstock_common.testing.openai_upstream import Answer, End, Failure
from penstock_gateway.domain.ledger.prices import revision_of

USD = 1_000_000_000


async def test_row_of_an_answer_says_who_asked_what_came_and_what_it_cost(suite):
    before = datetime.now(UTC).replace(tzinfo=None)
    answered = await suite.ask(user="ann", metadata={"team": "red"}, headers={"x-request-id": "my-own"})
    (row,) = await suite.ledger_after_close()
    assert answered.json["id"] == f"chatcmpl-{row['generation_id']}"
    assert before - timedelta(seconds=1) < datetime.fromisoformat(row.pop("created_at")) < before + timedelta(minutes=1)
    # The upstream was asked for all of it at once.
    assert row.pop("time_to_first_token_ms") is None
    assert 0 < row.pop("overhead_ms") <= row.pop("duration_ms")
    assert json.loads(row.pop("tags")) == {"team": "red"}
    assert row == {
        "generation_id": row["generation_id"],
        "request_id": "my-own",
        "tenant": "demo",
        "key_id": "config-demo-1",
        "surface": "openai",
        "requested_model": "fast",
        "upstream": "first",
        "model": "m1",
        "outcome": "ok",
        "finish_reason": "stop",
        "cache_status": "miss",
        "input_tokens": 7,
        "output_tokens": 4,
        "cached_input_tokens": 0,
        "cache_write_input_tokens": 0,
        "reasoning_tokens": 0,
        "usage_estimated": 0,
        "input_price_nano_usd": USD,
        "cached_input_price_nano_usd": USD,
        "output_price_nano_usd": 2 * USD,
        # 7 input tokens at 1,000 nano-dollars and 4 output tokens at 2,000.
        "cost_nano_usd": 15_000,
        "attempts": 1,
        "user": "ann",
        "feature": "",
        "degraded": "",
        "cost_unknown": 0,
        "cache_write_1h_input_tokens": 0,
        "cache_write_price_nano_usd": 0,
        "cache_write_1h_price_nano_usd": 0,
        "saved_tokens": 0,
        "saved_nano_usd": 0,
        "prompt": "",
        "prompt_version": 0,
        "task": "",
        "cache_entry": "",
        "experiment": "",
        "variant": "",
        "experiment_phase": "",
        "experiment_unit": "",
        "shadow": 0,
        "compressed_tokens": 0,
        "exported_at": None,
        "team": "",
        "user_id": "",
        "usage_source": "reported",
        "stopped_by": "",
        "reserved_nano_usd": 0,
        "price_revision": revision_of("first", "m1", UnitPrices(USD, USD, 2 * USD)),
        "operation": "chat",
        "kind": "charge",
        "corrects": "",
        "reason": "",
        "corrected_by": "",
        "job": "",
        "attempt": 0,
        "guardrails": "",
    }


async def test_row_of_a_stream_tells_the_time_to_its_first_token(suite):
    await suite.ask(stream=True)
    (row,) = await suite.ledger_after_close()
    assert 0 < row["time_to_first_token_ms"] <= row["duration_ms"]


async def test_row_of_a_hit_has_the_tokens_and_costs_nothing(suite):
    await suite.ask()
    async with asyncio.timeout(60):
        while "hit" not in (await suite.ask()).header["x-penstock-cache"]:
            await asyncio.sleep(0.005)
    row = (await suite.ledger_after_close())[-1]
    assert (row["cache_status"], row["outcome"], row["finish_reason"]) == ("hit", "ok", "stop")
    assert (row["input_tokens"], row["output_tokens"]) == (7, 4)
    assert (row["cost_nano_usd"], row["input_price_nano_usd"], row["attempts"]) == (0, 0, 0)


async def test_row_of_a_substitute_names_who_answered_at_whose_price(serve, document, upstream):
    document["upstreams"][1]["models"][0]["price"] = {"input": 10, "output": 20}
    suite = await serve()
    upstream.enqueue(*[Failure(503)] * 2)
    await suite.ask(model="safe")
    (row,) = await suite.ledger_after_close()
    assert (row["requested_model"], row["upstream"], row["model"]) == ("safe", "second", "m1")
    assert row["attempts"] == 3
    assert row["cost_nano_usd"] == 7 * 10_000 + 4 * 20_000
    assert row["output_price_nano_usd"] == 20 * USD


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_row_of_a_failure_names_it_and_costs_nothing(suite, upstream, stream):
    upstream.enqueue(*[Failure(503)] * 4)
    await suite.ask(stream=stream)
    (row,) = await suite.ledger_after_close()
    assert (row["outcome"], row["cost_nano_usd"], row["upstream"]) == ("upstream_failed", 0, "")
    assert row["time_to_first_token_ms"] is None
    assert row["attempts"] == 2


async def test_row_of_an_answer_that_broke_is_billed_an_estimate(suite, upstream):
    upstream.enqueue(Answer(tokens=["12345678"], stop_after=2, end=End.RESET))
    await suite.ask("x" * 40, stream=True, headers={"x-penstock-recovery": "off"})
    (row,) = await suite.ledger_after_close()
    assert (row["outcome"], row["usage_estimated"]) == ("upstream_failed", 1)
    assert (row["input_tokens"], row["output_tokens"]) == (14, 2)
    assert row["cost_nano_usd"] == 14_000 + 4_000


async def test_row_of_a_model_that_does_not_exist_is_kept_since_it_was_admitted(suite):
    await suite.ask(model="nope")
    (row,) = await suite.ledger_after_close()
    assert (row["outcome"], row["requested_model"], row["cost_nano_usd"]) == ("model_not_found", "nope", 0)


async def test_refused_requests_have_no_row(suite):
    for options in (
        {"key": "wrong-key-wrong-key-1"},
        {"messages": []},
        {"temperature": 3},
        {"key": suite.NARROW_KEY},
        {"headers": {"idempotency-key": ""}},
    ):
        assert (await suite.ask(**options)).status >= 400
    for number in range(5):
        await suite.ask(str(number), key=suite.FREE_KEY)
    assert [row["outcome"] for row in await suite.ledger_after_close()] == ["ok"] * 3


async def test_same_request_id_twice_is_two_rows(suite):
    for text in "ab":
        await suite.ask(text, headers={"x-request-id": "same"})
    rows = await suite.ledger_after_close()
    assert [row["request_id"] for row in rows] == ["same", "same"]
    assert len({row["generation_id"] for row in rows}) == 2


async def test_two_hundred_requests_of_which_many_are_left_have_one_row_each(suite, upstream, hold):
    """The sum of the ledger is what was admitted: clients leave at any point of their request's life."""
    chance = random.Random(7)
    upstream.enqueue(*[Answer(tokens=["12345678"] * 20, hold={chance.randrange(24): hold}) for _ in range(300)])
    seen = Counter()

    async def one(number):
        patience = chance.choice([0.0, 0.02, 0.1, 0.3, None, None])
        try:
            async with asyncio.timeout(patience):
                answered = await suite.ask(
                    f"question {number}", stream=number % 2 == 0, headers={"x-request-id": f"r{number}"}
                )
            seen["answered"] += 1
            assert answered.status == 200
        except (TimeoutError, aiohttp.ClientError):
            seen["left"] += 1
            if seen["left"] == 60:
                # Only now may answers end: until then most clients wait in vain.
                hold.set()

    async with asyncio.TaskGroup() as group:
        for number in range(200):
            group.create_task(one(number))
    rows = await suite.ledger_after_close()
    assert seen["answered"] + seen["left"] == 200
    assert min(seen.values()) > 20
    outcomes = Counter(row["outcome"] for row in rows)
    assert set(outcomes) <= {"ok", "cancelled"}
    assert outcomes["ok"] >= seen["answered"]
    # Every request that reached an upstream was admitted, and has exactly one row.
    assert len({row["generation_id"] for row in rows}) == len(rows)
    assert len({row["request_id"] for row in rows}) == len(rows)
    assert len(upstream.requests) <= len(rows) <= 200
    for row in rows:
        assert row["cost_nano_usd"] == row["input_tokens"] * 1_000 + row["output_tokens"] * 2_000
    assert suite.gateway._door.in_flight == 0


async def test_an_answer_without_a_price_tells_no_cost_and_its_row_says_that_nobody_knows(document, serve):
    for upstream in document["upstreams"]:
        for model in upstream["models"]:
            del model["price"]
    suite = await serve()
    answered = await suite.ask()
    assert answered.header["x-penstock-cost-usd"] == "unknown"
    request = chat_service_pb2.ChatRequest()
    request.input.model = "fast"
    request.input.messages.add(role=message_pb2.ROLE_USER).parts.add(text="Hello?")
    told = await ChatServiceStub(suite.channel).Chat(request, metadata=[("authorization", f"Bearer {suite.KEY}")])
    assert (told.cost_is_unknown, told.cost_nano_usd) == (True, 0)
    async with asyncio.timeout(60):
        while "hit" not in (again := await suite.ask()).header["x-penstock-cache"]:
            await asyncio.sleep(0.005)
    # Nobody was asked again.
    assert again.header["x-penstock-cost-usd"] == "0"
    rows = await suite.ledger_after_close()
    assert {(row["cost_unknown"], row["cost_nano_usd"]) for row in rows if row["cache_status"] != "hit"} == {(1, 0)}
    assert {(row["cost_unknown"], row["cost_nano_usd"]) for row in rows if row["cache_status"] == "hit"} == {(0, 0)}
