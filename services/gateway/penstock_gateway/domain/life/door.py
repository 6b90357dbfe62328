"""Who is inside this process, with how much in hand: all of them, each tenant's, and each key's."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from datetime import timedelta

import msgspec

from penstock_common.errors import PenstockError, RateLimited
from penstock_common.priority import RESERVED_SECONDS, SHARES, Priority
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.life.admission import TurnedAway
from penstock_gateway.domain.life.refusals import Refusals
from penstock_gateway.domain.limits.limit import Measure

BODY_BYTES = "body_bytes"
# When somebody leaves is unknown; callers come again after this long.
_RETRY_AFTER = timedelta(seconds=1)


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """What one process takes in at once, and the largest part of it that one tenant, or one key, may have."""

    requests: int = 8192
    body_bytes: int = 96 * 1024 * 1024
    """Of bodies that are too large to be free (``Place.hold``)."""
    tenant_ratio: float = 0.8
    key_ratio: float = 0.7


class Door:
    """Lets requests into this process while there is room, and shuts when it drains.

    Nobody fills the process alone: a tenant has its share of the places and of
    the bytes, and each of its keys a smaller one.
    """

    def __init__(self, capacity: Capacity, refusals: Refusals) -> None:
        self._capacity = capacity
        self._most_of_tenant = _share(capacity.requests, capacity.tenant_ratio)
        self._most_of_key = _share(capacity.requests, capacity.key_ratio)
        self._refusals = refusals
        self._shut = False
        self.is_leaving = False
        """Whether this process is about to end, though it may still let requests in."""
        self.in_flight = 0
        # Until then places are kept for critical requests; 0 while none come.
        self._reserved_until = 0.0
        self.emptied = asyncio.Event()
        """Set once the door is shut and nobody is inside any more."""
        self._tenants: defaultdict[str, int] = defaultdict(int)
        self._keys: defaultdict[str, int] = defaultdict(int)
        self.held_bytes = 0
        """How much of bodies those inside hold."""
        self._bytes_of_tenants: defaultdict[str, int] = defaultdict(int)
        self._bytes_of_keys: defaultdict[str, int] = defaultdict(int)

    @property
    def is_open(self) -> bool:
        """Whether new requests are let in."""
        return not self._shut

    def enter(self, caller: Caller, priority: Priority = Priority.DEFAULT) -> Place:
        """Let a request in; its place is left by ``Place.leave``.

        Those that matter less are turned away before it is full: while critical ones come, places are kept for them.

        Raises:
            TurnedAway: the process is draining, or full.
            RateLimited: the tenant or the key has its share of it, or the key was refused too much.
        """
        if self._shut:
            raise TurnedAway("This server is shutting down. Try again.")
        if self.in_flight >= self._capacity.requests:
            raise TurnedAway(f"This server is busy with {self.in_flight} requests, its most. Try again.")
        if priority is not Priority.DEFAULT or self._reserved_until:
            self._check_class(priority)
        tenant, key = caller.tenant.name, caller.key_id
        if key in self._refusals.buckets:
            self._refusals.check(key)
        if self._tenants[tenant] >= self._most_of_tenant:
            raise _share_is_spent("tenant", self._most_of_tenant)
        if self._keys[key] >= self._most_of_key:
            raise _share_is_spent("API key", self._most_of_key)
        self.in_flight += 1
        self._tenants[tenant] += 1
        self._keys[key] += 1
        return Place(self, caller)

    def _check_class(self, priority: Priority) -> None:
        now = time.monotonic()
        if priority is Priority.CRITICAL:
            self._reserved_until = now + RESERVED_SECONDS
            return
        if self._reserved_until and now > self._reserved_until:
            self._reserved_until = 0.0
        if priority is Priority.SHEDDABLE or self._reserved_until:
            most = _share(self._capacity.requests, SHARES[priority])
            if self.in_flight >= most:
                raise TurnedAway(
                    f"This server has no more room for requests whose priority is {priority.word}. Try again."
                )

    def give_notice(self) -> None:
        """Say that the door is about to be shut."""
        self.is_leaving = True

    def shut(self) -> None:
        """Refuse new requests from now on."""
        self._shut = self.is_leaving = True
        self._note_emptiness()

    def check_bytes(self, place: Place, size: int) -> None:
        """See whether a place could hold ``size``. A body that is alone with its key may, whatever the key's share is.

        Raises:
            RateLimited: if its key, or its tenant, would have more than its share.
            TurnedAway: if the process would have more than it can.
        """
        capacity, caller, held = self._capacity, place.caller, place.held_bytes
        for who, others, ratio in (
            ("API key", self._bytes_of_keys.get(caller.key_id, 0) - held, capacity.key_ratio),
            ("tenant", self._bytes_of_tenants.get(caller.tenant.name, 0) - held, capacity.tenant_ratio),
        ):
            if others and others + size > capacity.body_bytes * ratio:
                raise _bytes_are_spent(who, others)
        others = self.held_bytes - held
        if others and others + size > capacity.body_bytes:
            raise TurnedAway("This server has as many large bodies in hand as it can hold. Try again.")

    def take_bytes(self, place: Place, size: int) -> None:
        """Raise what a place holds to ``size``; raises what ``check_bytes`` raises."""
        self.check_bytes(place, size)
        more, caller = size - place.held_bytes, place.caller
        self.held_bytes += more
        self._bytes_of_tenants[caller.tenant.name] += more
        self._bytes_of_keys[caller.key_id] += more
        place.held_bytes = size

    def note_refusal(self, place: Place, error: PenstockError) -> None:
        """Count a refusal of a request that was let in."""
        self._refusals.note(place.caller.key_id, error, place.held_bytes)

    def leave(self, place: Place) -> None:
        """Let a request out, and what it holds."""
        tenants, keys, tenant, key = self._tenants, self._keys, place.caller.tenant.name, place.caller.key_id
        self.in_flight -= 1
        tenants[tenant] -= 1
        keys[key] -= 1
        # Names come and go; only those inside have a count.
        if not tenants[tenant]:
            del tenants[tenant]
        if not keys[key]:
            del keys[key]
        if place.held_bytes:
            self.held_bytes -= place.held_bytes
            for counts, name in ((self._bytes_of_tenants, tenant), (self._bytes_of_keys, key)):
                counts[name] -= place.held_bytes
                if not counts[name]:
                    del counts[name]
        if self._shut:
            self._note_emptiness()

    def _note_emptiness(self) -> None:
        if self._shut and not self.in_flight:
            self.emptied.set()


class Place:
    """One request's place inside."""

    __slots__ = ("_door", "caller", "held_bytes", "is_inside")

    def __init__(self, door: Door, caller: Caller) -> None:
        self.caller = caller
        self.held_bytes = 0
        self._door = door
        self.is_inside = True

    def expect(self, size_bytes: int) -> None:
        """Refuse a body that there would be no room for if it were here now; holds nothing.

        Raises:
            RateLimited, Overloaded: as ``hold``.
        """
        self._door.check_bytes(self, size_bytes)

    def hold(self, size_bytes: int) -> None:
        """Hold so many bytes of a body in all, until the place is left.

        Raises:
            RateLimited, Overloaded: if there is no room for them; the place holds what it held.
        """
        if self.is_inside and size_bytes > self.held_bytes:
            self._door.take_bytes(self, size_bytes)

    def note_refusal(self, error: PenstockError) -> None:
        """Count that the request is refused, against its key."""
        self._door.note_refusal(self, error)

    def leave(self) -> None:
        """Give the place back; only the first time counts."""
        if self.is_inside:
            self.is_inside = False
            self._door.leave(self)


def _share(most: int, ratio: float) -> int:
    return max(1, int(most * ratio))


def _share_is_spent(whose: str, most: int) -> RateLimited:
    message = f"Your {whose} has {most} requests under way in this server, its share. Try again when some have ended."
    return RateLimited(message, limit=Measure.CONCURRENT, retry_after=_RETRY_AFTER)


def _bytes_are_spent(whose: str, held: int) -> RateLimited:
    message = (
        f"Your {whose} has {held} bytes of other bodies in this server's hand, its share with this one. Try again."
    )
    return RateLimited(message, limit=BODY_BYTES, retry_after=_RETRY_AFTER)
