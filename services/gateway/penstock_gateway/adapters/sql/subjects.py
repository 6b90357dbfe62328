"""Whose tokens are refused, in SQL: a transaction's, and all of them for those who check tokens."""

from __future__ import annotations

from sqlalchemy import String, delete, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_gateway.adapters.sql.collation import by_bytes
from penstock_gateway.adapters.sql.rows import revoked_subject
from penstock_gateway.adapters.sql.tables import revoked_subjects
from penstock_gateway.domain.access.identity import RevokedSubject

_ROWS = revoked_subjects.c


class SqlSubjectRecords:
    """The part of ``registry.Records`` about them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name

    async def revoked_subject(self, tenant: str, issuer: str, subject: str) -> RevokedSubject | None:
        """Return the one whose tokens are refused."""
        query = select(revoked_subjects).where(_ROWS.tenant == tenant, _ROWS.issuer == issuer, _ROWS.subject == subject)
        row = (await self._connection.execute(query)).first()
        return None if row is None else revoked_subject(row)

    async def revoked_subjects(
        self, tenant: str | None, after: tuple[str, str, str], limit: int
    ) -> list[RevokedSubject]:
        """Return whose tokens are refused."""
        names = [by_bytes(column, self._dialect) for column in (_ROWS.tenant, _ROWS.issuer, _ROWS.subject)]
        query = select(revoked_subjects).order_by(*names).limit(limit)
        if any(after):
            query = query.where(tuple_(*names) > tuple_(*(literal(text, String) for text in after)))
        if tenant is not None:
            query = query.where(_ROWS.tenant == tenant)
        return [revoked_subject(row) for row in await self._connection.execute(query)]

    async def add_revoked_subject(self, record: RevokedSubject) -> None:
        """Refuse their tokens."""
        values = {name: getattr(record, name) for name in ("tenant", "issuer", "subject", "revoked_at")}
        await self._connection.execute(revoked_subjects.insert().values(**values))

    async def drop_revoked_subject(self, tenant: str, issuer: str, subject: str) -> bool:
        """Refuse their tokens no more."""
        gone = delete(revoked_subjects).where(_ROWS.tenant == tenant, _ROWS.issuer == issuer, _ROWS.subject == subject)
        return (await self._connection.execute(gone)).rowcount == 1
