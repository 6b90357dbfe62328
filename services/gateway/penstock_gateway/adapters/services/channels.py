"""Where the other services of the suite are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from penstock_gateway.adapters.services.cache import CacheClient, NoCache
from penstock_gateway.adapters.services.wire import WireInputs


@dataclass(frozen=True, slots=True)
class Channels:
    """The services the gateway calls, over either transport. Without a cache, nothing is cached."""

    router: Any
    inference: Any
    cache: Any = None

    def cache_client(
        self, inputs: WireInputs, lookup_timeout: timedelta, store_timeout: timedelta
    ) -> CacheClient | NoCache:
        """Return the cache as the domain knows it."""
        if self.cache is None:
            return NoCache()
        return CacheClient(self.cache, inputs, lookup_timeout, store_timeout)
