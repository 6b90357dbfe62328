"""Kept answers in SQL, on both engines: sealed, each tenant's own, chained, and gone after their time."""

from __future__ import annotations

import secrets
import threading
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select

from penstock_common.errors import (
    InvalidRequest,
    RateLimited,
    ResourceNotFound,
    ResourceState,
    UnsupportedParameter,
)
from penstock_gateway.adapters.sql.responses.schema import RESPONSES
from penstock_gateway.adapters.sql.responses.store import SqlResponseStore
from penstock_gateway.adapters.sql.responses.tables import metadata, responses
from penstock_gateway.adapters.sql.sealing import TenantSealer
from penstock_gateway.domain.access.identity import Caller, KeyScope, Tenant, Tier
from penstock_gateway.domain.responses.ids import ResponseIds
from penstock_gateway.domain.responses.keeping import Asked, PreviousResponseNotFound, Responses, ResponseTerms
from penstock_gateway.domain.responses.response import Chain, Content, Status

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class Clock:
    now = NOW

    def __call__(self):
        return self.now


class Counted:
    """Counts what reaches the store."""

    def __init__(self, store):
        self._store = store
        self.asked = 0
        self.of_chains = []

    def __getattr__(self, name):
        self.asked += 1
        if name in ("extent", "chain"):
            self.of_chains.append(name)
        return getattr(self._store, name)


def caller(tenant="acme", key="k1", scopes=frozenset({KeyScope.INFERENCE}), **terms):
    return Caller(Tenant(tenant, Tier("free"), **terms), key, scopes)


@pytest.fixture
async def store(engine):
    async with engine.begin() as connection:
        await connection.run_sync(RESPONSES.upgrade_to)
    return Counted(SqlResponseStore(engine, TenantSealer(b"s" * 32)))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def kept(store, clock):
    return Responses(store, ResponseIds(b"k" * 32), ResponseTerms(max_turns=5, max_chain_bytes=4096), clock)


_BEGINS = Chain()


async def keep(kept, who=None, *, chain=_BEGINS, status=Status.COMPLETED, items=b'["asked"]', job="", at=NOW):
    who = who or caller()
    asked = Asked(name=secrets.token_hex(12), created_at=at, items=items, tail=chain.tail)
    content = Content(items=items, output=b'["answered"]', body=b'{"a":1}')
    response = msgspec.structs.replace(kept.new(who, asked, status, content), job=job)
    await kept.store.keep(response)
    return response


async def conversation(kept, turns, who=None):
    said = [await keep(kept, who)]
    while len(said) < turns:
        said.append(await keep(kept, who, chain=await kept.chain(who or caller(), said[-1].id, 0)))
    return said


async def test_migrations_lead_from_nothing_to_the_table(store, engine):
    async with engine.connect() as connection:
        context = lambda sync: MigrationContext.configure(sync, opts={"compare_type": True})  # noqa: E731
        found = await connection.run_sync(lambda sync: compare_metadata(context(sync), metadata))
    assert [each for each in found if each[0] != "remove_table" and "_version" not in str(each)] == []


async def test_answer_is_sealed_and_comes_back_whole(kept, engine):
    response = await keep(kept, items=b'["canary"]')
    assert await kept.get(caller(), response.id) == response
    async with engine.connect() as connection:
        (row,) = (await connection.execute(select(responses))).all()
    assert b"canary" not in row.sealed
    # The same place of another tenant does not open it.
    with pytest.raises(Exception, match="does not open"):
        TenantSealer(b"s" * 32).open("other", f"responses/{response.id}", row.sealed)


async def test_what_was_kept_first_stays(kept):
    response = await keep(kept)
    await kept.store.keep(msgspec.structs.replace(response, status=Status.FAILED))
    assert (await kept.get(caller(), response.id)).status is Status.COMPLETED


async def test_another_tenants_and_another_keys_are_not_there(kept):
    response = await keep(kept)
    readers = frozenset({KeyScope.READ})
    for other in (caller("other"), caller(key="k2"), caller("other", scopes=readers)):
        for look in (kept.get, kept.delete, lambda who, which: kept.chain(who, which, 0)):
            with pytest.raises(ResourceNotFound):
                await look(other, response.id)
    looking = caller(key="k2", scopes=readers)
    assert (await kept.get(looking, response.id)).id == response.id
    with pytest.raises(ResourceNotFound):
        await kept.delete(looking, response.id)
    administering = caller(key="k3", scopes=frozenset({KeyScope.ADMIN}))
    assert (await kept.delete(administering, response.id)).id == response.id


async def test_rotated_key_sees_what_it_asked_for_before(kept):
    response = await keep(kept)
    rotated = msgspec_like(caller(key="k9"), first_key_id="k1")
    assert (await kept.get(rotated, response.id)).id == response.id


def msgspec_like(who, **changes):
    import dataclasses

    return dataclasses.replace(who, **changes)


async def test_forged_ids_find_nothing_and_ask_nothing(kept, store):
    response = await keep(kept)
    store.asked, name = 0, response.id[5:29]
    for number in range(100_000):
        with pytest.raises(ResourceNotFound):
            await kept.get(caller(), f"resp_{name}{number:024x}")
    for odd in (
        "",
        "resp_",
        "resp_" + "0" * 200,
        response.id[:-1],
        response.id.upper(),
        "chatcmpl-1",
        response.id + "\n",
    ):
        with pytest.raises(ResourceNotFound):
            await kept.get(caller(), odd)
        with pytest.raises(PreviousResponseNotFound):
            await kept.chain(caller(), odd, 0)
    # Another tenant's real one is not looked for either.
    with pytest.raises(ResourceNotFound):
        await kept.get(caller("other"), response.id)
    assert store.asked == 0


async def test_chain_is_whole_and_in_order_and_branches(kept):
    first, second, third = await conversation(kept, 3)
    chain = await kept.chain(caller(), third.id, 0)
    assert [turn.id for turn in chain.turns] == [first.id, second.id, third.id]
    assert chain.items == [b'["asked"]', b'["answered"]'] * 3
    assert third.depth == 2
    assert third.chain_bytes == 3 * third.content.size_bytes
    one, other = [await keep(kept, chain=await kept.chain(caller(), first.id, 0)) for _ in range(2)]
    for branch in (one, other):
        assert [turn.id for turn in (await kept.chain(caller(), branch.id, 0)).turns] == [first.id, branch.id]


async def test_chain_has_bounds(kept):
    *_, fourth = await conversation(kept, 4)
    with pytest.raises(InvalidRequest, match="input, with the responses before it, has 5"):
        await kept.chain(caller(), fourth.id, 5000)
    with pytest.raises(InvalidRequest, match="has 5000 bytes, of 4096"):
        kept.check_own(5000)
    fifth = await keep(kept, chain=await kept.chain(caller(), fourth.id, 0))
    with pytest.raises(InvalidRequest, match="goes on from 5 responses, of 5 at most") as refused:
        await kept.chain(caller(), fifth.id, 0)
    assert refused.value.field == "previous_response_id"


async def test_chain_is_not_read_before_it_may_be(kept, store):
    *_, third = await conversation(kept, 3)
    fifth = (await conversation(kept, 5))[-1]
    failed = await keep(kept, status=Status.FAILED)
    store.of_chains.clear()
    refusals = [
        (caller(key="k2"), third, 0, PreviousResponseNotFound),
        (caller(), third, 5000, InvalidRequest),
        (caller(), fifth, 0, InvalidRequest),
        (caller(), failed, 0, ResourceState),
    ]
    for who, previous, own_bytes, error in refusals:
        with pytest.raises(error):
            await kept.chain(who, previous.id, own_bytes)
    assert store.of_chains == ["extent"] * len(refusals)


async def test_chain_has_its_room_before_it_is_read(kept, store):
    *_, third = await conversation(kept, 3)
    held = []
    chain = await kept.chain(caller(), third.id, 0, held.append)
    told = sum(turn.content.size_bytes + len(turn.content.body) for turn in chain.turns)
    (size,) = held
    assert isinstance(size, int)
    assert told < size < told + 200 * len(chain.turns)
    store.of_chains.clear()

    def full(size_bytes):
        raise RateLimited("no room", limit="body_bytes")

    with pytest.raises(RateLimited):
        await kept.chain(caller(), third.id, 0, full)
    assert store.of_chains == ["extent"]


@pytest.mark.parametrize(("size", "is_beside"), [(1000, False), (300_000, True)])
async def test_large_ones_are_opened_beside_the_loop(engine, clock, size, is_beside):
    threads = []

    class Noted(TenantSealer):
        def open(self, *sealed):
            threads.append(threading.get_ident())
            return super().open(*sealed)

    async with engine.begin() as connection:
        await connection.run_sync(RESPONSES.upgrade_to)
    kept = Responses(SqlResponseStore(engine, Noted(b"s" * 32)), ResponseIds(b"k" * 32), ResponseTerms(), clock)
    response = await keep(kept, items=b'["%b"]' % (b"x" * size))
    assert (await kept.get(caller(), response.id)).content == response.content
    assert (await kept.chain(caller(), response.id, 0)).items[0] == response.content.items
    assert [thread != threading.get_ident() for thread in threads] == [is_beside] * 2


async def test_chain_through_a_deleted_one_is_refused(kept):
    first, second, third = await conversation(kept, 3)
    await kept.delete(caller(), second.id)
    with pytest.raises(PreviousResponseNotFound, match="was deleted"):
        await kept.chain(caller(), third.id, 0)
    assert (await kept.get(caller(), third.id)).id == third.id
    assert len((await kept.chain(caller(), first.id, 0)).turns) == 1
    with pytest.raises(ResourceNotFound):
        await kept.delete(caller(), second.id)


async def test_deleted_one_leaves_nothing_and_does_not_come_back(kept, engine, clock):
    response = await keep(kept)
    await kept.delete(caller(), response.id)
    # Whoever is late with it, such as a repeat of its request.
    await kept.store.keep(response)
    with pytest.raises(ResourceNotFound):
        await kept.get(caller(), response.id)
    with pytest.raises(PreviousResponseNotFound):
        await kept.chain(caller(), response.id, 0)
    async with engine.connect() as connection:
        (row,) = (await connection.execute(select(responses))).all()
    assert row.sealed == b""
    clock.now = NOW + 31 * DAY
    assert await kept.store.forget(clock.now, 10) == 1


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
async def test_what_has_no_answer_is_not_gone_on_from(kept, status):
    response = await keep(kept, status=status)
    with pytest.raises(ResourceState, match=status.value):
        await kept.chain(caller(), response.id, 0)


async def test_old_ones_go_and_what_a_later_one_goes_on_from_stays(kept, clock):
    first = await keep(kept)
    clock.now = NOW + 29 * DAY
    second = await keep(kept, chain=await kept.chain(caller(), first.id, 0), at=clock.now)
    alone = await keep(kept)
    clock.now = NOW + 31 * DAY
    with pytest.raises(ResourceNotFound):
        await kept.get(caller(), first.id)
    assert await kept.store.forget(clock.now, 10) == 1
    with pytest.raises(ResourceNotFound):
        await kept.get(caller(), alone.id)
    assert len((await kept.chain(caller(), second.id, 0)).turns) == 2
    clock.now = NOW + 60 * DAY
    assert [await kept.store.forget(clock.now, 10) for _ in range(3)] == [1, 1, 0]


async def test_end_of_a_job_is_kept_once(kept):
    response = await keep(kept, status=Status.QUEUED, job="job_1")
    assert (await kept.store.of_job("acme", "job_1")) == response
    assert await kept.store.of_job("other", "job_1") is None
    assert [each.id for each in await kept.store.pending("", 10)] == [response.id]
    content = Content(items=response.content.items, output=b'["the answer"]', body=b"{}")
    assert await kept.store.settle(response, Status.COMPLETED, content)
    assert not await kept.store.settle(response, Status.CANCELLED, content)
    assert not await kept.store.pending("", 10)
    found = await kept.get(caller(), response.id)
    assert (found.status, found.content) == (Status.COMPLETED, content)
    assert found.chain_bytes == content.size_bytes


def test_what_is_not_to_be_kept_is_not(kept):
    forbidden = caller(stores_responses=False)
    assert [kept.stores(caller(), wanted) for wanted in (None, True, False)] == [True, True, False]
    assert [kept.stores(forbidden, wanted) for wanted in (None, False)] == [False, False]
    with pytest.raises(UnsupportedParameter, match="not kept here"):
        kept.stores(forbidden, True)
