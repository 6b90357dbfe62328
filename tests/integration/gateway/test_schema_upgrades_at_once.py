"""Several processes that make the same database, and an upgrade that fails half way."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from penstock_gateway.adapters.sql.database import open_database, upgrade

PROCESSES = 4


def tables(database: Path) -> set[str]:
    connection = sqlite3.connect(database)
    try:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    finally:
        connection.close()


async def test_upgrade_that_fails_half_way_leaves_nothing_of_itself(tmp_path: Path):
    database = tmp_path / "penstock.db"
    # In the way of what the upgrade makes after it has made other tables.
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE ledger (nothing_of_ours INTEGER)")
    connection.close()
    async with open_database(f"sqlite:///{database}") as engine:
        with pytest.raises(OperationalError, match="ledger already exists"):
            await upgrade(engine)
    assert tables(database) == {"ledger"}


async def test_processes_that_upgrade_a_new_database_at_once_all_succeed(tmp_path: Path):
    config = tmp_path / "penstock.yaml"
    config.write_text(json.dumps({"sql": f"sqlite:///{tmp_path}/penstock.db"}))
    command = (sys.executable, "-m", "penstock_suite", "db", "upgrade", "--config", str(config))

    async def upgraded() -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        words, _ = await process.communicate()
        return process.returncode, words.decode()

    outcomes = await asyncio.gather(*(upgraded() for _ in range(PROCESSES)))
    assert [code for code, _ in outcomes] == [0] * PROCESSES, [words for code, words in outcomes if code]
