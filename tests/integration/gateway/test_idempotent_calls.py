"""Calls that change something, sent again under their key: made once, answered each time, on every surface."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from sqlalchemy import select

from penstock.gateway.v1 import prompt_service_pb2 as pb
from penstock.gateway.v1.admin_service_pb2 import KEY_SCOPE_INFERENCE, CreateKeyRequest
from penstock.gateway.v1.admin_service_pb2_grpc import AdminServiceStub
from penstock.gateway.v1.prompt_service_pb2_grpc import PromptServiceStub
from penstock.llm.v1 import message_pb2
from penstock_common.errors import IdempotencyInProgress, IdempotencyKeyReused, RateLimited
from penstock_gateway.adapters.sql.idempotency.schema import IDEMPOTENCY
from penstock_gateway.adapters.sql.idempotency.store import SqlCallStore
from penstock_gateway.adapters.sql.idempotency.tables import calls
from penstock_gateway.adapters.sql.sealing import TenantSealer
from penstock_gateway.domain.idempotency.calls import AskedCall, CallTerms, KeptCalls
from penstock_gateway.domain.idempotency.keys import Marked, WhenBusy
from penstock_gateway.domain.idempotency.ports import Claim

sys.path.insert(0, str(Path(__file__).parent))
from administrator import refused  # noqa: E402

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
GENEROUS = timedelta(seconds=30)


@pytest.fixture
async def store(engine):
    async with engine.begin() as connection:
        await connection.run_sync(IDEMPOTENCY.upgrade_to)
    return SqlCallStore(engine, TenantSealer(b"s" * 32))


@pytest.fixture
def kept(store):
    return KeptCalls(store, CallTerms())


def claim(owner="o1", *, fingerprint="f", until=NOW + GENEROUS):
    return Claim(
        mark="m" * 64, tenant="acme", fingerprint=fingerprint, owner=owner, request_id=f"r-{owner}", until=until
    )


def asked(*, mark="m", fingerprint="f", when_busy=WhenBusy.WAIT, patience=GENEROUS, request_id="r1"):
    return AskedCall(
        marked=Marked(mark, fingerprint, when_busy), tenant="acme", request_id=request_id, patience=patience
    )


async def test_call_is_of_who_claims_it_first_until_its_lease_runs_out(store):
    assert (await store.claim(claim(), NOW)).is_ours
    there = await store.claim(claim("o2", fingerprint="g"), NOW)
    assert (there.is_ours, there.fingerprint, there.answer) == (False, "f", None)
    # Whoever is heard of keeps it; whoever is not loses it, and its word counts no more.
    assert await store.hold(claim(), NOW + 2 * GENEROUS)
    assert not (await store.claim(claim("o2"), NOW + GENEROUS + SECOND)).is_ours
    assert (await store.claim(claim("o2", until=NOW + 9 * GENEROUS), NOW + 2 * GENEROUS + SECOND)).is_ours
    assert not await store.hold(claim(), NOW + 9 * GENEROUS)
    assert not await store.keep(claim(), b"late", NOW + 9 * GENEROUS)
    await store.free(claim())
    assert await store.keep(claim("o2"), b"answer", NOW + timedelta(days=1))
    found = await store.claim(claim("o3"), NOW + timedelta(hours=23))
    assert found.answer is not None
    assert (found.answer.request_id, found.answer.content) == ("r-o2", b"answer")


async def test_answer_is_sealed_and_goes_after_its_time(store, engine):
    await store.claim(claim(), NOW)
    await store.keep(claim(), b"canary", NOW + timedelta(days=1))
    async with engine.connect() as connection:
        (row,) = (await connection.execute(select(calls))).all()
    assert b"canary" not in row.sealed
    assert await store.forget(NOW + timedelta(hours=24), 10) == 0
    # Also before it is swept away, its key is free.
    assert (await store.claim(claim("o2", until=NOW + timedelta(days=2)), NOW + timedelta(hours=25))).is_ours
    assert await store.forget(NOW + timedelta(days=3), 10) == 1


async def test_many_at_once_make_a_call_once(kept):
    made = []

    async def make():
        made.append(1)
        await asyncio.sleep(0.05)
        return b"answer"

    answers = await asyncio.gather(*(kept.once(asked(request_id=f"r{at}"), make) for at in range(40)))
    assert len(made) == 1
    assert {content for content, _ in answers} == {b"answer"}
    assert sum(before is None for _, before in answers) == 1


async def test_refusal_frees_the_key_and_whoever_waited_makes_the_call(kept):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def fail():
        begun.set()
        await go_on.wait()
        raise RateLimited("Too fast.")

    async def make():
        return b"answer"

    first = asyncio.ensure_future(kept.once(asked(), fail))
    await begun.wait()
    second = asyncio.ensure_future(kept.once(asked(), make))
    with pytest.raises(IdempotencyInProgress):
        await kept.once(asked(when_busy=WhenBusy.CONFLICT), make)
    with pytest.raises(IdempotencyInProgress):
        await kept.once(asked(patience=timedelta()), make)
    with pytest.raises(IdempotencyKeyReused):
        await kept.once(asked(fingerprint="g"), make)
    go_on.set()
    with pytest.raises(RateLimited):
        await first
    assert await second == (b"answer", None)


async def test_what_a_caller_who_left_has_asked_for_is_done_once(kept):
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def slow():
        begun.set()
        await goes_on.wait()
        return b"first"

    async def make():
        return b"second"

    left = asyncio.ensure_future(kept.once(asked(), slow))
    await begun.wait()
    left.cancel()
    await asyncio.wait((left,))
    goes_on.set()
    content, before = await kept.once(asked(), make)
    assert (content, before is not None) == (b"first", True)


async def test_call_that_takes_longer_than_its_lease_is_held(store):
    kept = KeptCalls(store, CallTerms(lease=timedelta(milliseconds=300)))
    done, waited = asyncio.Event(), []

    async def long():
        await asyncio.sleep(1)
        done.set()
        return b"long"

    async def make():
        waited.append(done.is_set())
        return b"again"

    first = asyncio.ensure_future(kept.once(asked(), long))
    await asyncio.sleep(0.1)
    assert (await kept.once(asked(), make))[0] == b"long"
    assert (await first)[0] == b"long"
    assert waited == []


# --- over the suite -----------------------------------------------------------------------------------------------


class Caller:
    """Makes prompts by gRPC; ``created`` are the versions that there are."""

    def __init__(self, suite):
        self._suite = suite

    async def create(self, key, note="a", *, name="greet", when_busy="wait", by=None):
        head = [("authorization", f"Bearer {by or self._suite.OPERATOR_KEY}"), ("x-penstock-idempotency", when_busy)]
        if key is not None:
            head.append(("idempotency-key", key))
        turn = pb.PromptTurn(role=message_pb2.ROLE_USER, text="Hello")
        request = pb.CreatePromptVersionRequest(
            tenant="demo", name=name, template=pb.PromptTemplate(messages=[turn]), note=note
        )
        call = PromptServiceStub(self._suite.channel).CreatePromptVersion(request, metadata=head, timeout=30)
        return (await call).version.version, dict(await call.initial_metadata())

    async def created(self):
        head = [("authorization", f"Bearer {self._suite.OPERATOR_KEY}"), ("idempotency-key", "means nothing here")]
        request = pb.ListPromptVersionsRequest(tenant="demo", name="greet")
        listed = await PromptServiceStub(self._suite.channel).ListPromptVersions(request, metadata=head, timeout=30)
        return len(listed.versions)


async def test_rpc_is_made_once_and_its_repeats_say_so(suite):
    caller = Caller(suite)
    version, head = await caller.create("k1")
    assert (version, "idempotent-replayed" in head) == (1, False)
    again, head = await caller.create('"k1"')
    assert (again, head["idempotent-replayed"]) == (1, "true")
    assert len(head["x-penstock-original-request-id"]) == 32
    assert await caller.created() == 1
    assert (await caller.create("k2"))[0] == (await caller.create(None))[0] - 1 == 2


async def test_rpc_of_other_words_is_refused_and_a_refused_one_may_be_mended(suite):
    caller = Caller(suite)
    await caller.create("k1")
    status, reason, _ = await refused(caller.create("k1", "b"))
    assert (status, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "IDEMPOTENCY_KEY_REUSED")
    for bad in ("", "x" * 256):
        assert (await refused(caller.create(bad)))[1] == "INVALID_REQUEST"
    assert (await refused(caller.create("k2", name="No name")))[1] == "INVALID_REQUEST"
    assert (await caller.create("k2"))[0] == 2
    # A key may be sent by another caller: it is not the same.
    assert (await refused(caller.create("k2", by=suite.KEY)))[1] == "SCOPE_MISSING"


async def test_rpcs_at_once_are_one(suite):
    caller = Caller(suite)
    made = await asyncio.gather(*(caller.create("k1") for _ in range(20)))
    assert {version for version, _ in made} == {1}
    assert sum("idempotent-replayed" in head for _, head in made) == 19


async def test_secret_in_an_answer_is_sealed_and_told_again(suite):
    head = [("authorization", f"Bearer {suite.OPERATOR_KEY}"), ("idempotency-key", "canary-key")]
    stub = AdminServiceStub(suite.channel)
    request = CreateKeyRequest(tenant="demo", scopes=[KEY_SCOPE_INFERENCE])
    first, second = [await stub.CreateKey(request, metadata=head, timeout=30) for _ in range(2)]
    assert first.secret == second.secret
    with sqlite3.connect(suite.state / "penstock.db") as database:
        (row,) = database.execute("SELECT * FROM idempotent_calls").fetchall()
    database.close()
    assert first.secret.encode() not in row[-1]
    assert not any("canary" in str(value) for value in row)


async def test_every_error_says_what_to_do(suite):
    caller = Caller(suite)
    await caller.create("k1")
    _, _, error = await refused(caller.create("k1", "b"))
    assert "Take a new key" in error.details()
