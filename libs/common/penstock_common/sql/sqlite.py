"""SQLite: an engine whose connections are all prepared alike, and a thread of its own for who writes often."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeAlias
from weakref import WeakSet

from sqlalchemy import Engine, QueuePool, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from penstock_common.sql.address import DatabaseAddress, DatabaseLimits
from penstock_common.sql.postgresql import DatabaseUnavailable

# SQLite waits for a lock in a thread that nothing can interrupt.
_LONGEST_BUSY = timedelta(seconds=30)
_NEXT_TRY_S = 0.01
# Under this name an engine's execution options say how its connections are opened.
_CONNECT_OPTIONS = "penstock_connect_options"

Work: TypeAlias = Callable[[sqlite3.Connection], None]


@asynccontextmanager
async def open_sqlite(address: DatabaseAddress, limits: DatabaseLimits) -> AsyncGenerator[AsyncEngine, None]:
    """Yield an engine; nothing is connected yet."""
    rest = address.url.removeprefix("sqlite:")
    connect_options = {
        "timeout": min(limits.statement_timeout, _LONGEST_BUSY).total_seconds(),
        "factory": PreparedConnection,
    }
    in_vain: WeakSet[threading.Thread] = WeakSet()

    def opened(*arguments: Any, **options: Any) -> PreparedConnection:
        try:
            return PreparedConnection(*arguments, **options)
        except BaseException:
            in_vain.add(threading.current_thread())
            raise

    engine = create_async_engine(
        f"sqlite+aiosqlite:{rest}",
        pool_size=limits.pool_size,
        max_overflow=0,
        pool_timeout=limits.connect_timeout.total_seconds(),
        connect_args={**connect_options, "factory": opened},
        execution_options={_CONNECT_OPTIONS: connect_options},
    )

    def on_error(context: ExceptionContext) -> BaseException | None:
        if context.connection is None:
            return DatabaseUnavailable(f"the database at {address.shown} cannot be used: {context.original_exception}")
        return None

    event.listen(engine.sync_engine, "handle_error", on_error, retval=True)
    try:
        yield engine
    finally:
        await engine.dispose()
        # The driver waits for the thread of no connection that could not be opened, and it tells its loop that it ends.
        for thread in list(in_vain):
            await asyncio.to_thread(thread.join)


def plain_engine(engine: AsyncEngine) -> Engine:
    """Return an engine for the same file, to be used in threads; it is closed with ``engine``, which is one of ``open_sqlite``.

    A transaction through an asynchronous engine hops between threads at each
    statement, and holds the file while it waits for its turn in each of them.
    Here it is one hop.
    """
    arguments, options = engine.dialect.create_connect_args(engine.url)
    options = options | engine.get_execution_options()[_CONNECT_OPTIONS] | {"check_same_thread": False}

    def opened() -> sqlite3.Connection:
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect
        return connect(*arguments, **options)

    # One who writes, and one who looks meanwhile.
    plain = create_engine("sqlite://", creator=opened, poolclass=QueuePool, pool_size=2, max_overflow=0)

    def close(_: Engine) -> None:
        plain.dispose()

    event.listen(engine.sync_engine, "engine_disposed", close)
    return plain


class PreparedConnection(sqlite3.Connection):
    """A connection that is prepared, in the thread that opens it and may wait there."""

    def __init__(self, *arguments: Any, timeout: float, **options: Any) -> None:
        """``timeout`` is in seconds, of every wait for a lock."""
        super().__init__(*arguments, timeout=timeout, **options)
        try:
            _write_ahead(self, timeout)
        except BaseException:
            self.close()
            raise


def _write_ahead(connection: sqlite3.Connection, timeout_s: float) -> None:
    """Have readers not wait for the writer (sqlite.org/wal.html).

    A commit survives a killed process, and a power cut costs at most the last
    ones.

    Whoever makes the file so needs it alone, and of several who start at once
    SQLite refuses some without waiting.
    """
    until = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(_NEXT_TRY_S)
        else:
            break
    connection.execute("PRAGMA synchronous=NORMAL")


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
        self._options: Any = options | engine.get_execution_options()[_CONNECT_OPTIONS]
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
        return sqlite3.connect(*self._arguments, **self._options, isolation_level=None)


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
