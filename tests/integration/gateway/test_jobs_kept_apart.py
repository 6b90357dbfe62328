"""What is of one job does not hold up, outlive or come back in another; on each engine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Table, func, select, update

from penstock_common.llm.types import TextDelta
from penstock_common.priority import Priority
from penstock_common.sql.database import open_database
from penstock_gateway.adapters.sql.jobs.lanes import add_lanes, forget_lanes
from penstock_gateway.adapters.sql.jobs.pauses import SqlPauses
from penstock_gateway.adapters.sql.jobs.store import SqlJobStore
from penstock_gateway.adapters.sql.jobs.tables import contents, events, jobs, lanes
from penstock_gateway.adapters.sql.jobs.workers import SqlWorkers
from penstock_gateway.adapters.sql.registry import SqlRegistry
from penstock_gateway.adapters.sql.schema import GATEWAY
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.jobs.bell import Bell
from penstock_gateway.domain.jobs.desk import DeskParts, DeskTerms, JobDesk, Redrive
from penstock_gateway.domain.jobs.events import Generated, PutBack, Redriven
from penstock_gateway.domain.jobs.job import JobEnd, JobError, JobState
from penstock_gateway.domain.jobs.lanes import LaneName
from penstock_gateway.domain.jobs.pausing import Pause
from penstock_gateway.domain.jobs.ports import Held, JobFilter, Requeued
from penstock_gateway.domain.jobs.tidying import Tidying, TidyingTerms

sys.path.insert(0, str(Path(__file__).parent))

from jobs_world import LEASE, NOW, JobsWorld, new_job  # noqa: E402

DONE = JobEnd(state=JobState.SUCCEEDED, result=b"answer")
DEAD = JobEnd(state=JobState.DEAD, error=JobError("X", "x"))
LATER = NOW + LEASE + timedelta(seconds=1)
LIMIT = 30
"""Seconds in which what waits for nobody is done by far."""


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[JobsWorld]:
    async with open_database(database_url) as engine:
        yield await JobsWorld.over(engine)


async def _count(world: JobsWorld, table: Table) -> int:
    async with world.engine.connect() as connection:
        return (await connection.execute(select(func.count()).select_from(table))).scalar() or 0


async def test_a_job_that_somebody_is_changing_holds_no_other_up(world: JobsWorld):
    if world.engine.dialect.name != "postgresql":
        pytest.skip("SQLite locks no rows: its writers come one after the other")
    busy, free = await world.accept(new_job(), new_job())
    async with world.engine.begin() as other:
        await other.execute(select(jobs).where(jobs.c.id == busy.id).with_for_update())
        async with asyncio.timeout(LIMIT):
            assert [one.job.id for one in await world.claim()] == [free.id]


async def test_a_deleted_job_leaves_nothing(world: JobsWorld):
    gone, stays = await world.accept(new_job(), new_job())
    for one in await world.claim():
        held = Held(one.job.id, one.job.epoch)
        assert await world.queue.append(held, (Generated((TextDelta("so"),)),), NOW) == 1
        assert await world.queue.commit(held, DONE, NOW)
    assert await world.store.delete("acme", gone.id)
    assert (await _count(world, jobs), await _count(world, contents), await _count(world, events)) == (1, 2, 2)
    assert (await world.store.result(stays), len(await world.store.events(stays, 0, 9))) == (b"answer", 2)


async def test_who_was_asked_to_end_and_failed_first_begins_anew_asked_by_nobody(world: JobsWorld):
    (job,) = await world.accept(new_job())
    (claimed,) = await world.claim()
    asked = await world.store.cancel("acme", job.id, NOW)
    assert asked is not None
    assert asked.cancels
    assert await world.queue.commit(Held(job.id, claimed.job.epoch), DEAD, NOW)
    assert await world.store.redrive(JobFilter(tenant="acme"), NOW, LEASE, 10) == 1
    (again,) = await world.claim()
    assert (await world.queue.beat([Held(job.id, again.job.epoch)], LATER)).cancelled == frozenset()


async def test_many_of_several_lanes_wait_again_each_in_its_own_and_each_is_told_of_it(world: JobsWorld):
    """Whether their workers are gone or somebody has them begin anew."""
    names = [("acme", "a"), ("acme", "b"), ("other", "a")]
    made = await world.accept(*[new_job(tenant=tenant, target=target) for tenant, target in names * 3])
    assert len(await world.claim()) == len(made)
    async with world.engine.begin() as connection:
        # As of a process that ran them from birth.
        await connection.execute(lanes.delete())
    assert len(await world.queue.reclaim(LATER, LATER, 100)) == len(made)
    claimed = await world.claim(now=LATER)
    assert {one.job.id for one in claimed} == {job.id for job in made}
    for one in claimed:
        assert await world.queue.commit(Held(one.job.id, one.job.epoch), DEAD, LATER)
    assert await world.store.redrive(JobFilter(), LATER, LEASE, 100) == len(made)
    for job in made:
        now = await world.store.get("", job.id)
        assert now is not None
        told = await world.store.events(now, 0, 9)
        assert ([type(each.event) for each in told][::2], told[-1].number) == ([PutBack, Redriven], now.last_event)
        assert (now.state, now.attempts, now.priority) == (JobState.QUEUED, 0, Priority.DEFAULT)


async def test_lanes_are_forgotten_once_nothing_waits_in_them_and_nobody_was_served_for_a_while(world: JobsWorld):
    await world.accept(new_job(target="served"), new_job(target="cancelled"), new_job(target="waits"))
    (cancelled,) = await world.store.list(JobFilter(target="cancelled"), 9)
    await world.store.cancel("", cancelled.id, NOW)
    async with world.engine.begin() as connection:
        await connection.execute(update(jobs).where(jobs.c.target == "waits").values(due_ms=10**15))
    (served,) = await world.claim()
    assert served.job.target == "served"
    assert await world.queue.forget_lanes(NOW, 1) == 1
    assert await world.queue.forget_lanes(NOW, 9) == 0
    assert await world.queue.forget_lanes(LATER, 9) == 1
    async with world.engine.connect() as connection:
        assert (await connection.execute(select(lanes.c.target))).scalars().all() == ["waits"]
    # Whoever comes later has theirs again.
    (job,) = await world.accept(new_job(target="served"))
    assert [one.job.id for one in await world.claim()] == [job.id]


async def test_a_lane_that_somebody_adds_to_is_not_forgotten_under_their_hands(world: JobsWorld):
    if world.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer: nothing happens meanwhile")
    (first,) = await world.accept(new_job())
    await world.store.cancel("", first.id, NOW)
    async with asyncio.timeout(LIMIT):
        async with world.store._database.writing() as adding:
            await add_lanes(adding, world.store._database, {LaneName("acme", Priority.DEFAULT, "small")})
            assert await world.queue.forget_lanes(LATER, 9) == 0
        async with world.store._database.writing() as forgetting:
            assert await forget_lanes(forgetting, LATER, 9) == 1
            accepting = asyncio.create_task(world.accept(new_job()))
            await asyncio.wait((accepting,), timeout=0.2)
        (second,) = await accepting
    assert [one.job.id for one in await world.claim()] == [second.id]


class CountedStore(SqlJobStore):
    """Says how many it was to have begin anew at once."""

    def __init__(self, world: JobsWorld) -> None:
        super().__init__(world.store._database)
        self.limits: list[int] = []

    async def redrive(self, *asked: Any) -> int:
        self.limits.append(asked[-1])
        return await super().redrive(*asked)


async def test_many_begin_anew_a_part_of_them_at_once(world: JobsWorld):
    await world.accept(*[new_job(line=line) for line in range(450)])
    async with world.engine.begin() as connection:
        await connection.run_sync(GATEWAY.upgrade_to)
        await connection.execute(update(jobs).values(state="dead"))
    store = CountedStore(world)
    desk = JobDesk(DeskParts(store, Bell(), SqlWorkers(store._database)), SqlRegistry(world.engine), DeskTerms())
    actor = Actor.at_the_command_line("root")
    assert await desk.redrive(actor, Redrive(tenant="acme", limit=420)) == 420
    assert store.limits == [200, 200, 20]
    assert await desk.redrive(actor, Redrive(tenant="acme")) == 30
    assert (await world.store.depths())[0].jobs == 450


async def test_who_tidies_forgets_lanes_too(world: JobsWorld):
    (job,) = await world.accept(new_job())
    await world.store.cancel("", job.id, NOW)
    await Tidying(world.queue, Bell(), cast("Any", None), TidyingTerms()).look()
    assert await _count(world, lanes) == 0


async def test_what_is_paused_does_not_begin_and_nobody_else_waits(world: JobsWorld):
    names = [("acme", "a"), ("acme", "b"), ("other", "a"), ("other", "b")]
    await world.accept(*[new_job(tenant=tenant, target=target) for tenant, target in names])
    pauses = SqlPauses(world.store._database)

    async def begun() -> set[tuple[str, str]]:
        claimed = await world.claim()
        for one in claimed:
            again = Requeued(due_at=NOW, error=JobError("X", "x"), counts=False)
            assert await world.queue.put_back(Held(one.job.id, one.job.epoch), again, NOW)
        return {(one.job.tenant, one.job.target) for one in claimed}

    for tenant, target, free in (
        ("acme", "a", set(names[1:])),
        ("", "a", {names[1], names[3]}),
        ("acme", "", {names[2], names[3]}),
        ("", "", set()),
    ):
        await pauses.put(Pause(tenant, target, "once", NOW))
        await pauses.put(Pause(tenant, target, "why", NOW))
        assert [each.reason for each in await pauses.all("")] == ["why"]
        assert len(await pauses.all("third")) == (not tenant)
        assert await begun() == free
        assert await pauses.end(tenant, target)
        assert not await pauses.end(tenant, target)
    assert await begun() == set(names)
