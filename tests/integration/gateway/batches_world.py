"""Batches for tests, carried on by hand over the database of each engine; a worker that needs no upstream answers their lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.errors import InvalidCredentials
from penstock_common.llm.types import Candidate, Finished, FinishReason, Started, TextDelta, Usage
from penstock_common.priority import Priority
from penstock_gateway.adapters.sql.batches.files import SqlBatchFiles
from penstock_gateway.adapters.sql.batches.schema import BATCHES
from penstock_gateway.adapters.sql.batches.store import SqlBatches
from penstock_gateway.adapters.sql.batches.tables import batches as batch_rows
from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.queue import SqlJobQueue
from penstock_gateway.adapters.sql.jobs.rows import ms_of
from penstock_gateway.adapters.sql.jobs.schema import JOBS
from penstock_gateway.adapters.sql.jobs.store import SqlJobStore
from penstock_gateway.adapters.sql.jobs.tables import jobs as job_rows
from penstock_gateway.adapters.sql.sealing import TenantSealer
from penstock_gateway.adapters.sql.webhooks.schema import WEBHOOKS
from penstock_gateway.domain.access.identity import Caller, KeyScope, Tenant, Tier
from penstock_gateway.domain.batches.batch import Batch
from penstock_gateway.domain.batches.carrying import BatchCarrier
from penstock_gateway.domain.batches.desk import BatchAsked, BatchDesk, DeskTerms
from penstock_gateway.domain.batches.files import pieces_of
from penstock_gateway.domain.batches.ports import CarryTerms
from penstock_gateway.domain.jobs.bell import Bell
from penstock_gateway.domain.jobs.job import Claimed, JobEnd, JobError, JobState
from penstock_gateway.domain.jobs.lanes import Bounds, Turns
from penstock_gateway.domain.jobs.orders import order_of
from penstock_gateway.domain.jobs.ports import Held
from penstock_gateway.domain.jobs.results import ChatResult, result_bytes
from penstock_gateway.domain.jobs.telling import telling
from penstock_gateway.surfaces.wire_formats.batch_lines import WireLineFormats
from penstock_gateway.surfaces.wire_formats.body_bounds import BodyBounds

CHAT = "/v1/chat/completions"
LEASE = timedelta(minutes=5)
_WHO = Candidate("u", "m")
FAILS = "fails"
"""A request that says so is answered by an error."""


def line(custom_id: str, text: str = "Hi", **body: Any) -> dict[str, Any]:
    """Return a line of a batch of chats."""
    asked = {"model": "fast", "messages": [{"role": "user", "content": text}], **body}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": asked}


def jsonl(*lines: Any) -> bytes:
    """Return a file of lines; bytes stand there as they are."""
    return b"".join((one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in lines)


def caller_of(tenant: str = "acme", key_id: str = "k1", *scopes: KeyScope) -> Caller:
    """Return who has a key."""
    return Caller(Tenant(tenant, Tier("wide")), key_id, frozenset(scopes or (KeyScope.INFERENCE,)))


class BatchesWorld:
    """Batches over one database. ``keys_are_live``: whether those who began them still may."""

    def __init__(self, engine: AsyncEngine, carry: CarryTerms, desk: DeskTerms) -> None:
        self.engine = engine
        self.database = JobDatabase(engine, TenantSealer(b"s" * 32), telling(lambda _tenant, _event: ()))
        self.jobs, self.queue = SqlJobStore(self.database), SqlJobQueue(self.database)
        self.files, self.store = SqlBatchFiles(self.database), SqlBatches(self.database)
        self.formats, self.bell, self.terms = WireLineFormats(BodyBounds()), Bell(), carry
        self.desk = BatchDesk(self.files, self.store, self.bell, desk, self.formats.endpoints)
        self.keys_are_live = True
        self.epoch = 0
        self._turns = Turns(Bounds())

    @classmethod
    async def over(
        cls, engine: AsyncEngine, carry: CarryTerms | None = None, desk: DeskTerms | None = None
    ) -> BatchesWorld:
        """Return the world of an empty database."""
        async with engine.begin() as connection:
            for schema in (JOBS, WEBHOOKS, BATCHES):
                await connection.run_sync(schema.upgrade_to)
        return cls(engine, carry or CarryTerms(), desk or DeskTerms())

    async def begin(self, content: bytes, caller: Caller | None = None, **asked: Any) -> Batch:
        """Return a batch of a file."""
        caller = caller or caller_of()
        writer = await self.desk.new_file(caller, "in.jsonl", None)
        await writer.write(content)
        file = await self.desk.keep(writer)
        return await self.begin_again(caller, file.id, **asked)

    async def begin_again(self, caller: Caller, file_id: str, **asked: Any) -> Batch:
        """Return a batch of a file that is there."""
        return await self.desk.create(caller, BatchAsked(input_file=file_id, endpoint=CHAT, window="24h", **asked))

    def carrier(self, store: Any = None, files: Any = None) -> BatchCarrier:
        """Return what carries batches on, over other stores where they are given."""

        async def find(batch: Batch, _: object) -> Caller:
            if not self.keys_are_live:
                raise InvalidCredentials("The API key is no longer valid.")
            return caller_of(batch.tenant, batch.key_id)

        return BatchCarrier(store or self.store, files or self.files, self.formats, find, (self.terms, self.bell))

    async def carry(self, batch: Batch, carrier: BatchCarrier | None = None) -> Batch:
        """Carry a batch on, as its job's next attempt does; return how it stands."""
        self.epoch += 1
        await (carrier or self.carrier()).carry(batch.id, self.epoch)
        return await self.now(batch)

    async def now(self, batch: Batch) -> Batch:
        """Return how a batch stands."""
        found = await self.store.get("", batch.id)
        assert found is not None
        return found

    async def claim(self, most: int = 1000) -> list[Claimed]:
        """Take jobs of lines."""
        now = datetime.now(UTC)
        # Those that carry batches on are carried on by hand.
        later = update(job_rows).where(job_rows.c.kind == "batch").values(due_ms=ms_of(now + timedelta(days=1)))
        async with self.engine.begin() as connection:
            await connection.execute(later)
        room = dict.fromkeys(Priority, most)
        claimed = await self.queue.claim("w", self._turns, room, now, now + LEASE)
        return list(claimed)

    async def answer(self, claimed: Sequence[Claimed]) -> None:
        """Answer requests."""
        now = datetime.now(UTC)
        for one in claimed:
            order = order_of(one.job.kind, one.order)
            (part,) = order.input.messages[0].parts
            if part.text == FAILS:
                error = JobError("UPSTREAM_FAILED", "The model's upstreams have failed.")
                end = JobEnd(state=JobState.DEAD, error=error)
            else:
                events = (
                    Started("g", _WHO),
                    TextDelta(f"Re: {part.text}"),
                    Usage(input_tokens=3, output_tokens=2, cached_input_tokens=1),
                    Finished(FinishReason.STOP, _WHO),
                )
                result = ChatResult(generation_id=order.generation_id, events=events)
                end = JobEnd(state=JobState.SUCCEEDED, result=result_bytes(result))
            assert await self.queue.commit(Held(one.job.id, one.job.epoch), end, now)

    async def lines(self, batch: Batch, file_id: str) -> dict[str, Any]:
        """Return the lines of an output or error file by the ids that they answer, none of them twice."""
        if not file_id:
            return {}
        file = await self.files.get(batch.tenant, file_id, datetime.now(UTC))
        assert file is not None
        content = b"".join([piece async for piece in pieces_of(self.files, file)])
        assert len(content) == file.bytes
        told = [json.loads(each) for each in content.splitlines()]
        by_id = {each["custom_id"]: each for each in told}
        assert len(by_id) == len(told)
        return by_id

    async def pass_window(self, batch: Batch) -> None:
        """Have a batch's window be over."""
        now = ms_of(datetime.now(UTC) - timedelta(seconds=1))
        async with self.engine.begin() as connection:
            await connection.execute(update(batch_rows).where(batch_rows.c.id == batch.id).values(expires_ms=now))
            await connection.execute(update(job_rows).where(job_rows.c.batch == batch.id).values(deadline_ms=now))
        await self.queue.expire(datetime.now(UTC), 1000)
