"""What the ledger says was spent."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_gateway.adapters.sql.connecting import begun
from penstock_gateway.adapters.sql.tables import ledger
from penstock_gateway.domain.limits.limit import Scope, ScopeKind
from penstock_gateway.domain.limits.windows import EVER, Period

COLUMN_OF: Mapping[ScopeKind, str] = {
    ScopeKind.TEAM: "team",
    ScopeKind.USER: "user_id",
    ScopeKind.KEY: "key_id",
    ScopeKind.MODEL: "requested_model",
    ScopeKind.FEATURE: "feature",
}
"""By which column a scope's rows are told; a tenant's are all of the tenant's."""


class SqlSpendHistory:
    """Implements ``admission.SpendHistory``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def spent(self, tenant: str, scope: Scope, period: Period) -> int:
        """Return the nano-dollars.

        Raises:
            ServiceUnavailable: if the database does not answer.
        """
        query = select(func.coalesce(func.sum(ledger.c.cost_nano_usd), 0)).where(ledger.c.tenant == tenant)
        if scope.kind in COLUMN_OF:
            column = ledger.c.get(COLUMN_OF[scope.kind])
            if column is None:
                return 0
            query = query.where(column == scope.name)
        if period != EVER:
            query = query.where(ledger.c.created_at >= period.start, ledger.c.created_at < period.end)
        async with begun(self._engine) as connection:
            return int((await connection.execute(query)).scalar_one())
