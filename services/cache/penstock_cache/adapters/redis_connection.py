"""Commands to Redis: bounded in time, never retried."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

Command = tuple[Any, ...]

# TimeoutError and OSError come from the loop, RedisError from the client.
FAILURES = (RedisError, OSError, TimeoutError)


class RedisConnection:
    """Sends commands and returns their replies within ``timeout``."""

    def __init__(self, client: Redis, timeout: timedelta) -> None:
        self._client = client
        self._timeout_seconds = timeout.total_seconds()

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, timeout: timedelta) -> AsyncIterator[RedisConnection]:
        """Yield a connection to ``unix://…`` or ``redis://…``; it connects when first used."""
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=32,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=timeout.total_seconds(),
            socket_connect_timeout=timeout.total_seconds(),
        )
        client = Redis.from_pool(pool)
        try:
            yield cls(client, timeout)
        finally:
            await client.aclose()

    async def run(self, *commands: Command) -> list[Any]:
        """Return the replies, in order.

        Raises:
            RedisError: if one of the commands is refused, or the connection fails.
            OSError: if there is no connection.
            TimeoutError: if the replies are not there in time.
        """
        async with asyncio.timeout(self._timeout_seconds):
            pipeline = self._client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            return await pipeline.execute()
