"""Who runs jobs when the database answers late, wrongly or not at all: nothing of a job is lost, and nothing is held for ever."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock_common.errors import ServiceUnavailable
from penstock_common.llm.types import TextDelta
from penstock_common.sql.database import open_database
from penstock_gateway.adapters.sql.jobs.queue import SqlJobQueue
from penstock_gateway.domain.jobs.bell import Bell
from penstock_gateway.domain.jobs.events import Generated
from penstock_gateway.domain.jobs.executing import Attempt
from penstock_gateway.domain.jobs.job import Job, JobKind, JobState
from penstock_gateway.domain.jobs.lanes import Bounds, Turns
from penstock_gateway.domain.jobs.orders import order_bytes
from penstock_gateway.domain.jobs.results import AnyResult, BatchResult
from penstock_gateway.domain.jobs.running import JobRunner, RunnerTerms

sys.path.insert(0, str(Path(__file__).parent))

from jobs_desk import chat  # noqa: E402
from jobs_world import JobsWorld, new_job  # noqa: E402

LIMIT = 30
"""Seconds in which what does not hang has come by far."""
SHORT = RunnerTerms(
    lease=timedelta(milliseconds=300),
    heartbeat=timedelta(milliseconds=50),
    poll=timedelta(milliseconds=10),
    event_interval=timedelta(milliseconds=1),
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[JobsWorld]:
    async with open_database(f"sqlite:///{tmp_path}/jobs.db") as engine:
        yield await JobsWorld.over(engine)


class Telling:
    """Runs a job: tells words, each once the one before may have been kept, until it may end."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.has_told, self.may_end = asyncio.Event(), asyncio.Event()

    async def run(self, attempt: Attempt) -> AnyResult:
        for word in self.words:
            attempt.report.generated((TextDelta(word),))
            await asyncio.sleep(0.02)
        self.has_told.set()
        await self.may_end.wait()
        return BatchResult()


def runner(queue: SqlJobQueue, execution: Telling, terms: RunnerTerms = SHORT) -> JobRunner:
    made = JobRunner(queue, Bell(), Turns(Bounds()), terms, "here")
    made.runs[JobKind.CHAT] = execution
    return made


async def accepted(world: JobsWorld) -> Job:
    now = datetime.now(UTC)
    moments = {"created_at": now, "due_at": now, "deadline_at": now + timedelta(hours=1)}
    (job,) = await world.accept(new_job(order=order_bytes(chat()), **moments))
    return job


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(LIMIT):
        while not true():
            await asyncio.sleep(0.01)


class LateQueue(SqlJobQueue):
    """Answers who claims only after a while: what it has given is given by then."""

    def __init__(self, world: JobsWorld) -> None:
        super().__init__(world.queue._database)
        self.has_given, self.may_answer = asyncio.Event(), asyncio.Event()

    async def claim(self, *asked: Any) -> Any:
        claimed = await super().claim(*asked)
        if claimed:
            self.has_given.set()
            await self.may_answer.wait()
        return claimed


async def test_what_is_claimed_while_the_process_ends_is_handed_back_at_once(world: JobsWorld):
    job, queue, execution = await accepted(world), LateQueue(world), Telling()
    async with asyncio.timeout(LIMIT):
        async with runner(queue, execution, RunnerTerms()).open():
            await queue.has_given.wait()
            asyncio.get_running_loop().call_later(0.05, queue.may_answer.set)
    stands = await world.store.get("", job.id)
    assert stands is not None
    assert (stands.state, stands.attempts, stands.worker) == (JobState.QUEUED, 0, "")
    assert (stands.error and stands.error.reason) == "HANDED_BACK"


class AwayQueue(SqlJobQueue):
    """Keeps no end while it is away."""

    def __init__(self, world: JobsWorld) -> None:
        super().__init__(world.queue._database)
        self.tries = 0

    async def commit(self, *asked: Any, **more: Any) -> bool:
        self.tries += 1
        raise ServiceUnavailable("The database does not answer.", service="sql")

    async def beat(self, *asked: Any) -> Any:
        raise ServiceUnavailable("The database does not answer.", service="sql")


async def test_who_cannot_keep_an_end_gives_up_after_its_lease(world: JobsWorld):
    job, queue, execution = await accepted(world), AwayQueue(world), Telling()
    execution.may_end.set()
    running = runner(queue, execution, msgspec.structs.replace(SHORT, claims=False))
    async with running.open():
        (claimed,) = await world.claim("here", datetime.now(UTC))
        running._begin(claimed)
        await until(lambda: queue.tries)
        assert running.running == 1
        await until(lambda: running.running == 0)
    assert queue.tries >= 2
    # It was told to nobody that it has ended: another has it.
    late = datetime.now(UTC) + timedelta(minutes=1)
    (waits,) = await world.queue.reclaim(late, late, 10)
    assert (waits.id, waits.state) == (job.id, JobState.QUEUED)


class WrongQueue(SqlJobQueue):
    """Fails once, while words are told, by what nobody expects."""

    def __init__(self, world: JobsWorld) -> None:
        super().__init__(world.queue._database)
        self.failed = 0

    async def append(self, *asked: Any, **more: Any) -> Any:
        if not self.failed:
            self.failed += 1
            raise ValueError("by what nobody expects")
        return await super().append(*asked, **more)


async def test_what_could_not_be_told_is_told_with_the_end(world: JobsWorld):
    job, queue, execution = await accepted(world), WrongQueue(world), Telling("a", "b", "c")
    execution.may_end.set()
    async with runner(queue, execution).open():
        async with asyncio.timeout(LIMIT):
            while not (stands := await world.store.get("", job.id)) or not stands.state.is_end:
                await asyncio.sleep(0.01)
    assert (stands.state, queue.failed) == (JobState.SUCCEEDED, 1)
    told = [each.event for each in await world.store.events(stands, 0, 99)]
    given = [event for each in told if isinstance(each, Generated) for event in each.events]
    assert "".join(event.text for event in given if isinstance(event, TextDelta)) == "abc"
