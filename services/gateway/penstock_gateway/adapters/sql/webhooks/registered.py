"""Webhooks that tenants have made, in SQL: addresses and secrets sealed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penstock_common.secrecy import Unreadable
from penstock_gateway.adapters.sql.collation import by_bytes
from penstock_gateway.adapters.sql.connecting import begun
from penstock_gateway.adapters.sql.rows import present
from penstock_gateway.adapters.sql.sealing import TenantSealer
from penstock_gateway.adapters.sql.webhooks.store import add_delivery, delivery_of
from penstock_gateway.adapters.sql.webhooks.tables import deliveries, disabled, tries, webhooks
from penstock_gateway.domain.webhooks.delivery import Delivery, DeliveryState
from penstock_gateway.domain.webhooks.registered import MAX_REDELIVERED, LoggedDelivery, Try, Webhook, key_of

_ROW = deliveries.c
_log = structlog.get_logger(__name__)
_UNDELIVERED = (DeliveryState.EXHAUSTED.value, DeliveryState.DISABLED.value, DeliveryState.WAITING.value)


class _Sealed(msgspec.Struct, array_like=True):
    url: str
    secret: bytes
    old_secret: bytes = b""
    old_until: datetime | None = None


class SqlWebhooks:
    """Implements ``registered.WebhookStore``."""

    def __init__(self, engine: AsyncEngine, sealer: TenantSealer) -> None:
        self._engine = engine
        self._sealer = sealer

    async def all(self) -> Sequence[Webhook]:
        """Return every tenant's."""
        async with begun(self._engine) as connection:
            rows = (await connection.execute(select(webhooks))).all()
        found: list[Webhook] = []
        for row in rows:
            try:
                found.append(self._webhook(row))
            except Unreadable as error:
                # One that nobody can read must not keep the others from being told.
                _log.error("webhook_cannot_be_read", tenant=row.tenant, webhook=row.name, reason=str(error))
        return found

    async def of_tenant(self, tenant: str) -> Sequence[Webhook]:
        """Return a tenant's, by name."""
        async with begun(self._engine) as connection:
            by_name = by_bytes(webhooks.c.name, connection.dialect.name)
            rows = await connection.execute(select(webhooks).where(webhooks.c.tenant == tenant).order_by(by_name))
            return [self._webhook(row) for row in rows.all()]

    async def add(self, webhook: Webhook, most: int) -> bool | None:
        """Keep a new one; see the port."""
        try:
            async with begun(self._engine) as connection:
                count = select(func.count()).where(webhooks.c.tenant == webhook.tenant)
                if ((await connection.execute(count)).scalar() or 0) >= most:
                    return None
                await connection.execute(insert(webhooks).values(**self._values(webhook)))
        except IntegrityError:
            return False
        return True

    async def change(self, webhook: Webhook) -> bool:
        """Keep what has changed; see the port."""
        async with begun(self._engine) as connection:
            changed = update(webhooks).where(*_is(webhook.tenant, webhook.name)).values(**self._values(webhook))
            await connection.execute(delete(disabled).where(disabled.c.webhook == webhook.key))
            return (await connection.execute(changed)).rowcount == 1

    async def remove(self, tenant: str, name: str) -> bool:
        """Forget one; see the port."""
        async with begun(self._engine) as connection:
            if (await connection.execute(delete(webhooks).where(*_is(tenant, name)))).rowcount == 0:
                return False
            key = key_of(tenant, name)
            waiting = _ROW.webhook == key, _ROW.state == DeliveryState.WAITING.value
            await connection.execute(update(deliveries).where(*waiting).values(state=DeliveryState.DISABLED.value))
            await connection.execute(delete(disabled).where(disabled.c.webhook == key))
        return True

    async def deliveries(
        self, key: str, states: frozenset[DeliveryState], before: str, limit: int
    ) -> Sequence[LoggedDelivery]:
        """Return messages to one; see the port."""
        async with begun(self._engine) as connection:
            wanted = [_ROW.webhook == key]
            if states:
                wanted.append(_ROW.state.in_(sorted(state.value for state in states)))
            if before:
                last = (await connection.execute(select(_ROW.created_at).where(_ROW.id == before))).scalar()
                if last is not None:
                    wanted.append((_ROW.created_at < last) | ((_ROW.created_at == last) & (_ROW.id < before)))
            newest = select(deliveries).where(*wanted).order_by(_ROW.created_at.desc(), _ROW.id.desc()).limit(limit)
            found = [delivery_of(row) for row in (await connection.execute(newest)).all()]
            logged = await _tries(connection, [delivery.id for delivery in found])
        return [LoggedDelivery(delivery, logged[delivery.id]) for delivery in found]

    async def send(self, delivery: Delivery) -> None:
        """Keep a message to be brought."""
        async with begun(self._engine) as connection:
            await add_delivery(connection, delivery)

    async def send_again(self, key: str, delivery_id: str, since: datetime | None, now: datetime) -> int:
        """Have messages due again; see the port."""
        wanted = [_ROW.webhook == key]
        wanted += [_ROW.id == delivery_id] if delivery_id else [_ROW.state.in_(_UNDELIVERED)]
        if since is not None and not delivery_id:
            wanted.append(_ROW.created_at >= since)
        oldest = select(_ROW.id).where(*wanted).order_by(_ROW.created_at).limit(MAX_REDELIVERED)
        again = {"state": DeliveryState.WAITING.value, "next_at": now, "attempts": 0, "leased_until": None}
        async with begun(self._engine) as connection:
            return (await connection.execute(update(deliveries).where(_ROW.id.in_(oldest)).values(**again))).rowcount

    async def gone(self) -> frozenset[str]:
        """Return the addresses that want no more."""
        async with begun(self._engine) as connection:
            return frozenset((await connection.execute(select(disabled.c.address))).scalars())

    def _values(self, webhook: Webhook) -> dict[str, Any]:
        sealed = _Sealed(webhook.url, webhook.secret, webhook.old_secret, webhook.old_until)
        content = self._sealer.seal(webhook.tenant, f"webhook/{webhook.name}", msgspec.msgpack.encode(sealed))
        return {
            "tenant": webhook.tenant,
            "name": webhook.name,
            "sealed": content,
            "events": list(webhook.events),
            "created_at": webhook.created_at,
        }

    def _webhook(self, row: Any) -> Webhook:
        content = self._sealer.open(row.tenant, f"webhook/{row.name}", row.sealed)
        sealed = msgspec.msgpack.decode(content, type=_Sealed)
        return Webhook(
            tenant=row.tenant,
            name=row.name,
            url=sealed.url,
            secret=sealed.secret,
            created_at=present(row.created_at),
            events=tuple(row.events),
            old_secret=sealed.old_secret,
            old_until=sealed.old_until,
        )


def _is(tenant: str, name: str) -> tuple[Any, Any]:
    return webhooks.c.tenant == tenant, webhooks.c.name == name


async def _tries(connection: AsyncConnection, ids: Sequence[str]) -> defaultdict[str, list[Try]]:
    logged: defaultdict[str, list[Try]] = defaultdict(list)
    query = select(tries).where(tries.c.delivery.in_(ids)).order_by(tries.c.delivery, tries.c.number)
    for row in (await connection.execute(query)).all() if ids else ():
        took = timedelta(milliseconds=row.took_ms)
        logged[row.delivery].append(Try(present(row.at), row.status, row.error, took))
    return logged
