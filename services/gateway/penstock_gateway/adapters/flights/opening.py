"""Opening the flights of a process, and hearing of those of others."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from penstock_common.background import running
from penstock_common.key_material import read_key_material
from penstock_common.redis_connection import RedisConnection
from penstock_gateway.adapters.flights.sealed import FlightSealer
from penstock_gateway.adapters.flights.shared import RedisFlights
from penstock_gateway.domain.life.flights import Flights
from penstock_gateway.settings import Settings

_log = structlog.get_logger(__name__)

_PROCESS_BYTES = 8
_BLOCK_MS = 1000
_PATIENCE_SECONDS = 3.0
_AGAIN_SECONDS = 0.5
_MESSAGES_AT_ONCE = 256


@asynccontextmanager
async def open_flights(settings: Settings, *, shares: bool) -> AsyncGenerator[Flights | None]:
    """Yield the flights, None where they are off; ``shares`` says that there may be other processes.

    Raises:
        ConfigurationError: if the key cannot be read that what lies in Redis is sealed with.
    """
    cache, url, key = settings.cache, settings.redis.cache, settings.secrets.cache_key_file
    linger_seconds = cache.flight_linger.total_seconds()
    if not cache.single_flight or cache.mode == "off":
        yield None
    elif not (shares and url and key is not None):
        yield Flights(linger_seconds=linger_seconds)
    else:
        sealer = FlightSealer(read_key_material(key, "secrets.cache_key_file"))
        async with RedisConnection(url, settings.gateway.redis_timeout) as redis:
            shared = RedisFlights(
                redis,
                sealer,
                secrets.token_hex(_PROCESS_BYTES),
                lease_seconds=cache.flight_lease.total_seconds(),
                most_bytes=cache.flight_bytes,
            )
            async with running(_listen(shared, url)):
                yield Flights(shared, linger_seconds=linger_seconds)
            shared.stop()


async def _listen(shared: RedisFlights, url: str) -> None:
    """Hand in what comes for this process, for ever, over a connection of its own; while there is none it is deaf."""
    at = "0"
    async with Redis.from_url(
        url, socket_timeout=_PATIENCE_SECONDS, socket_connect_timeout=_PATIENCE_SECONDS
    ) as client:
        while True:
            try:
                if shared.is_deaf:
                    await client.ping()
                    shared.is_deaf = False
                found: Any = await client.xread(
                    {shared.inbox: at, **shared.followed()}, count=_MESSAGES_AT_ONCE, block=_BLOCK_MS
                )
                at = _hand_in(shared, found or (), at)
            except (RedisError, OSError) as error:
                if not shared.is_deaf:
                    _log.warning("flights_not_shared", reason=str(error))
                shared.go_deaf()
                await asyncio.sleep(_AGAIN_SECONDS)


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
