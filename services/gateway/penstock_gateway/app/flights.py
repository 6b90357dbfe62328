"""The flights of a process, shared with others where there may be some."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from penstock_common.key_material import read_key_material
from penstock_gateway.adapters.flights.opening import Terms, sharing_flights
from penstock_gateway.domain.life.flights import Flights
from penstock_gateway.settings import Settings


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
        secret = read_key_material(key, "secrets.cache_key_file")
        terms = Terms(settings.gateway.redis_timeout, cache.flight_lease, cache.flight_bytes)
        async with sharing_flights(url, secret, terms) as shared:
            yield Flights(shared, linger_seconds=linger_seconds)
