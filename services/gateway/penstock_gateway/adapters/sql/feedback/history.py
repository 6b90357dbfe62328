"""Feedback's old end: it goes once the ledger's row of its answer has gone."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_gateway.adapters.sql.feedback.tables import feedback
from penstock_gateway.adapters.sql.tables import ledger


class SqlFeedbackHistory:
    """Implements ``retention.History``."""

    name = feedback.name

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def cut(self, before: datetime, limit: int, *, exported_only: bool) -> int:
        """Delete the oldest rows whose answers the ledger has no more; return how many there were.

        Where the ledger keeps what was not exported, so is what was said of it.
        """
        is_known = exists().where(ledger.c.generation_id == feedback.c.generation_id)
        old = select(feedback.c.id).where(feedback.c.created_at < before, ~is_known).order_by(feedback.c.created_at)
        # Those that another process is deleting are its own.
        condition = feedback.c.id.in_(old.limit(limit).with_for_update(skip_locked=True))
        async with self._engine.begin() as connection:
            return (await connection.execute(delete(feedback).where(condition))).rowcount
