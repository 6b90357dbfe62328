"""Batches whose lines a provider is handed, by the SDKs unchanged: each line is answered once, and billed at the price of batches."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest

from penstock_common.testing.openai_answers import Failure
from penstock_common.testing.openai_batches import OpenAIBatchUpstream, completed

sys.path.insert(0, str(Path(__file__).parent))

from batches_world import CHAT, jsonl, line  # noqa: E402
from jobs_desk import QUICK  # noqa: E402

PROCESS = Path(__file__).parent / "gateway_process.py"
PRICE = 7 * 500 + 1000
"""Of seven tokens and one, at half of $1 and $2 per million, in nano-dollars."""
ENDS = ("completed", "failed", "cancelled", "expired")


@pytest.fixture
async def bulk() -> AsyncIterator[OpenAIBatchUpstream]:
    async with OpenAIBatchUpstream() as upstream:
        yield upstream


@pytest.fixture
def document(document, bulk) -> dict[str, Any]:
    half = {"batch": {"input": "0.5", "output": "1"}}
    model = {"name": "m", "context_window": 8000, "price": {"input": 1, "output": 2}, "service_tiers": half}
    document["upstreams"].append(bulk.settings("bulk", models=[model]))
    document["models"].append({"name": "many", "candidates": ["bulk/m"]})
    document["tenants"][0]["provider_batches"] = True
    document["jobs"] = QUICK
    document["batches"] = {"poll": "20ms", "provider_wait": "30s", "provider_poll": "10ms"}
    return document


class Client:
    """OpenAI's SDK over the socket of a suite that may be served anew."""

    def __init__(self, socket: str, key: str) -> None:
        transport = httpx.AsyncHTTPTransport(uds=socket)
        self.http = httpx.AsyncClient(transport=transport, timeout=60)
        self.sdk = openai.AsyncOpenAI(api_key=key, base_url="http://p/v1", http_client=self.http, max_retries=0)

    async def begin(self, *lines: Any) -> Any:
        file = await self.sdk.files.create(file=("in.jsonl", jsonl(*lines)), purpose="batch")
        return await self.sdk.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")

    async def until(self, batch: Any, *states: str) -> Any:
        async with asyncio.timeout(60):
            while batch.status not in states:
                await asyncio.sleep(0.02)
                batch = await self.sdk.batches.retrieve(batch.id)
        return batch

    async def told(self, batch: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the lines of both files, none in both or twice."""
        files = [await self._lines(file) for file in (batch.output_file_id, batch.error_file_id)]
        assert not files[0].keys() & files[1].keys()
        return files[0], files[1]

    async def _lines(self, file: str | None) -> dict[str, Any]:
        if file is None:
            return {}
        told = [json.loads(each) for each in (await self.sdk.files.content(file)).text.splitlines()]
        assert len({each["custom_id"] for each in told}) == len(told)
        return {each["custom_id"]: each for each in told}

    async def aclose(self) -> None:
        await self.http.aclose()


@pytest.fixture
async def suite(document, serve) -> Any:
    return await serve()


@pytest.fixture
async def client(suite) -> AsyncIterator[Client]:
    async with aclosing(Client(suite.http_socket, suite.KEY)) as client:
        yield client


def many(count: int, **body: Any) -> list[Any]:
    return [line(f"line-{number}", f"Question {number}", model="many", **body) for number in range(count)]


async def handed(bulk: OpenAIBatchUpstream, count: int) -> None:
    """Return once the provider was handed so many lines."""
    async with asyncio.timeout(60):
        while len(bulk.lines_of_all()) < count:
            await asyncio.sleep(0.02)


def billed(rows: list[Any]) -> list[int]:
    return [row["cost_nano_usd"] for row in rows if row["upstream"] == "bulk"]


async def test_lines_are_answered_by_the_providers_batch_at_its_price(client, suite, bulk):
    batch = await client.until(await client.begin(*many(30)), *ENDS)
    assert (batch.status, batch.request_counts.completed) == ("completed", 30)
    assert batch.model_extra["penstock"] == {"handed_to_providers": 30, "answered_by_providers": 30}
    output, errors = await client.told(batch)
    assert (len(output), errors) == (30, {})
    assert output["line-7"]["response"]["body"]["choices"][0]["message"]["content"] == "Hello"
    assert bulk.completions() == []
    assert len(bulk.lines_of_all()) == len(set(bulk.lines_of_all())) == 30
    assert billed(await suite.ledger_after_close()) == [PRICE] * 30


async def test_a_tenant_that_does_not_allow_it_has_lines_asked_one_by_one(suite, bulk):
    async with aclosing(Client(suite.http_socket, suite.OTHER_KEY)) as client:
        batch = await client.until(await client.begin(*many(3)), *ENDS)
    assert (batch.status, len(bulk.completions()), bulk.batches) == ("completed", 3, {})
    assert "penstock" not in (batch.model_extra or {})


async def test_lines_of_other_models_and_known_answers_are_not_handed_over(client, suite, upstream, bulk):
    await suite.ask("Question 0", model="many")
    lines = [*many(3), line("elsewhere", "Question 9", model="fast")]
    batch = await client.until(await client.begin(*lines), *ENDS)
    assert batch.request_counts.completed == 4
    assert len(bulk.lines_of_all()) == 2
    assert len(upstream.requests) == 1


async def test_what_the_provider_refused_of_a_line_is_its_answer(client, suite, bulk):
    bulk.answer_line = lambda each: (
        completed(each, "too odd", 400) if "Question 1" in json.dumps(each) else completed(each)
    )
    batch = await client.until(await client.begin(*many(3)), *ENDS)
    output, errors = await client.told(batch)
    assert (set(output), set(errors)) == ({"line-0", "line-2"}, {"line-1"})
    assert errors["line-1"]["response"]["status_code"] == 400
    assert "too odd" in errors["line-1"]["response"]["body"]["error"]["message"]
    assert bulk.completions() == []


@pytest.mark.parametrize("fault", ["nothing", "garbage", "overloaded"])
async def test_lines_that_the_provider_did_not_answer_are_asked_one_by_one(client, suite, bulk, fault):
    told = {
        "nothing": lambda _: None,
        "garbage": lambda _: b"{?\n",
        "overloaded": lambda each: completed(each, "x", 503),
    }
    bulk.answer_line = lambda each: told[fault](each) if "Question 1" in json.dumps(each) else completed(each)
    batch = await client.until(await client.begin(*many(3)), *ENDS)
    assert (batch.status, batch.request_counts.completed) == ("completed", 3)
    assert len(bulk.completions()) == 1
    rows = await suite.ledger_after_close()
    assert sorted(row["outcome"] for row in rows if row["upstream"] == "bulk" and row["outcome"] == "ok") == ["ok"] * 3


@pytest.mark.parametrize("how", ["refused", "gone"])
async def test_a_batch_that_the_provider_refused_or_lost_is_asked_line_by_line(client, suite, bulk, how):
    bulk.hold()
    batch = await client.begin(*many(4))
    await handed(bulk, 4)
    if how == "gone":
        bulk.batches.clear()
    else:
        bulk.refuse("quota")
    batch = await client.until(batch, *ENDS)
    assert (batch.status, batch.request_counts.completed, len(bulk.completions())) == ("completed", 4, 4)


async def test_an_upload_that_is_refused_for_a_while_is_made_again(client, suite, bulk):
    bulk.enqueue(Failure(503), Failure(429, headers={"retry-after": "0"}))
    batch = await client.until(await client.begin(*many(4)), *ENDS)
    assert (batch.status, batch.request_counts.completed) == ("completed", 4)
    assert len(bulk.lines_of_all()) == len(set(bulk.lines_of_all())) == 4


async def test_what_began_although_nobody_was_told_so_is_found_and_not_begun_again(client, suite, bulk):
    bulk.lose_answers()
    batch = await client.begin(*many(4))
    await handed(bulk, 4)
    bulk.find_answers()
    batch = await client.until(batch, *ENDS)
    assert (batch.status, batch.request_counts.completed) == ("completed", 4)
    assert len(bulk.batches) == 1
    assert billed(await suite.ledger_after_close()) == [PRICE] * 4


async def test_a_gateway_that_ends_meanwhile_leaves_all_of_it_to_the_next(client, suite, serve, bulk):
    bulk.hold()
    batch = await client.begin(*many(6))
    await handed(bulk, 6)
    await suite.stack.aclose()
    again = await serve()
    bulk.finish()
    async with aclosing(Client(again.http_socket, again.KEY)) as other:
        batch = await other.until(batch, *ENDS)
        assert len((await other.told(batch))[0]) == 6
    assert (len(bulk.batches), bulk.completions()) == (1, [])
    assert billed(await again.ledger_after_close()) == [PRICE] * 6


async def test_a_cancel_reaches_the_provider_and_what_it_answered_is_told_and_billed(client, suite, bulk):
    bulk.hold()
    bulk.answer_line = lambda each: completed(each) if "Question 1" in json.dumps(each) else None
    batch = await client.begin(*many(4))
    await handed(bulk, 4)
    assert (await client.sdk.batches.cancel(batch.id)).status == "cancelling"
    async with asyncio.timeout(60):
        while next(iter(bulk.batches.values())).status != "cancelling":
            await asyncio.sleep(0.02)
    bulk.finish("cancelled")
    batch = await client.until(batch, *ENDS)
    assert batch.status == "cancelled"
    output, errors = await client.told(batch)
    assert (set(output), len(errors)) == ({"line-1"}, 3)
    assert {each["error"]["code"] for each in errors.values()} == {"batch_cancelled"}
    assert bulk.completions() == []
    assert billed(await suite.ledger_after_close()) == [PRICE]


async def test_a_budget_that_is_spent_meanwhile_keeps_no_answer_that_was_paid_for(document, serve, bulk):
    document["tenants"][0]["tier"] = {"requests_per_minute": 100_000, "spend_per_day": "0.0005"}
    suite = await serve()
    bulk.hold()
    async with aclosing(Client(suite.http_socket, suite.KEY)) as client:
        batch = await client.begin(*many(2, max_tokens=10))
        await handed(bulk, 2)
        number = 0
        while (await suite.ask(f"Spend {number}", max_tokens=10)).status == 200:
            number += 1
            assert number < 60, "the budget is never spent"
        bulk.finish()
        batch = await client.until(batch, *ENDS)
        assert batch.request_counts.completed == 2
    assert billed(await suite.ledger_after_close()) == [PRICE] * 2


async def test_message_batches_are_handed_over_too(suite, bulk):
    transport = httpx2.AsyncHTTPTransport(uds=suite.http_socket)
    async with httpx2.AsyncClient(transport=transport, timeout=60) as http:
        sdk = anthropic.AsyncAnthropic(api_key=suite.KEY, base_url="http://p", http_client=http, max_retries=0)
        messages = [{"role": "user", "content": "Hi"}]
        params = {"model": "many", "max_tokens": 20, "messages": messages}
        batch = await sdk.messages.batches.create(requests=[{"custom_id": "a", "params": params}])
        async with asyncio.timeout(60):
            while batch.processing_status != "ended":
                await asyncio.sleep(0.02)
                batch = await sdk.messages.batches.retrieve(batch.id)
        (one,) = [each async for each in await sdk.messages.batches.results(batch.id)]
    assert (one.custom_id, one.result.message.content[0].text) == ("a", "Hello")
    assert (len(bulk.lines_of_all()), bulk.completions()) == (1, [])


@asynccontextmanager
async def gateway_process(document: dict[str, Any], folder: Path, name: str) -> AsyncIterator[tuple[Any, str]]:
    """Yield a gateway in a process of its own, and its socket."""
    configuration, socket = folder / f"{name}.json", str(folder / f"{name}.sock")
    configuration.write_text(json.dumps(document))
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROCESS), str(configuration), socket, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while await process.stdout.readline() not in (b"ready\n", b""):
                pass
        assert process.returncode is None
        yield process, socket
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.parametrize("moment", ["begun and not told", "open", "done and not looked at"])
async def test_a_killed_worker_has_nothing_handed_or_billed_twice(document, tmp_path, bulk, moment):
    bulk.hold()
    if moment == "begun and not told":
        bulk.lose_answers()
    async with gateway_process(document, tmp_path, "one") as (process, socket):
        async with aclosing(Client(socket, "demo-key-demo-key-demo")) as client:
            batch = await client.begin(*many(8))
            await handed(bulk, 8)
        if moment == "done and not looked at":
            bulk.finish()
        process.kill()
        await process.wait()
    bulk.find_answers()
    bulk.finish()
    async with (
        gateway_process(document, tmp_path, "two") as (_, socket),
        aclosing(Client(socket, "demo-key-demo-key-demo")) as client,
    ):
        batch = await client.until(batch, *ENDS)
        output, errors = await client.told(batch)
        assert (batch.status, len(output), errors) == ("completed", 8, {})
        assert (sorted(bulk.lines_of_all()), bulk.completions()) == (sorted(set(bulk.lines_of_all())), [])
        async with asyncio.timeout(30):
            while len(rows := ledger_of(tmp_path)) < 8:
                await asyncio.sleep(0.05)
    assert rows == [PRICE] * 8


def ledger_of(folder: Path) -> list[int]:
    with closing(sqlite3.connect(f"file:{folder}/penstock.db?mode=ro", uri=True)) as database:
        return [row[0] for row in database.execute("SELECT cost_nano_usd FROM ledger WHERE upstream = 'bulk'")]
