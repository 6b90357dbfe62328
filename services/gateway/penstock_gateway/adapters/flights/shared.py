"""Flights over Redis: who has an answer generated, and what has come of it, told to those who follow elsewhere.

A flight's claim is a key with a lease, which its process renews while the flight lasts. A process that loses the claim to
another says so in that one's inbox; from then on the other one writes what comes into the flight's log, a stream that is read
from its start. Places in the log are counted, and written only by whoever has the claim: nothing is there twice, or missing.
Every process reads its inbox and the logs that it follows over one connection of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from redis.exceptions import ResponseError

from penstock_common.llm.types import Batch
from penstock_common.redis_connection import RedisConnection, RedisUnavailable, Script
from penstock_gateway.adapters.flights.sealed import Entry, FlightCipher, FlightSealer
from penstock_gateway.domain.life.flights import Claim, Flight

_log = structlog.get_logger(__name__)

LEASES_OF_A_LOG = 5
"""A log lives for so many leases after what was written last."""
_INBOX_LIFE_MS = 60_000
_INBOX_MESSAGES = 10_000
_RENEWALS_PER_LEASE = 3
_WHOEVER = ""
"""Who followed a process that is gone, and may not know that yet."""
_RENEWALS_FOR_WHOEVER = 2 * _RENEWALS_PER_LEASE

FOLLOW, UNFOLLOW, LEFT, ALONE, WAKE = b"follow", b"unfollow", b"left", b"alone", b"wake"

# KEYS: claim. ARGV: process, name, lease ms. Returns what another process has claimed it by, or nothing where it is ours.
_CLAIM = Script(
    """
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, 1, #ARGV[1]) ~= ARGV[1] then return held end
redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2], 'PX', ARGV[3])
return false
"""
)
# KEYS: claim. ARGV: what it was claimed by, lease ms, 0 to end it. Returns whether it was ours.
_RENEW = Script(
    """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
)
# KEYS: claim, log. ARGV: what it was claimed by, life of the log in ms, the place of the first entry, entries.
# Returns how many entries the log has, -1 where the claim is another's.
_WRITE = Script(
    """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local count = redis.call('XLEN', KEYS[2])
for i = 4, #ARGV do
  if tonumber(ARGV[3]) + i - 4 == count then
    count = count + 1
    redis.call('XADD', KEYS[2], count .. '-0', 'e', ARGV[i])
  end
end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return count
"""
)


class _Shared(msgspec.Struct, eq=False):
    """A flight, as other processes know it; places are counted from 0."""

    flight: Flight
    id: str
    cipher: FlightCipher
    is_ours: bool = False
    holder: str = ""
    """The process that has the claim, where it is not ours."""
    followers: set[str] = set()
    """The processes that follow, where it is ours."""
    written: int = 0
    """How much of it stands in the log, for all that is known."""
    read: int = 0
    """How much of the log is in the flight, where it is followed."""
    bytes: int = 0
    sealed: int = 0
    is_writing: bool = False
    renewals_for_whoever: int = 0
    is_too_large: bool = False

    @property
    def claim(self) -> str:
        """The key of the claim."""
        return f"{{fl:{self.id}}}:claim"

    @property
    def log(self) -> str:
        """The key of the log."""
        return f"{{fl:{self.id}}}:log:{self.flight.name}"


class RedisFlights:
    """Implements ``SharedFlights``; what it reads is handed in by ``Listener``."""

    def __init__(
        self, redis: RedisConnection, sealer: FlightSealer, process: str, *, lease_seconds: float, most_bytes: int
    ) -> None:
        self._redis = redis
        self._sealer = sealer
        self._process = process
        self._lease_ms = int(lease_seconds * 1000)
        self._most_bytes = most_bytes
        self._every_seconds = lease_seconds / _RENEWALS_PER_LEASE
        self._flights: dict[str, _Shared] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.inbox = _inbox(process)
        self.is_deaf = True
        """Nothing is read: what is claimed elsewhere cannot be followed."""

    async def claim(self, flight: Flight) -> Claim:
        """Ask to have the answer generated here; see the port."""
        shared = self._of(flight)
        if self.is_deaf:
            return self._alone(shared)
        try:
            held: bytes | None = await self._redis.run(
                _CLAIM, (shared.claim,), f"{self._process}|", flight.name, self._lease_ms
            )
            if held is None:
                await self._take_over(shared)
                return Claim.OURS
        except (RedisUnavailable, ResponseError) as error:
            _log.warning("flight_not_claimed", reason=str(error))
            return self._alone(shared)
        holder, _, name = held.decode().partition("|")
        if name != flight.name:
            if flight.told:
                return self._alone(shared)
            # Another generation than the one that was followed, and nobody was told of that.
            flight.name, flight.record, shared.read = name, [], 0
            shared.cipher = self._sealer.cipher(flight.key, shared.id + name)
        self._follow(shared, holder)
        return Claim.ANOTHERS

    def publish(self, flight: Flight) -> None:
        """Write what is new into the log; see the port."""
        shared = self._flights.get(self._sealer.id_of(flight.key))
        if shared is not None and shared.flight is flight and shared.is_ours and not shared.is_writing:
            self._write(shared)

    def forget(self, flight: Flight) -> None:
        """Have no more to do with a flight; see the port."""
        id_ = self._sealer.id_of(flight.key)
        shared = self._flights.get(id_)
        if shared is None or shared.flight is not flight:
            return
        del self._flights[id_]
        if shared.is_ours:
            if flight.is_over and shared.followers and not shared.is_too_large:
                # Also what is under way already: the log knows its places.
                self._write(shared)
            self._redis.send_script(_RENEW, (shared.claim,), f"{self._process}|{flight.name}", 0)
            if not flight.is_over:
                self._tell_all(shared, LEFT)
        elif shared.holder:
            self._tell(shared.holder, UNFOLLOW, id_)

    def followed(self) -> dict[str, str]:
        """Return the logs that are read, with the id of the last entry that was."""
        return {shared.log: f"{shared.read}-0" for shared in self._flights.values() if shared.holder}

    def hear_log(self, log: str, entries: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> None:
        """Take in what was read of a log."""
        # {fl:ID}:log:NAME; what is followed under another name by now is another generation's.
        shared = self._flights.get(log[len("{fl:") :].partition("}")[0])
        if shared is not None and shared.holder and shared.log == log:
            for id_, fields in entries:
                self._read(shared, int(id_.partition(b"-")[0]) - 1, fields[b"e"])

    def hear(self, message: dict[bytes, bytes]) -> None:
        """Take in a message of another process."""
        kind, id_, sender = message.get(b"k"), message.get(b"f", b"").decode(), message.get(b"p", b"").decode()
        shared = self._flights.get(id_)
        if kind == FOLLOW:
            self._hear_follower(shared, id_, sender)
        elif shared is None:
            return
        elif kind == UNFOLLOW and shared.is_ours:
            self._unfollow(shared, sender)
        elif kind in (LEFT, ALONE) and shared.holder == sender:
            shared.flight.is_alone = kind == ALONE
            self._lose(shared, is_owed=False)

    def go_deaf(self, reason: str) -> None:
        """Take it that nothing more is heard of others: what was followed is generated here, by itself."""
        if not self.is_deaf:
            _log.warning("flights_not_shared", reason=reason)
        self.is_deaf = True
        for shared in list(self._flights.values()):
            if shared.holder:
                self._lose(shared, is_owed=True)

    def stop(self) -> None:
        """Renew nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _of(self, flight: Flight) -> _Shared:
        id_ = self._sealer.id_of(flight.key)
        shared = self._flights.get(id_)
        if shared is None or shared.flight is not flight:
            shared = self._flights[id_] = _Shared(flight, id_, self._sealer.cipher(flight.key, id_ + flight.name))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._every_seconds, self._look)
        return shared

    def _alone(self, shared: _Shared) -> Claim:
        self._flights.pop(shared.id, None)
        return Claim.UNKNOWN

    async def _take_over(self, shared: _Shared) -> None:
        """Have the flight hold all that its log has, so that what follows goes on from there."""
        if shared.is_ours:
            # Another caller of this process goes on.
            return
        if shared.read or shared.holder:
            found = await self._redis.execute("XRANGE", shared.log, f"({shared.read}-0", "+")
            for id_, (_, sealed) in found:
                self._read(shared, int(id_.partition(b"-")[0]) - 1, sealed)
            # Others followed it as well, and hear of this one later: it is written for them, and goes on from what they have.
            shared.followers, shared.renewals_for_whoever = {_WHOEVER}, _RENEWALS_FOR_WHOEVER
        shared.is_ours, shared.holder = True, ""
        shared.written = shared.sealed = shared.read
        shared.flight.elsewhere = len(shared.followers)

    def _follow(self, shared: _Shared, holder: str) -> None:
        shared.holder, shared.is_ours = holder, False
        # It is told to the one who leads, and to our own reader.
        self._tell(holder, FOLLOW, shared.id)
        self._tell(self._process, WAKE, shared.id)

    def _hear_follower(self, shared: _Shared | None, id_: str, sender: str) -> None:
        if shared is None or not shared.is_ours:
            self._tell(sender, LEFT, id_)
        elif shared.is_too_large:
            self._tell(sender, ALONE, id_)
        else:
            shared.followers.add(sender)
            flight = shared.flight
            flight.elsewhere, flight.was_followed = len(shared.followers), True
            if flight.on_wanted is not None:
                flight.on_wanted()
            self.publish(flight)

    def _unfollow(self, shared: _Shared, process: str) -> None:
        shared.followers.discard(process)
        shared.flight.elsewhere = len(shared.followers)
        shared.flight.wake()

    def _write(self, shared: _Shared) -> None:
        flight = shared.flight
        entries: list[Entry | Batch] = [*flight.record[shared.written :]]
        if flight.error is not None:
            entries.append(flight.error)
        if not entries:
            return
        sealed = [shared.cipher.seal(place, _entry(one)) for place, one in enumerate(entries, shared.written)]
        shared.bytes += sum(map(len, sealed[max(0, shared.sealed - shared.written) :]))
        shared.sealed = shared.written + len(sealed)
        if shared.bytes > self._most_bytes:
            self._give_up(shared)
            return
        value, life = f"{self._process}|{flight.name}", LEASES_OF_A_LOG * self._lease_ms
        shared.is_writing = self._redis.send_script(
            _WRITE, (shared.claim, shared.log), value, life, shared.written, *sealed,
            heard=lambda reply: self._hear_written(shared, reply),
        )  # fmt: skip

    def _hear_written(self, shared: _Shared, reply: Any) -> None:
        shared.is_writing = False
        if not isinstance(reply, int):
            return
        if reply < 0:
            # The lease was over, and another process goes on.
            self._flights.pop(shared.id, None)
            shared.flight.elsewhere = 0
            shared.flight.wake()
            return
        shared.written = reply
        self.publish(shared.flight)

    def _give_up(self, shared: _Shared) -> None:
        shared.is_too_large = True
        self._tell_all(shared, ALONE)
        shared.followers.clear()
        shared.flight.elsewhere = 0
        shared.flight.wake()

    def _read(self, shared: _Shared, place: int, sealed: bytes) -> None:
        flight = shared.flight
        if place != shared.read or flight.is_over:
            return
        shared.read += 1
        entry = shared.cipher.open(place, sealed)
        if entry is None:
            flight.is_alone = True
            self._lose(shared, is_owed=False)
        elif isinstance(entry, list):
            flight.append(entry)
        else:
            flight.fail(entry)

    def _lose(self, shared: _Shared, *, is_owed: bool) -> None:
        shared.holder = ""
        shared.flight.orphan(is_owed=is_owed)

    def _look(self) -> None:
        """Renew what is ours, and see whether those that are followed still have theirs; one timer for all."""
        self._timer = None
        if not self._flights:
            return
        self._timer = asyncio.get_running_loop().call_later(self._every_seconds, self._look)
        for shared in list(self._flights.values()):
            if shared.is_ours:
                self._renew(shared)
            elif shared.holder:
                self._check(shared)

    def _renew(self, shared: _Shared) -> None:
        flight = shared.flight
        self._redis.send_script(_RENEW, (shared.claim,), f"{self._process}|{flight.name}", self._lease_ms)
        if shared.renewals_for_whoever:
            shared.renewals_for_whoever -= 1
            if not shared.renewals_for_whoever:
                self._unfollow(shared, _WHOEVER)
        # What was on its way when a connection was lost is written again; the log knows its places.
        shared.is_writing = False
        if flight.elsewhere:
            self.publish(flight)

    def _check(self, shared: _Shared) -> None:
        def heard(reply: Any) -> None:
            if shared.holder != holder or isinstance(reply, Exception):
                return
            if reply is None or reply.decode().partition("|")[0] != holder:
                # Its process is gone, or was too late to say that it is not.
                self._lose(shared, is_owed=True)
            else:
                self._tell(holder, FOLLOW, shared.id)

        holder = shared.holder
        self._redis.send_script(_HELD, (shared.claim,), heard=heard)

    def _tell_all(self, shared: _Shared, kind: bytes) -> None:
        for process in shared.followers - {_WHOEVER}:
            self._tell(process, kind, shared.id)

    def _tell(self, process: str, kind: bytes, id_: str) -> None:
        self._redis.send_script(_MESSAGE, (_inbox(process),), kind, id_, self._process, _INBOX_MESSAGES, _INBOX_LIFE_MS)


# KEYS: inbox. ARGV: kind, flight, sender, most messages, life in ms.
_MESSAGE = Script(
    """
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], '*', 'k', ARGV[1], 'f', ARGV[2], 'p', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
"""
)
# KEYS: claim.
_HELD = Script("return redis.call('GET', KEYS[1])")


def _inbox(process: str) -> str:
    return f"{{fl:{process}}}:inbox"


def _entry(entry: Entry | Batch) -> Entry:
    return list(entry) if isinstance(entry, Sequence) else entry
