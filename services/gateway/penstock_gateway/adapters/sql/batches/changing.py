"""How a batch is changed: by the attempt alone that carries it on."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_gateway.adapters.sql.batches.tables import batches
from penstock_gateway.domain.batches.batch import Batch, BatchState
from penstock_gateway.domain.batches.ports import CarriedElsewhere

_BATCH = batches.c


async def change(
    connection: AsyncConnection, batch: Batch, values: dict[str, Any], state: BatchState, *, may_differ: bool = False
) -> None:
    """Change a batch that is in that state, and carried on by the attempt that read it.

    Raises:
        CarriedElsewhere: if it is in another, or another attempt carries it on.
    """
    mine = [_BATCH.id == batch.id, _BATCH.epoch == batch.epoch]
    if not may_differ:
        mine.append(_BATCH.state == state.value)
    changed = await connection.execute(update(batches).where(*mine).values(values or {"epoch": batch.epoch}))
    if changed.rowcount == 0:
        raise CarriedElsewhere
