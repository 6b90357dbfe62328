"""Several processes write one ledger, as `--workers` has them."""

from __future__ import annotations

import asyncio
import json
import random
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


KILLED = """
import asyncio, sys
from datetime import UTC, datetime
from penstock_common.sql.database import open_database
from penstock_gateway.adapters.sql.ledger import writing_ledger
from penstock_gateway.domain.life.settlement import LedgerRow

url, first = sys.argv[1], int(sys.argv[2])

async def main():
    async with open_database(url) as engine, writing_ledger(engine, 1_000_000) as ledger:
        for number in range(first, 1_000_000):
            ledger.append(LedgerRow(
                generation_id=f"g{number:06d}", request_id="r", created_at=datetime.now(UTC), tenant="demo", key_id="k",
                surface="openai", requested_model="fast", outcome="ok", cost_nano_usd=number,
            ))
            if number % 10 == 0:
                # So many of the rows are durable, and so many were taken.
                print(number + 1 - ledger.waiting, number + 1, flush=True)
                await asyncio.sleep(0)

asyncio.run(main())
"""
KILLS = 2


async def test_a_writer_that_is_killed_loses_what_was_not_durable_and_nothing_is_there_twice(database, database_url):
    """Each writer begins where the last one's durable rows end, so what was in between is written again."""
    chance, durable = random.Random(14), 0
    for _ in range(KILLS):
        writer = await asyncio.create_subprocess_exec(
            sys.executable, "-c", KILLED, database_url, str(durable), stdout=asyncio.subprocess.PIPE
        )
        until = durable + chance.randrange(200, 1500)
        taken = 0
        while durable < until:
            durable, taken = map(int, (await writer.stdout.readline()).split())
        writer.kill()
        for line in (await writer.stdout.read()).splitlines():
            if len(line.split()) == 2:
                durable, taken = map(int, line.split())
        await writer.wait()
        async with database.connect() as connection:
            query = sa.select(ledger.c.generation_id, ledger.c.cost_nano_usd).order_by(ledger.c.generation_id)
            rows = (await connection.execute(query)).all()
        assert [row.generation_id for row in rows] == [f"g{number:06d}" for number in range(len(rows))]
        assert durable <= len(rows) <= taken + 10
        assert sum(row.cost_nano_usd for row in rows) == sum(range(len(rows)))
