"""How good answers were found to be, for whoever compares them: a query to join, and the scores of some."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Subquery, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_gateway.adapters.sql.feedback.store import last_words
from penstock_gateway.adapters.sql.feedback.tables import feedback

_AT_ONCE = 500


def scores(name: str = "scores") -> Subquery:
    """Return a table of ``tenant``, ``generation_id`` and ``score``: the mean of what each author said last of an answer.

    It is joined on the ledger by both of its first columns; answers of which nobody said how good they are have no row.
    """
    column = feedback.c
    return (
        select(column.tenant, column.generation_id, func.avg(column.value).label("score"))
        .where(column.value.is_not(None), last_words())
        .group_by(column.tenant, column.generation_id)
        .subquery(name)
    )


class SqlScores:
    """Reads scores of answers."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def scores_of(self, generation_ids: Collection[str]) -> Mapping[str, float]:
        """Return the scores of those answers of which somebody said how good they are."""
        wanted, told, found = list(generation_ids), scores(), dict[str, float]()
        async with self._engine.connect() as connection:
            for at in range(0, len(wanted), _AT_ONCE):
                query = select(told.c.generation_id, told.c.score).where(
                    told.c.generation_id.in_(wanted[at : at + _AT_ONCE])
                )
                found |= {row.generation_id: float(row.score) for row in await connection.execute(query)}
        return found
