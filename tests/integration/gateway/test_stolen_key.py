"""What a stolen key is worth at most: which models, from where, how much money, and for how long."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

import penstock_gateway.settings
from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock.gateway.v1 import chat_service_pb2
from penstock.gateway.v1.chat_service_pb2_grpc import ChatServiceStub
from penstock_common.configuration import Configuration
from penstock_gateway.domain.access.authentication import KeyFreshness
from penstock_gateway.domain.access.identity import Caller, KeyScope
from penstock_gateway.domain.limits.book import LimitBook
from penstock_gateway.domain.limits.limit import Measure

sys.path.insert(0, str(Path(__file__).parent))
from administrator import Administrator, refused  # noqa: E402

Code = grpc.StatusCode
DAILY = "2.50"


@pytest.fixture
def document(document):
    tier = {"requests_per_minute": 100_000, "each_key": {"spend_per_day": DAILY}, "each_team": {"spend_per_day": "40"}}
    document["tenants"][0]["tier"] = tier
    document["gateway"]["key_fresh"] = "200ms"
    return document


def ask(suite, key, model="fast"):
    turn = {"role": "ROLE_USER", "parts": [{"text": "Hi"}]}
    request = chat_service_pb2.ChatRequest(input={"model": model, "messages": [turn]})
    return ChatServiceStub(suite.channel).Chat(request, metadata=(("authorization", f"Bearer {key}"),), timeout=30)


async def code_of(suite, key):
    try:
        await ask(suite, key)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return Code.OK


async def test_stolen_keys_blast_radius(suite, document):
    operator = Administrator(suite.channel, suite.OPERATOR_KEY)
    await operator.CreateTeam(tenant="demo", name="search")
    made = await operator.CreateKey(
        tenant="demo",
        team="search",
        models=["fast"],
        allowed_networks=["127.0.0.0/8"],
        lifetime={"seconds": 3600},
        scopes=[pb.KEY_SCOPE_INFERENCE],
    )
    thief = Administrator(suite.channel, made.secret)
    await ask(suite, made.secret)
    # Other models, other places, other rights.
    assert (await refused(ask(suite, made.secret, "safe")))[0] in {Code.PERMISSION_DENIED, Code.NOT_FOUND}
    assert (await suite.ask(key=made.secret)).status == 403
    for call in (thief.CreateKey(), thief.ListKeys(), thief.CreateTeam(name="x"), thief.RevokeSubject(subject="x")):
        assert (await refused(call))[:2] == (Code.PERMISSION_DENIED, "SCOPE_MISSING")
    # Money.
    settings = Configuration(document).settings(penstock_gateway.settings.Settings)
    tenant = settings.tenants_by_name()["demo"]
    caller = Caller(tenant, made.key.id, frozenset({KeyScope.INFERENCE}), team=made.key.team)
    spend = [limit for limit in LimitBook().limits_of(caller, "fast") if limit.allowance.measure is Measure.SPEND]
    loss = min(limit.allowance.amount for limit in spend)
    assert loss == int(float(DAILY) * 10**9)
    # Time.
    await operator.RevokeKey(id=made.key.id)
    began = time.monotonic()
    async with asyncio.timeout(60):
        while (code := await code_of(suite, made.secret)) is Code.OK:
            pass
    assert code is Code.UNAUTHENTICATED
    took = time.monotonic() - began
    print(
        f"stolen key: models {', '.join(made.key.models)}; from {', '.join(made.key.allowed_networks)}; "
        f"at most ${loss / 10**9:.2f} a day; revoked after {took:.2f} s with key_fresh 200 ms, "
        f"{KeyFreshness().fresh.total_seconds():g} s by default"
    )
    assert KeyFreshness().fresh <= timedelta(seconds=5)
    with pytest.raises(Exception, match="at most 5s"):
        Configuration({"gateway": {"key_fresh": "6s"}}).settings(penstock_gateway.settings.Settings)
