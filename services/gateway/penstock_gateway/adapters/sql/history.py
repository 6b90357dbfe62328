"""The ledger and the audit log as histories: cut from their old end, and exported row by row."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, DateTime, RowMapping, Table, and_, delete, literal, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penstock_gateway.adapters.sql.tables import audit_log, ledger
from penstock_gateway.adapters.sql.totals import SUMMED, keep_totals

READ_ROWS = 500

Keep = tuple[Sequence[ColumnElement[Any]], Callable[[AsyncConnection, Sequence[RowMapping]], Awaitable[None]]]
"""The columns of rows that go which something is kept of, and what keeps it."""


@dataclass(frozen=True, slots=True)
class Span:
    """Which rows an export takes; None for no end on that side."""

    since: datetime | None = None
    until: datetime | None = None
    """The first moment that is not of it."""
    new_only: bool = False
    """Whether rows stay away that an export has taken before."""


class SqlHistory:
    """Implements ``retention.History``."""

    def __init__(self, engine: AsyncEngine, table: Table, moment: str, key: str, keep: Keep | None = None) -> None:
        self._engine = engine
        self._table = table
        self._moment: ColumnElement[Any] = table.c[moment]
        self._moment_name = moment
        self.key = key
        self._key: ColumnElement[Any] = table.c[key]
        self.name = table.name
        self._keep = keep

    @classmethod
    def of_ledger(cls, engine: AsyncEngine) -> SqlHistory:
        """Return the ledger, whose totals are kept."""
        return cls(engine, ledger, "created_at", "generation_id", (SUMMED, keep_totals))

    @classmethod
    def of_audit_log(cls, engine: AsyncEngine) -> SqlHistory:
        """Return the audit log."""
        return cls(engine, audit_log, "occurred_at", "id")

    async def cut(self, before: datetime, limit: int, *, exported_only: bool) -> int:
        """Delete the oldest rows, keeping what is kept of them in the same transaction; return how many there were."""
        old = select(self._key).where(self._moment < before).order_by(self._moment).limit(limit)
        if exported_only:
            old = old.where(self._table.c.exported_at.is_not(None))
        # Those that another process is deleting are its own.
        condition = self._key.in_(old.with_for_update(skip_locked=True))
        gone = delete(self._table).where(condition)
        async with self._engine.begin() as connection:
            if self._keep is None:
                return (await connection.execute(gone)).rowcount
            columns, keep = self._keep
            rows = (await connection.execute(gone.returning(*columns))).mappings().all()
            if rows:
                await keep(connection, rows)
            return len(rows)

    async def rows(self, span: Span) -> AsyncGenerator[Sequence[RowMapping], None]:
        """Yield the rows of a span, oldest first, a batch at a time; who writes meanwhile does not wait."""
        query = select(*self.columns).order_by(self._moment, self._key).limit(READ_ROWS).where(*self._within(span))
        last: RowMapping | None = None
        while True:
            part = query
            if last is not None:
                end = tuple_(
                    literal(last[self._moment_name], DateTime(timezone=True)),
                    literal(last[self.key], self._key.type),
                )
                part = query.where(tuple_(self._moment, self._key) > end)
            async with self._engine.connect() as connection:
                found = (await connection.execute(part)).mappings().all()
            if found:
                yield found
            if len(found) < READ_ROWS:
                return
            last = found[-1]

    @property
    def columns(self) -> list[Column[Any]]:
        """What an export has of a row."""
        return [column for column in self._table.columns if column.name != "exported_at"]

    async def mark_exported(self, keys: Sequence[Any], at: datetime) -> None:
        """Note that the rows of these keys were exported; the first time counts."""
        wanted = and_(self._key.in_(keys), self._table.c.exported_at.is_(None))
        async with self._engine.begin() as connection:
            await connection.execute(update(self._table).where(wanted).values(exported_at=at))

    def _within(self, span: Span) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        if span.since is not None:
            conditions.append(self._moment >= span.since)
        if span.until is not None:
            conditions.append(self._moment < span.until)
        if span.new_only:
            conditions.append(self._table.c.exported_at.is_(None))
        return conditions
