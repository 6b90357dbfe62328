"""The webhooks that this process knows: those of the configuration, and those that tenants have made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from penstock_common.errors import ServiceUnavailable
from penstock_gateway.domain.webhooks.endpoint import Endpoint
from penstock_gateway.domain.webhooks.registered import Webhook, WebhookStore

_log = structlog.get_logger(__name__)


class WebhookBook:
    """Knows webhooks by what messages to them are kept under."""

    def __init__(
        self,
        store: WebhookStore,
        configured: Mapping[str, Endpoint],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._configured = configured
        self._made: Sequence[Webhook] = ()
        self._now = now

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """Where messages go."""
        if not self._made:
            return self._configured
        now = self._now()
        return {**{webhook.key: webhook.endpoint(now) for webhook in self._made}, **self._configured}

    def wanting(self, tenant: str, event: str) -> Sequence[str]:
        """Return what a tenant's webhooks are kept under that hear of such a message unasked."""
        return [webhook.key for webhook in self._made if webhook.tenant == tenant and webhook.wants(event)]

    def take_over(self, configured: Mapping[str, Endpoint]) -> None:
        """Have those of the configuration be these from now on."""
        self._configured = configured

    async def renew(self) -> None:
        """Read which tenants have made.

        Raises:
            ServiceUnavailable: if the database does not say it.
        """
        self._made = await self._store.all()

    async def run(self, every: timedelta, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Read them after each interval, until cancelled; what is known holds while the database is away."""
        while True:
            await sleep(every.total_seconds())
            try:
                await self.renew()
            except ServiceUnavailable as error:
                _log.warning("webhooks_not_read", reason=str(error))
