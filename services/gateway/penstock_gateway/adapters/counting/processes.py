"""How many processes count together: each says that it is there, so that everybody knows its share for when Redis is away."""

from __future__ import annotations

import secrets
from contextlib import suppress

from redis.exceptions import ResponseError

from penstock_common.redis_connection import RedisConnection, RedisUnavailable
from penstock_gateway.adapters.counting.clocks import SharedClock
from penstock_gateway.adapters.counting.scripts import BEAT

KEY = "penstock:limits:counting"
GONE_MS = 10_000
"""A process that has said nothing for so long is not there any more."""


class Processes:
    """Knows them as last heard; there are never fewer than ``least``. Each beat sets the clock."""

    def __init__(self, redis: RedisConnection, least: int, clock: SharedClock) -> None:
        self.name = secrets.token_hex(8)
        self._redis = redis
        self._least = least
        self._clock = clock
        self._heard = 1

    @property
    def count(self) -> int:
        """How many there are, this one among them."""
        return max(self._heard, self._least)

    async def beat(self) -> None:
        """Say that this one is there, and hear how many are.

        Raises:
            RedisUnavailable: and whatever else Redis refuses it with.
        """
        asked = self._clock.own()
        count, at_us = await self._redis.run(BEAT, (KEY,), self.name, GONE_MS)
        self._heard = int(count)
        self._clock.heard(int(at_us), asked, self._clock.own())

    async def leave(self) -> None:
        """Say that this one is gone."""
        with suppress(RedisUnavailable, ResponseError):
            await self._redis.execute("ZREM", KEY, self.name)
