"""Created keys, by the digest of the key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_gateway.adapters.sql.tables import api_keys
from penstock_gateway.domain.authentication import KeyStoreUnavailable
from penstock_gateway.domain.identity import KeyRecord, KeyScope


class SqlKeyStore:
    """Implements ``authentication.KeyStore``, and what the command line needs beside it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find(self, digest: bytes) -> KeyRecord | None:
        """Return the key with this digest, live or not."""
        try:
            async with self._engine.connect() as connection:
                result = await connection.execute(select(api_keys).where(api_keys.c.digest == digest))
                row = result.first()
        except (SQLAlchemyError, OSError) as error:
            raise KeyStoreUnavailable from error
        return None if row is None else _record(row)

    async def add(self, record: KeyRecord) -> None:
        """Keep a new key."""
        async with self._engine.begin() as connection:
            await connection.execute(
                api_keys.insert().values(
                    id=record.id,
                    tenant=record.tenant,
                    digest=record.digest,
                    label=record.label,
                    scopes=sorted(record.scopes),
                    models=sorted(record.models),
                    created_at=record.created_at or datetime.now(UTC),
                    expires_at=record.expires_at,
                )
            )

    async def all(self) -> list[KeyRecord]:
        """Return every key, oldest first."""
        async with self._engine.connect() as connection:
            result = await connection.execute(select(api_keys).order_by(api_keys.c.created_at))
            rows: Sequence[Row[Any]] = result.all()
        return [_record(row) for row in rows]

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a live key; return whether there was one."""
        async with self._engine.begin() as connection:
            result = await connection.execute(
                update(api_keys).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None)).values(revoked_at=at)
            )
        return result.rowcount == 1


def _record(row: Row[Any]) -> KeyRecord:
    return KeyRecord(
        id=row.id,
        tenant=row.tenant,
        digest=row.digest,
        scopes=frozenset(KeyScope(scope) for scope in row.scopes),
        models=frozenset(row.models),
        label=row.label,
        created_at=_aware(row.created_at),
        expires_at=_aware(row.expires_at),
        revoked_at=_aware(row.revoked_at),
    )


def _aware(moment: datetime | None) -> datetime | None:
    # SQLite keeps no time zone; everything is written in UTC.
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
