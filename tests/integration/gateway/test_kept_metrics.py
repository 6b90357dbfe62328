"""What is counted of requests under a key and of batches, as a scrape has it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import aiohttp
import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock.gateway.v1.admin_service_pb2_grpc import AdminServiceStub
from penstock_common.testing.openai_upstream import Answer
from penstock_common.testing.ports import free_port

sys.path.insert(0, str(Path(__file__).parent))

from batches_world import CHAT, jsonl, line  # noqa: E402
from jobs_desk import QUICK  # noqa: E402

KEY = {"idempotency-key": "k1"}


@pytest.fixture
async def suite(serve, document):
    document["jobs"] = QUICK
    document["batches"] = {"poll": "20ms"}
    document["telemetry"] = {"metrics_listen": f"127.0.0.1:{free_port()}"}
    return await serve()


@pytest.fixture
def counted(suite, document):
    """A function that returns the counts of a family, by its labels' values in the order of their names."""

    async def read(name):
        url = f"http://{document['telemetry']['metrics_listen']}/metrics"
        async with aiohttp.ClientSession() as http, http.get(url) as response:
            text = await response.text()
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        }

    return read


async def test_requests_under_a_key_are_counted_by_what_became_of_them(suite, upstream, hold, counted):
    upstream.enqueue(Answer(tokens=["Hello"], hold={0: hold}))
    first = asyncio.ensure_future(suite.ask(headers=KEY))
    await upstream.next_request()
    assert (await suite.ask(headers={**KEY, "x-penstock-idempotency": "conflict"})).status == 409
    joined = asyncio.ensure_future(suite.ask(headers=KEY))
    await asyncio.sleep(0.05)
    hold.set()
    assert ((await first).status, (await joined).status) == (200, 200)
    assert (await suite.ask(headers=KEY)).status == 200
    assert (await suite.ask("Other", headers=KEY)).status == 422
    assert (await suite.ask()).status == 200
    assert (await suite.ask(headers={"idempotency-key": "k2", "prefer": "respond-async"})).status == 202
    counts = await counted("penstock_idempotent_requests_total")
    assert counts.pop(("inference", "joined"), 0) + counts.pop(("inference", "replayed")) == 2
    assert counts == {
        ("inference", "first"): 1,
        ("inference", "in_progress"): 1,
        ("inference", "reused"): 1,
        ("job", "first"): 1,
    }


async def test_calls_under_a_key_are_counted(suite, counted):
    stub, head = AdminServiceStub(suite.channel), (("authorization", f"Bearer {suite.OPERATOR_KEY}"), *KEY.items())
    for _ in range(2):
        await stub.CreateTenant(pb.CreateTenantRequest(name="acme", tier="free"), metadata=head, timeout=30)
    with pytest.raises(grpc.aio.AioRpcError, match="Another request was sent"):
        await stub.CreateTenant(pb.CreateTenantRequest(name="other", tier="free"), metadata=head, timeout=30)
    assert await counted("penstock_idempotent_requests_total") == {
        ("call", "first"): 1,
        ("call", "replayed"): 1,
        ("call", "reused"): 1,
    }


async def test_batches_are_counted_with_their_lines(suite, counted):
    head = {"authorization": f"Bearer {suite.KEY}"}
    contents = [jsonl(line("a", "q"), line("b", "q", model="none"), line("c", "q")), b"no line\n"]
    for content in contents:
        form = aiohttp.FormData({"purpose": "batch"})
        form.add_field("file", content, filename="lines.jsonl")
        file = (await suite.request("POST", "/v1/files", data=form, headers=head)).json["id"]
        asked = {"input_file_id": file, "endpoint": CHAT, "completion_window": "24h"}
        told = await suite.request(
            "POST", "/v1/batches", data=json.dumps(asked).encode(), headers={**head, "content-type": "application/json"}
        )
        assert told.status == 200, told.body
    async with asyncio.timeout(60):
        while sum((await counted("penstock_batches_ended_total")).values()) < 2:
            await asyncio.sleep(0.02)
    assert await counted("penstock_batches_ended_total") == {("completed",): 1, ("failed",): 1}
    assert await counted("penstock_batch_lines_total") == {("completed",): 2, ("failed",): 1}
