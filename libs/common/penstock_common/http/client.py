"""The pools of one process, by origin."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Protocol, Self

from penstock_common.http.address import Origin
from penstock_common.http.pool import HttpPool, LookUp


class HttpPools(Protocol):
    """Hands out pools."""

    def pool(self, origin: Origin) -> HttpPool:
        """Return the connections to this origin, which all who ask for them share."""
        ...


class HttpClient:
    """Hands out pools while it is entered; leaving closes every connection.

    Trust is the system's: OpenSSL's default store, or what ``SSL_CERT_FILE``
    and ``SSL_CERT_DIR`` name. Proxies in the environment are not used, and
    neither redirects, cookies nor compression exist.
    """

    def __init__(self, look_up: LookUp | None = None) -> None:
        """Take what finds names' addresses; the system where it is None."""
        self._look_up = look_up
        self._pools: dict[Origin, HttpPool] = {}
        # How often each was handed out and not given back.
        self._users: Counter[HttpPool] = Counter()
        self._tls: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for pool in self._pools.values():
            await pool.aclose()

    def pool(self, origin: Origin) -> HttpPool:
        """Return the connections to this origin, which all who ask for them share."""
        pool = self._pools.get(origin)
        if pool is None:
            if origin.tls and self._tls is None:
                self._tls = _trusting_the_system()
            pool = self._pools[origin] = HttpPool(origin, self._tls, look_up=self._look_up)
        self._users[pool] += 1
        return pool

    @asynccontextmanager
    async def lending(self) -> AsyncGenerator[HttpPools, None]:
        """Yield what hands out pools, too; with its end they are given back, and those that nobody else has are closed."""
        lent = _Lent(self)
        try:
            yield lent
        finally:
            for pool in lent.pools.values():
                await self._give_back(pool)

    async def _give_back(self, pool: HttpPool) -> None:
        self._users[pool] -= 1
        if self._users[pool] > 0:
            return
        del self._users[pool]
        if self._pools.get(pool.origin) is pool:
            del self._pools[pool.origin]
        await pool.aclose()


class _Lent:
    """Implements ``HttpPools``: what one borrower has."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client
        self.pools: dict[Origin, HttpPool] = {}

    def pool(self, origin: Origin) -> HttpPool:
        pool = self.pools.get(origin)
        if pool is None:
            pool = self.pools[origin] = self._client.pool(origin)
        return pool


def _trusting_the_system() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.options |= ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    return context
