"""Brings messages to webhooks: each until it is there, its endpoint wants no more, or its tries are used up."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

import msgspec
import structlog

from penstock_common.errors import PenstockError
from penstock_gateway.domain.webhooks.delivery import GONE, Delivery, DeliveryState, Outcome, after_try
from penstock_gateway.domain.webhooks.endpoint import Endpoint
from penstock_gateway.domain.webhooks.registered import Try
from penstock_gateway.domain.webhooks.signature import signed_headers

AT_ONCE, MOST_AT_ONCE = 5, 50
"""Messages to one webhook, and to all, that one process begins to bring at once: a receiver that hangs holds no other up."""
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

    async def claim(
        self, webhooks: Collection[str], now: datetime, until: datetime, limit: int, per_webhook: int
    ) -> Sequence[Delivery]:
        """Return messages to these webhooks that are due, which nobody else gets until then: so many to each at most."""
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


class CourierParts(NamedTuple):
    """Where messages wait, what posts them, and who counts tries."""

    store: DeliveryStore
    sender: Sender
    observer: CourierObserver


class Courier:
    """Sends what is due. Of several processes each message is one's at a time; ``webhook-id`` tells a second copy."""

    def __init__(
        self,
        parts: CourierParts,
        endpoints: Callable[[], Mapping[str, Endpoint]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        draw: Callable[[], float] = random.random,  # noqa: S311 - spreads tries, guards nothing
    ) -> None:
        self._store = parts.store
        self._sender = parts.sender
        self._observer = parts.observer
        self._now = now
        self._draw = draw
        self._endpoints = endpoints
        self._on_their_way: dict[asyncio.Task[None], str] = {}

    async def run(self, every: timedelta, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Send what is due after each interval, until cancelled; never fail."""
        try:
            while True:
                await sleep(every.total_seconds())
                await self._begin_all()
        finally:
            left = [*self._on_their_way]
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left)

    async def _begin_all(self) -> None:
        try:
            while await self._begin():
                pass
        except Exception as error:  # noqa: BLE001 - whatever the store says, the messages are there the next time
            _told(error)

    async def deliver(self) -> int:
        """Try what is due, and return once that is done: how many it were."""
        begun = await self._begin()
        failed = [one for one in await asyncio.gather(*begun, return_exceptions=True) if one is not None]
        if failed:
            # The others have come to their ends.
            raise failed[0]
        return len(begun)

    async def _begin(self) -> Sequence[asyncio.Task[None]]:
        """Begin to try what is due and has room, and return that."""
        # What is taken over meanwhile may lack one of those that messages are claimed for.
        endpoints, busy = self._endpoints(), Counter(self._on_their_way.values())
        free = [name for name in endpoints if busy[name] < AT_ONCE]
        room = MOST_AT_ONCE - len(self._on_their_way)
        if not free or room <= 0:
            return ()
        now = self._now()
        claimed = await self._store.claim(free, now, now + LEASE, room, AT_ONCE)
        disabled = await self._store.disabled() if claimed else frozenset[str]()
        begun: list[asyncio.Task[None]] = []
        for delivery in claimed:
            trying = self._try(delivery, endpoints[delivery.webhook], disabled)
            task = asyncio.get_running_loop().create_task(trying, name=f"webhook {delivery.webhook}")
            self._on_their_way[task] = delivery.webhook
            task.add_done_callback(self._came)
            begun.append(task)
        return begun

    def _came(self, task: asyncio.Task[None]) -> None:
        del self._on_their_way[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            _told(error)

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


def _told(error: BaseException) -> None:
    unexpected = None if isinstance(error, PenstockError) else error
    _log.error("webhooks_not_delivered", reason=str(error), exc_info=unexpected)
