"""How a batch of ledger rows gets into each engine: the same columns, and writing twice is writing once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from functools import partial
from operator import attrgetter
from types import TracebackType
from typing import Any, Protocol, Self

from msgspec.structs import astuple
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.sql.sqlite import SqliteThread
from penstock_gateway.adapters.sql.tables import ledger
from penstock_gateway.domain.ledger.prices import revision_of
from penstock_gateway.domain.life.settlement import ESTIMATED, REPORTED, LedgerRow

_SQLSTATES_OF_ROWS = ("22", "23")
# What a row has no form for, and what a table does not let in.
_NO_FORM = (TypeError, ValueError, OverflowError, AttributeError)
_REFUSED_BY_SQLITE = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)

# The columns of a part, as it has them.
_OF_PART = ("experiment", "variant", "experiment_phase", "experiment_unit", "shadow")
# What exports and corrections write.
_OF_OTHERS = {"exported_at", "kind", "corrects", "reason", "corrected_by"}
_WRITTEN = [column.name for column in ledger.columns if column.name not in _OF_OTHERS]
_COLUMNS = ", ".join(f'"{name}"' for name in _WRITTEN)
_PLACES = ", ".join("?" * len(_WRITTEN))
# The last columns, which hold what the row has under their names.
_LAST = ("saved_tokens", "saved_nano_usd", "prompt", "prompt_version", "task", "cache_entry", "compressed_tokens")
# Whose it is, and how it is known what it cost.
_OF_ENTRY = ("team", "user_id", "usage_source", "stopped_by", "reserved_nano_usd", "price_revision", "operation")
_OF_JOB = ("job", "attempt", "guardrails")
_last_of, _job_of = attrgetter(*_LAST), attrgetter(*_OF_JOB)
_INSERT = f"INSERT INTO ledger ({_COLUMNS}) VALUES ({_PLACES}) ON CONFLICT (generation_id) DO NOTHING"  # noqa: S608


class RowRefused(Exception):
    """A row's content is at fault, so that trying again would fail for ever. The message is the database's reason."""


class LedgerTable(Protocol):
    """The ledger's table, open for one writer; an async context manager."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    async def write(self, rows: Sequence[LedgerRow]) -> None:
        """Write the rows in one transaction; those that are there already stay as they are.

        Raises:
            RowRefused: one of them cannot be written; none is.
            Exception: the database is away, or does not do it now.
        """
        ...


def ledger_table(engine: AsyncEngine) -> LedgerTable:
    """Return the table in the engine's database."""
    return PostgresLedger(engine) if engine.dialect.name == "postgresql" else SqliteLedger(engine)


class SqliteLedger:
    """Implements ``LedgerTable`` with plain sqlite3 in a thread of its own."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._thread = SqliteThread(engine)

    async def __aenter__(self) -> Self:
        await self._thread.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._thread.__aexit__(kind, error, traceback)

    async def write(self, rows: Sequence[LedgerRow]) -> None:
        """Write the rows, as ``LedgerTable`` says."""
        try:
            await self._thread.run(partial(_insert, rows))
        except (*_REFUSED_BY_SQLITE, *_NO_FORM) as error:
            raise RowRefused(str(error)) from error


def _insert(rows: Sequence[LedgerRow], connection: sqlite3.Connection) -> None:
    connection.executemany(_INSERT, map(_sqlite_form, rows))


def _sqlite_form(row: LedgerRow) -> tuple[Any, ...]:
    """Return the row's columns, in the forms in which SQLAlchemy keeps them in SQLite."""
    usage, prices = row.usage, row.unit_prices
    return (
        row.generation_id,
        row.request_id,
        # Without the zone, as SQLite knows none; everything is written in UTC.
        row.created_at.isoformat(" ", "microseconds")[:26],
        row.tenant,
        row.key_id,
        row.surface,
        row.requested_model,
        row.upstream,
        row.model,
        row.outcome,
        row.finish_reason,
        row.cache_status,
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_input_tokens,
        usage.cache_write_input_tokens,
        usage.reasoning_tokens,
        1 if usage.estimated else 0,
        prices.input_nano_usd,
        prices.cached_input_nano_usd,
        prices.output_nano_usd,
        row.cost_nano_usd,
        row.attempts,
        row.time_to_first_token_ms,
        row.duration_ms,
        row.overhead_ms,
        row.user,
        row.feature,
        json.dumps(row.tags) if row.tags else "{}",
        row.degraded,
        1 if prices.is_unknown else 0,
        usage.cache_write_1h_input_tokens,
        prices.cache_write_nano_usd,
        prices.cache_write_1h_nano_usd,
        *_last_of(row),
        *(*astuple(row.part), *_entry_of(row), *_job_of(row)),
    )


class PostgresLedger:
    """Implements ``LedgerTable`` on the engine's connections."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._insert = insert(ledger).on_conflict_do_nothing(index_elements=["generation_id"])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing is held between two batches."""

    async def write(self, rows: Sequence[LedgerRow]) -> None:
        """Write the rows, as ``LedgerTable`` says."""
        try:
            async with self._engine.begin() as connection:
                await connection.execute(self._insert, [values_of(row) for row in rows])
        except Exception as error:
            if _is_of_a_row(error):
                raise RowRefused(str(getattr(error, "orig", error))) from error
            raise


def _is_of_a_row(error: Exception) -> bool:
    if isinstance(error, IntegrityError | DataError):
        return True
    if isinstance(error, DBAPIError):
        # asyncpg's own errors come without a class of their own; 22 is a data exception, 23 a broken constraint.
        return str(getattr(error.orig, "sqlstate", None) or "")[:2] in _SQLSTATES_OF_ROWS
    # Not sent at all: a value has no form in the database.
    return isinstance(error, StatementError | TypeError | ValueError | OverflowError)


def values_of(row: LedgerRow) -> dict[str, Any]:
    """Return the row by column, as logs and PostgreSQL take it."""
    usage, prices = row.usage, row.unit_prices
    return {
        "generation_id": row.generation_id,
        "request_id": row.request_id,
        "created_at": row.created_at,
        "tenant": row.tenant,
        "key_id": row.key_id,
        "surface": row.surface,
        "requested_model": row.requested_model,
        "upstream": row.upstream,
        "model": row.model,
        "outcome": row.outcome,
        "finish_reason": row.finish_reason,
        "cache_status": row.cache_status,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "cache_write_input_tokens": usage.cache_write_input_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "usage_estimated": usage.estimated,
        "input_price_nano_usd": prices.input_nano_usd,
        "cached_input_price_nano_usd": prices.cached_input_nano_usd,
        "output_price_nano_usd": prices.output_nano_usd,
        "cost_nano_usd": row.cost_nano_usd,
        "attempts": row.attempts,
        "time_to_first_token_ms": row.time_to_first_token_ms,
        "duration_ms": row.duration_ms,
        "overhead_ms": row.overhead_ms,
        "user": row.user,
        "feature": row.feature,
        "tags": row.tags,
        "degraded": row.degraded,
        "cost_unknown": prices.is_unknown,
        "cache_write_1h_input_tokens": usage.cache_write_1h_input_tokens,
        "cache_write_price_nano_usd": prices.cache_write_nano_usd,
        "cache_write_1h_price_nano_usd": prices.cache_write_1h_nano_usd,
        **dict(zip(_LAST, _last_of(row), strict=True)),
        **dict(zip(_OF_PART, astuple(row.part), strict=True)),
        **dict(zip((*_OF_ENTRY, *_OF_JOB), (*_entry_of(row), *_job_of(row)), strict=True)),
    }


def _entry_of(row: LedgerRow) -> tuple[Any, ...]:
    source, revision = _usage_source(row), _price_revision(row)
    return row.team, row.user_id, source, row.stopped_by, row.reserved_nano_usd, revision, row.operation


def _usage_source(row: LedgerRow) -> str:
    return row.usage_source or (ESTIMATED if row.usage.estimated else REPORTED)


def _price_revision(row: LedgerRow) -> str:
    """Return what the row was billed by; empty where nobody was to be paid, or nobody knows how much."""
    if not row.upstream or row.cache_status == "hit" or row.unit_prices.is_unknown:
        return ""
    return revision_of(row.upstream, row.model, row.unit_prices)
