"""Requests of the wire formats that change something, sent again under their key."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

from administrator import Administrator  # noqa: E402
from stores_world import StoresWorld, plain_configuration, stores_world  # noqa: E402

from penstock.gateway.v1 import admin_service_pb2 as pb  # noqa: E402

OPERATOR_KEY = "operator-key-operator"
STORES = "http://penstock/v1/vector_stores"
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[StoresWorld]:
    folder = tmp_path_factory.mktemp("stores")
    async with stores_world(plain_configuration(folder, OPERATOR_KEY), folder) as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bearer(world: StoresWorld) -> dict[str, str]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.grpc_port}") as channel:
        operator = Administrator(channel, OPERATOR_KEY)
        await operator.CreateTenant(name="acme", tier="wide")
        key = await operator.CreateKey(tenant="acme", scopes=[pb.KEY_SCOPE_ADMIN, pb.KEY_SCOPE_READ])
        return {"authorization": f"Bearer {key.secret}"}


@pytest.fixture
def head(bearer: dict[str, str]) -> dict[str, str]:
    return {**bearer, "idempotency-key": uuid.uuid4().hex}


async def post(world: StoresWorld, head: dict[str, str], body: Any, url: str = STORES) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await world.http.post(url, content=content, headers=head)


async def test_request_is_made_once_whatever_the_order_of_its_fields(world: StoresWorld, head: dict[str, str]):
    first = await post(world, head, {"name": "one", "metadata": {"a": "1", "b": "2"}})
    again = await post(world, head, b'{"metadata": {"b": "2", "a": "1"}, "name": "one"}')
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.content == again.content
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-penstock-original-request-id"] == first.headers["x-request-id"]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert (await world.http.get(STORES, headers=head)).json()["data"][0]["id"] == first.json()["id"]


@pytest.mark.parametrize("other", ["body", "path", "query", "method"])
async def test_another_request_under_the_key_is_refused(world: StoresWorld, head: dict[str, str], other: str):
    made = (await post(world, head, {"name": "one"})).json()["id"]
    if other == "method":
        refused = await world.http.request("DELETE", f"{STORES}/{made}", headers=head)
    else:
        url = {"body": STORES, "path": f"{STORES}/{made}", "query": f"{STORES}?after=x"}[other]
        refused = await post(world, head, {"name": "two" if other == "body" else "one"}, url)
    assert refused.status_code == 422
    assert refused.json()["error"] | {"message": ""} == {
        "message": "", "type": "invalid_request_error", "param": "Idempotency-Key", "code": "idempotency_key_reused",
    }  # fmt: skip


async def test_refused_request_may_be_mended_under_its_key(world: StoresWorld, head: dict[str, str]):
    assert (await post(world, head, b"{")).status_code == 400
    assert (await post(world, head, {"name": 7})).status_code == 400
    assert (await post(world, head, {"name": "x"}, f"{STORES}/vs_nobody")).status_code == 404
    assert (await post(world, head, {"name": "mended"})).status_code == 200


async def test_what_is_no_key_is_refused(world: StoresWorld, head: dict[str, str]):
    refused = await post(world, {**head, "idempotency-key": "x" * 256}, {"name": "one"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "Idempotency-Key")
    refused = await post(world, {**head, "x-penstock-idempotency": "perhaps"}, {"name": "one"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "x-penstock-idempotency")


async def test_uploads_pass_by_and_take_no_key(world: StoresWorld, head: dict[str, str]):
    form = {"purpose": (None, "assistants"), "file": ("a.txt", b"words", "text/plain")}
    refused = await world.http.post("http://penstock/v1/files", files=form, headers=head)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "Idempotency-Key")


async def test_compressed_body_is_read_once_and_served(world: StoresWorld, head: dict[str, str]):
    import gzip

    packed = gzip.compress(b'{"name": "packed"}')
    first = await post(world, {**head, "content-encoding": "gzip"}, packed)
    again = await post(world, head, {"name": "packed"})
    assert first.json() == again.json()
    assert first.json()["name"] == "packed"
