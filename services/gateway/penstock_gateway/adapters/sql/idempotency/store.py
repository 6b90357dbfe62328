"""Calls that were made under a key, kept in SQL with their answers sealed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_gateway.adapters.sql.connecting import begun
from penstock_gateway.adapters.sql.idempotency.tables import calls
from penstock_gateway.adapters.sql.jobs.rows import ms_of
from penstock_gateway.adapters.sql.sealing import TenantSealer
from penstock_gateway.domain.idempotency.ports import Answer, Claim, Found

_CALL = calls.c
_PLACE = "idempotency/"


class SqlCallStore:
    """Implements ``CallStore``."""

    def __init__(self, engine: AsyncEngine, sealer: TenantSealer) -> None:
        self._engine = engine
        self._sealer = sealer
        self._insert = postgresql_insert if engine.dialect.name == "postgresql" else sqlite_insert

    async def claim(self, claim: Claim, now: datetime) -> Found:
        """Have a call be the claim's; see the port."""
        values = {
            "tenant": claim.tenant,
            "fingerprint": claim.fingerprint,
            "owner": claim.owner,
            "request_id": claim.request_id,
            "until_ms": ms_of(claim.until),
            "sealed": None,
        }
        # One statement: first of all, or after whoever is not heard of any more, or after an answer of long ago.
        taken = self._insert(calls).values(mark=claim.mark, **values)
        taken = taken.on_conflict_do_update(
            index_elements=[_CALL.mark], set_=values, where=_CALL.until_ms < ms_of(now)
        ).returning(_CALL.owner)
        async with begun(self._engine) as connection:
            if (await connection.execute(taken)).first() is not None:
                return Found(claim.fingerprint, is_ours=True)
            row = (await connection.execute(select(calls).where(_CALL.mark == claim.mark))).first()
        if row is None:
            # Freed since: whoever asks again gets it.
            return Found(claim.fingerprint)
        return Found(row.fingerprint, self._answer_of(row))

    async def hold(self, claim: Claim, until: datetime) -> bool:
        """Have a claim's word count for longer; see the port."""
        async with begun(self._engine) as connection:
            longer = update(calls).where(*_unanswered(claim)).values(until_ms=ms_of(until))
            return (await connection.execute(longer)).rowcount > 0

    async def keep(self, claim: Claim, content: bytes, expires_at: datetime) -> bool:
        """Keep the answer; see the port."""
        sealed = self._sealer.seal(claim.tenant, _PLACE + claim.mark, content)
        async with begun(self._engine) as connection:
            kept = update(calls).where(*_unanswered(claim)).values(sealed=sealed, until_ms=ms_of(expires_at))
            return (await connection.execute(kept)).rowcount > 0

    async def free(self, claim: Claim) -> None:
        """Forget a call; see the port."""
        async with begun(self._engine) as connection:
            await connection.execute(delete(calls).where(*_unanswered(claim)))

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete what is too old; see the port."""
        old = select(_CALL.mark).where(_CALL.until_ms < ms_of(now)).limit(limit)
        async with begun(self._engine) as connection:
            # Looked at again while it goes: somebody may have taken it meanwhile.
            gone = delete(calls).where(_CALL.mark.in_(old), _CALL.until_ms < ms_of(now))
            return (await connection.execute(gone)).rowcount

    def _answer_of(self, row: Any) -> Answer | None:
        if row.sealed is None:
            return None
        return Answer(row.request_id, self._sealer.open(row.tenant, _PLACE + row.mark, row.sealed))


def _unanswered(claim: Claim) -> tuple[Any, ...]:
    return _CALL.mark == claim.mark, _CALL.owner == claim.owner, _CALL.sealed.is_(None)
