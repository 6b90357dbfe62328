"""What replicas tell each other of upstreams, and all of them the router, through Redis; each does without, and none waits for it.

A field is a place, with its condition and when that began, a place with the operator's last word on it, or a quota's group,
with the end of its cool-down. Times travel as what is left, or as an age, and Redis reckons with its own clock: the replicas'
need not agree. Of two words on a place the later counts, of two cool-downs the longer, and nothing that a replica finds out
stands against what the operator has put out. What is there converges whatever the order, so that a Redis that was away or has
forgotten everything is told anew by whoever knows.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from contextlib import suppress

import msgspec
import structlog
from redis.exceptions import ResponseError

from penstock_common.redis_connection import RedisConnection, RedisUnavailable, Script
from penstock_common.upstreams.redis_feed import RedisFeed
from penstock_inference.domain.health.place import OperatorsWord, Place, PlaceName
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.health.rules import State
from penstock_inference.domain.health.summary import summary

KEY = "penstock:health"
LIFE_MILLISECONDS = 3_600_000
"""How long the hash outlives the last replica that asked for it."""
_CLOSE_SECONDS = 0.005
"""Who hears of a cool-down that is longer by less has told of it."""
GATHER_SECONDS = 0.05
"""What comes so soon after the first of the news is told with it."""
_SAME_SECONDS = 1.0
"""Two equal words are one, if no more lies between them than it takes to tell."""
_QUOTA, _PLACE, _OPERATOR = b"q ", b"p ", b"o "

# ARGV: life in milliseconds, the longest cool-down in microseconds, then triples of field, microseconds (a group's: how long
# yet; a place's: how old), body. The reply: triples of field, the same time as it is now, body. What cannot be a word, or is of
# a time that has not come yet (Redis' clock went back), is thrown away: whoever knows better tells it anew.
_EXCHANGE = Script(
    """
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    local function is_quota(field) return string.sub(field, 1, 1) == 'q' end
    local function read(field, value)
        local at, body = string.match(value or '', '^(%d+) (.*)$')
        at = tonumber(at)
        if at and at <= now + (is_quota(field) and tonumber(ARGV[2]) or 0) then return at, body end
    end
    for i = 3, #ARGV, 3 do
        local field, microseconds, body = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
        local at = is_quota(field) and now + microseconds or now - microseconds
        local known = read(field, redis.call('HGET', KEYS[1], field))
        if not known or known < at then
            redis.call('HSET', KEYS[1], field, string.format('%.0f', at) .. ' ' .. body)
        end
    end
    local reply = {}
    local all = redis.call('HGETALL', KEYS[1])
    for i = 1, #all, 2 do
        local field = all[i]
        local at, body = read(field, all[i + 1])
        if at and not (is_quota(field) and at <= now) then
            table.insert(reply, field)
            table.insert(reply, string.format('%.0f', math.abs(now - at)))
            table.insert(reply, body)
        else
            redis.call('HDEL', KEYS[1], field)
        end
    end
    if #all > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
    return reply
    """
)
# A lease that lasts for longer than any does, or for ever, is nobody's: Redis' clock went back, or it was put there.
_TAKE = Script(
    """
    local left = redis.call('PTTL', KEYS[1])
    if left >= 0 and left <= tonumber(ARGV[2]) then return 0 end
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    return 1
    """
)
_GIVE_BACK = Script("if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0")

_log = structlog.get_logger(__name__)


class _Said(msgspec.Struct, array_like=True):
    """A place's condition, or the operator's word on it, which lasts for ``left_seconds`` from when it was given."""

    condition: State
    reason: str
    by: str
    left_seconds: float | None = None


_CONDITIONS = frozenset({State.OK, State.SLOW, State.EJECTED, State.BY_HAND})
"""What a place can be by itself; its quota and its probes make it the rest."""
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_Said)


class SharedHealth:
    """Tells what this replica has found out, and takes over what others have since. Also the lease of probes."""

    def __init__(self, connection: RedisConnection, health: Health) -> None:
        self._connection = connection
        self._feed = RedisFeed(connection)
        self._health = health
        self._name = secrets.token_hex(8)
        self._is_away = False
        self._told_at = -math.inf
        self._news = asyncio.Event()
        # Until when quotas cool as Redis has it. Told again, it would be later each time by how long the telling took.
        self._known: dict[str, float] = {}

    async def run(self, every_seconds: float) -> None:
        """Exchange for ever, and at once where there is news to tell; never return."""
        self._health.news = self._news.set
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(every_seconds):
                    await self._news.wait()
                await asyncio.sleep(GATHER_SECONDS)
            self._news.clear()
            await self.exchange()

    async def exchange(self) -> None:
        """Tell and hear once; where Redis is away, or says what cannot be read, nothing happens but a line in the log."""
        try:
            longest = _microseconds(self._health.rules.longest_cool_down_seconds)
            self._take_over(await self._connection.run(_EXCHANGE, (KEY,), LIFE_MILLISECONDS, longest, *self._told()))
            # After what others have found out, so that all say the same to the router.
            await self._feed.tell(self._name, summary(self._health))
        except Exception as error:  # noqa: BLE001 - whatever stands in Redis, the service goes on without
            if not self._is_away:
                is_away = isinstance(error, RedisUnavailable | ResponseError)
                _log.warning("health_not_shared", reason=str(error), exc_info=None if is_away else error)
            self._is_away = True
        else:
            self._is_away = False

    def _take_over(self, reply: list[bytes]) -> None:
        now, known = self._health.clock(), self._known
        self._known = {}
        said = zip(reply[::3], reply[1::3], reply[2::3], strict=True)
        # The operator's first: what was found out since then counts after it.
        for field, microseconds, body in sorted(said, key=lambda each: not each[0].startswith(_OPERATOR)):
            self._hear(field, float(microseconds) / 1e6, body, now)
        # A reply that took longer had it later, and none has made it sooner.
        self._known = {name: max(until, known.get(name, until)) for name, until in self._known.items()}

    async def take(self, name: str, seconds: float) -> bool:
        """Return whether it is our turn to probe; where Redis is away, it is."""
        try:
            key = f"{KEY}:probe:{name}"
            return bool(await self._connection.run(_TAKE, (key,), self._name, int(seconds * 1000)))
        except (RedisUnavailable, ResponseError):
            return True

    async def give_back(self, name: str) -> None:
        """Let others have their turn."""
        with suppress(RedisUnavailable, ResponseError):
            await self._connection.run(_GIVE_BACK, (f"{KEY}:probe:{name}",), self._name)

    def _told(self) -> list[str | bytes | int]:
        """Return which quotas cool down, what the operator has said, and how every other place is that has ever changed."""
        now = self._health.clock()
        told: list[str | bytes | int] = []
        for group in self._health.groups.values():
            if group.is_cooling(now) and group.until > self._known.get(group.name, -math.inf) + _CLOSE_SECONDS:
                told += (_QUOTA + group.name.encode(), _microseconds(group.until - now), b"")
        self._told_at = now
        for name, place in self._health.places.items():
            word = place.word
            if word is not None:
                condition = State.BY_HAND if word.seconds else State.OK
                said = _Said(condition, word.reason, self._name, word.seconds)
                told += (_field(_OPERATOR, name), _microseconds(now - word.given_at), _ENCODER.encode(said))
            if place.changed_at > -math.inf and place.condition is not State.BY_HAND:
                said = _Said(place.condition, place.reason, self._name)
                told += (_field(_PLACE, name), _microseconds(now - place.changed_at), _ENCODER.encode(said))
        return told

    def _hear(self, field: bytes, seconds: float, body: bytes, now: float) -> None:
        if field.startswith(_QUOTA):
            name = field[2:].decode(errors="replace")
            self._known[name] = now + seconds
            group = self._health.groups.get(name)
            if group is not None and now + seconds > group.until + _CLOSE_SECONDS:
                group.cool(now, seconds)
            return
        place = self._health.places.get(_name_in(field))
        if place is None:
            return
        try:
            said = _DECODER.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # A later version's word.
            return
        if said.condition not in _CONDITIONS or said.by == self._name:
            # Ours was among those of which Redis has kept the latest.
            return
        if field.startswith(_OPERATOR):
            _heed(place, said, now - seconds, now)
        elif place.changed_at <= self._told_at:
            # What has changed since we told is told next time.
            _adopt(place, said, now - seconds)


def _heed(place: Place, said: _Said, given_at: float, now: float) -> None:
    word, known = OperatorsWord(given_at, said.left_seconds or 0.0, said.reason), place.word
    if known is not None:
        is_same = word[1:] == known[1:] and abs(given_at - known.given_at) < _SAME_SECONDS
        if is_same or given_at <= known.given_at:
            return
    place.heed(word, now)


def _adopt(place: Place, said: _Said, changed_at: float) -> None:
    if place.condition is State.BY_HAND or said.condition is State.BY_HAND:
        return
    if said.condition is place.condition:
        if place.changed_at == -math.inf:
            place.changed_at = changed_at
        return
    if changed_at > place.changed_at:
        place.adopt(said.condition, said.reason, changed_at)


def _field(kind: bytes, name: PlaceName) -> bytes:
    return kind + msgspec.json.encode(tuple(name))


def _name_in(field: bytes) -> PlaceName:
    try:
        return PlaceName(*msgspec.json.decode(field[2:], type=tuple[str, str, str]))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return PlaceName("", "", "")


def _microseconds(seconds: float) -> int:
    return max(0, math.ceil(seconds * 1e6))
