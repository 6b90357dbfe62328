"""Reads the ledger for reports: one statement a page, on either engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Table, func, select, union_all
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penstock_common.errors import ServiceUnavailable
from penstock_gateway.adapters.sql.collation import by_bytes
from penstock_gateway.adapters.sql.tables import ledger, metadata
from penstock_gateway.adapters.sql.usage.source import Source, behind
from penstock_gateway.domain.usage.lines import Line, Sums, UsedRequest
from penstock_gateway.domain.usage.ports import LineEnd, RowEnd
from penstock_gateway.domain.usage.query import Dimension, Filter, Query

_FIGURES = Sums.__struct_fields__
_TOTALS = metadata.tables.get("ledger_totals")
_LEDGER = Source(ledger)


class SqlUsage:
    """Implements ``UsageStore``. ``totals`` is what retention leaves of days whose rows it has cut; None: it leaves nothing."""

    def __init__(self, engine: AsyncEngine, totals: Table | None = _TOTALS) -> None:
        self._engine = engine
        self._sources = (_LEDGER,) if totals is None else (_LEDGER, Source(totals))

    async def lines(self, query: Query, starts: Sequence[datetime], after: LineEnd | None, limit: int) -> list[Line]:
        """Return the lines behind one, by turn and by name."""
        chosen = [source.rows(query.by, starts, query.filter) for source in self._sources]
        rows = (chosen[0] if len(chosen) == 1 else union_all(*chosen)).subquery("rows")
        names = [rows.c[f"name_{at}"] for at in range(len(query.by))]
        groups = [rows.c.turn, *map(self._by_bytes, names)]
        sums = [func.sum(rows.c[name]).label(name) for name in _FIGURES]
        wanted = select(rows.c.turn, *names, *sums)
        if after is not None:
            wanted = wanted.where(behind(groups, (after.turn, *after.names)))
        wanted = wanted.group_by(rows.c.turn, *names).order_by(*groups).limit(limit)
        async with self._connected() as connection:
            found = (await connection.execute(wanted)).mappings().all()
        return [_line(row, len(names)) for row in found]

    async def requests(self, wanted: Filter, after: RowEnd | None, limit: int) -> list[UsedRequest]:
        """Return rows, the newest first."""
        moment, name = ledger.c.created_at, self._by_bytes(ledger.c.generation_id)
        query = select(
            ledger.c.generation_id,
            ledger.c.request_id,
            moment,
            ledger.c.tags,
            _LEDGER.text("kind").label("kind"),
            ledger.c.finish_reason,
            ledger.c.time_to_first_token_ms,
            *_LEDGER.dimensions(),
            *_LEDGER.figures(),
        ).where(*_LEDGER.conditions(wanted))
        if after is not None:
            query = query.where(
                (moment < after.created_at) | ((moment == after.created_at) & (name < after.generation_id))
            )
        async with self._connected() as connection:
            found = await connection.execute(query.order_by(moment.desc(), name.desc()).limit(limit))
            return [_request(row) for row in found.mappings()]

    async def oldest(self, wanted: Filter) -> datetime | None:
        """Return when the oldest row of those was made, or the day of the oldest that were cut began."""
        found: list[datetime] = []
        async with self._connected() as connection:
            for source in self._sources:
                query = select(func.min(source.moment)).where(*source.conditions(wanted))
                moment = (await connection.execute(query)).scalar()
                found += [] if moment is None else [_in_utc(moment)]
        return min(found, default=None)

    def _by_bytes(self, text: ColumnElement[Any]) -> ColumnElement[Any]:
        return by_bytes(text, self._engine.dialect.name)

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[AsyncConnection]:
        try:
            async with self._engine.connect() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise ServiceUnavailable("The database does not answer. Try again.", service="sql") from error


def _line(row: RowMapping, groups: int) -> Line:
    return Line(names=tuple([row[f"name_{at}"] for at in range(groups)]), turn=row["turn"], sums=_sums(row))


def _request(row: RowMapping) -> UsedRequest:
    return UsedRequest(
        generation_id=row["generation_id"],
        request_id=row["request_id"],
        created_at=_in_utc(row["created_at"]),
        of={name.value: row[f"of_{name}"] for name in Dimension},
        tags=dict(row["tags"]),
        kind=row["kind"],
        finish_reason=row["finish_reason"],
        time_to_first_token_ms=row["time_to_first_token_ms"],
        sums=_sums(row),
    )


def _sums(row: RowMapping) -> Sums:
    figures = {name: int(row[name] or 0) for name in _FIGURES if name != "duration_ms"}
    return Sums(**figures, duration_ms=float(row["duration_ms"] or 0.0))


def _in_utc(moment: datetime) -> datetime:
    # SQLite knows no zones; everything is written in UTC.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
