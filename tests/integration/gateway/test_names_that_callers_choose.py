"""Names that callers choose leave nothing behind: not in Redis, not in the metrics."""

from __future__ import annotations

import aiohttp
import pytest

from penstock.gateway.v1 import chat_service_pb2 as pb
from penstock.gateway.v1.chat_service_pb2_grpc import ChatServiceStub
from penstock.llm.v1 import message_pb2
from penstock_common.testing.ports import free_port


@pytest.fixture
async def suite(serve, document):
    document["telemetry"] = {"metrics_listen": f"127.0.0.1:{free_port()}"}
    return await serve()


async def series_of(document):
    """Return the names and labels of every series that Prometheus would get."""
    url = f"http://{document['telemetry']['metrics_listen']}/metrics"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        lines = (await response.text()).splitlines()
    return {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}


def kept_in(redis_server):
    """Return every name in Redis, those of a hash's fields included."""
    with redis_server.client() as client:
        names = set(client.scan_iter("*"))
        fields = {field for name in names if client.type(name) == b"hash" for field in client.hkeys(name)}
        keys_of_tenants = {name for name in names if name.endswith(b"cache:keys")}
        for_ever = {name for name in names if client.pttl(name) < 0}
        assert for_ever <= keys_of_tenants, "everything else has a life"
    return names | fields


async def ask_for(suite, model):
    """Ask as callers do who choose every name that they can."""
    request = pb.ChatRequest(context={"user": model, "feature": model[:64], "tags": {model[:64]: model}})
    request.input.model = model
    request.input.messages.add(role=message_pb2.ROLE_USER).parts.add(text="Hi")
    metadata = (("authorization", f"Bearer {suite.KEY}"), ("x-request-id", model))
    code = await ChatServiceStub(suite.channel).Chat(request, metadata=metadata).code()
    answered = await suite.ask(model=model, user=model, headers={"x-request-id": model})
    await suite.request("GET", f"/v1/models/{model}", headers={"authorization": f"Bearer {suite.KEY}"})
    await suite.request("GET", f"/v1/{model}", headers={"authorization": f"Bearer {suite.KEY}"})
    return code.name, answered.status


async def test_unknown_models_leave_no_series(suite, document):
    assert await ask_for(suite, "unknown-0") == ("NOT_FOUND", 404)
    before = await series_of(document)
    for number in range(1, 50):
        await ask_for(suite, f"unknown-{number}")
    assert await series_of(document) == before


async def test_unknown_models_leave_no_name_in_redis(suite, redis_server):
    await suite.ask()
    before = kept_in(redis_server)
    for number in range(50):
        assert await ask_for(suite, f"unknown-{number}") == ("NOT_FOUND", 404)
    assert not any(b"unknown" in name for name in kept_in(redis_server) - before)
