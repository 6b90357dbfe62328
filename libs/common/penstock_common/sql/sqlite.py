"""SQLite: an engine whose connections are all prepared alike, and a thread of its own for who writes often."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeAlias

from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from penstock_common.sql.address import DatabaseAddress, DatabaseLimits
from penstock_common.sql.postgresql import DatabaseUnavailable

# SQLite waits for a lock in a thread that nothing can interrupt.
_LONGEST_BUSY = timedelta(seconds=30)
# Under this name an engine's execution options say how long its connections wait for a lock.
_BUSY_TIMEOUT_MS = "penstock_busy_timeout_ms"

Work: TypeAlias = Callable[[sqlite3.Connection], None]


@asynccontextmanager
async def open_sqlite(address: DatabaseAddress, limits: DatabaseLimits) -> AsyncGenerator[AsyncEngine, None]:
    """Yield an engine; nothing is connected yet."""
    rest = address.url.removeprefix("sqlite:")
    busy_timeout_ms = min(limits.statement_timeout, _LONGEST_BUSY) // timedelta(milliseconds=1)
    engine = create_async_engine(
        f"sqlite+aiosqlite:{rest}",
        pool_size=limits.pool_size,
        max_overflow=0,
        pool_timeout=limits.connect_timeout.total_seconds(),
        execution_options={_BUSY_TIMEOUT_MS: busy_timeout_ms},
    )

    def on_connect(connection: Any, _: Any) -> None:
        _prepare(connection, busy_timeout_ms)

    def on_error(context: ExceptionContext) -> BaseException | None:
        if context.connection is None:
            return DatabaseUnavailable(f"the database at {address.shown} cannot be used: {context.original_exception}")
        return None

    event.listen(engine.sync_engine, "connect", on_connect)
    event.listen(engine.sync_engine, "handle_error", on_error, retval=True)
    try:
        yield engine
    finally:
        await engine.dispose()


def _prepare(connection: Any, busy_timeout_ms: int) -> None:
    try:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={busy_timeout_ms}")
        # Readers do not wait for the writer; a commit survives a killed process, and a power cut costs at most the
        # last ones (sqlite.org/wal.html).
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()
    except Exception:
        # Nobody else would, and its thread would outlive the loop.
        connection.close()
        raise


class SqliteThread:
    """A connection of its own to an engine's file, in a thread of its own; use it as an async context manager.

    A transaction through the engine hops between threads at each statement;
    here it is one hop, and plain calls. Leaving the context returns when what
    was handed in is done.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        """``engine`` is one of ``open_sqlite``."""
        arguments, options = engine.dialect.create_connect_args(engine.url)
        self._arguments: Any = arguments
        self._options: Any = options
        self._busy_timeout_ms: int = engine.get_execution_options()[_BUSY_TIMEOUT_MS]
        self._jobs: SimpleQueue[tuple[Work, asyncio.Future[None]] | None] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop
        self._ended: asyncio.Future[None]

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        threading.Thread(target=self._work, name="sqlite", daemon=True).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._jobs.put(None)
        await asyncio.shield(self._ended)

    async def run(self, work: Work) -> None:
        """Return when ``work`` has run, in a transaction that has the database to itself, and is committed.

        Raises:
            sqlite3.Error: the database does not do it; nothing of it has happened.
            Exception: whatever ``work`` raises; nothing of it has happened either.
        """
        done: asyncio.Future[None] = self._loop.create_future()
        self._jobs.put((work, done))
        await done

    def _work(self) -> None:
        connection: sqlite3.Connection | None = None
        while (job := self._jobs.get()) is not None:
            work, done = job
            error: Exception | None = None
            try:
                connection = connection or self._connect()
                _in_transaction(connection, work)
            except Exception as failure:  # noqa: BLE001 - it is the caller's
                error = failure
                # A new one has no open transaction, and finds a file that was replaced.
                _close(connection)
                connection = None
            self._tell(done, error)
        _close(connection)
        self._tell(self._ended, None)

    def _tell(self, future: asyncio.Future[None], error: Exception | None) -> None:
        # A loop that is closed by now has nobody who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_settle, future, error)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(*self._arguments, **self._options, isolation_level=None)
        _prepare(connection, self._busy_timeout_ms)
        return connection


def _in_transaction(connection: sqlite3.Connection, work: Work) -> None:
    # Not later: what reads first, and then writes, may find the database locked without waiting for it.
    connection.execute("BEGIN IMMEDIATE")
    work(connection)
    connection.execute("COMMIT")


def _close(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        with suppress(sqlite3.Error):
            connection.close()


def _settle(future: asyncio.Future[None], error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
