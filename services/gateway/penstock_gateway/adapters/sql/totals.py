"""What is kept of the ledger's rows that go: the sums of a day, by whose and what they were."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_gateway.adapters.sql.rows import aware
from penstock_gateway.adapters.sql.tables import ledger, ledger_totals
from penstock_gateway.domain.ledger.entries import CHARGE
from penstock_gateway.domain.life.settlement import OK

DIMENSIONS = (
    "tenant",
    "team",
    "user_id",
    "key_id",
    "requested_model",
    "upstream",
    "model",
    "feature",
    "surface",
    "operation",
    "shadow",
)
"""What rows are told apart by, beside the day."""
AMOUNTS = (
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "cache_write_1h_input_tokens",
    "reasoning_tokens",
    "cost_nano_usd",
    "saved_tokens",
    "saved_nano_usd",
)
"""What is summed."""
_COUNTS = ("requests", "errors")

SUMMED = [ledger.c[name] for name in ("created_at", "kind", "outcome", *DIMENSIONS, *AMOUNTS)]
"""The columns that totals are made of."""


async def keep_totals(connection: AsyncConnection, rows: Sequence[RowMapping]) -> None:
    """Add rows, which have the columns ``SUMMED``, to the totals."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(ledger_totals)
    added = {name: ledger_totals.c[name] + insert.excluded[name] for name in (*_COUNTS, *AMOUNTS)}
    # In one order, so that two that keep totals at once wait for each other and not for ever.
    totals = sorted(_totals(rows), key=lambda total: total["id"])
    await connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=added), totals)


def _totals(rows: Sequence[RowMapping]) -> list[dict[str, Any]]:
    sums: dict[tuple[Any, ...], Counter[str]] = {}
    for row in rows:
        whose = (_day(row["created_at"]), *(row[name] for name in DIMENSIONS))
        total = sums.setdefault(whose, Counter(dict.fromkeys((*_COUNTS, *AMOUNTS), 0)))
        is_request = row["kind"] == CHARGE
        total["requests"] += is_request
        total["errors"] += is_request and row["outcome"] != OK
        for name in AMOUNTS:
            total[name] += row[name]
    return [_values(whose, total) for whose, total in sums.items()]


def _values(whose: tuple[Any, ...], total: Mapping[str, int]) -> dict[str, Any]:
    day, *names = whose
    digest = hashlib.sha256(json.dumps([day.date().isoformat(), *names]).encode()).hexdigest()
    return {"id": digest, "created_at": day, **dict(zip(DIMENSIONS, names, strict=True)), **total}


def _day(moment: datetime) -> datetime:
    known = aware(moment)
    assert known is not None, "a row has a time"
    return known.replace(hour=0, minute=0, second=0, microsecond=0)
