"""Fifteen hundred who guess keys, beside those who have one."""

from __future__ import annotations

import asyncio

import pytest

from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock.gateway.v1.admin_service_pb2_grpc import AdminServiceStub
from penstock_gateway.domain.access.identity import new_key

GUESSERS = 1_500
MODELS = "/v1/models"


@pytest.fixture
def document(document):
    """Places are what is tried here: the guessers share the test's own loop, which no patience may depend on."""
    document["gateway"]["key_lookup_timeout"] = "60s"
    return document


@pytest.fixture
async def created(suite):
    """Ten created keys."""
    admin, head = AdminServiceStub(suite.channel), (("authorization", f"Bearer {suite.OPERATOR_KEY}"),)
    keys = [await admin.CreateKey(pb.CreateKeyRequest(tenant="demo"), metadata=head) for _ in range(10)]
    return [key.secret for key in keys]


async def ask(suite, key):
    return (await suite.request("GET", MODELS, headers={"authorization": f"Bearer {key}"})).status


async def test_no_honest_key_is_denied_by_those_who_guess(suite, created):
    used, fresh = created[:5], created[5:]
    assert [await ask(suite, key) for key in used] == [200] * 5

    async def guess():
        # Well formed, as anybody can make them.
        return [await ask(suite, new_key()[0]) for _ in range(2)]

    async with asyncio.TaskGroup() as group:
        guessing = [group.create_task(guess()) for _ in range(GUESSERS)]
        await asyncio.sleep(0)
        for _ in range(3):
            honest = await asyncio.gather(*(ask(suite, key) for key in (*used, *fresh)))
            assert honest == [200] * 10
    assert {status for task in guessing for status in task.result()} <= {401, 429}
