"""A caller who leaves, at every moment of a call and through every door: the upstream is let go, and what was had is owed."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from pathlib import Path

import pytest

from penstock_common.testing.transports import IN_PROCESS, TRANSPORTS

sys.path.insert(0, str(Path(__file__).parent))

from leaving import MOMENTS, NOTHING, Moment, Owed, edge_executable, occupant, openai, rest, standing, typed  # noqa: E402

DOORS = {
    "openai": (openai, "direct"),
    "grpc": (typed, "direct"),
    "openai by the edge": (openai, "edge"),
    "rest": (rest, "edge"),
}


def rows_of(folder: Path) -> list[dict]:
    """Return what the ledger has of those who left, once its gateway is closed."""
    with sqlite3.connect(folder / "penstock.db") as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute("SELECT * FROM ledger WHERE tenant = 'leaving'")]
    database.close()
    return rows


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.id)
async def test_who_leaves(moment: Moment, door: str, streams: bool, transport: str, tmp_path):
    ask, by = DOORS[door]
    if by == "edge" and edge_executable() is None:
        pytest.skip("the edge is not built")
    async with standing(moment, transport, by, tmp_path) as stand:
        other = await occupant(stand) if moment.id == "upstream's queue" else None
        caller = await ask(stand, moment.model, streams=streams)
        async with asyncio.timeout(60):
            seen = await moment.come(stand, caller, streams)
            asked = len(stand.first.record.requests), len(stand.second.record.requests)
            caller.leave()
            if seen is not None:
                await seen.left.wait()
            elif other is not None:
                while stand.waiting():
                    await asyncio.sleep(0.002)
            else:
                await stand.paused.wait()
        if other is not None:
            assert stand.first.record.open_connections == 1
            other.leave()
    assert (len(stand.first.record.requests), len(stand.second.record.requests)) == asked
    (row,) = rows_of(tmp_path)
    owed = moment.owed(streams=streams, is_here=transport == IN_PROCESS)
    told = Owed(row["input_tokens"], row["output_tokens"], row["upstream"])
    assert (row["outcome"], row["finish_reason"], told) == ("cancelled", "", owed)
    assert row["cost_nano_usd"] == owed.input_tokens * 1000 + owed.output_tokens * 2000
    assert row["usage_estimated"] == (owed is not NOTHING)
