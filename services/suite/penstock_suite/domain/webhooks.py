"""Webhooks as people see them, and what may be asked of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

import msgspec

DELIVERY_STATES = ("waiting", "delivered", "exhausted", "disabled")


class WebhookRow(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's webhook; its address without the query."""

    tenant: str
    name: str
    url: str
    events: tuple[str, ...]
    is_gone: bool
    created_at: datetime | None
    old_secret_until: datetime | None


class TryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A try to bring a message."""

    at: datetime
    status: int
    error: str
    seconds: float


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A message to a webhook, and what came of it."""

    id: str
    type: str
    state: str
    created_at: datetime
    next_at: datetime | None
    tries: tuple[TryRow, ...]


class Webhooks(Protocol):
    """Webhooks, as operators have them. What it refuses is a ``SuiteFailure``."""

    async def webhooks(self, tenant: str) -> list[WebhookRow]:
        """Return a tenant's, by name."""
        ...

    async def create_webhook(self, tenant: str, name: str, url: str, events: tuple[str, ...]) -> tuple[WebhookRow, str]:
        """Return the new one, and its secret."""
        ...

    async def rotate_webhook(self, tenant: str, name: str, overlap: timedelta | None) -> tuple[WebhookRow, str]:
        """Return it with its new secret."""
        ...

    async def delete_webhook(self, tenant: str, name: str) -> None:
        """Take one away."""
        ...

    async def test_webhook(self, tenant: str, name: str) -> str:
        """Return the id of a message that is about to be sent."""
        ...

    async def webhook_deliveries(self, tenant: str, name: str, states: tuple[str, ...], most: int) -> list[DeliveryRow]:
        """Return messages, the newest first."""
        ...

    async def redeliver_webhook(self, tenant: str, name: str, delivery_id: str, since: datetime | None) -> int:
        """Return how many messages are due again."""
        ...
