"""Who was created, in SQL."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Column, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penstock_gateway.adapters.sql.connecting import begun
from penstock_gateway.adapters.sql.tables import api_keys, teams, tenants, users
from penstock_gateway.domain.budgets.names import Kept

_MOST = 10_000
"""Tenants and teams that are looked at; who has more of them has other tools."""


class SqlNames:
    """Implements ``names.KeptNames``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def kept(self, user_ids: Collection[str], key_ids: Collection[str]) -> Kept:
        """Return the tenants and teams that there are, and of some ids of users and keys those that there are."""
        async with begun(self._engine) as connection:
            names = (await connection.execute(select(tenants.c.name).limit(_MOST))).scalars().all()
            of_teams = (await connection.execute(select(teams.c.tenant, teams.c.name).limit(_MOST))).all()
            return Kept(
                names,
                [(row.tenant, row.name) for row in of_teams],
                await _those(connection, users.c.id, user_ids),
                await _those(connection, api_keys.c.id, key_ids),
            )


async def _those(connection: AsyncConnection, column: Column[str], ids: Collection[str]) -> Collection[str]:
    return (await connection.execute(select(column).where(column.in_(ids)))).scalars().all() if ids else ()
