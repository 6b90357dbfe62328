"""Lines that providers are handed, in both databases: in parts of one model, once, and only by who carries the batch on."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import select, update

from penstock_common.contract.upstream_batches import KeptAnswer, UpstreamBatchAnswer
from penstock_common.llm.types import Candidate, GenerationInput, Message, Role, Text
from penstock_gateway.adapters.sql.batches.handed import SqlHandedLines
from penstock_gateway.adapters.sql.jobs.rows import job_of, ms_of
from penstock_gateway.adapters.sql.jobs.tables import jobs
from penstock_gateway.domain.batches.handing import AskedLine, LineState
from penstock_gateway.domain.batches.ports import CarriedElsewhere

sys.path.insert(0, str(Path(__file__).parent))

from batches_world import BatchesWorld, jsonl, line  # noqa: E402

MOST = 100, 1_000_000
ASKED = GenerationInput(model="fast", messages=(Message(role=Role.USER, parts=(Text(text="Hi"),)),))


@pytest.fixture
async def world(database) -> BatchesWorld:
    return await BatchesWorld.over(database)


@pytest.fixture
def handed(world) -> SqlHandedLines:
    return SqlHandedLines(world.database)


async def parked(world: BatchesWorld, handed: SqlHandedLines, count: int, *models: str) -> tuple[Any, list[Any]]:
    """Return a batch whose lines are parked for models by turns, and their jobs."""
    batch = await world.carry(await world.begin(jsonl(*[line(str(number)) for number in range(count)])))
    async with world.engine.connect() as connection:
        rows = (await connection.execute(select(jobs).where(jobs.c.batch == batch.id).order_by(jobs.c.line))).all()
    found = [job_of(row) for row in rows]
    models = models or ("m",)
    for number, job in enumerate(found):
        candidate = Candidate(upstream="bulk", model=models[number % len(models)])
        await handed.park(job, AskedLine(candidate, ASKED), datetime.now(UTC))
    return batch, found


async def due(world: BatchesWorld, batch: Any, now: datetime) -> list[int]:
    """Return the lines whose jobs are due."""
    query = select(jobs.c.line).where(jobs.c.batch == batch.id, jobs.c.due_ms <= ms_of(now)).order_by(jobs.c.line)
    async with world.engine.connect() as connection:
        return list((await connection.execute(query)).scalars())


async def test_parts_are_of_one_model_and_no_longer_than_they_may_be(world, handed):
    batch, found = await parked(world, handed, 6, "m", "n")
    now = datetime.now(UTC)
    first = await handed.prepare(batch, "part_1", (2, 1_000_000), now)
    second = await handed.prepare(batch, "part_2", MOST, now)
    assert [one.id for one in await handed.lines(batch, first)] == [found[0].id, found[2].id]
    assert [one.input for one in await handed.lines(batch, first)] == [ASKED, ASKED]
    assert (first.candidate.model, second.candidate.model) == ("m", "n")
    third = await handed.prepare(batch, "part_3", (100, 1), now)
    assert len(await handed.lines(batch, third)) == 1
    assert [part.id for part in await handed.parts(batch)] == ["part_1", "part_2", "part_3"]


async def test_a_line_whose_job_is_still_being_parked_waits(world, handed):
    batch, _ = await parked(world, handed, 2)
    await world.claim()
    assert (await handed.waiting(batch)).ready == 0
    assert (await handed.waiting(batch)).parked == 2
    assert await handed.prepare(batch, "part_1", MOST, datetime.now(UTC)) is None


async def test_the_first_answer_of_a_line_counts_and_the_others_are_asked_alone(world, handed):
    batch, found = await parked(world, handed, 3)
    now = datetime.now(UTC)
    part = await handed.prepare(batch, "part_1", MOST, now)
    await handed.begun(batch, part, "batch_1", [], now)
    answers = [UpstreamBatchAnswer(found[1].id, KeptAnswer(200, text)) for text in (b"one", b"two")]
    await handed.answered(batch, [*answers, UpstreamBatchAnswer("job_of_another", KeptAnswer(200, b"x"))])
    later = now + timedelta(minutes=1)
    assert await handed.end(batch, part, later) == (1, 2)
    states = [(await handed.find(job)).state for job in found]
    assert states == [LineState.ALONE, LineState.ANSWERED, LineState.ALONE]
    assert (await handed.find(found[1])).kept == KeptAnswer(200, b"one")
    assert await due(world, batch, later) == [1, 2, 3]
    assert await handed.parts(batch) == []
    told = await world.now(batch)
    assert (told.handed, told.answered_by_providers) == (3, 1)


async def test_what_a_part_was_begun_as_is_known_to_the_next_attempt(world, handed):
    batch, found = await parked(world, handed, 2)
    now = datetime.now(UTC)
    part = await handed.prepare(batch, "part_1", MOST, now)
    await handed.tried(batch, part)
    (again,) = await handed.parts(batch)
    assert (again.tries, again.upstream_id) == (1, "")
    await handed.begun(batch, part, "batch_1", [found[0].id], now)
    await handed.looked(batch, part, now + timedelta(minutes=1), is_cancelled=True)
    (again,) = await handed.parts(batch)
    assert (again.upstream_id, again.looks, again.is_cancelled) == ("batch_1", 1, True)
    assert (await handed.find(found[0])).state is LineState.ALONE


async def test_an_attempt_that_is_over_changes_nothing(world, handed):
    batch, _ = await parked(world, handed, 2)
    stale = replace(batch, epoch=batch.epoch - 1)
    now = datetime.now(UTC)
    with pytest.raises(CarriedElsewhere):
        await handed.prepare(stale, "part_1", MOST, now)
    part = await handed.prepare(batch, "part_1", MOST, now)
    for change in (handed.tried(stale, part), handed.begun(stale, part, "b", [], now), handed.end(stale, part, now)):
        with pytest.raises(CarriedElsewhere):
            await change
    (same,) = await handed.parts(batch)
    assert (same.tries, same.upstream_id) == (0, "")


async def test_a_cancel_leaves_what_a_provider_has_to_it(world, handed):
    batch, found = await parked(world, handed, 3)
    await handed.prepare(batch, "part_1", (2, 1_000_000), datetime.now(UTC))
    await world.store.cancel(batch.tenant, batch.id, datetime.now(UTC))
    batch = await world.store.take(batch.id, batch.epoch)
    assert await world.store.end_lines(batch, datetime.now(UTC), 100) == 1
    assert (await world.store.count(batch)).open == 2
    assert (await handed.find(found[2])).state is LineState.WAITING


async def test_no_line_of_a_batch_that_is_being_cancelled_begins_because_its_provider_left_it(world, handed):
    batch, found = await parked(world, handed, 3)
    now = datetime.now(UTC)
    async with world.engine.begin() as connection:
        await connection.execute(update(jobs).where(jobs.c.batch == batch.id).values(due_ms=ms_of(now) + 3_600_000))
    part = await handed.prepare(batch, "part_1", MOST, now)
    await handed.begun(batch, part, "batch_1", [], now)
    await handed.answered(batch, [UpstreamBatchAnswer(found[1].id, KeptAnswer(200, b"one"))])
    await world.store.cancel(batch.tenant, batch.id, now)
    batch = await world.store.take(batch.id, batch.epoch)
    assert await handed.end(batch, part, now) == (1, 2)
    assert await due(world, batch, now) == [2]
    assert await world.store.end_lines(batch, now, 100) == 2
    assert (await world.store.count(batch)).open == 1
