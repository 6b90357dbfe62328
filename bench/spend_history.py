"""How long the ledger takes to say what a scope has spent: for each kind of scope, in this month and ever.

    .venv/bin/python bench/spend_history.py --rows 1000000

SQLite always, PostgreSQL where there is one. The rows are of one tenant among four, of 60 days.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from penstock_common.sql.database import open_database
from penstock_common.sql.schema import upgrade_database
from penstock_common.testing.postgres_server import PostgresServer
from penstock_gateway.adapters.sql.schema import GATEWAY
from penstock_gateway.adapters.sql.spend import SqlSpendHistory
from penstock_gateway.domain.limits.limit import TENANT, Scope, ScopeKind
from penstock_gateway.domain.limits.windows import EVER, Window, WindowKind, period_of

NOW = datetime(2026, 11, 25, tzinfo=UTC)
MONTH = period_of(Window(WindowKind.MONTH, zone="America/New_York"), NOW)
SCOPES = (
    TENANT,
    Scope(ScopeKind.TEAM, "team-3"),
    Scope(ScopeKind.USER, "user-75"),
    Scope(ScopeKind.KEY, "key-75"),
    Scope(ScopeKind.MODEL, "model-3"),
)
# Rows that PostgreSQL is given at once, within a statement's time.
_STEP = 10_000
_COLUMNS = """generation_id, request_id, created_at, tenant, key_id, surface, requested_model, upstream, model, outcome,
    finish_reason, cache_status, input_tokens, output_tokens, cached_input_tokens, cache_write_input_tokens,
    reasoning_tokens, usage_estimated, input_price_nano_usd, cached_input_price_nano_usd, output_price_nano_usd,
    cost_nano_usd, attempts, duration_ms, overhead_ms, "user", feature, tags, team, user_id"""
_VALUES = """'gen-' || n, 'req-' || n, {moment}, 'tenant-' || (n % 4), 'key-' || (n % 1000), 'openai', 'model-' || (n % 10),
    'first', 'm1', 'ok', 'stop', 'miss', 900, 300, 0, 0, 0, {false}, 1, 1, 1, 1000 + n % 977, 1, 1.5, 0.5, '', '', '{{}}',
    'team-' || (n % 40), 'user-' || (n % 1000)"""
_FILL = {
    "sqlite": (
        f"INSERT INTO ledger ({_COLUMNS}) WITH RECURSIVE c(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM c WHERE n < :until) "
        "SELECT "
        + _VALUES.format(
            moment="strftime('%Y-%m-%d %H:%M:%S.000000', 1790812800 + (n * 5184000.0 / :last), 'unixepoch')", false="0"
        )
        + " FROM c"
    ),
    "postgresql": (
        f"INSERT INTO ledger ({_COLUMNS}) SELECT "
        + _VALUES.format(moment="to_timestamp(1790812800 + n * 5184000.0 / :last)", false="false")
        + " FROM generate_series(CAST(:first AS INTEGER), CAST(:until AS INTEGER)) AS c(n)"
    ),
}


async def measured(url: str, kind: str, rows: int, rounds: int) -> list[dict[str, object]]:
    await upgrade_database(url, GATEWAY)
    found: list[dict[str, object]] = []
    async with open_database(url) as engine:
        async with engine.begin() as connection:
            step = rows if kind == "sqlite" else _STEP
            for first in range(0, rows, step):
                until = min(first + step, rows) - 1
                given = {"first": first, "until": until, "last": rows - 1}
                await connection.execute(sa.text(_FILL[kind]), given)
        async with engine.connect() as connection:
            outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await outside.execute(sa.text("VACUUM ANALYZE ledger" if kind == "postgresql" else "ANALYZE"))
        history = SqlSpendHistory(engine)
        for scope in SCOPES:
            for name, period in (("month", MONTH), ("ever", EVER)):
                took = []
                for _ in range(rounds):
                    began = time.perf_counter()
                    spent = await history.spent("tenant-3", scope, period)
                    took.append((time.perf_counter() - began) * 1000)
                assert spent > 0, "a scope with rows has spent something"
                found.append({"engine": kind, "scope": str(scope), "in": name, "ms": round(statistics.median(took), 1)})
                print(json.dumps(found[-1]), flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-bench-"))
        results = asyncio.run(measured(f"sqlite:///{folder}/ledger.db", "sqlite", arguments.rows, arguments.rounds))
        try:
            postgres = stack.enter_context(PostgresServer("fsync=off"))
        except FileNotFoundError:
            postgres = None
        if postgres is not None:
            url = postgres.create_database()
            results += asyncio.run(measured(url, "postgresql", arguments.rows, arguments.rounds))
    if arguments.output:
        arguments.output.write_text(json.dumps({"rows": arguments.rows, "runs": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
