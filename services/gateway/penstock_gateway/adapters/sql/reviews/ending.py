"""How items are decided and escalated, in one transaction with the word for webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_gateway.adapters.sql.jobs.rows import ms_of
from penstock_gateway.adapters.sql.reviews.database import ReviewDatabase
from penstock_gateway.adapters.sql.reviews.rows import FREE, content_bytes, content_of, item_of, place_of
from penstock_gateway.adapters.sql.reviews.tables import contents, items
from penstock_gateway.adapters.sql.webhooks.store import add_delivery
from penstock_gateway.domain.reviews.item import ReviewItem, ReviewState, Ruling
from penstock_gateway.domain.reviews.telling import DECIDED, ESCALATED

Which = tuple[ColumnElement[bool], ...]


async def decide_one(
    connection: AsyncConnection, database: ReviewDatabase, which: Which, ruling: Ruling, now: datetime, *, reviewer: str
) -> ReviewItem | None:
    """End the one item that this is true of; return it as it stands now, None where there is none."""
    values: dict[str, Any] = {
        "state": ReviewState.DECIDED.value,
        "decision": ruling.decision.value,
        "decided_ms": ms_of(now),
        "reviewer": reviewer,
        "claimed_until_ms": None,
        "expires_ms": None,
        # From here on the same is another item.
        "mark": None,
    }
    row = (await connection.execute(update(items).where(*which).values(**values).returning(*items.c))).first()
    if row is None:
        return None
    item = item_of(row)
    await resealed(connection, database, item, edited=ruling.edited, note=ruling.note, by=reviewer)
    for delivery in database.tell(item, DECIDED, now):
        await add_delivery(connection, delivery)
    return item


async def escalate_one(
    connection: AsyncConnection, database: ReviewDatabase, which: Which, now: datetime, *, is_late: bool = False
) -> ReviewItem | None:
    """Hand the one item that this is true of to others; return it as it stands now, None where there is none.

    ``is_late``: its time is over, and it is decided by itself no more; one that was escalated before is not told of again.
    """
    was = select(items.c.escalated).where(*which).with_for_update()
    escalated_before = (await connection.execute(was)).scalar()
    values: dict[str, Any] = {"escalated": True, **FREE}
    if is_late:
        values["expires_ms"] = None
    row = (await connection.execute(update(items).where(*which).values(**values).returning(*items.c))).first()
    if row is None:
        return None
    item = item_of(row)
    for delivery in () if escalated_before else database.tell(item, ESCALATED, now):
        await add_delivery(connection, delivery)
    return item


async def resealed(
    connection: AsyncConnection,
    database: ReviewDatabase,
    item: ReviewItem,
    *,
    edited: str = "",
    note: str = "",
    by: str = "",
) -> None:
    """Add what a reviewer says to what an item holds, if that is still kept."""
    if not (edited or note):
        return
    sealed = (await connection.execute(select(contents.c.sealed).where(contents.c.item == item.id))).scalar()
    if sealed is None:
        return
    content = content_of(database.sealer.open(item.tenant, place_of(item.id), sealed))
    notes = (*content.notes, f"{by}: {note}") if note else content.notes
    changed = msgspec.structs.replace(content, edited=edited or content.edited, notes=notes)
    again = database.sealer.seal(item.tenant, place_of(item.id), content_bytes(changed))
    await connection.execute(update(contents).where(contents.c.item == item.id).values(sealed=again))


def once(first: Select[tuple[str]]) -> Select[tuple[str]]:
    """Return a query whose rows are chosen, and locked, once: as a subquery it may be run again for each row beside it."""
    (chosen,) = first.cte("first_ones").c
    return select(chosen)
