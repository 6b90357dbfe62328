"""The way of what is known of answers' quality through one key in Redis.

Every gateway reads the same feedback and so says the same: whoever spoke last is heard.
"""

from __future__ import annotations

from typing import Any

import msgspec
from redis.exceptions import ResponseError

from penstock_common.llm.types import Candidate
from penstock_common.redis_connection import RedisConnection, RedisUnavailable
from penstock_common.upstreams.quality import Qualities, Quality, QualityUnheard

KEY = "penstock:quality"
LIFE_MILLISECONDS = 24 * 60 * 60 * 1000
"""After so long without a gateway that speaks nothing is known any more."""

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(list[tuple[str, str, str, float, float]])


class RedisQualityFeed:
    """Tells and reads as ``QualityBoard`` does, across processes."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def tell(self, qualities: Qualities) -> None:
        """Say what is known now, in place of what any gateway said before.

        Raises:
            QualityUnheard: Redis is away, or refuses.
        """
        rows = [(one.upstream, one.model, task, *quality) for (one, task), quality in qualities.items()]
        await self._ask("SET", KEY, _ENCODER.encode(rows), "PX", LIFE_MILLISECONDS)

    async def read(self) -> Qualities:
        """Return what a gateway said last.

        Raises:
            QualityUnheard: Redis is away, refuses, or holds what this version cannot read.
        """
        told: bytes | None = await self._ask("GET", KEY)
        if told is None:
            return {}
        try:
            rows = _DECODER.decode(told)
        except ValueError as error:
            raise QualityUnheard(f"{KEY} is not to be read: {error}") from error
        return {
            (Candidate(upstream=upstream, model=model), task): Quality(score, weight)
            for upstream, model, task, score, weight in rows
        }

    async def _ask(self, *command: Any) -> Any:
        try:
            return await self._connection.execute(*command)
        except (RedisUnavailable, ResponseError) as error:
            raise QualityUnheard(str(error)) from error
