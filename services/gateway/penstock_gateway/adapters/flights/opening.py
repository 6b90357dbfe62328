"""Sharing the flights of a process, and hearing of those of others."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError

from penstock_common.background import running
from penstock_common.redis_connection import RedisConnection
from penstock_gateway.adapters.flights.sealed import FlightSealer
from penstock_gateway.adapters.flights.shared import RedisFlights

_PROCESS_BYTES = 8
_BLOCK_MS = 1000
_PATIENCE_SECONDS = 3.0
_AGAIN_SECONDS = 0.5
_MESSAGES_AT_ONCE = 256


class Terms(NamedTuple):
    """How long a command may take, and a claim lasts; and the most of one answer that is told."""

    timeout: timedelta
    lease: timedelta
    most_bytes: int


@asynccontextmanager
async def sharing_flights(url: str, secret: bytes, terms: Terms) -> AsyncGenerator[RedisFlights]:
    """Yield what the processes share that have this Redis and this secret in common; Redis may be away."""
    async with RedisConnection(url, terms.timeout) as redis:
        shared = RedisFlights(
            redis,
            FlightSealer(secret),
            secrets.token_hex(_PROCESS_BYTES),
            lease_seconds=terms.lease.total_seconds(),
            most_bytes=terms.most_bytes,
        )
        async with running(_listen(shared, url)):
            yield shared
        shared.stop()


async def _listen(shared: RedisFlights, url: str) -> None:
    """Hand in what comes for this process, for ever, over a connection of its own; while there is none it is deaf."""
    at = "0"
    async with Redis.from_url(
        url, socket_timeout=_PATIENCE_SECONDS, socket_connect_timeout=_PATIENCE_SECONDS
    ) as client:
        while True:
            try:
                at = await _hear(shared, client, at)
            except (RedisError, OSError) as error:
                shared.go_deaf(str(error))
                await asyncio.sleep(_AGAIN_SECONDS)


def _end_if_cancelled() -> None:
    """Raise what redis-py has swallowed: a cancellation that comes while it connects."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _hear(shared: RedisFlights, client: Redis, at: str) -> str:
    """Hand in what has come since, waiting for it for a while; return where the inbox was read to."""
    if shared.is_deaf:
        await client.ping()
        shared.is_deaf = False
    _end_if_cancelled()
    streams: Any = {shared.inbox: at, **shared.followed()}
    found: Any = await client.xread(streams, count=_MESSAGES_AT_ONCE, block=_BLOCK_MS)
    return _hand_in(shared, found or (), at)


def _hand_in(shared: RedisFlights, found: Any, at: str) -> str:
    for stream, entries in found:
        name = stream.decode()
        if name != shared.inbox:
            shared.hear_log(name, entries)
            continue
        for id_, message in entries:
            at = id_.decode()
            shared.hear(message)
    return at
