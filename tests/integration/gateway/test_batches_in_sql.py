"""Batches in SQL: each line is answered once, in one of two files, wherever whoever carries a batch on is killed."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from penstock_common.errors import InvalidRequest, RateLimited, ResourceNotFound, ResourceState, ServiceUnavailable
from penstock_common.sql.database import open_database
from penstock_gateway.adapters.sql.batches.store import SqlBatches
from penstock_gateway.adapters.sql.batches.tables import files as file_rows
from penstock_gateway.adapters.sql.batches.tables import pieces
from penstock_gateway.adapters.sql.jobs.tables import contents
from penstock_gateway.adapters.sql.jobs.tables import jobs as job_rows
from penstock_gateway.adapters.sql.webhooks.tables import deliveries
from penstock_gateway.domain.access.identity import KeyScope
from penstock_gateway.domain.batches.batch import BatchState, Tokens
from penstock_gateway.domain.batches.desk import DeskTerms
from penstock_gateway.domain.batches.files import CHUNK_BYTES, FileFilter, pieces_of
from penstock_gateway.domain.batches.ports import BatchFilter, CarriedElsewhere, CarryTerms
from penstock_gateway.domain.batches.sweeping import Sweeper
from penstock_gateway.domain.batches.telling import telling_batches
from penstock_gateway.domain.jobs.job import JobError, JobState

sys.path.insert(0, str(Path(__file__).parent))

from batches_world import FAILS, BatchesWorld, caller_of, jsonl, line  # noqa: E402

FEW = CarryTerms(max_lines=100, lines_at_once=3, max_waiting=5)
# The eighth of them becomes no job, and the last is answered by an error.
LINES = [line(f"l{number}", FAILS if number == 9 else f"q{number}") for number in range(10)]
LINES[7]["body"]["temperature"] = "very"
ALL = {one["custom_id"] for one in LINES}


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[BatchesWorld]:
    async with open_database(database_url) as engine:
        yield await BatchesWorld.over(engine, FEW, DeskTerms(max_stored_bytes=2_000_000, max_open=3))


@pytest.fixture
async def quick(tmp_path: Path) -> AsyncIterator[BatchesWorld]:
    """For what is not the engine's."""
    async with open_database(f"sqlite:///{tmp_path}/quick.db") as engine:
        yield await BatchesWorld.over(engine, FEW, DeskTerms(max_stored_bytes=2_000_000, max_open=3))


async def done(world: BatchesWorld, batch: Any) -> Any:
    """Return the batch once it has ended, its lines answered as they come."""
    for _ in range(50):
        batch = await world.carry(batch)
        if batch.state.is_end:
            return batch
        await world.answer(await world.claim())
    raise AssertionError(batch)


async def both(world: BatchesWorld, batch: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the lines of both files, each of all lines in one of them."""
    output, errors = await world.lines(batch, batch.output_file), await world.lines(batch, batch.error_file)
    assert output.keys() | errors.keys() == ALL
    assert not output.keys() & errors.keys()
    assert (batch.completed, batch.failed, batch.total) == (len(output), len(errors), len(ALL))
    return output, errors


async def test_a_batch_is_answered_few_lines_at_a_time(world: BatchesWorld):
    batch = await world.begin(jsonl(*LINES[:4], b"  ", *LINES[4:]))
    batch = await world.carry(batch)
    assert (batch.state, batch.total, batch.submitted, batch.model) == (BatchState.IN_PROGRESS, 10, 5, "fast")
    await world.answer(await world.claim(most=2))
    batch = await world.carry(batch)
    assert (batch.completed, batch.failed) == (2, 0)
    batch = await done(world, batch)
    assert batch.state is BatchState.COMPLETED
    output, errors = await both(world, batch)
    assert errors.keys() == {"l7", "l9"}
    assert (errors["l9"]["response"]["status_code"], errors["l7"]["response"]["status_code"]) == (502, 400)
    assert output["l5"]["response"]["body"]["choices"][0]["message"]["content"] == "Re: q5"
    assert len({one["id"] for one in (*output.values(), *errors.values())}) == 10
    assert batch.tokens == Tokens(input=24, cached=8, output=16)


class Killed(Exception):
    """Whoever carried a batch on is gone."""


class Mortal:
    """Does what it stands before, until it is killed: before or after the call of a number has happened."""

    def __init__(self, calls: list[int], *behind: Any) -> None:
        self._behind, self._calls = behind, calls

    def __getattr__(self, name: str) -> Any:
        method = next(getattr(one, name) for one in self._behind if hasattr(one, name))

        async def call(*given: Any) -> Any:
            self._calls[0] -= 1
            if not self._calls[0] and not self._calls[1]:
                raise Killed
            result = await method(*given)
            if not self._calls[0]:
                raise Killed
            return result

        return call


async def test_whoever_carries_it_on_may_be_killed_at_every_step(world: BatchesWorld):
    batch = await world.begin(jsonl(*LINES))
    deaths = 0
    for step in range(2, 400):
        calls = [step // 2, step % 2]
        carrier = world.carrier(Mortal(calls, world.store), Mortal(calls, world.files))
        try:
            await world.carry(batch, carrier)
        except Killed:
            deaths += 1
        await world.answer(await world.claim(most=1))
        batch = await world.now(batch)
        if batch.state.is_end:
            break
    assert batch.state is BatchState.COMPLETED
    assert deaths > 12
    await both(world, batch)
    async with world.engine.connect() as connection:
        lines = select(job_rows.c.line).where(job_rows.c.batch == batch.id).order_by(job_rows.c.line)
        assert (await connection.execute(lines)).scalars().all() == [1, 2, 3, 4, 5, 6, 7, 9, 10]
        states = select(file_rows.c.state, func.count()).group_by(file_rows.c.state)
        assert (await connection.execute(states)).all() == [("kept", 3)]
        orphans = select(func.count()).where(pieces.c.file.not_in(select(file_rows.c.id)))
        assert (await connection.execute(orphans)).scalar() == 0


async def test_whoever_lost_a_batch_changes_nothing(world: BatchesWorld):
    batch = await world.begin(jsonl(*LINES))
    old = await world.store.take(batch.id, 1)
    assert old is not None
    new = await world.store.take(batch.id, 2)
    assert new is not None
    for late in (
        world.store.begin(old, 10, "m", datetime.now(UTC)),
        world.store.fail(old, (), datetime.now(UTC)),
        world.store.take(batch.id, 1),
    ):
        with pytest.raises(CarriedElsewhere):
            await late
    await world.store.begin(new, 10, "m", datetime.now(UTC))
    with pytest.raises(CarriedElsewhere):
        await world.store.halt(old, JobError("X", "x"))


async def test_what_is_cancelled_keeps_what_is_done(world: BatchesWorld):
    batch = await world.begin(jsonl(*LINES))
    batch = await world.carry(batch)
    running = await world.claim(most=4)
    await world.answer(running[:3])
    assert (await world.desk.cancel(caller_of(), batch.id)).state is BatchState.CANCELLING
    batch = await world.carry(batch)
    # One still runs, and has been asked to end.
    assert batch.state is BatchState.CANCELLING
    job = await world.jobs.get("acme", running[3].job.id)
    assert job is not None
    assert job.cancels
    await world.answer(running[3:])
    batch = await world.carry(batch)
    assert batch.state is BatchState.CANCELLED
    output, errors = await both(world, batch)
    assert len(output) == 4
    assert {each["error"]["code"] for name, each in errors.items() if name != "l7"} == {"batch_cancelled"}
    assert errors["l7"]["response"]["status_code"] == 400
    assert (batch.cancelling_at is not None, batch.cancelled_at is not None) == (True, True)
    with pytest.raises(ResourceState, match="cancelled"):
        await world.desk.cancel(caller_of(), batch.id)


async def test_what_is_cancelled_before_its_lines_were_seen_has_them_all_in_the_error_file(quick: BatchesWorld):
    batch = await quick.begin(jsonl(*LINES))
    await quick.desk.cancel(caller_of(), batch.id)
    batch = await quick.carry(batch)
    assert (batch.state, batch.output_file) == (BatchState.CANCELLED, "")
    errors = await quick.lines(batch, batch.error_file)
    assert errors.keys() == ALL
    assert (errors["l0"]["response"], errors["l0"]["error"]["code"]) == (None, "batch_cancelled")


async def test_what_is_not_done_within_the_window_has_expired(quick: BatchesWorld):
    batch = await quick.begin(jsonl(*LINES))
    batch = await quick.carry(batch)
    await quick.answer(await quick.claim(most=2))
    await quick.pass_window(batch)
    batch = await quick.carry(batch)
    assert (batch.state, batch.expired_at is not None) == (BatchState.EXPIRED, True)
    output, errors = await both(quick, batch)
    assert len(output) == 2
    assert errors["l8"]["error"]["code"] == "batch_expired"


async def test_a_key_that_is_revoked_meanwhile_has_the_rest_refused(quick: BatchesWorld):
    batch = await quick.begin(jsonl(*LINES))
    batch = await quick.carry(batch)
    await quick.answer(await quick.claim())
    quick.keys_are_live = False
    batch = await done(quick, batch)
    assert batch.state is BatchState.COMPLETED
    output, errors = await both(quick, batch)
    assert len(output) == 5
    response = errors["l8"]["response"]
    assert (response["status_code"], response["body"]["error"]["code"]) == (401, "invalid_api_key")


async def test_a_file_that_is_none_of_a_batchs_fails_it_by_its_lines(quick: BatchesWorld):
    batch = await quick.begin(jsonl(line("canary-a"), b"{", line("canary-a"), {**line("b"), "url": "/v1/embeddings"}))
    batch = await quick.carry(batch)
    assert batch.state is BatchState.FAILED
    assert [(each.code, each.line) for each in batch.errors] == [
        ("invalid_json_line", 2),
        ("duplicate_custom_id", 3),
        ("mismatched_url", 4),
    ]
    async with quick.engine.connect() as connection:
        assert (await connection.execute(select(func.count()).where(job_rows.c.batch == batch.id))).scalar() == 0
        kept = [*(await connection.execute(select(pieces.c.sealed))).scalars()]
    assert kept
    assert not any(b"canary" in each for each in kept)


@pytest.mark.parametrize("lines", [101, 100])
async def test_a_batch_has_no_more_lines_than_it_may(quick: BatchesWorld, lines: int):
    batch = await quick.begin(jsonl(*[line(str(number)) for number in range(lines)]))
    batch = await quick.carry(batch)
    assert (batch.state is BatchState.FAILED) == (lines > 100)


async def test_the_input_may_be_deleted_meanwhile_and_goes_with_the_batchs_end(quick: BatchesWorld):
    batch = await quick.begin(jsonl(*LINES))
    await quick.desk.delete_file(caller_of(), batch.input_file)
    with pytest.raises(ResourceNotFound):
        await quick.desk.file(caller_of(), batch.input_file)
    sweeper = Sweeper(quick.files, quick.store, timedelta(seconds=1))
    await sweeper.sweep(datetime.now(UTC))
    batch = await done(quick, batch)
    assert batch.state is BatchState.COMPLETED
    await both(quick, batch)
    await sweeper.sweep(datetime.now(UTC) + timedelta(days=1))
    assert await quick.store.input_file(batch) is None


async def test_what_expires_or_was_never_finished_goes(world: BatchesWorld):
    caller = caller_of()
    writer = await world.desk.new_file(caller, "a", timedelta(hours=1))
    await writer.write(b"a" * (CHUNK_BYTES + 1))
    lost = writer.file.id
    writer = await world.desk.new_file(caller, "b", timedelta(hours=1))
    await writer.write(b"b")
    kept = await world.desk.keep(writer)
    now = datetime.now(UTC)
    assert await world.files.get("acme", lost, now) is None
    assert await world.files.get("acme", kept.id, now + timedelta(hours=2)) is None
    sweeper = Sweeper(world.files, world.store, timedelta(seconds=1))
    await sweeper.sweep(now)
    assert await world.files.stored_bytes("acme") == CHUNK_BYTES + 1
    await sweeper.sweep(now + timedelta(days=2))
    async with world.engine.connect() as connection:
        assert (await connection.execute(select(func.count()).select_from(pieces))).scalar() == 0
    with pytest.raises(ServiceUnavailable):
        await writer.write(b"b" * CHUNK_BYTES)


async def test_a_batch_whose_job_has_ended_before_it_is_carried_on_again(world: BatchesWorld):
    batch = await world.begin(jsonl(*LINES))
    await world.jobs.cancel("acme", batch.job, datetime.now(UTC))
    other = await world.begin(jsonl(*LINES))
    dead = update(job_rows).where(job_rows.c.id == other.job).values(state="dead")
    async with world.engine.begin() as connection:
        await connection.execute(dead)
    await Sweeper(world.files, world.store, timedelta(seconds=1)).sweep(datetime.now(UTC))
    for one, state in ((batch, BatchState.CANCELLING), (other, BatchState.VALIDATING)):
        job = await world.jobs.get("acme", one.job)
        assert job is not None
        assert (job.state, (await world.now(one)).state) == (JobState.QUEUED, state)


async def test_a_tenant_has_its_share_of_batches_and_bytes(quick: BatchesWorld):
    for _ in range(3):
        batch = await quick.begin(jsonl(*LINES))
    with pytest.raises(RateLimited, match="3 batches"):
        await quick.begin(jsonl(*LINES))
    await quick.begin(jsonl(*LINES), caller_of("other"))
    await done(quick, batch)
    await quick.begin(jsonl(*LINES))
    writer = await quick.desk.new_file(caller_of(), "a", None)
    await writer.write(b"a" * 2 * CHUNK_BYTES)
    with pytest.raises(RateLimited, match="bytes"):
        await quick.desk.new_file(caller_of(), "b", None)


async def test_a_key_sees_its_own_and_with_more_scopes_its_tenants(quick: BatchesWorld):
    batch = await quick.begin(jsonl(*LINES))
    desk = quick.desk
    own, colleague, stranger = caller_of(), caller_of("acme", "k2"), caller_of("other", "k1", *KeyScope)
    reader, admin = caller_of("acme", "k3", KeyScope.READ), caller_of("acme", "k4", KeyScope.ADMIN)
    for caller in (own, reader, admin):
        assert (await desk.get(caller, batch.id)).id == batch.id
        assert [one.id for one in await desk.list(caller, BatchFilter(tenant=""), 10)] == [batch.id]
        assert (await desk.file(caller, batch.input_file)).id == batch.input_file
        assert len(await desk.list_files(caller, FileFilter(tenant=caller.tenant.name), 10)) == 1
    for caller in (colleague, stranger):
        for refused in (
            desk.get(caller, batch.id),
            desk.cancel(caller, batch.id),
            desk.file(caller, batch.input_file),
            desk.delete_file(caller, batch.input_file),
        ):
            with pytest.raises(ResourceNotFound):
                await refused
        assert await desk.list(caller, BatchFilter(tenant=""), 10) == []
        assert await desk.list_files(caller, FileFilter(tenant=caller.tenant.name), 10) == []
    for refused in (desk.cancel(reader, batch.id), desk.delete_file(reader, batch.input_file)):
        with pytest.raises(ResourceNotFound):
            await refused
    assert (await desk.cancel(admin, batch.id)).state is BatchState.CANCELLING
    with pytest.raises(InvalidRequest, match="There is no file"):
        await quick.begin_again(colleague, batch.input_file)


async def test_a_rotated_key_has_what_those_before_it_made(world: BatchesWorld):
    first = caller_of()
    second, third = (replace(caller_of("acme", key_id), first_key_id=first.key_id) for key_id in ("k2", "k3"))
    batch = await done(world, await world.begin(jsonl(*LINES), second))
    assert (batch.key_id, batch.owner) == ("k2", "k1")
    for caller in (first, second, third):
        assert (await world.desk.get(caller, batch.id)).id == batch.id
        assert [one.id for one in await world.desk.list(caller, BatchFilter(tenant=""), 10)] == [batch.id]
        assert len(await world.desk.list_files(caller, FileFilter(tenant="acme"), 10)) == 3
    await world.desk.delete_file(third, batch.output_file)
    with pytest.raises(ResourceNotFound):
        await world.desk.get(caller_of("acme", "k2"), batch.id)


@pytest.mark.parametrize(("lines", "told"), [(LINES, "batch.completed"), ([b"{"], "batch.failed")])
async def test_webhooks_hear_once_of_a_batchs_end(quick: BatchesWorld, lines: list[Any], told: str):
    quick.store = SqlBatches(quick.database, telling_batches(lambda tenant, event: (f"{tenant}/{event}",)))
    batch = await done(quick, await quick.begin(jsonl(*lines)))
    async with quick.engine.connect() as connection:
        (row,) = (await connection.execute(select(deliveries))).all()
    assert (row.webhook, row.type, json.loads(row.body)["data"]) == (f"acme/{told}", told, {"id": batch.id})


async def test_nothing_is_left_of_what_the_jobs_of_lines_asked_and_answered(quick: BatchesWorld):
    batch = await done(quick, await quick.begin(jsonl(*LINES)))
    while await quick.queue.forget(datetime.now(UTC) + timedelta(seconds=1), batch.created_at, 100):
        pass
    async with quick.engine.connect() as connection:
        left = select(contents.c.job).where(contents.c.job.in_(select(job_rows.c.id).where(job_rows.c.batch != "")))
        assert (await connection.execute(left)).scalars().all() == []


async def test_files_are_read_in_the_order_of_their_creation_from_any_of_them_on(world: BatchesWorld):
    ids: list[str] = []
    for number in range(4):
        writer = await world.desk.new_file(caller_of(), f"{number}", None)
        await writer.write(b"%d" % number)
        ids.append((await world.desk.keep(writer)).id)
    assert ids == sorted(ids)
    wanted = FileFilter(tenant="acme", after=ids[2])
    assert [one.id for one in await world.desk.list_files(caller_of(), wanted, 10)] == [ids[1], ids[0]]
    wanted = FileFilter(tenant="acme", after=ids[1], descending=False)
    found = await world.desk.list_files(caller_of(), wanted, 1)
    assert [one.id for one in found] == [ids[2]]
    assert [piece async for piece in pieces_of(world.files, found[0])] == [b"2"]


async def test_one_that_is_cancelled_before_its_file_was_looked_through_counts_its_lines(quick: BatchesWorld):
    batch = await quick.begin(jsonl(*LINES))
    await quick.store.cancel(batch.tenant, batch.id, datetime.now(UTC))
    batch = await done(quick, batch)
    assert (batch.state, batch.completed, batch.failed) == (BatchState.CANCELLED, 0, len(LINES))
    assert batch.total == len(LINES)
