"""CPU of the ledger per row: 1, 2 and 4 processes on one database, as `--workers` has them.

    .venv/bin/python bench/ledger.py --output bench/results/ledger.json

SQLite always, PostgreSQL where there is one (a system's, or the wheel of the tests). Rows come as fast as they are
written, or at a steady rate, as from requests: then a batch holds what came in 20 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
import structlog

from penstock_common.sql.database import open_database
from penstock_common.sql.schema import upgrade_database
from penstock_common.testing.postgres_server import PostgresServer
from penstock_gateway.adapters.sql.ledger import writing_ledger
from penstock_gateway.adapters.sql.schema import GATEWAY
from penstock_gateway.adapters.sql.tables import ledger
from penstock_gateway.domain.life.settlement import LedgerRow

PROCESSES = (1, 2, 4)
FAST_ROWS = 12_800
STEADY_ROWS = 2_000
STEADY_PER_SECOND = 250
_TICK_SECONDS = 0.02


def row(name, number):
    return LedgerRow(
        generation_id=f"{name}-{number}", request_id=f"request-{number}", created_at=datetime.now(UTC), tenant="demo",
        key_id=name, surface="openai", requested_model="fast", outcome="ok", upstream="local", model="penstock-demo",
        finish_reason="stop", cache_status="miss", cost_nano_usd=number, duration_ms=1.5,
    )  # fmt: skip


async def write(url, name, rows, per_second):
    """Write rows, and print what this process used for it."""
    failures = 0

    def count(_, __, event):
        nonlocal failures
        failures += event["event"].startswith("ledger_")
        raise structlog.DropEvent

    structlog.configure(processors=[count])
    async with open_database(url) as engine:
        async with writing_ledger(engine, 1_000_000) as warm_up:
            for number in range(640):
                warm_up.append(row(f"{name}-warm", number))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        began, cpu = time.monotonic(), time.process_time()
        async with writing_ledger(engine, 1_000_000) as writer:
            for number in range(rows):
                writer.append(row(name, number))
                if per_second and number % round(per_second * _TICK_SECONDS) == 0:
                    await asyncio.sleep(_TICK_SECONDS)
        used = {"cpu_seconds": time.process_time() - cpu, "seconds": time.monotonic() - began, "failures": failures}
    print(json.dumps(used), flush=True)


def measured(url, processes, rows, per_second):
    """Return what ``processes`` used a row, and whether every row is there."""
    asyncio.run(upgrade_database(url, GATEWAY))
    started = [
        subprocess.Popen(
            [sys.executable, __file__, "--write", url, f"w{number}", str(rows), str(per_second)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for number in range(processes)
    ]  # fmt: skip
    for process in started:
        process.stdout.readline()
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    used = [json.loads(process.communicate()[0]) for process in started]
    found = asyncio.run(count_rows(url))
    total = processes * rows
    return {
        "processes": processes,
        "rows": total,
        "cpu_us_per_row": round(sum(one["cpu_seconds"] for one in used) / total * 1e6, 1),
        "rows_per_second": round(total / max(one["seconds"] for one in used)),
        "failed_writes": sum(one["failures"] for one in used),
        "lost_rows": processes * (rows + 640) - found,
    }


async def count_rows(url):
    async with open_database(url) as engine, engine.connect() as connection:
        return (await connection.execute(sa.select(sa.func.count()).select_from(ledger))).scalar()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    results = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "sqlite": sqlite3.sqlite_version},
        "load_average": os.getloadavg(),
        "runs": [],
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-bench-")))
        try:
            postgres = stack.enter_context(PostgresServer("fsync=on"))
        except FileNotFoundError:
            postgres = None
        for engine in ("sqlite", "postgresql") if postgres else ("sqlite",):
            for kind, rows, per_second in (("fast", FAST_ROWS, 0), ("steady", STEADY_ROWS, STEADY_PER_SECOND)):
                for processes in PROCESSES:
                    url = (
                        postgres.create_database()
                        if engine == "postgresql"
                        else f"sqlite:///{folder}/{kind}{processes}.db"
                    )
                    run = {"engine": engine, "kind": kind, **measured(url, processes, rows, per_second)}
                    results["runs"].append(run)
                    print(json.dumps(run), flush=True)
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        asyncio.run(write(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
    else:
        main()
