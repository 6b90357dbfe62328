"""What Prometheus scrapes: every number, and no label that a caller can choose."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from contextlib import closing

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from penstock_common.rpc.server import ListenError
from penstock_common.telemetry.metrics_endpoint import serving_metrics
from penstock_common.testing.openai_upstream import Answer, Failure
from penstock_common.testing.ports import free_port


@pytest.fixture
async def suite(serve, document):
    document["telemetry"] = {"metrics_listen": f"127.0.0.1:{free_port()}"}
    return await serve()


@pytest.fixture
def scrape(suite, document):
    """A function that returns every sample's value, by name and labels."""

    async def read():
        address = document["telemetry"]["metrics_listen"]
        async with aiohttp.ClientSession() as http, http.get(f"http://{address}/metrics") as response:
            text = await response.text()
        return {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    return read


def value(samples, name, **labels):
    return samples.get((name, *sorted(labels.items())), 0)


async def test_answer_is_counted_with_tokens_cost_latency_and_overhead(suite, scrape):
    await suite.ask(stream=True)
    samples = await scrape()
    assert value(samples, "penstock_requests_total", surface="openai", model="fast", outcome="ok") == 1
    assert value(samples, "penstock_tokens_total", upstream="first", model="m1", type="input") == 7
    assert value(samples, "penstock_tokens_total", upstream="first", model="m1", type="output") == 4
    assert value(samples, "penstock_cost_usd_total", upstream="first", model="m1") == pytest.approx(0.000015)
    assert value(samples, "penstock_cache_requests_total", result="miss") == 1
    assert value(samples, "gen_ai_server_request_duration_seconds_count", model="fast", outcome="ok") == 1
    assert value(samples, "gen_ai_server_time_to_first_token_seconds_count", model="fast") == 1
    assert value(samples, "penstock_overhead_seconds_count", surface="openai") == 1
    assert value(samples, "penstock_requests_in_flight") == 0


async def test_hit_bills_no_tokens(suite, scrape):
    await suite.ask()
    async with asyncio.timeout(60):
        while "hit" not in (await suite.ask()).header["x-penstock-cache"]:
            await asyncio.sleep(0.005)
    before = value(await scrape(), "penstock_tokens_total", upstream="first", model="m1", type="input")
    assert "hit" in (await suite.ask()).header["x-penstock-cache"]
    samples = await scrape()
    assert value(samples, "penstock_cache_requests_total", result="hit") == 2
    assert value(samples, "penstock_tokens_total", upstream="first", model="m1", type="input") == before


@pytest.fixture
def with_a_ladder(document):
    """What ``suite`` is to be served with; asked for before it."""
    document["models"][0]["degradation"] = [{"stale_if_error": "1h"}, {"template": "Sorry."}]


async def test_what_stands_in_for_an_answer_is_counted_by_step(with_a_ladder, suite, scrape, upstream):
    await suite.ask("Kept")
    upstream.otherwise = lambda _: Failure(500)
    await suite.ask("Hi")
    samples = await scrape()
    assert value(samples, "penstock_degraded_answers_total", model="fast", step="template") == 1
    assert value(samples, "penstock_requests_total", surface="openai", model="fast", outcome="ok") == 2
    # Of the first answer alone: a text of the operator's has none.
    assert value(samples, "penstock_tokens_total", upstream="first", model="m1", type="input") == 7
    assert ("penstock_tokens_total", ("model", "template"), ("type", "input"), ("upstream", "")) not in samples


async def test_ledger_rows_that_wait_are_those_not_committed(suite, scrape, tmp_path):
    # Another process writes, and does not end.
    with closing(sqlite3.connect(tmp_path / "penstock.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        for count in (1, 2):
            await suite.ask()
            assert value(await scrape(), "penstock_ledger_rows_waiting") == count
    async with asyncio.timeout(60):
        while value(await scrape(), "penstock_ledger_rows_waiting") != 0:
            await asyncio.sleep(0.02)


async def test_requests_in_flight_are_those_inside(suite, scrape, upstream, hold):
    upstream.enqueue(Answer(hold={2: hold}))
    async with suite.open_stream() as response:
        assert value(await scrape(), "penstock_requests_in_flight") == 1
        hold.set()
        await response.read()
    assert value(await scrape(), "penstock_requests_in_flight") == 0


async def test_failures_are_counted_by_their_name(suite, scrape, upstream):
    upstream.enqueue(*[Failure(503)] * 4)
    await suite.ask()
    await suite.ask(key="wrong-key-wrong-key-1")
    samples = await scrape()
    assert value(samples, "penstock_requests_total", surface="openai", model="fast", outcome="upstream_failed") == 1
    assert value(samples, "penstock_requests_total", surface="openai", model="", outcome="invalid_credentials") == 1


async def test_no_label_is_a_callers_to_choose(suite, scrape):
    """A thousand names would be a thousand time series, for good."""
    names = [f"made-up-{number}" for number in range(8)]
    for name in names:
        await suite.ask(model=name)
        await suite.ask(model=name, key=suite.NARROW_KEY)
        await suite.ask(model=name, temperature=3)
        await suite.ask(key=suite.FREE_KEY)
        await suite.ask(model=name, headers={"x-penstock-cache": "only-if-cached"})
        await suite.ask(model=name, user=name, headers={"x-request-id": name})
    samples = await scrape()
    text = str(list(samples))
    assert value(samples, "penstock_requests_total", surface="openai", model="", outcome="model_not_permitted") == 8
    assert value(samples, "penstock_requests_total", surface="openai", model="", outcome="rate_limited") == 5
    # Three of the free tenant's, and whatever else is asked, only if cached or not.
    assert value(samples, "penstock_requests_total", surface="openai", model="", outcome="model_not_found") == 24
    assert "made-up" not in text
    assert suite.KEY not in text


async def test_refused_request_says_nothing_of_the_cache(suite, scrape):
    await suite.ask(temperature=3)
    assert value(await scrape(), "penstock_cache_requests_total", result="bypass") == 0


async def test_taken_address_is_named():
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ListenError, match=f"{address} .telemetry.metrics_listen.: Address already in use"):
            async with serving_metrics(CollectorRegistry(), address):
                pass
