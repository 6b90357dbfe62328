"""No line, no answer and no setting keeps a batch from ending, or takes the other lines' answers with it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import delete, func, select, update

from penstock_common.errors import InvalidRequest, ServiceUnavailable
from penstock_common.sql.database import open_database
from penstock_gateway.adapters.sql.batches.store import SqlBatches
from penstock_gateway.adapters.sql.batches.tables import batches as batch_rows
from penstock_gateway.adapters.sql.batches.tables import pieces
from penstock_gateway.adapters.sql.jobs.tables import contents
from penstock_gateway.adapters.sql.jobs.tables import jobs as job_rows
from penstock_gateway.domain.batches.batch import Batch, BatchState, Tokens
from penstock_gateway.domain.batches.files import CHUNK_BYTES, KeptFile, pieces_of
from penstock_gateway.domain.batches.ports import BatchFilter, CarriedElsewhere, CarryTerms, Conclusion, Submitted
from penstock_gateway.domain.jobs.job import JobError

sys.path.insert(0, str(Path(__file__).parent))

from batches_world import FAILS, BatchesWorld, caller_of, jsonl, line  # noqa: E402


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[BatchesWorld]:
    async with open_database(database_url) as engine:
        yield await BatchesWorld.over(engine)


@pytest.fixture
async def quick(tmp_path: Path) -> AsyncIterator[BatchesWorld]:
    """For what is not the engine's."""
    async with open_database(f"sqlite:///{tmp_path}/quick.db") as engine:
        yield await BatchesWorld.over(engine)


async def files_of(world: BatchesWorld, batch: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    assert batch.state is BatchState.COMPLETED, batch
    return await world.lines(batch, batch.output_file), await world.lines(batch, batch.error_file)


@pytest.mark.parametrize("model", ["m" * 257, "m\0"])
async def test_a_model_that_no_database_keeps_is_its_own_lines_fault(world: BatchesWorld, model: str):
    batch = await world.begin(jsonl(line("bad", model=model), line("good")))
    alone = await world.begin(jsonl(line("bad", model=model)))
    await world.carry(batch)
    await world.answer(await world.claim())
    output, errors = await files_of(world, await world.carry(batch))
    assert (output.keys(), errors.keys()) == ({"good"}, {"bad"})
    response = errors["bad"]["response"]
    assert (response["status_code"], response["body"]["error"]["param"]) == (400, "model")
    await files_of(world, await world.carry(alone))


async def test_an_answer_that_cannot_be_told_takes_no_other_with_it(quick: BatchesWorld):
    batch = await quick.begin(jsonl(line("a"), line("sealed"), line("raises", "poison"), line("kept"), line("b")))
    await quick.carry(batch)
    claimed = await quick.claim()
    await quick.answer(claimed)
    ids = {one.job.line: one.job.id for one in claimed}
    result = contents.c.part == "result"
    async with quick.engine.begin() as connection:
        changed = update(contents).where(contents.c.job == ids[2], result).values(sealed=b"x")
        assert (await connection.execute(changed)).rowcount == 1
        assert (await connection.execute(delete(contents).where(contents.c.job == ids[4], result))).rowcount == 1
    answer = quick.formats.answer

    def raising(endpoint: str, body: bytes, *more: Any) -> bytes:
        assert b"poison" not in body
        return answer(endpoint, body, *more)

    quick.formats.answer = raising
    batch = await quick.carry(batch)
    output, errors = await files_of(quick, batch)
    assert output.keys() == {"a", "b"}
    assert {name: each["response"]["status_code"] for name, each in errors.items()} == {
        "sealed": 500,
        "raises": 500,
        "kept": 500,
    }
    assert batch.tokens.output == 2 * 2


async def test_a_line_that_cannot_be_read_takes_no_other_with_it(quick: BatchesWorld):
    read = quick.formats.read

    def raising(endpoint: str, body: bytes) -> Any:
        assert b"poison" not in body
        return read(endpoint, body)

    quick.formats.read = raising
    batch = await quick.begin(jsonl(line("a"), line("raises", "poison")))
    await quick.carry(batch)
    await quick.answer(await quick.claim())
    output, errors = await files_of(quick, await quick.carry(batch))
    assert (output.keys(), errors["raises"]["response"]["status_code"]) == ({"a"}, 500)


async def test_what_is_large_is_kept_and_read_by_itself(world: BatchesWorld, monkeypatch: pytest.MonkeyPatch):
    world.terms = CarryTerms(bytes_at_once=100_000)
    parts: list[int] = []
    submit = world.store.submit

    async def counted(batch: Any, part: Any) -> None:
        parts.append(len(part.jobs))
        await submit(batch, part)

    monkeypatch.setattr(world.store, "submit", counted)
    texts = {"a": "a", "large": "x" * 100_000, "b": "b", "half": "y" * 60_000, "other": "z" * 60_000, "c": "c"}
    batch = await world.begin(jsonl(*[line(*each) for each in texts.items()]))
    await world.carry(batch)
    assert parts == [2, 3, 1]
    await world.answer(await world.claim())
    batch = await world.carry(batch)
    found = await world.store.jobs(batch, 1, 6)
    assert [len(await one.opened() or b"") > 100_000 for one in found] == [False, True, *[False] * 4]
    output, _ = await files_of(world, batch)
    for name, text in texts.items():
        assert output[name]["response"]["body"]["choices"][0]["message"]["content"] == f"Re: {text}"


async def test_lines_may_be_longer_than_what_the_bound_has_become(quick: BatchesWorld):
    quick.terms = CarryTerms(lines_at_once=1, max_waiting=1)
    batch = await quick.begin(jsonl(line("a"), line("b", "long" * 100)))
    await quick.carry(batch)
    quick.terms = CarryTerms(max_line_bytes=10)
    for _ in range(2):
        await quick.answer(await quick.claim())
        batch = await quick.carry(batch)
    output, _ = await files_of(quick, batch)
    assert output.keys() == {"a", "b"}


async def test_a_file_that_becomes_shorter_is_no_whole_one(quick: BatchesWorld):
    writer = await quick.desk.new_file(caller_of(), "a", None)
    await writer.write(b"a" * (2 * CHUNK_BYTES + 1))
    file = await quick.desk.keep(writer)
    read = pieces_of(quick.files, file)
    assert len(await anext(read)) == CHUNK_BYTES
    await quick.desk.delete_file(caller_of(), file.id)
    with pytest.raises(ServiceUnavailable, match="deleted"):
        await anext(read)
    batch = await quick.begin(jsonl(*[line(str(number), "x" * 1000) for number in range(2000)]))
    async with quick.engine.begin() as connection:
        cut = delete(pieces).where(pieces.c.file == batch.input_file, pieces.c.number == 1)
        assert (await connection.execute(cut)).rowcount == 1
    with pytest.raises(ServiceUnavailable):
        await quick.carry(batch)
    assert (await quick.now(batch)).state is BatchState.VALIDATING


async def test_what_a_file_expires_after_may_be_known_at_its_end(world: BatchesWorld):
    writer = await world.desk.new_file(caller_of(), "a", None)
    await writer.write(b"a")
    writer.expire_after(timedelta(hours=2))
    file = await world.desk.keep(writer)
    assert file.expires_at == file.created_at + timedelta(hours=2)
    assert await world.files.get("acme", file.id, file.created_at + timedelta(hours=2, seconds=1)) is None


async def test_what_is_cancelled_before_its_lines_were_seen_ends_whatever_they_are(quick: BatchesWorld):
    batch = await quick.begin(jsonl(line("a"), b"nonsense", line("b"), line("a")))
    await quick.desk.cancel(caller_of(), batch.id)
    batch = await quick.carry(batch)
    assert (batch.state, batch.failed) == (BatchState.CANCELLED, 2)
    assert (await quick.lines(batch, batch.error_file)).keys() == {"a", "b"}


async def test_jobs_of_lines_may_be_deleted_and_go_on_behind_their_batchs_back(quick: BatchesWorld):
    batch = await quick.begin(jsonl(line("a"), line("deleted"), line("again", FAILS)))
    await quick.carry(batch)
    claimed = await quick.claim()
    await quick.answer(claimed)
    of_line = {one.job.line: job_rows.c.id == one.job.id for one in claimed}
    async with quick.engine.begin() as connection:
        await connection.execute(delete(job_rows).where(of_line[2]))
        await connection.execute(update(job_rows).where(of_line[3]).values(state="running", error_reason=None))
        await connection.execute(update(batch_rows).where(batch_rows.c.id == batch.id).values(state="finalizing"))
    batch = await quick.carry(batch)
    assert batch.state is BatchState.FINALIZING
    async with quick.engine.begin() as connection:
        await connection.execute(
            update(job_rows).where(of_line[3]).values(state="dead", error_reason="UPSTREAM_FAILED")
        )
    batch = await quick.carry(batch)
    output, errors = await files_of(quick, batch)
    assert output.keys() == {"a"}
    assert {name: each["response"]["status_code"] for name, each in errors.items()} == {"deleted": 500, "again": 502}


async def test_a_file_that_goes_while_its_batch_begins_is_told_at_once(world: BatchesWorld, monkeypatch: Any):
    batch = await world.begin(jsonl(line("a")))
    await world.carry(await world.desk.cancel(caller_of(), batch.id))
    get = world.files.get

    async def going(tenant: str, file_id: str, *more: Any) -> Any:
        found = await get(tenant, file_id, *more)
        await world.files.delete(tenant, file_id)
        return found

    monkeypatch.setattr(world.files, "get", going)
    with pytest.raises(InvalidRequest, match="any more"):
        await world.begin_again(caller_of(), batch.input_file)
    assert len(await world.desk.list(caller_of(), BatchFilter(tenant=""), 10)) == 1


_NOTHING = Submitted(jobs=(), lines=1, refused=1, read_to=1, read_lines=1)
_END = Conclusion(state=BatchState.COMPLETED, completed=1, failed=0, tokens=Tokens(), output=None, errors=None)
Late = Callable[[SqlBatches, Batch, datetime], Awaitable[Any]]


@pytest.mark.parametrize(
    ("state", "late"),
    [
        ("in_progress", lambda store, batch, _: store.submit(batch, _NOTHING)),
        ("in_progress", lambda store, batch, _: store.halt(batch, JobError("X", "x"))),
        ("in_progress", lambda store, batch, now: store.finalize(replace(batch, state=BatchState.IN_PROGRESS), now)),
        ("cancelling", lambda store, batch, now: store.end_lines(batch, now, 10)),
        ("finalizing", lambda store, batch, _: store.clear_files(batch)),
        ("finalizing", lambda store, batch, now: store.conclude(batch, _END, now)),
    ],
)
async def test_whoever_is_late_changes_nothing_whatever_the_state(quick: BatchesWorld, state: str, late: Late):
    batch = await quick.begin(jsonl(line("a")))
    old, new = await quick.store.take(batch.id, 1), await quick.store.take(batch.id, 2)
    assert old is not None and new is not None
    async with quick.engine.begin() as connection:
        await connection.execute(update(batch_rows).where(batch_rows.c.id == batch.id).values(state=state))
    with pytest.raises(CarriedElsewhere):
        await late(quick.store, old, datetime.now(UTC))
    assert (await quick.now(batch)).state == state
    await late(quick.store, new, datetime.now(UTC))


async def test_what_was_begun_too_late_goes_with_its_batchs_end(quick: BatchesWorld):
    batch = await quick.begin(jsonl(line("a")))
    await quick.carry(batch)
    await quick.answer(await quick.claim())
    append, late = (
        quick.files.append,
        KeptFile(
            id="file-late",
            tenant="acme",
            owner="k1",
            purpose="batch_output",
            filename="a",
            created_at=batch.created_at,
            batch=batch.id,
        ),
    )

    async def beside(*given: Any) -> None:
        await append(*given)
        await quick.files.begin(late)
        await append(late, 0, b"late")

    quick.files.append = beside
    output, _ = await files_of(quick, await quick.carry(batch))
    assert output.keys() == {"a"}
    assert await rows_of(quick, late.id) == 0


async def test_files_go_a_few_pieces_at_a_time_and_what_was_left_half_goes_later(world: BatchesWorld):
    writer = await world.desk.new_file(caller_of(), "a", None)
    await writer.write((b"a" * (CHUNK_BYTES - 1) + b"\n") * 40)
    file = await world.desk.keep(writer)
    batch = await world.begin_again(caller_of(), file.id)
    transactions, real = 0, world.database.writing

    def writing() -> Any:
        nonlocal transactions
        transactions += 1
        if transactions == 3:
            raise ServiceUnavailable("It is gone.", service="sql")
        return real()

    await world.desk.cancel(caller_of(), batch.id)
    assert (await world.carry(batch)).state is BatchState.CANCELLED
    world.database.writing = writing
    with pytest.raises(ServiceUnavailable):
        await world.desk.delete_file(caller_of(), file.id)
    assert 0 < await rows_of(world, file.id) < 40
    assert await world.files.stored_bytes("acme") < CHUNK_BYTES
    assert await world.store.input_file(batch) is None
    assert await world.files.sweep(file.created_at, file.created_at, 10) == 1
    assert transactions > 5
    assert await rows_of(world, file.id) == 0
    assert await world.files.sweep(file.created_at, file.created_at, 10) == 0


async def rows_of(world: BatchesWorld, file_id: str) -> int:
    async with world.engine.connect() as connection:
        query = select(func.count()).where(pieces.c.file == file_id)
        return (await connection.execute(query)).scalar() or 0
