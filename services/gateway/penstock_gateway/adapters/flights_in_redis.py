from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from penstock_gateway.domain.life.flights import Flights
from penstock_gateway.settings import Settings


@asynccontextmanager
async def open_flights(settings: Settings, *, shares: bool) -> AsyncGenerator[Flights | None]:
    cache = settings.cache
    if not cache.single_flight or cache.mode == "off":
        yield None
        return
    yield Flights(linger_seconds=cache.flight_linger.total_seconds())
