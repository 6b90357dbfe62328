"""A kept answer is given as long as asking would lead to the same, and not after it was cleared."""

from __future__ import annotations

import asyncio
import copy

import grpc
import pytest

from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock.gateway.v1.admin_service_pb2_grpc import AdminServiceStub
from penstock_common.testing.openai_upstream import Answer

HIT = "hit; tier=exact; similarity=1.00; temperature=unset"


@pytest.fixture
def until_kept(redis_server):
    """Waits for so many entries: an answer does not wait until it is kept."""

    async def wait(count):
        with redis_server.client() as client:
            async with asyncio.timeout(10):
                while len(client.keys("*:cache:exact:*")) < count:
                    await asyncio.sleep(0.005)

    return wait


@pytest.fixture
def again(serve, document, until_kept):
    """A function that has an answer kept, changes the configuration, and returns the suite that then serves."""

    async def change(how):
        before = await serve()
        assert (await before.ask()).header["x-penstock-cache"] == "miss"
        await until_kept(1)
        assert (await before.ask()).header["x-penstock-cache"] == HIT
        await before.stack.aclose()
        how(document)
        return await serve()

    return change


def _tenant(document, **terms):
    document["tenants"][0].update(terms)


def _regions(document):
    for upstream in document["upstreams"]:
        upstream["region"] = "eu"
    _tenant(document, regions=["eu", "us"])


REPOINTED = {
    "another upstream": lambda document: document["models"][0].update(candidates=["second/m1"]),
    "another address": lambda document: document["upstreams"][0].update(base_url=document["upstreams"][1]["base_url"]),
    "another upstream of its name": lambda document: document["upstreams"].__setitem__(
        slice(None), [{**document["upstreams"][1], "name": "first"}, {**document["upstreams"][0], "name": "second"}]
    ),
    "another candidate in front": lambda document: document["models"][0].update(candidates=["second/m1", "first/m1"]),
    "a weight": lambda document: document["models"][0].update(
        candidates=["first/m1", "second/m1"], weights={"second/m1": 1}
    ),
}


@pytest.mark.parametrize("how", REPOINTED)
async def test_a_model_that_was_repointed_is_asked_anew(again, second_upstream, how):
    second_upstream.enqueue(Answer(tokens=["another"]))
    suite = await again(REPOINTED[how])
    answered = await suite.ask()
    assert answered.header["x-penstock-cache"] == "miss"
    assert answered.json["choices"][0]["message"]["content"] == "another"


OTHERWISE = {
    "another name there": lambda document: (
        document["upstreams"][0]["models"][0].update(name="m2"), document["models"][0].update(candidates=["first/m2"]),
        document["models"][1].update(candidates=["first/m2"]),
    ),
    "another provider": lambda document: document["upstreams"][0].update(provider="vllm"),
    "one more candidate behind": lambda document: document["models"][0].update(candidates=["first/m1", "second/m1"]),
    "the tenant's regions": _regions,
}  # fmt: skip


@pytest.mark.parametrize("how", OTHERWISE)
async def test_what_decides_who_answers_is_part_of_the_question(again, upstream, how):
    suite = await again(OTHERWISE[how])
    assert (await suite.ask()).header["x-penstock-cache"] == "miss"
    assert len(upstream.requests) == 2


UNRELATED = {
    "nothing": lambda document: None,
    "a price": lambda document: document["upstreams"][0]["models"][0].update(price={"input": 7, "output": 7}),
    "a key of ours": lambda document: document["upstreams"][0].update(api_key="sk-y"),
    "a timeout": lambda document: document["upstreams"][0].update(timeouts={"idle": "7s"}),
    "another model": lambda document: document["models"].append({"name": "new", "candidates": ["second/m1"]}),
    "another upstream": lambda document: document["upstreams"].append(
        {**copy.deepcopy(document["upstreams"][1]), "name": "third"}
    ),
}


@pytest.mark.parametrize("how", UNRELATED)
async def test_what_does_not_decide_who_answers_empties_nothing(again, upstream, how):
    suite = await again(UNRELATED[how])
    assert (await suite.ask()).header["x-penstock-cache"] == HIT
    assert len(upstream.requests) == 1


REFUSED = {
    "a model that is gone": (lambda document: document["models"].pop(0), (404, "model_not_found")),
    "a model the tenant may not use": (
        lambda document: _tenant(document, models=["safe"]),
        (403, "model_not_permitted"),
    ),
    "a region the tenant may not use": (
        lambda document: _tenant(document, regions=["eu"]),
        (403, "model_not_permitted"),
    ),
}


@pytest.mark.parametrize("only_if_cached", [False, True])
@pytest.mark.parametrize("how", REFUSED)
async def test_what_may_not_be_asked_now_is_not_answered_from_then(again, upstream, how, only_if_cached):
    change, expected = REFUSED[how]
    suite = await again(change)
    answered = await suite.ask(headers={"x-penstock-cache": "only-if-cached"} if only_if_cached else None)
    assert (answered.status, answered.error["code"]) == expected
    assert len(upstream.requests) == 1


# Clearing


@pytest.fixture
def admin(suite):
    """A function that calls AdminService, with the operator's key where no other is named."""
    stub = AdminServiceStub(suite.channel)

    async def ask(method, request, key=suite.OPERATOR_KEY):
        return await getattr(stub, method)(request, metadata=(("authorization", f"Bearer {key}"),))

    return ask


@pytest.fixture
async def kept(suite, until_kept):
    """Four answers: of two tenants and two models each."""
    for number, (key, model) in enumerate(
        ((suite.KEY, "fast"), (suite.KEY, "safe"), (suite.OTHER_KEY, "fast"), (suite.OTHER_KEY, "safe")), 1
    ):
        assert (await suite.ask(key=key, model=model)).status == 200
        await until_kept(number)


async def _left(suite):
    """Which of the four are served still."""
    asked = [(key, model) for key in (suite.KEY, suite.OTHER_KEY) for model in ("fast", "safe")]
    found = [await suite.ask(key=key, model=model, headers=ONLY) for key, model in asked]
    return "".join("h" if answered.status == 200 else "-" for answered in found)


ONLY = {"x-penstock-cache": "only-if-cached"}


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        ({}, "----"),
        ({"tenant": "demo"}, "--hh"),
        ({"model": "fast"}, "-h-h"),
        ({"tenant": "other", "model": "safe"}, "hhh-"),
        ({"model": "never was"}, "hhhh"),
    ],
)
async def test_an_operator_clears_a_tenant_a_model_or_all(suite, admin, kept, scope, left):
    assert await _left(suite) == "hhhh"
    cleared = await admin("ClearCache", pb.ClearCacheRequest(**scope))
    assert cleared.deleted_entries == left.count("-")
    assert await _left(suite) == left
    (entry,) = (await admin("ListAuditEntries", pb.ListAuditEntriesRequest())).entries
    assert (entry.action, entry.tenant, entry.target, entry.outcome) == (
        "cache.clear", scope.get("tenant", ""), scope.get("model", ""), "ok",
    )  # fmt: skip


async def test_a_tenants_administrator_clears_its_own_alone(suite, admin, kept):
    made = await admin("CreateKey", pb.CreateKeyRequest(tenant="demo", scopes=[pb.KEY_SCOPE_ADMIN]))
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await admin("ClearCache", pb.ClearCacheRequest(tenant="other"), made.secret)
    assert failed.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert (await admin("ClearCache", pb.ClearCacheRequest(), made.secret)).deleted_entries == 2
    assert await _left(suite) == "--hh"
    entries = (await admin("ListAuditEntries", pb.ListAuditEntriesRequest(tenant="demo"))).entries
    assert [(entry.action, entry.outcome) for entry in entries[:2]] == [
        ("cache.clear", "ok"),
        ("cache.clear", "scope_missing"),
    ]
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await admin("GetCacheStats", pb.GetCacheStatsRequest(), made.secret)
    assert failed.value.code() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("key", ["KEY", "NARROW_KEY"])
async def test_who_only_asks_models_clears_nothing(suite, admin, key):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await admin("ClearCache", pb.ClearCacheRequest(), getattr(suite, key))
    assert failed.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_key_clears_the_models_alone_that_it_may_use(suite, admin, kept):
    made = await admin("CreateKey", pb.CreateKeyRequest(tenant="demo", scopes=[pb.KEY_SCOPE_ADMIN], models=["fast"]))
    for model in ("", "safe"):
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await admin("ClearCache", pb.ClearCacheRequest(model=model), made.secret)
        assert failed.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert (await admin("ClearCache", pb.ClearCacheRequest(model="fast"), made.secret)).deleted_entries == 1


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"tenant": "nobody"}, grpc.StatusCode.NOT_FOUND),
        ({"tenant": "a b"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"model": "x" * 129}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"model": "a\x00"}, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_a_scope_that_cannot_be_is_refused(admin, request_, code):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await admin("ClearCache", pb.ClearCacheRequest(**request_))
    assert failed.value.code() is code


async def test_an_answer_under_way_is_not_kept_after_clearing(suite, admin, upstream, hold):
    upstream.enqueue(Answer(tokens=["old", "!"], hold={1: hold}))
    asking = asyncio.create_task(suite.ask())
    await upstream.next_request()
    await admin("ClearCache", pb.ClearCacheRequest())
    hold.set()
    assert (await asking).header["x-penstock-cache"] == "miss"
    async with asyncio.timeout(10):
        while (await admin("GetCacheStats", pb.GetCacheStatsRequest())).refusals == 0:
            await asyncio.sleep(0.005)
    assert (await suite.ask(headers=ONLY)).status == 404


async def test_what_the_cache_did_is_counted(suite, admin, kept):
    told = await admin("GetCacheStats", pb.GetCacheStatsRequest())
    assert (told.misses, told.stores, told.memory_hits, told.memory_entries) == (4, 4, 0, 4)


async def test_a_cache_that_cannot_be_cleared_says_so(admin, redis_server):
    redis_server.crash()
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await admin("ClearCache", pb.ClearCacheRequest())
    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
