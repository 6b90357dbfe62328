"""The way of replicas' words through one hash in Redis: a field is a replica, with what it said and when, by Redis' own clock.

A replica that has died says nothing more, and a word that is too old is not heard.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from redis.exceptions import ResponseError

from penstock_common.redis_connection import RedisConnection, RedisUnavailable, Script
from penstock_common.upstreams.state import Unheard, UpstreamState, Word

KEY = "penstock:upstreams"
LIFE_MILLISECONDS = 60_000
"""After so long without a word a replica's field is removed, by the next one that speaks."""

# ARGV: the replica's name, its word, life in milliseconds.
_TELL = Script(
    """
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now) .. ' ' .. ARGV[2])
    local all = redis.call('HGETALL', KEYS[1])
    for i = 1, #all, 2 do
        local at = tonumber(string.match(all[i + 1], '^(%d+) '))
        if not at or at < now - ARGV[3] * 1000 then redis.call('HDEL', KEYS[1], all[i]) end
    end
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    return 1
    """
)
# ARGV: the oldest that is heard, in microseconds. The reply: pairs of age in microseconds and word.
_HEAR = Script(
    """
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    local reply = {}
    for _, said in ipairs(redis.call('HVALS', KEYS[1])) do
        local at, word = string.match(said, '^(%d+) (.*)$')
        if at and now - at <= tonumber(ARGV[1]) then
            table.insert(reply, string.format('%.0f', math.max(0, now - at)))
            table.insert(reply, word)
        end
    end
    return reply
    """
)

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(list[UpstreamState])


class RedisFeed:
    """Tells one replica's word, and hears those of all."""

    def __init__(self, connection: RedisConnection, believed_seconds: float = LIFE_MILLISECONDS / 1000) -> None:
        """What is older than ``believed_seconds`` is not heard."""
        self._connection = connection
        self._believed_microseconds = int(believed_seconds * 1e6)

    async def tell(self, name: str, states: Sequence[UpstreamState]) -> None:
        """Say what the replica of this name knows, in place of what it said before.

        Raises:
            RedisUnavailable, ResponseError: as ``RedisConnection.run``.
        """
        await self._connection.run(_TELL, (KEY,), name, _ENCODER.encode(states), LIFE_MILLISECONDS)

    async def words(self) -> list[Word]:
        """Return what replicas have said of late; of those that this version cannot read, nothing.

        Raises:
            Unheard: Redis is away, or refuses.
        """
        try:
            reply: list[bytes] = await self._connection.run(_HEAR, (KEY,), self._believed_microseconds)
        except (RedisUnavailable, ResponseError) as error:
            raise Unheard(str(error)) from error
        words: list[Word] = []
        for microseconds, word in zip(reply[::2], reply[1::2], strict=True):
            try:
                words.append(Word(float(microseconds) / 1e6, _DECODER.decode(word)))
            except ValueError:
                # Also a text that is no UTF-8, for which msgspec has no error of its own.
                continue
        return words
