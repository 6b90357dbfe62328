"""Which alerts of budgets were told, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_gateway.adapters.sql.budgets.tables import alerts, looks
from penstock_gateway.adapters.sql.connecting import begun
from penstock_gateway.adapters.sql.rows import present
from penstock_gateway.adapters.sql.webhooks.store import add_delivery
from penstock_gateway.domain.budgets.ports import Fired
from penstock_gateway.domain.webhooks.delivery import Delivery

_LOOK = "spent"


class SqlAlerts:
    """Implements ``ports.AlertStore``: an alert and the message of it are kept in one transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def claim_look(self, now: datetime, before: datetime) -> bool:
        """Return whether this process is to look; of several that ask at once, one is."""
        unseen = or_(looks.c.looked_at.is_(None), looks.c.looked_at <= before)
        async with begun(self._engine) as connection:
            claim = update(looks).where(looks.c.name == _LOOK, unseen).values(looked_at=now)
            if (await connection.execute(claim)).rowcount == 1:
                return True
            is_there = (await connection.execute(select(looks.c.name).where(looks.c.name == _LOOK))).first()
        return is_there is None and await self._first_look(now)

    async def fired(self) -> Sequence[Fired]:
        """Return the alerts that were told and not taken back."""
        async with begun(self._engine) as connection:
            rows = (await connection.execute(select(alerts))).all()
        return [
            Fired(
                budget_id=row.budget_id,
                period_start=present(row.period_start),
                threshold=row.threshold,
                limit=row.limit_nano_usd,
            )
            for row in rows
        ]

    async def fire(self, fired: Fired, delivery: Delivery | None) -> bool:
        """Keep that an alert is told, and the message of it; those of earlier periods go."""
        is_earlier = alerts.c.budget_id == fired.budget_id, alerts.c.period_start < fired.period_start
        try:
            async with begun(self._engine) as connection:
                values = {
                    "budget_id": fired.budget_id,
                    "period_start": fired.period_start,
                    "threshold": fired.threshold,
                    "limit_nano_usd": fired.limit,
                }
                await connection.execute(alerts.insert().values(**values))
                await connection.execute(delete(alerts).where(*is_earlier))
                if delivery is not None:
                    await add_delivery(connection, delivery)
        except IntegrityError:
            return False
        return True

    async def resolve(self, fired: Fired, delivery: Delivery | None) -> bool:
        """Arm an alert again, and keep the message that tells of it."""
        is_it = and_(
            alerts.c.budget_id == fired.budget_id,
            alerts.c.period_start == fired.period_start,
            alerts.c.threshold == fired.threshold,
        )
        async with begun(self._engine) as connection:
            if (await connection.execute(delete(alerts).where(is_it))).rowcount != 1:
                return False
            if delivery is not None:
                await add_delivery(connection, delivery)
        return True

    async def _first_look(self, now: datetime) -> bool:
        """Write the row, of which there is one."""
        try:
            async with begun(self._engine) as connection:
                await connection.execute(looks.insert().values(name=_LOOK, looked_at=now))
        except IntegrityError:
            return False
        return True
