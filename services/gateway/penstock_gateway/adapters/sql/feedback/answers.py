"""The answers that were given, by the ledger: its rows, and those that wait to be written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.errors import ServiceUnavailable
from penstock_gateway.adapters.sql.ledger_rows import values_of
from penstock_gateway.adapters.sql.tables import ledger
from penstock_gateway.domain.feedback.judgement import Judged
from penstock_gateway.domain.life.settlement import LedgerRow

Unwritten = Callable[[str, str], LedgerRow | None]
"""Returns a tenant's row of an id that this process has not written yet."""


def _none_waits(tenant: str, answer_id: str) -> LedgerRow | None:
    """Nothing is written here."""


class SqlAnswers:
    """Implements ``Answers``."""

    def __init__(self, engine: AsyncEngine, unwritten: Unwritten = _none_waits) -> None:
        self._engine = engine
        self._unwritten = unwritten

    async def find(self, tenant: str, answer_id: str) -> Judged | None:
        """Return a tenant's answer by its generation id, or the latest of a request id; those not yet written, too."""
        waiting = self._unwritten(tenant, answer_id)
        if waiting is not None:
            return _judged(values_of(waiting))
        by_generation = ledger.c.generation_id == answer_id
        query = (
            select(ledger)
            .where(ledger.c.tenant == tenant, or_(by_generation, ledger.c.request_id == answer_id))
            # A request's id is its caller's own, and may be what another's answer is called.
            .order_by(by_generation.desc(), ledger.c.created_at.desc())
            .limit(1)
        )
        try:
            async with self._engine.connect() as connection:
                row = (await connection.execute(query)).mappings().first()
        except (SQLAlchemyError, OSError) as error:
            raise ServiceUnavailable("The database does not answer. Try again.", service="sql") from error
        return None if row is None else _judged(row)


def _judged(row: Mapping[Any, Any]) -> Judged:
    return Judged(
        generation_id=row["generation_id"],
        tenant=row["tenant"],
        public_model=row["requested_model"],
        upstream=row["upstream"],
        model=row["model"],
        task=row["task"],
        prompt=_prompt(row.get("prompt", ""), row.get("prompt_version", 0)),
        entry_id=row["cache_entry"],
        was_cached=row["cache_status"] == "hit",
    )


def _prompt(name: str, version: int) -> str:
    return f"{name}@{version}" if name else ""
