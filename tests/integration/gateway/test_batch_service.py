"""BatchService through a gateway: seen, listed and ended by whose they are, their tenant's and an operator."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import aiohttp
import grpc
import pytest

from penstock.gateway.v1 import admin_service_pb2
from penstock.gateway.v1 import batch_service_pb2 as pb
from penstock.gateway.v1.batch_service_pb2_grpc import BatchServiceStub
from penstock_common.testing.openai_upstream import Answer

sys.path.insert(0, str(Path(__file__).parent))

from administrator import Administrator, refused  # noqa: E402
from batches_world import CHAT, jsonl, line  # noqa: E402
from jobs_desk import QUICK  # noqa: E402

Code = grpc.StatusCode


@pytest.fixture
async def suite(document, serve):
    document["jobs"] = QUICK
    document["batches"] = {"poll": "20ms"}
    return await serve()


class Caller:
    """A caller of BatchService with a key."""

    def __init__(self, channel, key):
        self._stub, self._metadata = BatchServiceStub(channel), (("authorization", f"Bearer {key}"),)

    def __getattr__(self, name):
        async def call(**fields):
            request = getattr(pb, f"{name}Request")(**fields)
            return await getattr(self._stub, name)(request, metadata=self._metadata, timeout=30)

        return call


async def begun(suite, *lines, metadata=None):
    """Return the id of a batch."""
    form, head = aiohttp.FormData({"purpose": "batch"}), {"authorization": f"Bearer {suite.KEY}"}
    form.add_field("file", jsonl(*lines), filename="lines.jsonl")
    file = (await suite.request("POST", "/v1/files", data=form, headers=head)).json["id"]
    asked = {"input_file_id": file, "endpoint": CHAT, "completion_window": "24h", "metadata": metadata or {}}
    head["content-type"] = "application/json"
    told = await suite.request("POST", "/v1/batches", data=json.dumps(asked).encode(), headers=head)
    assert told.status == 200, told.body
    return told.json["id"]


async def until(caller, batch_id, state, **fields):
    async with asyncio.timeout(60):
        while (found := (await caller.GetBatch(id=batch_id, **fields)).batch).state != state:
            await asyncio.sleep(0.02)
    return found


async def test_a_batch_is_seen_as_it_ends_and_by_nobody_else(suite):
    own, operator = Caller(suite.channel, suite.KEY), Caller(suite.channel, suite.OPERATOR_KEY)
    asked = Administrator(suite.channel, suite.OPERATOR_KEY)
    wrong = await begun(suite, b"no line")
    batch_id = await begun(suite, line("a", "q"), line("b", "q", model="none"), metadata={"order": "17"})
    found = await until(own, batch_id, pb.BATCH_STATE_COMPLETED)
    assert (found.total, found.completed, found.failed, found.endpoint, found.tenant) == (2, 1, 1, CHAT, "demo")
    assert found.output_file
    assert found.error_file
    assert (found.output_tokens > 0, dict(found.metadata)) == (True, {"order": "17"})
    assert found.ended_at.ToDatetime() >= found.created_at.ToDatetime()
    failed = await until(own, wrong, pb.BATCH_STATE_FAILED)
    assert (failed.faults[0].line, bool(failed.faults[0].message)) == (1, True)
    first = await own.ListBatches(page_size=1)
    second = await own.ListBatches(page_size=1, page_token=first.next_page_token)
    assert [one.batches[0].id for one in (first, second)] == [batch_id, wrong]
    assert not second.next_page_token

    assert (await operator.GetBatch(id=batch_id, tenant="demo")).batch.id == batch_id
    assert (await refused(operator.ListBatches()))[0] is Code.INVALID_ARGUMENT
    key = await asked.CreateKey(tenant="demo", scopes=[admin_service_pb2.KEY_SCOPE_INFERENCE])
    colleague = Caller(suite.channel, key.secret)
    assert not (await colleague.ListBatches()).batches
    for call in (colleague.GetBatch(id=batch_id), colleague.CancelBatch(id=batch_id), own.GetBatch(id="batch_\x00")):
        assert (await refused(call))[0] is Code.NOT_FOUND
    assert (await refused(own.GetBatch(id=batch_id, tenant="other")))[0] is Code.PERMISSION_DENIED


async def test_a_batch_is_ended_once_and_that_is_noted_where_it_is_anothers(suite, upstream, hold):
    upstream.otherwise = lambda _: Answer(tokens=["never"], hold={0: hold})
    own, operator = Caller(suite.channel, suite.KEY), Caller(suite.channel, suite.OPERATOR_KEY)
    batch_id = await begun(suite, line("a", "1"), line("b", "2"))
    await upstream.next_request()
    ending = (await operator.CancelBatch(id=batch_id, tenant="demo")).batch
    assert ending.state == pb.BATCH_STATE_CANCELLING
    ended = await until(own, batch_id, pb.BATCH_STATE_CANCELLED)
    assert (ended.completed, ended.failed) == (0, 2)
    code, reason, _ = await refused(own.CancelBatch(id=batch_id))
    assert (code, reason) == (Code.FAILED_PRECONDITION, "RESOURCE_STATE")
    entries = (await Administrator(suite.channel, suite.OPERATOR_KEY).ListAuditEntries(tenant="demo")).entries
    assert [entry.action for entry in entries if entry.action.startswith("batch.")] == ["batch.cancel"]
