"""Messages to webhooks in SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penstock_gateway.adapters.sql.connecting import begun
from penstock_gateway.adapters.sql.rows import present
from penstock_gateway.adapters.sql.webhooks.tables import deliveries, disabled, tries
from penstock_gateway.domain.webhooks.delivery import Delivery, DeliveryState
from penstock_gateway.domain.webhooks.registered import Try

KEPT = timedelta(days=30)
"""How long a message is kept, whatever came of it."""
_MAX_ERROR = 256
_ROW = deliveries.c


class SqlDeliveries:
    """Implements ``courier.DeliveryStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, delivery: Delivery) -> None:
        """Keep a new message."""
        async with begun(self._engine) as connection:
            await add_delivery(connection, delivery)

    async def claim(
        self, webhooks: Collection[str], now: datetime, until: datetime, limit: int, per_webhook: int
    ) -> Sequence[Delivery]:
        """Return due messages; of several processes that ask at once, one gets each. Old ones go."""
        is_due = _ROW.state == DeliveryState.WAITING.value, _ROW.next_at <= now
        is_free = or_(_ROW.leased_until.is_(None), _ROW.leased_until <= now)
        turn = func.row_number().over(partition_by=_ROW.webhook, order_by=_ROW.next_at).label("turn")
        waiting = select(_ROW.id, turn).where(*is_due, is_free, _ROW.webhook.in_(sorted(webhooks))).subquery()
        wanted = select(deliveries).join(waiting, waiting.c.id == _ROW.id).where(waiting.c.turn <= per_webhook)
        claimed: list[Delivery] = []
        async with begun(self._engine) as connection:
            rows = (await connection.execute(wanted.order_by(_ROW.next_at).limit(limit))).all()
            for row in rows:
                take = update(deliveries).where(_ROW.id == row.id, *is_due, is_free).values(leased_until=until)
                if (await connection.execute(take)).rowcount == 1:
                    claimed.append(delivery_of(row))
            if claimed:
                await _forget(connection, now - KEPT)
        return claimed

    async def note(self, delivery: Delivery, tried: Try | None = None) -> None:
        """Keep how a message is, and what came of the try; it is free for the next."""
        values = {**values_of(delivery), "leased_until": None}
        async with begun(self._engine) as connection:
            await connection.execute(update(deliveries).where(_ROW.id == delivery.id).values(**values))
            if tried is not None:
                count = select(func.count()).where(tries.c.delivery == delivery.id)
                number = ((await connection.execute(count)).scalar() or 0) + 1
                await connection.execute(
                    tries.insert().values(
                        delivery=delivery.id,
                        number=number,
                        at=tried.at,
                        status=tried.status,
                        error=tried.error[:_MAX_ERROR],
                        took_ms=tried.took // timedelta(milliseconds=1),
                    )
                )

    async def disabled(self) -> frozenset[str]:
        """Return the addresses that want no more."""
        async with begun(self._engine) as connection:
            return frozenset((await connection.execute(select(disabled.c.address))).scalars())

    async def disable(self, address: str, webhook: str, now: datetime) -> None:
        """Keep that an address wants no more."""
        try:
            async with begun(self._engine) as connection:
                await connection.execute(disabled.insert().values(address=address, webhook=webhook, disabled_at=now))
        except IntegrityError:
            return


async def _forget(connection: AsyncConnection, before: datetime) -> None:
    old = select(_ROW.id).where(_ROW.created_at < before)
    await connection.execute(delete(tries).where(tries.c.delivery.in_(old)))
    await connection.execute(delete(deliveries).where(_ROW.created_at < before))


async def add_delivery(connection: AsyncConnection, delivery: Delivery) -> None:
    """Keep a new message as a part of a transaction."""
    await connection.execute(deliveries.insert().values(**values_of(delivery)))


def values_of(delivery: Delivery) -> dict[str, Any]:
    """Return the columns of a message."""
    return {
        "id": delivery.id,
        "webhook": delivery.webhook,
        "type": delivery.type,
        "body": delivery.body,
        "created_at": delivery.created_at,
        "next_at": delivery.next_at,
        "attempts": delivery.attempts,
        "state": delivery.state.value,
        "error": delivery.error[:_MAX_ERROR],
    }


def delivery_of(row: Any) -> Delivery:
    """Return the message of a row."""
    return Delivery(
        id=row.id,
        webhook=row.webhook,
        type=row.type,
        body=row.body,
        created_at=present(row.created_at),
        next_at=present(row.next_at),
        attempts=row.attempts,
        state=DeliveryState(row.state),
        error=row.error,
    )
