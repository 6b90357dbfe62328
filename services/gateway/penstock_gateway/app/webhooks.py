"""Webhooks' part of the composition: which there are, and who brings messages to them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.background import running
from penstock_common.key_material import read_key_material
from penstock_gateway.adapters.sql.registry import SqlRegistry
from penstock_gateway.adapters.sql.sealing import TenantSealer
from penstock_gateway.adapters.sql.webhooks.registered import SqlWebhooks
from penstock_gateway.adapters.sql.webhooks.store import SqlDeliveries
from penstock_gateway.budget_settings import WebhookDeliverySettings
from penstock_gateway.domain.webhooks.administration import WebhookAdministration
from penstock_gateway.domain.webhooks.book import WebhookBook
from penstock_gateway.domain.webhooks.courier import Courier, CourierObserver, CourierParts
from penstock_gateway.domain.webhooks.delivery import Outcome
from penstock_gateway.domain.webhooks.endpoint import Endpoint
from penstock_gateway.settings import Settings
from penstock_gateway.surfaces.grpc.cache_admin import ActorOf
from penstock_gateway.surfaces.grpc.webhooks import WebhookServicer


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookParts:
    """What is open of webhooks, in a gateway or at the command line."""

    engine: AsyncEngine
    store: SqlWebhooks
    book: WebhookBook
    courier: Courier

    def servicer(self, actor_of: ActorOf) -> WebhookServicer:
        """Return what serves webhooks."""
        return WebhookServicer(WebhookAdministration(self.store, SqlRegistry(self.engine), self.book), actor_of)


def webhook_parts(settings: Settings, engine: AsyncEngine, observer: CourierObserver) -> WebhookParts:
    """Return the parts, with which nothing happens yet.

    Raises:
        ConfigurationError: if the secret cannot be read that addresses are sealed by.
    """
    secret = read_key_material(settings.secrets.key_pepper_file, "secrets.key_pepper_file")
    store = SqlWebhooks(engine, TenantSealer(secret))
    book = WebhookBook(store, settings.endpoints())
    sends = CourierParts(SqlDeliveries(engine), _Sender(settings.webhook_delivery), observer)
    courier = Courier(sends, lambda: book.endpoints)
    return WebhookParts(engine=engine, store=store, book=book, courier=courier)


@asynccontextmanager
async def bringing(parts: WebhookParts, settings: Settings) -> AsyncGenerator[None]:
    """Know webhooks, and bring messages to them, while the context is open.

    Raises:
        ServiceUnavailable: if the database does not say which there are.
    """
    await parts.book.renew()
    async with (
        running(parts.book.run(settings.webhook_delivery.refresh)),
        running(parts.courier.run(settings.webhook_delivery.every)),
    ):
        yield


class _Sender:
    """Implements ``courier.Sender``; who has no webhook waits for none of an HTTP client."""

    def __init__(self, delivery: WebhookDeliverySettings) -> None:
        self._delivery = delivery

    async def post(self, endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Return how it went."""
        from penstock_gateway.adapters.webhooks.http_sender import HttpSender

        sender = HttpSender(self._delivery.connect_timeout, self._delivery.timeout)
        return await sender.post(endpoint, headers, body)
