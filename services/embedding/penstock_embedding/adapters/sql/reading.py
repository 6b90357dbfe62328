"""Single statements that searches wait for: with SQLite in one hop to a thread that has a connection of its own."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Protocol

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.errors import ServiceUnavailable
from penstock_common.sql.address import DatabaseAddress

Row = Mapping[str, Any]


class Reader(Protocol):
    """Runs a statement that only reads; all of what it returns is of one moment."""

    async def rows(self, statement: str, values: Mapping[str, Any]) -> Sequence[Row]:
        """Return its rows.

        Raises:
            ServiceUnavailable: if the database does not answer.
        """
        ...


class EngineReader:
    """Reads over the engine's connections."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def rows(self, statement: str, values: Mapping[str, Any]) -> Sequence[Row]:
        """Return its rows; see the port."""
        try:
            async with self._engine.connect() as connection:
                found = (await connection.execute(text(statement), dict(values))).mappings().all()
        except (SQLAlchemyError, OSError) as error:
            raise _away() from error
        return [{str(name): value for name, value in row.items()} for row in found]


class SqliteReader:
    """Reads a file; through an engine each statement costs five hops between threads, and a millisecond."""

    def __init__(self, path: str, thread: ThreadPoolExecutor) -> None:
        self._path = path
        self._thread = thread
        self._connection: sqlite3.Connection | None = None

    async def rows(self, statement: str, values: Mapping[str, Any]) -> Sequence[Row]:
        """Return its rows; see the port."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, statement, values)
        except sqlite3.Error as error:
            raise _away() from error

    def close(self) -> None:
        """Close the connection, in the thread that has opened it."""
        if self._connection is not None:
            self._connection.close()

    def _read(self, statement: str, values: Mapping[str, Any]) -> Sequence[Row]:
        if self._connection is None:
            # The dialect writes booleans as numbers and times as texts, which are read so here.
            self._connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)
            self._connection.row_factory = sqlite3.Row
        return [dict(row) for row in self._connection.execute(statement, dict(values))]


@asynccontextmanager
async def open_reader(url: str, engine: AsyncEngine) -> AsyncGenerator[Reader]:
    """Yield what reads the database at ``url``, whose engine is open."""
    file = DatabaseAddress.parse(url).file
    if file is None:
        yield EngineReader(engine)
        return
    with ThreadPoolExecutor(1, "knowledge-reader") as thread:
        reader = SqliteReader(str(file).replace("?", "%3f").replace("#", "%23"), thread)
        try:
            yield reader
        finally:
            await asyncio.get_running_loop().run_in_executor(thread, reader.close)


def _away() -> ServiceUnavailable:
    return ServiceUnavailable("The database of documents does not answer. Try again.", service="sql")
