"""Several that open one new SQLite file at once: each gets it, prepared alike."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from datetime import timedelta

import pytest
from sqlalchemy.exc import DBAPIError

from penstock_common.sql.address import DatabaseLimits
from penstock_common.sql.database import open_database
from penstock_common.sql.postgresql import DatabaseUnavailable
from penstock_common.sql.sqlite import PreparedConnection

_STARTERS = 6
# SQLite refuses one of them in about three of a hundred files, where nobody tries again.
_FILES = 80


def test_starters_at_once_all_get_a_new_file(tmp_path):
    failures = []

    def start(path, together):
        together.wait()
        try:
            connection = sqlite3.connect(path, timeout=30, factory=PreparedConnection)
            modes.append(connection.execute("PRAGMA journal_mode").fetchone()[0])
            connection.close()
        except sqlite3.Error as error:
            failures.append(error)

    for number in range(_FILES):
        modes, together = [], threading.Barrier(_STARTERS)
        starters = [
            threading.Thread(target=start, args=(tmp_path / f"{number}.db", together)) for _ in range(_STARTERS)
        ]
        for starter in starters:
            starter.start()
        for starter in starters:
            starter.join()
        assert (failures, modes) == ([], ["wal"] * _STARTERS)


def test_a_file_that_stays_taken_is_refused_after_the_time_for_it(tmp_path):
    path = tmp_path / "taken.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        sqlite3.connect(path, timeout=0.05, factory=PreparedConnection)
    holder.close()
    sqlite3.connect(path, timeout=0.05, factory=PreparedConnection).close()


async def test_connections_of_an_engine_are_prepared(tmp_path):
    limits = DatabaseLimits(statement_timeout=timedelta(seconds=7))
    async with open_database(f"sqlite:///{tmp_path}/own.db", limits) as engine, engine.connect() as connection:

        async def pragma(name):
            return (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()

        assert [await pragma(name) for name in ("journal_mode", "synchronous", "busy_timeout")] == ["wal", 1, 7000]
        with pytest.raises(DBAPIError):
            await connection.exec_driver_sql("SELECT nothing")


def test_a_file_that_is_no_database_leaves_nothing_to_a_loop_that_is_closed(tmp_path, monkeypatch):
    path = tmp_path / "other.db"
    path.write_text("No database at all. " * 100)
    lost = []
    monkeypatch.setattr(threading, "excepthook", lost.append)

    async def open_it():
        async with open_database(f"sqlite:///{path}") as engine, engine.connect():
            pass

    before = set(threading.enumerate())
    for _ in range(_FILES):
        with pytest.raises(DatabaseUnavailable):
            asyncio.run(open_it())
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert lost == []
