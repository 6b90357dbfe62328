"""What workers say at the same time is one transaction, and what befalls one of them befalls that one alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from tests.integration.gateway.jobs_world import NOW, JobsWorld, new_job

from penstock_common.errors import ServiceUnavailable
from penstock_common.llm.types import TextDelta
from penstock_common.sql.database import open_database
from penstock_gateway.adapters.sql.gathering import MOST_ITEMS, MOST_WEIGHT, Gathering
from penstock_gateway.adapters.sql.jobs import queue as queue_module
from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.writing import Said, write_all
from penstock_gateway.domain.jobs.events import AttemptStarted, Ended, Generated
from penstock_gateway.domain.jobs.job import JobEnd, JobState
from penstock_gateway.domain.jobs.ports import Held

SAID = (AttemptStarted(1), Generated((TextDelta("so"),)))


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[JobsWorld]:
    """Return the jobs of an empty database, of each engine."""
    async with open_database(database_url) as engine:
        yield await JobsWorld.over(engine)


class Writer:
    """Keeps what it is given; ``open`` lets it go on."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.open = asyncio.Event()
        self.refuses: dict[int, Exception] = {}
        self.kept: list[int] = []

    async def write(self, items: Sequence[int]) -> Sequence[int]:
        """Return twice each."""
        self.groups.append(list(items))
        await self.open.wait()
        for _ in range(4):
            # Others have their turns meanwhile.
            await asyncio.sleep(0)
        for item in items:
            if item in self.refuses:
                raise self.refuses[item]
        self.kept += items
        return [2 * item for item in items]


async def test_what_comes_while_something_is_written_goes_with_the_next() -> None:
    """The first waits for nobody; of the others, as many as may go together do, in their order."""
    writer = Writer()
    gathering = Gathering(writer.write, lambda _: 1)
    puts = [asyncio.ensure_future(gathering.put(0))]
    while not writer.groups:
        await asyncio.sleep(0)
    puts += [asyncio.ensure_future(gathering.put(number)) for number in range(1, MOST_ITEMS + 3)]
    await asyncio.sleep(0)
    writer.open.set()
    assert await asyncio.gather(*puts) == [2 * number for number in range(MOST_ITEMS + 3)]
    assert [len(group) for group in writer.groups] == [1, MOST_ITEMS, 2]


async def test_a_group_is_bounded_by_what_it_weighs() -> None:
    """Large results do not gather to a transaction that keeps others from writing; one that is too large goes alone."""
    writer = Writer()
    writer.open.set()
    gathering = Gathering(writer.write, lambda item: MOST_WEIGHT // 2 if item < 4 else 2 * MOST_WEIGHT)
    await asyncio.gather(*(gathering.put(number) for number in range(5)))
    assert writer.groups == [[0, 1], [2, 3], [4]]


async def test_what_one_of_them_fails_by_is_told_to_that_one_alone() -> None:
    """But a database that is away is away for all of them, and is not asked again for each."""
    writer = Writer()
    writer.open.set()
    gathering = Gathering(writer.write, lambda _: 1)
    writer.refuses[1] = IntegrityError("", None, ValueError("x"))
    got = await asyncio.gather(*(gathering.put(number) for number in range(3)), return_exceptions=True)
    assert (got[0], got[2]) == (0, 4)
    assert isinstance(got[1], IntegrityError)
    writer.groups.clear()
    writer.refuses[1] = ServiceUnavailable("away", service="sql")
    got = await asyncio.gather(*(gathering.put(number) for number in range(3)), return_exceptions=True)
    assert all(isinstance(each, ServiceUnavailable) for each in got)
    assert writer.groups == [[0, 1, 2]]


async def test_nothing_is_written_on_for_nobody() -> None:
    """Once all who waited were cancelled, so is the write; one that waits for another goes on."""
    writer = Writer()
    gathering = Gathering(writer.write, lambda _: 1)
    first, second = (asyncio.ensure_future(gathering.put(number)) for number in (1, 2))
    while not writer.groups:
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait((first,))
    assert not second.done()
    second.cancel()
    await asyncio.wait((second,))
    writer.open.set()
    assert await gathering.put(3) == 6
    assert writer.kept == [3]


@pytest.mark.parametrize("fails", [False, True])
async def test_who_leaves_takes_nothing_from_the_others(fails: bool) -> None:
    """Neither who leaves while it is written, nor who leaves before: that one is not written at all."""
    writer = Writer()
    if fails:
        writer.refuses[3] = ServiceUnavailable("away", service="sql")
    gathering = Gathering(writer.write, lambda _: 1)
    first = asyncio.ensure_future(gathering.put(0))
    while not writer.groups:
        await asyncio.sleep(0)
    before, *both = (asyncio.ensure_future(gathering.put(number)) for number in (1, 2, 3))
    await asyncio.sleep(0)
    before.cancel()
    await asyncio.wait((before,))
    writer.open.set()
    async with asyncio.timeout(20):
        await first
        writer.open.clear()
        while len(writer.groups) == 1:
            await asyncio.sleep(0)
        both[0].cancel()
        await asyncio.wait((both[0],))
        writer.open.set()
        (got,) = await asyncio.gather(both[1], return_exceptions=True)
    assert writer.groups == [[0], [2, 3]]
    assert isinstance(got, ServiceUnavailable) if fails else got == 6


async def test_what_is_tried_one_by_one_is_not_tried_for_who_has_left() -> None:
    writer = Writer()
    writer.open.set()
    gathering = Gathering(writer.write, lambda _: 1)
    writer.refuses[0] = IntegrityError("", None, ValueError("x"))
    puts = [asyncio.ensure_future(gathering.put(number)) for number in range(3)]
    puts[0].add_done_callback(lambda _: puts[2].cancel())
    got = await asyncio.gather(*puts, return_exceptions=True)
    assert isinstance(got[0], IntegrityError)
    assert got[1] == 2
    assert isinstance(got[2], asyncio.CancelledError)
    assert writer.groups == [[0, 1, 2], [0], [1]]


async def test_who_comes_while_a_write_for_nobody_ends_is_written() -> None:
    writer = Writer()
    gathering = Gathering(writer.write, lambda _: 1)
    left = asyncio.ensure_future(gathering.put(0))
    while not writer.groups:
        await asyncio.sleep(0)
    left.cancel()
    # Its turn is after that in which the write is told to end, and before that in which it does.
    comes = asyncio.ensure_future(gathering.put(1))
    await asyncio.wait([left])
    writer.open.set()
    async with asyncio.timeout(20):
        assert await comes == 2
    assert writer.kept == [1]


async def test_what_workers_say_at_once_is_one_transaction_with_fences_of_its_own(
    world: JobsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve ends and as many events; of two who hold the same job, the older is told that it lost it."""
    await world.accept(*(new_job() for _ in range(12)))
    claimed = [Held(one.job.id, one.job.epoch) for one in await world.claim()]
    assert len(claimed) == 12
    written = list[int]()

    def counted(connection: Connection, over: JobDatabase, said: Sequence[Said]) -> Sequence[int | None]:
        written.append(len(said))
        return write_all(connection, over, said)

    monkeypatch.setattr(queue_module, "write_all", counted)
    old = Held(claimed[0].id, claimed[0].epoch - 1)
    done = JobEnd(state=JobState.SUCCEEDED, result=b"answer")
    kept = await asyncio.gather(
        world.queue.commit(old, done, NOW),
        *(world.queue.append(held, SAID, NOW, after=0, progress=(2, 5)) for held in claimed[:6]),
        *(world.queue.commit(held, done, NOW, SAID, progress=(7, 7)) for held in claimed[6:]),
        world.queue.commit(claimed[6], done, NOW),
    )
    assert kept == [False, *[2] * 6, *[True] * 6, False]
    assert written == [14]
    for number, held in enumerate(claimed):
        job = await world.store.get("acme", held.id)
        assert job is not None
        ended = number >= 6
        assert (job.state, job.last_event) == (JobState.SUCCEEDED, 3) if ended else (JobState.RUNNING, 2)
        assert (job.done, job.total) == ((7, 7) if ended else (2, 5))
        told = [one.event for one in await world.store.events(job, 0, 9)]
        assert told == [*SAID, *([Ended(JobState.SUCCEEDED, None)] if ended else [])]
        assert await world.store.result(job) == (b"answer" if ended else None)
