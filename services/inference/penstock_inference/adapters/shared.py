"""What the processes of the inference service share through one connection to Redis; none waits for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from penstock_common.background import background_work, running
from penstock_common.configuration import ConfigurationError
from penstock_common.redis_connection import RedisConnection
from penstock_inference.adapters.shared_health import SharedHealth
from penstock_inference.adapters.shared_limits import SharedLimits
from penstock_inference.domain.health.registry import Health


class Shared(NamedTuple):
    """What they know of upstreams, and what they may ask of them."""

    health: SharedHealth
    limits: SharedLimits

    async def go_on(self, every_seconds: float, stack: AsyncExitStack) -> None:
        """Exchange now, and then for as long as ``stack`` is open."""
        await self.health.exchange()
        if self.limits.are_there:
            await self.limits.beat()
        await stack.enter_async_context(running(self.health.run(every_seconds)))
        await stack.enter_async_context(running(self.limits.run(every_seconds)))


@asynccontextmanager
async def sharing(url: str, health: Health) -> AsyncGenerator[Shared]:
    """Yield both; Redis may be away.

    Raises:
        ConfigurationError: if the address is none.
    """
    try:
        connection = RedisConnection(url)
    except ValueError as error:
        raise ConfigurationError(f"'redis.state': {error}") from None
    async with connection, background_work() as in_background:
        limits = SharedLimits(connection, in_background)
        try:
            yield Shared(SharedHealth(connection, health), limits)
        finally:
            await limits.close()
