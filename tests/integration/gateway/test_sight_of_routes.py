"""A model with routes: what Prometheus sees of who was chosen, and why."""

from __future__ import annotations

from importlib.resources import files

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from penstock_common.testing.ports import free_port

DECISIONS = "penstock_router_decisions_total"


@pytest.fixture
async def suite(serve, document):
    document["models"].append({"name": "small", "candidates": ["second/m1"]})
    rules = [{"to": "small", "tags": {"kind": "batch"}}]
    routes = {"code": "small", "default": "fast"}
    document["models"].append({"name": "auto", "rules": rules, "routes": routes})
    document["upstreams"][0]["models"][0]["price"] = {"input": 10, "output": 20}
    document["telemetry"] = {"metrics_listen": f"127.0.0.1:{free_port()}"}
    return await serve()


@pytest.fixture
def scrape(suite, document):
    """A function that returns the samples of a name: labels and value."""

    async def read(name):
        address = document["telemetry"]["metrics_listen"]
        async with aiohttp.ClientSession() as http, http.get(f"http://{address}/metrics") as response:
            text = await response.text()
        families = text_string_to_metric_families(text)
        return [(one.labels, one.value) for family in families for one in family.samples if one.name == name]

    return read


async def test_requests_to_it_are_counted_by_whom_they_went_to_and_why(suite, scrape):
    for _ in range(2):
        answered = await suite.ask(CODE, model="auto")
        assert answered.status == 200
    await suite.ask(model="fast")
    ((labels, count),) = await scrape(DECISIONS)
    assert count == 2
    told = answered.header["x-penstock-route"]
    assert told.startswith(f"{labels['model']}; task={labels['task']}; ")
    assert f"complexity={labels['complexity']}; by={labels['by']}" in told
    assert (labels["fork"], labels["task"], labels["by"]) == ("auto", "code", "routes.code")
    # There is no embedding service.
    assert await scrape("penstock_router_without_vector_total") == [({"fork": "auto"}, 2)]
    assert await scrape("penstock_router_drift") == [({"fork": "auto"}, 0)]


async def test_what_routing_saves_is_estimated_by_the_dearest_model_behind(suite, scrape):
    answered = await suite.ask(CODE, model="auto")
    again = await suite.ask(CODE, model="auto")
    assert [answered.header["x-penstock-cache"], again.header["x-penstock-cache"][:3]] == ["miss", "hit"]
    # Seven tokens in and four out, once: a hit would have been one of the best model's, too.
    assert await scrape("penstock_routing_best_usd_total") == [({"model": "auto"}, pytest.approx(0.00015))]
    assert await scrape("penstock_routing_usd_total") == [({"model": "auto"}, pytest.approx(0.000015))]
    await suite.ask("Something else that is for the best", model="fast")
    assert len(await scrape("penstock_routing_usd_total")) == 1


CODE = "Write a Python function that parses a CSV file and returns its rows as dictionaries. Fix the bug: def f(x): return x["


async def test_what_new_weights_would_have_chosen_is_counted_and_decides_nothing(
    document, serve, suite, scrape, tmp_path
):
    told = (await suite.ask(CODE, model="auto")).header["x-penstock-route"]
    await suite.ledger_after_close()
    path = tmp_path / "next.npz"
    path.write_bytes(files("penstock_router.domain.classification").joinpath("weights.npz").read_bytes())
    document["router"] = {"classifier": {"shadow": str(path)}}
    beside = await serve()
    assert (await beside.ask(CODE, model="auto")).header["x-penstock-route"] == told
    labels = {"fork": "auto", "task": "code", "model": "small", "shadow_task": "code", "shadow_model": "small"}
    assert await scrape("penstock_router_shadowed_total") == [({**labels, "moves": "false"}, 1)]
