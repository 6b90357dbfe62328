"""Message batches in SQL: each request has one result, in one file that only its batch hands out."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select, update

from penstock_common.errors import RateLimited, ResourceNotFound, ResourceState
from penstock_common.sql.database import open_database
from penstock_gateway.adapters.sql.batches.tables import files as file_rows
from penstock_gateway.adapters.sql.batches.tables import pieces
from penstock_gateway.domain.access.identity import KeyScope
from penstock_gateway.domain.batches.batch import ANTHROPIC, Batch, BatchState
from penstock_gateway.domain.batches.desk import BatchAsked, DeskTerms
from penstock_gateway.domain.batches.files import FileFilter, pieces_of
from penstock_gateway.domain.batches.ports import BatchFilter, CarryTerms
from penstock_gateway.surfaces.wire_formats.anthropic.batches.actions import RESULTS_TTL, batch_told

sys.path.insert(0, str(Path(__file__).parent))

from batches_world import FAILS, BatchesWorld, caller_of, jsonl, line  # noqa: E402

MESSAGES = "/v1/messages"
FEW = CarryTerms(max_lines=100, lines_at_once=3, max_waiting=5)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[BatchesWorld]:
    async with open_database(database_url) as engine:
        yield await BatchesWorld.over(engine, FEW, DeskTerms(max_stored_bytes=2_000_000, max_open=3))


async def begun(world: BatchesWorld, count: int, failing: int = -1) -> Batch:
    """Return a batch of so many requests, of which one is answered by an error."""
    texts = [FAILS if number == failing else f"q{number}" for number in range(count)]
    asked = [{**line(f"l{number}", text, max_tokens=9), "url": MESSAGES} for number, text in enumerate(texts)]
    writer = await world.desk.new_input(caller_of(), "requests.jsonl")
    await writer.write(jsonl(*asked))
    wanted = BatchAsked(surface=ANTHROPIC, lines=count, endpoint=MESSAGES, window="24h", output_ttl=RESULTS_TTL)
    return await world.desk.begin(caller_of(), wanted, writer)


async def ended(world: BatchesWorld, batch: Batch) -> Batch:
    """Return the batch once it has ended, its requests answered as they come."""
    for _ in range(30):
        batch = await world.carry(batch)
        if batch.state.is_end:
            return batch
        await world.answer(await world.claim())
    raise AssertionError(batch)


async def results_of(world: BatchesWorld, batch: Batch) -> dict[str, Any]:
    """Return what came of each request, none of them twice."""
    file = await world.desk.results(caller_of(), batch.id, ANTHROPIC)
    content = b"".join([piece async for piece in pieces_of(world.files, file)])
    told = [json.loads(each) for each in content.splitlines()]
    by_id = {each["custom_id"]: each["result"] for each in told}
    assert len(by_id) == len(told)
    return by_id


async def test_each_request_has_a_result_and_nobody_else_sees_the_files(world: BatchesWorld):
    batch = await begun(world, 12, failing=4)
    admin = caller_of("acme", "k9", KeyScope.ADMIN)
    assert (await world.now(batch)).total == 12
    with pytest.raises(ResourceNotFound):
        await world.desk.file(admin, batch.input_file)
    with pytest.raises(ResourceState):
        await world.desk.results(caller_of(), batch.id, ANTHROPIC)
    batch = await ended(world, batch)
    results = await results_of(world, batch)
    assert {name: each["type"] for name, each in results.items()} == {
        f"l{number}": "errored" if number == 4 else "succeeded" for number in range(12)
    }
    assert results["l4"]["error"]["type"] == "error"
    assert (batch.completed, batch.failed, batch.cancelled, batch.lapsed) == (11, 1, 0, 0)
    assert await world.files.list(FileFilter(tenant="acme"), 10, datetime.now(UTC)) == []
    with pytest.raises(ResourceNotFound):
        await world.desk.file(admin, batch.output_file)
    # The requests go with the batch's end; the results are all that is kept.
    await world.files.sweep(datetime.now(UTC), datetime.now(UTC), 10)
    async with world.engine.connect() as connection:
        kept = (await connection.execute(select(file_rows.c.id))).scalars().all()
    assert kept == [batch.output_file]


async def test_what_was_cancelled_and_what_has_expired_is_told_apart(world: BatchesWorld):
    batch = await begun(world, 4)
    await world.carry(batch)
    await world.answer(await world.claim(1))
    await world.desk.cancel(caller_of(), batch.id, ANTHROPIC)
    batch = await ended(world, batch)
    assert (batch.state, batch.completed, batch.cancelled, batch.lapsed) == (BatchState.CANCELLED, 1, 3, 0)
    assert sorted(each["type"] for each in (await results_of(world, batch)).values()) == ["canceled"] * 3 + [
        "succeeded"
    ]
    batch = await begun(world, 3)
    batch = await world.carry(batch)
    await world.pass_window(batch)
    batch = await ended(world, batch)
    counts = batch_told(batch).request_counts
    assert (batch.state, counts.expired, counts.canceled, counts.errored) == (BatchState.EXPIRED, 3, 0, 0)
    assert {each["type"] for each in (await results_of(world, batch)).values()} == {"expired"}


async def test_each_format_lists_its_own_in_both_directions(world: BatchesWorld):
    ours = [await begun(world, 1), await world.begin(jsonl(line("a"))), await begun(world, 1)]
    mine = [ours[2].id, ours[0].id]

    async def listed(limit: int = 10, **wanted: Any) -> list[str]:
        filtered = BatchFilter(tenant="", **wanted)
        return [one.id for one in await world.desk.list(caller_of(), filtered, limit)]

    assert await listed(surface=ANTHROPIC) == mine
    assert await listed(surface="openai") == [ours[1].id]
    assert await listed() == [one.id for one in reversed(ours)]
    assert await listed(surface=ANTHROPIC, before=mine[1]) == mine[:1]
    assert await listed(surface=ANTHROPIC, after=mine[0]) == mine[1:]
    assert await listed(1, before=ours[0].id) == [ours[1].id]
    with pytest.raises(ResourceNotFound):
        await world.desk.get(caller_of(), ours[0].id)
    with pytest.raises(ResourceNotFound):
        await world.desk.cancel(caller_of(), ours[1].id, ANTHROPIC)


async def test_who_begins_no_batch_leaves_no_requests(world: BatchesWorld):
    for _ in range(3):
        await begun(world, 1)
    writer = await world.desk.new_input(caller_of(), "requests.jsonl")
    await writer.write(b"x")
    wanted = BatchAsked(surface=ANTHROPIC, lines=1, endpoint=MESSAGES, window="24h")
    with pytest.raises(RateLimited):
        await world.desk.begin(caller_of(), wanted, writer)
    await writer.discard()
    async with world.engine.connect() as connection:
        assert (await connection.execute(select(func.count()).select_from(file_rows))).scalar() == 3


async def test_one_that_has_ended_is_forgotten_with_its_results(world: BatchesWorld):
    batch = await begun(world, 2)
    with pytest.raises(ResourceState):
        await world.desk.delete(caller_of(), batch.id, ANTHROPIC)
    assert not await world.store.delete(batch.tenant, batch.id)
    batch = await ended(world, batch)
    for caller in (caller_of("acme", "k2"), caller_of("other"), caller_of("acme", "k3", KeyScope.READ)):
        with pytest.raises(ResourceNotFound):
            await world.desk.delete(caller, batch.id, ANTHROPIC)
    await world.desk.delete(caller_of(), batch.id, ANTHROPIC)
    with pytest.raises(ResourceNotFound):
        await world.desk.get(caller_of(), batch.id, ANTHROPIC)
    await world.files.sweep(datetime.now(UTC), datetime.now(UTC), 10)
    async with world.engine.connect() as connection:
        assert (await connection.execute(select(func.count()).select_from(pieces))).scalar() == 0


async def test_results_are_kept_for_29_days(world: BatchesWorld):
    batch = await ended(world, await begun(world, 1))
    assert batch.completed_at is not None
    assert batch_told(batch).results_url == f"/v1/messages/batches/msg{batch.id}/results"
    past = int((datetime.now(UTC) - timedelta(days=30)).timestamp() * 1000)
    async with world.engine.begin() as connection:
        await connection.execute(update(file_rows).where(file_rows.c.id == batch.output_file).values(expires_ms=past))
    with pytest.raises(ResourceNotFound, match="kept no more"):
        await world.desk.results(caller_of(), batch.id, ANTHROPIC)
    old = batch_told(msgspec.structs.replace(batch, completed_at=batch.completed_at - RESULTS_TTL))
    assert (old.results_url, old.archived_at is not None, old.processing_status) == (None, True, "ended")
