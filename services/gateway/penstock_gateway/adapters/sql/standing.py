"""The standing of tenants, teams and subjects, in SQL, for those who check tokens."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_gateway.adapters.sql.rows import tenant_record
from penstock_gateway.adapters.sql.tables import revoked_subjects, teams, tenants
from penstock_gateway.domain.access.look_ups import KeyStoreUnavailable
from penstock_gateway.domain.access.tokens import Standing

_OPERATORS = ""


class SqlStandingStore:
    """Implements ``tokens.StandingStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def standing(self, names: Collection[str]) -> Standing:
        """Return what is kept of these tenants, and of operators."""
        names = [*names, _OPERATORS]
        archived = select(teams.c.tenant, teams.c.name).where(
            teams.c.tenant.in_(names), teams.c.archived_at.isnot(None)
        )
        gone = select(revoked_subjects.c.tenant, revoked_subjects.c.issuer, revoked_subjects.c.subject)
        try:
            async with self._engine.connect() as connection:
                found = (await connection.execute(select(tenants).where(tenants.c.name.in_(names)))).all()
                archived_teams = (await connection.execute(archived)).all()
                revoked = (await connection.execute(gone.where(revoked_subjects.c.tenant.in_(names)))).all()
        except (SQLAlchemyError, OSError) as error:
            raise KeyStoreUnavailable from error
        return Standing(
            {row.name: tenant_record(row) for row in found},
            frozenset((row.tenant, row.name) for row in archived_teams),
            frozenset((row.tenant, row.issuer, row.subject) for row in revoked),
        )
