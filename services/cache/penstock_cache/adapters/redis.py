"""The shared tier in Redis.

Everything of a tenant carries one hash tag, so that a cluster keeps it on one
node and a pipeline may name several of its keys:

``{t:<tenant hash>}:cache:exact:<digest>``      an entry, sealed
``{t:<tenant hash>}:cache:index:<model>``       sorted set of a model's digests by expiry
``{t:<tenant hash>}:cache:generations``         hash: model, or "" for the whole tenant, to a random token
``cache:generations``                           the same for every tenant together

An entry holds the generation it was stored under and is void under another:
that is what invalidates, at once here and within a second in every process's
memory. The index is for deleting and counting only. A generation that is lost
(Redis evicted it, or restarted empty) is drawn anew, at random: old entries
never come back to life. Everything here has a life: that of a generation is
renewed whenever it is read, and longer than its entries'.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import lru_cache
from typing import Any

from redis.exceptions import RedisError

from penstock_cache.adapters.codec import EntryFormatError, decode_entry, encode_entry
from penstock_cache.adapters.key_ring import MAX_TENANTS, EnvelopeKeyRing, Names
from penstock_cache.adapters.tenant_keys import TenantKeys
from penstock_cache.domain.entry import Entry, EntryKey
from penstock_cache.domain.envelope import RingRefused
from penstock_cache.domain.secrecy import KeyGone, KeysUnavailable, Unreadable
from penstock_common.contract.cache import Scope
from penstock_common.errors import ServiceUnavailable
from penstock_common.outage import OutageGate
from penstock_common.redis_connection import RedisConnection, RedisUnavailable, Script

COOL_DOWN = timedelta(seconds=1)
TELL_AGAIN_SECONDS = 60.0
MOST_UNSENT_BYTES = 8 * 1024 * 1024
"""Of entries that wait until Redis takes them; further ones are not kept there. Each is in memory twice until it is."""
_DELETE_BATCH = 512
_WHOLE_TENANT = ""
EVERY_TENANTS_GENERATIONS = "cache:generations"
# A walk over a million keys, the cache's or not.
_MAX_SCAN_ROUNDS, _SCAN_COUNT = 1000, 1000
_GLOB = re.compile(r"[\\*?\[\]^-]")

# Between reading a generation and storing under it lies an answer.
_GENERATIONS_OUTLIVE = timedelta(hours=1)

_FAILURES = (RedisUnavailable, RedisError, KeysUnavailable)
_KIND = "exact"

# KEYS: entry, index. ARGV: sealed entry, life in ms, digest, expiry, now, life of the index in ms.
_PUT = Script("""
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
""")

# Who sets a field first wins, and all read the same afterwards.
# KEYS: generations. ARGV: field and token, repeated.
_DRAW_GENERATIONS = Script("""
local fields = {}
for i = 1, #ARGV, 2 do
    redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1])
    fields[#fields + 1] = ARGV[i]
end
return redis.call('HMGET', KEYS[1], unpack(fields))
""")

# What nobody has drawn is in no entry: a name that somebody makes up to invalidate is not kept.
# KEYS: generations. ARGV: field, token.
_CHANGE_GENERATION = Script("""
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
""")

_LOG = logging.getLogger(__name__)


class RedisKeys:
    """Names of keys: a tenant is named by a keyed hash, so a listing names nobody."""

    def __init__(self, names: Names) -> None:
        @lru_cache(maxsize=MAX_TENANTS)
        def prefix(tenant: str) -> str:
            return "{t:" + names(tenant) + "}:cache:"

        self._prefix = prefix

    def entry(self, key: EntryKey) -> str:
        """Return where an entry lies."""
        return f"{self._prefix(key.scope.tenant)}exact:{key.digest.hex()}"

    @staticmethod
    def entry_beside(index: str, digest_hex: str) -> str:
        """Return where the entry with this digest lies, of those that an index names."""
        prefix, between, _ = index.partition("}:cache:")
        return f"{prefix}{between}exact:{digest_hex}"

    def index(self, scope: Scope) -> str:
        """Return where the digests of a model's entries lie."""
        return f"{self._prefix(scope.tenant)}index:{scope.model}"

    def generations(self, tenant: str) -> str:
        """Return where the tenant's generations lie, or those of all together where none is named."""
        return f"{self._prefix(tenant)}generations" if tenant else EVERY_TENANTS_GENERATIONS

    def indexes_of_every_tenant(self, model: str) -> str:
        """Return the pattern of every tenant's index of a model, of each model where none is named."""
        return "{t:*}:cache:index:" + (_GLOB.sub(r"\\\g<0>", model) if model else "*")


class RedisTier:
    """A ``SharedTier`` in Redis; a Redis that fails or is slow means misses."""

    def __init__(
        self,
        connection: RedisConnection,
        ring: EnvelopeKeyRing,
        index_life: timedelta,
        clocks: tuple[Callable[[], float], Callable[[], float]] = (time.time, time.monotonic),
    ) -> None:
        """``index_life`` is at least the longest life of an entry; ``clocks`` are wall clock and monotonic clock."""
        self._connection = connection
        self._ring = ring
        self._keys: RedisKeys | None = None
        self.keep_for(index_life)
        self._now, self._monotonic = clocks
        self._reads = OutageGate("reading the cache's Redis", COOL_DOWN, self._monotonic)
        self._writes = OutageGate("writing the cache's Redis", COOL_DOWN, self._monotonic)
        self._tell_again_at = self._monotonic()

    async def get(self, key: EntryKey) -> Entry | None:
        """Return the entry, or None, as ``SharedTier`` says."""
        # Spelled out, as every miss comes by: what ``_try`` does, without its function and coroutine.
        reads = self._reads
        if reads.is_troubled and not reads.may_try():
            return None
        try:
            keys = self._keys or await self._named()
            sealed = await self._connection.execute("GET", keys.entry(key))
            if reads.is_troubled:
                reads.succeeded()
            if sealed is None:
                return None
            tenant = key.scope.tenant
            secrets = self._ring.known(tenant) or await self._keys_of(tenant)
            if secrets is None:
                return None
            return decode_entry(key, secrets.unseal(_KIND, key.digest.hex(), sealed))
        except (RingRefused, KeyGone):
            return None
        except _FAILURES as error:
            reads.failed(error)
            return None
        except (Unreadable, EntryFormatError) as error:
            _LOG.warning("a cache entry in Redis is not used: %s", error)
            return None

    def put(self, key: EntryKey, entry: Entry, time_to_live: timedelta) -> None:
        """Send the entry and go on; one without a generation could never be invalidated, so it is not kept.

        Nor is one that would wait behind too many others: they come faster than Redis takes them.
        """
        keys, secrets = self._keys, self._ring.last_known(key.scope.tenant)
        if not entry.generation or keys is None or secrets is None:
            return
        if self._connection.unsent_bytes >= MOST_UNSENT_BYTES:
            return
        if self._writes.is_troubled and not self._writes.may_try():
            return
        digest, seconds = key.digest.hex(), time_to_live.total_seconds()
        is_sent = self._connection.send_script(
            _PUT,
            (keys.entry(key), keys.index(key.scope)),
            secrets.seal(_KIND, digest, encode_entry(key, entry)),
            max(1, int(seconds * 1000)),
            digest,
            (now := self._now()) + seconds,
            now,
            self._index_life_ms,
            heard=self._put_ended,
        )
        if not is_sent:
            self._writes.failed(RedisUnavailable("Redis is not reachable"))

    def keep_for(self, longest: timedelta) -> None:
        """Let indexes and generations outlive entries that live for so long, as ``SharedTier`` says."""
        self._index_life_ms = _milliseconds(longest)
        self._generations_life_ms = _milliseconds(longest + _GENERATIONS_OUTLIVE)

    def _put_ended(self, reply: Any) -> None:
        if isinstance(reply, Exception):
            self._writes.failed(reply)
        elif self._writes.is_troubled:
            self._writes.succeeded()

    async def generation(self, scope: Scope) -> str:
        """Return tenant's and model's generation as one, as ``SharedTier`` says."""
        keys = self._keys or await self._try(self._reads, self._named)
        if keys is None:
            return ""
        own, everybodys, _ = await asyncio.gather(
            self._tokens(keys.generations(scope.tenant), scope.model),
            self._tokens(EVERY_TENANTS_GENERATIONS, scope.model),
            # Whoever stores next waits for nothing.
            self._keys_of(scope.tenant),
        )
        return b".".join((*own, *everybodys)).decode() if own and everybodys else ""

    async def _tokens(self, name: str, model: str) -> list[bytes]:
        """Return the tokens of all models together and of one, drawn now where there were none; nothing on a failure."""
        fields = (_WHOLE_TENANT, model)
        tokens = await self._try(self._reads, lambda: self._connection.execute("HMGET", name, *fields))
        if tokens is not None and None in tokens:
            drawn = [argument for field in fields for argument in (field, _token())]
            tokens = await self._try(self._writes, lambda: self._connection.run(_DRAW_GENERATIONS, (name,), *drawn))
        self._renew(name)
        return tokens or []

    def _renew(self, generations: str) -> None:
        self._connection.send("PEXPIRE", generations, self._generations_life_ms)

    async def invalidate(self, scope: Scope) -> int:
        """Change the generation, then delete what the index knows, as ``SharedTier`` says."""
        try:
            keys = self._keys or await self._named()
            name = keys.generations(scope.tenant)
            await self._connection.run(_CHANGE_GENERATION, (name,), scope.model or _WHOLE_TENANT, _token())
        except _FAILURES as error:
            raise ServiceUnavailable(
                "The cache's Redis does not answer, so old answers may still serve. Invalidate again.",
                service="cache",
            ) from error
        self._renew(name)
        try:
            indexes = (
                await self._indexes_within(keys, scope)
                if scope.tenant
                else await self._indexes_of_all(keys, scope.model)
            )
            return sum([await self._delete(index) for index in indexes])
        except _FAILURES as error:
            _LOG.warning("invalidated entries were not all deleted, and expire by themselves: %s", error)
            return 0

    async def _indexes_within(self, keys: RedisKeys, scope: Scope) -> list[str]:
        if scope.model:
            return [keys.index(scope)]
        fields = await self._connection.execute("HKEYS", keys.generations(scope.tenant))
        return [keys.index(Scope(scope.tenant, field.decode())) for field in fields]

    async def _indexes_of_all(self, keys: RedisKeys, model: str) -> list[str]:
        """Return what indexes a walk over the whole Redis finds; beyond its bound entries expire by themselves."""
        pattern, cursor = keys.indexes_of_every_tenant(model), b"0"
        found: set[bytes] = set()
        for _ in range(_MAX_SCAN_ROUNDS):
            cursor, names = await self._connection.execute("SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_COUNT)
            found.update(names)
            if cursor == b"0":
                break
        return [name.decode() for name in sorted(found)]

    async def _delete(self, index: str) -> int:
        deleted = 0
        while popped := await self._connection.execute("ZPOPMIN", index, _DELETE_BATCH):
            digests = _members(popped)
            names = [RedisKeys.entry_beside(index, digest.decode()) for digest in digests]
            deleted += await self._connection.execute("UNLINK", *names)
        return deleted

    async def _keys_of(self, tenant: str) -> TenantKeys | None:
        """Return a tenant's keys, or None: one whose keys have no room in Redis keeps no other from reading theirs."""
        try:
            return await self._ring.of(tenant)
        except RingRefused:
            return None
        except KeysUnavailable as error:
            now = self._monotonic()
            if now >= self._tell_again_at:
                _LOG.warning("keys of a tenant are not at hand, so nothing of it is kept or found: %s", error)
                self._tell_again_at = now + TELL_AGAIN_SECONDS
            return None

    async def _named(self) -> RedisKeys:
        keys = self._keys = RedisKeys(await self._ring.read_names())
        return keys

    async def _try(self, gate: OutageGate, operation: Callable[[], Awaitable[Any]]) -> Any:
        """Return the operation's reply, or None where Redis does not answer or is left alone."""
        if not gate.may_try():
            return None
        try:
            reply = await operation()
        except RingRefused:
            return None
        except _FAILURES as error:
            gate.failed(error)
            return None
        gate.succeeded()
        return reply


def _members(popped: list[Any]) -> list[bytes]:
    """Return the members of a ZPOPMIN reply: pairs in RESP3, alternating with the scores in RESP2."""
    return [pair[0] for pair in popped] if isinstance(popped[0], list) else popped[::2]


def _token() -> str:
    return secrets.token_hex(8)


def _milliseconds(life: timedelta) -> int:
    return max(1, int(life.total_seconds() * 1000))
