"""Kept answers in SQL, their contents sealed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import CTE, Row, delete, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_gateway.adapters.sql.collation import by_bytes
from penstock_gateway.adapters.sql.connecting import begun
from penstock_gateway.adapters.sql.jobs.rows import moment_of, ms_of
from penstock_gateway.adapters.sql.responses.tables import responses
from penstock_gateway.adapters.sql.sealing import TenantSealer
from penstock_gateway.domain.responses.response import Content, Extent, Response, Status

_RESPONSE = responses.c
_PLACE = "responses/"
# Of a row that says nothing but that there is to be no answer of this id again, whoever is late with one.
_DELETED = "deleted"
# So many are opened, and decoded, in the time that a thread would take to begin, or a few of those.
_LARGE_BYTES = 256 * 1024
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Content)


class SqlResponseStore:
    """Implements ``ResponseStore``."""

    def __init__(self, engine: AsyncEngine, sealer: TenantSealer) -> None:
        self._engine = engine
        self._sealer = sealer
        self._insert = postgresql_insert if engine.dialect.name == "postgresql" else sqlite_insert

    async def keep(self, response: Response) -> None:
        """Keep an answer; see the port."""
        values = {
            "id": response.id,
            "tenant": response.tenant,
            "owner": response.owner,
            "previous": response.previous,
            "depth": response.depth,
            "chain_bytes": response.chain_bytes,
            "created_ms": ms_of(response.created_at),
            "expires_ms": ms_of(response.expires_at),
            "status": response.status.value,
            "job": response.job,
            "streams": response.streams,
            "sealed": self._sealed(response.tenant, response.id, response.content),
        }
        new = self._insert(responses).values(values).on_conflict_do_nothing(index_elements=[_RESPONSE.id])
        async with begun(self._engine) as connection:
            await connection.execute(new)

    async def get(self, tenant: str, response_id: str, now: datetime) -> Response | None:
        """Return an answer; see the port."""
        query = select(responses).where(*_its(tenant, response_id), _RESPONSE.expires_ms > ms_of(now))
        async with begun(self._engine) as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else (await self._opened((row,)))[0]

    async def extent(self, tenant: str, response_id: str, now: datetime, most: int) -> Extent | None:
        """Return what a chain would have; see the port."""
        turns = _turns(tenant, response_id, now, most)
        # Neither database reads what is sealed for its length.
        sizes = select(func.count(), func.sum(func.length(_RESPONSE.sealed)))
        sizes = sizes.select_from(responses).join(turns, turns.c.id == _RESPONSE.id)
        columns = _RESPONSE.owner, _RESPONSE.status, _RESPONSE.depth, _RESPONSE.chain_bytes
        last = select(*columns).where(*_its(tenant, response_id), _RESPONSE.expires_ms > ms_of(now))
        async with begun(self._engine) as connection:
            row = (await connection.execute(last)).first()
            if row is None:
                return None
            there, kept_bytes = (await connection.execute(sizes)).one()
        owner, status, depth, chain_bytes = row
        return Extent(
            owner=owner,
            status=Status(status),
            depth=depth,
            chain_bytes=chain_bytes,
            turns=there,
            # PostgreSQL adds integers to a number of any size.
            kept_bytes=int(kept_bytes or 0),
        )

    async def chain(self, tenant: str, response_id: str, now: datetime, most: int) -> Sequence[Response]:
        """Return an answer and those before it; see the port."""
        turns = _turns(tenant, response_id, now, most)
        query = select(responses).join(turns, turns.c.id == _RESPONSE.id).order_by(turns.c.place.desc())
        async with begun(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        return await self._opened(rows)

    async def of_job(self, tenant: str, job_id: str) -> Response | None:
        """Return the answer that a job makes; see the port."""
        there = _RESPONSE.tenant == tenant, _RESPONSE.status != _DELETED
        query = select(responses).where(_RESPONSE.job == job_id, *there)
        async with begun(self._engine) as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else (await self._opened((row,)))[0]

    async def settle(self, response: Response, status: Status, content: Content) -> bool:
        """Keep how an answer ended; see the port."""
        values = {
            "status": status.value,
            "sealed": self._sealed(response.tenant, response.id, content),
            "chain_bytes": response.chain_bytes + content.size_bytes - response.content.size_bytes,
        }
        waits = _RESPONSE.status == Status.QUEUED.value
        ended = update(responses).where(*_its(response.tenant, response.id), waits).values(values)
        async with begun(self._engine) as connection:
            return (await connection.execute(ended)).rowcount > 0

    async def delete(self, tenant: str, response_id: str) -> bool:
        """Delete an answer; see the port."""
        gone = update(responses).where(*_its(tenant, response_id)).values(status=_DELETED, sealed=b"", chain_bytes=0)
        async with begun(self._engine) as connection:
            return (await connection.execute(gone)).rowcount > 0

    async def pending(self, after: str, limit: int) -> Sequence[Response]:
        """Return answers of jobs whose end is not kept; see the port."""
        by_id = by_bytes(_RESPONSE.id, self._engine.dialect.name)
        query = select(responses).where(_RESPONSE.status == Status.QUEUED.value, by_id > after)
        async with begun(self._engine) as connection:
            rows = (await connection.execute(query.order_by(by_id).limit(limit))).all()
        return await self._opened(rows)

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete what is too old; see the port."""
        later = responses.alias("later")
        is_old = _RESPONSE.expires_ms < ms_of(now)
        goes_on = exists().where(later.c.previous == _RESPONSE.id)
        old = select(_RESPONSE.id).where(is_old, ~goes_on).limit(limit).correlate(None)
        async with begun(self._engine) as connection:
            return (await connection.execute(delete(responses).where(_RESPONSE.id.in_(old)))).rowcount

    def _sealed(self, tenant: str, response_id: str, content: Content) -> bytes:
        return self._sealer.seal(tenant, _PLACE + response_id, _ENCODER.encode(content))

    async def _opened(self, rows: Sequence[Row[Any]]) -> list[Response]:
        """Return what rows hold: the large ones are opened beside the loop."""
        if sum(len(row.sealed) for row in rows) <= _LARGE_BYTES:
            return [self._response_of(row) for row in rows]
        return await asyncio.to_thread(lambda: [self._response_of(row) for row in rows])

    def _response_of(self, row: Any) -> Response:
        content = _DECODER.decode(self._sealer.open(row.tenant, _PLACE + row.id, row.sealed))
        return Response(
            id=row.id,
            tenant=row.tenant,
            owner=row.owner,
            previous=row.previous,
            depth=row.depth,
            chain_bytes=row.chain_bytes,
            created_at=moment_of(row.created_ms),
            expires_at=moment_of(row.expires_ms),
            status=Status(row.status),
            job=row.job,
            streams=row.streams,
            content=content,
        )


def _turns(tenant: str, response_id: str, now: datetime, most: int) -> CTE:
    """Return the ids of an answer and of those before it; ``place`` counts from the last."""
    last = select(_RESPONSE.id, _RESPONSE.previous, literal(1).label("place"))
    turns = last.where(*_its(tenant, response_id), _RESPONSE.expires_ms > ms_of(now)).cte("turns", recursive=True)
    before = select(_RESPONSE.id, _RESPONSE.previous, (turns.c.place + 1).label("place"))
    # The tenant is said again: a chain never leaves it.
    return turns.union_all(
        before.where(
            _RESPONSE.id == turns.c.previous,
            _RESPONSE.tenant == tenant,
            _RESPONSE.status != _DELETED,
            turns.c.place < most,
        )
    )


def _its(tenant: str, response_id: str) -> tuple[Any, ...]:
    return _RESPONSE.id == response_id, _RESPONSE.tenant == tenant, _RESPONSE.status != _DELETED
