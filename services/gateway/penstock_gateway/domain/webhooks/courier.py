"""Brings messages to webhooks: each until it is there, its endpoint wants no more, or its tries are used up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec
import structlog

from penstock_common.errors import PenstockError
from penstock_gateway.domain.webhooks.delivery import GONE, Delivery, DeliveryState, Outcome, after_try
from penstock_gateway.domain.webhooks.endpoint import Endpoint
from penstock_gateway.domain.webhooks.registered import Try
from penstock_gateway.domain.webhooks.signature import signed_headers

AT_ONCE = 5
"""Messages on their way at once from one process."""
LEASE = timedelta(minutes=2)
"""How long a message is this process'; longer than a try may take. Should the process die, another takes it then."""

_log = structlog.get_logger(__name__)


class Sender(Protocol):
    """Posts to an address."""

    async def post(self, endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Return how it went; never fails."""
        ...


class DeliveryStore(Protocol):
    """Where messages wait, over restarts and for all processes.

    Raises:
        ServiceUnavailable: of each method, if the store does not answer.
    """

    async def add(self, delivery: Delivery) -> None:
        """Keep a new message."""
        ...

    async def claim(self, webhooks: Collection[str], now: datetime, until: datetime, limit: int) -> Sequence[Delivery]:
        """Return messages to these webhooks that are due, which nobody else gets until then."""
        ...

    async def note(self, delivery: Delivery, tried: Try | None = None) -> None:
        """Keep how a claimed message is, for whoever claims it next, and what came of the try."""
        ...

    async def disabled(self) -> frozenset[str]:
        """Return the addresses, as ``Endpoint.address`` names them, that want no more."""
        ...

    async def disable(self, address: str, webhook: str, now: datetime) -> None:
        """Keep that an address wants no more."""
        ...


class CourierObserver(Protocol):
    """Who counts tries."""

    def tried(self, webhook: str, result: str) -> None:
        """Count a try: delivered, failed, exhausted or disabled."""
        ...


class Courier:
    """Sends what is due. Of several processes each message is one's at a time; ``webhook-id`` tells a second copy."""

    def __init__(
        self,
        store: DeliveryStore,
        sender: Sender,
        observer: CourierObserver,
        endpoints: Callable[[], Mapping[str, Endpoint]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        draw: Callable[[], float] = random.random,  # noqa: S311 - spreads tries, guards nothing
    ) -> None:
        self._store = store
        self._sender = sender
        self._observer = observer
        self._now = now
        self._draw = draw
        self._endpoints = endpoints

    async def run(self, every: timedelta, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Send what is due after each interval, until cancelled; never fail."""
        while True:
            await sleep(every.total_seconds())
            try:
                while await self.deliver() == AT_ONCE:
                    pass
            except Exception as error:  # noqa: BLE001 - whatever the store says, the messages are there the next time
                unexpected = None if isinstance(error, PenstockError) else error
                _log.error("webhooks_not_delivered", reason=str(error), exc_info=unexpected)

    async def deliver(self) -> int:
        """Try what is due, ``AT_ONCE`` at most; return how many that were."""
        # What is taken over meanwhile may lack one of those that messages are claimed for.
        endpoints = self._endpoints()
        if not endpoints:
            return 0
        now = self._now()
        claimed = await self._store.claim(tuple(endpoints), now, now + LEASE, AT_ONCE)
        if claimed:
            disabled = await self._store.disabled()
            tries = [self._try(delivery, endpoints[delivery.webhook], disabled) for delivery in claimed]
            failed = [one for one in await asyncio.gather(*tries, return_exceptions=True) if one is not None]
            if failed:
                # The others have come to their ends.
                raise failed[0]
        return len(claimed)

    async def _try(self, delivery: Delivery, endpoint: Endpoint, disabled: frozenset[str]) -> None:
        now = self._now()
        if endpoint.address in disabled:
            wants_none = "the address wants no more: change the webhook's url"
            tried, log = msgspec.structs.replace(delivery, state=DeliveryState.DISABLED, error=wants_none), None
        else:
            headers = signed_headers(endpoint.secrets, delivery.id, now, delivery.body)
            outcome = await self._sender.post(endpoint, headers, delivery.body.encode())
            ended = self._now()
            tried, log = (
                after_try(delivery, outcome, ended, self._draw()),
                Try(now, outcome.status, outcome.error, ended - now),
            )
            if outcome.status == GONE:
                await self._store.disable(endpoint.address, endpoint.name, now)
        await self._store.note(tried, log)
        # What tenants call theirs must not make ever more metrics.
        name = endpoint.name if "/" not in endpoint.name else "(created)"
        self._observer.tried(name, "failed" if tried.state is DeliveryState.WAITING else tried.state.value)
        if tried.state is not DeliveryState.DELIVERED:
            _log.warning(
                "webhook_not_delivered",
                webhook=endpoint.name,
                id=tried.id,
                attempts=tried.attempts,
                state=tried.state.value,
                reason=tried.error,
            )
