"""What one transaction of jobs must hold, whatever comes beside it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, select
from tests.integration.gateway.jobs_world import NOW, JobsWorld, new_job

from penstock_common.llm.types import TextDelta
from penstock_common.sql.database import open_database
from penstock_gateway.adapters.sql.jobs.tables import contents, jobs
from penstock_gateway.adapters.sql.transactions import Transactions
from penstock_gateway.domain.jobs.events import Generated
from penstock_gateway.domain.jobs.job import JobEnd, JobState
from penstock_gateway.domain.jobs.ports import Held

SAID = (Generated((TextDelta("so"),)),)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[JobsWorld]:
    """Return the jobs of an empty database, of each engine."""
    async with open_database(database_url) as engine:
        yield await JobsWorld.over(engine)


@pytest.fixture
async def of_a_file(tmp_path: Path) -> AsyncIterator[JobsWorld]:
    """Return the jobs of a file."""
    async with open_database(f"sqlite:///{tmp_path}/penstock.db") as engine:
        yield await JobsWorld.over(engine)


async def test_how_far_a_job_is_stays_where_it_ends_in_the_same_transaction(world: JobsWorld) -> None:
    await world.accept(new_job(), new_job())
    first, second = [Held(one.job.id, one.job.epoch) for one in await world.claim()]
    done = JobEnd(state=JobState.SUCCEEDED, result=b"answer")
    # Whoever comes first is written alone; the others together.
    kept = await asyncio.gather(
        world.queue.append(first, SAID, NOW),
        world.queue.append(second, SAID, NOW, progress=(3, 9)),
        world.queue.commit(second, done, NOW),
    )
    assert kept == [1, 1, True]
    job = await world.store.get("acme", second.id)
    assert job is not None
    assert (job.state, job.last_event, job.done, job.total) == (JobState.SUCCEEDED, 2, 3, 9)


async def test_a_job_whose_order_is_kept_no_longer_fails_as_it_is_taken(world: JobsWorld) -> None:
    """Nobody could begin it, and its lease would run out again and again."""
    gone, there = await world.accept(new_job(), new_job())
    async with world.engine.begin() as connection:
        await connection.execute(delete(contents).where(contents.c.job == gone.id))
    assert [one.job.id for one in await world.claim()] == [there.id]
    job = await world.store.get("acme", gone.id)
    assert job is not None
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.reason == "RESOURCE_NOT_FOUND"


async def test_who_finds_nothing_due_waits_for_no_writer(of_a_file: JobsWorld, tmp_path: Path) -> None:
    """Workers ask several times a second."""
    await of_a_file.claim()
    with closing(sqlite3.connect(tmp_path / "penstock.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(20):
            assert await of_a_file.claim() == []


async def test_what_reads_and_then_writes_has_the_file_from_its_beginning(of_a_file: JobsWorld, tmp_path: Path) -> None:
    """Otherwise another's write between the two fails it at once, however long it would wait."""
    (job,) = await of_a_file.accept(new_job())

    def work(connection: Connection) -> str:
        state = connection.execute(select(jobs.c.state)).scalar_one()
        other = closing(sqlite3.connect(tmp_path / "penstock.db", timeout=0, isolation_level=None))
        with other as connected, pytest.raises(sqlite3.OperationalError, match="locked"):
            connected.execute("UPDATE jobs SET cancels = 1")
        connection.execute(delete(jobs).where(jobs.c.id == job.id))
        return state

    assert await Transactions(of_a_file.engine).at_once(work) == "queued"
    assert await of_a_file.store.get("acme", job.id) is None
