"""Several processes write one ledger, as `--workers` has them."""

from __future__ import annotations

import asyncio
import json
import sys

import sqlalchemy as sa

from penstock_gateway.adapters.sql.tables import ledger

PROCESSES = 3
ROWS = 2000

WRITER = """
import asyncio, json, sys
from datetime import UTC, datetime
from structlog.testing import capture_logs
from penstock_common.sql.database import open_database
from penstock_gateway.adapters.sql.ledger import writing_ledger
from penstock_gateway.domain.life.settlement import LedgerRow

url, name, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])

def row(number):
    return LedgerRow(
        generation_id=f"{name}-{number:05d}", request_id="r", created_at=datetime.now(UTC), tenant="demo", key_id=name,
        surface="openai", requested_model="fast", outcome="ok",
    )

async def main():
    async with open_database(url) as engine:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        with capture_logs() as logs:
            async with writing_ledger(engine, 10_000) as ledger:
                for number in range(rows):
                    ledger.append(row(number))
                    if number % 50 == 0:
                        await asyncio.sleep(0)
        print(json.dumps(logs), flush=True)

asyncio.run(main())
"""


async def test_processes_that_write_one_ledger_at_once_lose_nothing_and_wait_for_each_other(database, database_url):
    writers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, database_url, f"w{number}", str(ROWS),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]  # fmt: skip
    for writer in writers:
        assert await writer.stdout.readline() == b"ready\n"
    for writer in writers:
        writer.stdin.write(b"go\n")
    told = [(await writer.communicate())[0] for writer in writers]
    # No failed write: nobody found the database locked.
    assert [json.loads(logs) for logs in told] == [[]] * PROCESSES
    async with database.connect() as connection:
        found = (await connection.execute(sa.select(ledger.c.generation_id))).scalars().all()
    assert sorted(found) == [f"w{writer}-{number:05d}" for writer in range(PROCESSES) for number in range(ROWS)]
