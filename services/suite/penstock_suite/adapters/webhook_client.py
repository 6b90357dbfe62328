"""WebhookService as the command asks for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.gateway.v1 import webhook_service_pb2 as pb
from penstock_suite.domain.webhooks import DeliveryRow, TryRow, WebhookRow

_PAGE_SIZE = 500
_STATE = "WEBHOOK_DELIVERY_STATE_"


class WebhookClient:
    """Implements ``Webhooks`` by what ``_ask`` does."""

    async def _ask(self, method: str, request: Any) -> Any:
        raise NotImplementedError

    async def webhooks(self, tenant: str) -> list[WebhookRow]:
        """Return a tenant's, by name."""
        told = await self._ask("ListWebhooks", pb.ListWebhooksRequest(tenant=tenant))
        return [_row(webhook) for webhook in told.webhooks]

    async def create_webhook(self, tenant: str, name: str, url: str, events: tuple[str, ...]) -> tuple[WebhookRow, str]:
        """Return the new one, and its secret."""
        wanted = pb.Webhook(tenant=tenant, name=name, url=url, events=events)
        told = await self._ask("CreateWebhook", pb.CreateWebhookRequest(webhook=wanted))
        return _row(told.webhook), told.secret

    async def rotate_webhook(self, tenant: str, name: str, overlap: timedelta | None) -> tuple[WebhookRow, str]:
        """Return it with its new secret."""
        request = pb.RotateWebhookSecretRequest(tenant=tenant, name=name)
        if overlap is not None:
            request.overlap.FromTimedelta(overlap)
        told = await self._ask("RotateWebhookSecret", request)
        return _row(told.webhook), told.secret

    async def delete_webhook(self, tenant: str, name: str) -> None:
        """Take one away."""
        await self._ask("DeleteWebhook", pb.DeleteWebhookRequest(tenant=tenant, name=name))

    async def test_webhook(self, tenant: str, name: str) -> str:
        """Return the id of a message that is about to be sent."""
        return (await self._ask("TestWebhook", pb.TestWebhookRequest(tenant=tenant, name=name))).delivery_id

    async def webhook_deliveries(self, tenant: str, name: str, states: tuple[str, ...], most: int) -> list[DeliveryRow]:
        """Return messages, the newest first."""
        words = [_STATE + state.upper() for state in states]
        request = pb.ListWebhookDeliveriesRequest(tenant=tenant, name=name, states=words)
        found: list[DeliveryRow] = []
        while len(found) < most:
            request.page_size = min(_PAGE_SIZE, most - len(found))
            page = await self._ask("ListWebhookDeliveries", request)
            found += map(_delivery, page.deliveries)
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        return found

    async def redeliver_webhook(self, tenant: str, name: str, delivery_id: str, since: datetime | None) -> int:
        """Return how many messages are due again."""
        request = pb.RedeliverWebhookRequest(tenant=tenant, name=name, delivery_id=delivery_id)
        if since is not None:
            request.since.FromDatetime(since)
        return (await self._ask("RedeliverWebhook", request)).redelivered


def _row(webhook: pb.Webhook) -> WebhookRow:
    return WebhookRow(
        tenant=webhook.tenant,
        name=webhook.name,
        url=webhook.url,
        events=tuple(webhook.events),
        is_gone=webhook.is_gone,
        created_at=_moment(webhook, "created_at"),
        old_secret_until=_moment(webhook, "old_secret_until"),
    )


def _delivery(delivery: pb.WebhookDelivery) -> DeliveryRow:
    return DeliveryRow(
        id=delivery.id,
        type=delivery.type,
        state=pb.WebhookDeliveryState.Name(delivery.state).removeprefix(_STATE).lower(),
        created_at=delivery.created_at.ToDatetime(tzinfo=UTC),
        next_at=_moment(delivery, "next_at"),
        tries=tuple(
            TryRow(
                at=tried.at.ToDatetime(tzinfo=UTC),
                status=tried.status,
                error=tried.error,
                seconds=tried.took.ToMicroseconds() / 1e6,
            )
            for tried in delivery.tries
        ),
    )


def _moment(message: Any, field: str) -> datetime | None:
    return getattr(message, field).ToDatetime(tzinfo=UTC) if message.HasField(field) else None
