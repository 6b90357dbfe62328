"""Equal requests that wait for an answer at once: one has it generated, and the others follow.

A flight is one generation with all that has come of it. Whoever joins reads it from its start, at a pace of their own. Where
whoever had it generated leaves without an end, one of the others goes on from what there is; see ``seats``. Nothing here knows
of a transport; what other processes have to do with a flight is told through ``SharedFlights``.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from enum import Enum
from typing import Protocol

import msgspec

from penstock_common.errors import DeadlineExceeded, PenstockError
from penstock_common.llm.events import merge_deltas
from penstock_common.llm.types import Batch, Finished, GenerationEvent, Usage
from penstock_gateway.domain.guardrails.pipeline.refusing import AnswerRefused, GuardrailUnavailable
from penstock_gateway.domain.limits.meter import OutOfMoney


class FlightKey(msgspec.Struct, frozen=True, gc=False):
    """Whose answer may be whose: nothing of it differs among those who share a flight.

    ``digest`` is of the request, its route and regions; ``generation`` that of the cache's scope, so that what was
    invalidated is not joined; ``user`` is empty unless the request is for one user alone.
    """

    tenant: str
    model: str
    digest: bytes
    generation: str = ""
    user: str = ""


class Claim(Enum):
    """Who has a flight's answer generated, among all processes."""

    OURS = "ours"
    ANOTHERS = "another's"
    """What comes of it will be appended to the flight."""
    UNKNOWN = "unknown"
    """Nobody can tell: each process generates for itself."""


class SharedFlights(Protocol):
    """What the processes tell each other of their flights."""

    async def claim(self, flight: Flight) -> Claim:
        """Ask to have the answer generated here; where it is ours, the flight has all that others have been given."""
        ...

    def publish(self, flight: Flight) -> None:
        """Tell those elsewhere what is new of a flight that is generated here; returns at once."""
        ...

    def forget(self, flight: Flight) -> None:
        """Have no more to do with a flight: nobody here reads it any longer, or it is over; returns at once."""
        ...


class Flight(msgspec.Struct, eq=False):
    """One answer to equal requests, as far as it has come.

    ``name`` is the generation id of whoever began it. At any time it is led (somebody has it generated, here or
    elsewhere), orphaned (a follower may take it), or over: whole, or ended by ``error``.
    """

    key: FlightKey
    name: str
    record: list[Batch] = []
    error: PenstockError | None = None
    is_over: bool = False
    is_orphan: bool = False
    is_owed: bool = False
    """Nobody was billed for what there is of an orphan."""
    is_mixed: bool = False
    """More than one generation has a part in it."""
    seats: int = 0
    """Followers of this process."""
    told: int = 0
    """Of those, who have told their callers something already."""
    elsewhere: int = 0
    """Other processes that follow."""
    was_followed: bool = False
    """Somebody has, here or elsewhere."""
    is_alone: bool = False
    """Nobody elsewhere is told of it."""
    is_lingering: bool = False
    """It is whole, and closes by itself."""
    publish: Callable[[Flight], None] | None = None
    """Tells other processes what is new."""
    on_wanted: Callable[[], None] | None = None
    """Has it generated whether or not the leader's own caller reads; None where nobody here leads."""
    waiters: dict[asyncio.Future[None], None] = {}

    def append(self, batch: Batch) -> None:
        """Take in what has come."""
        self.record.append(batch)
        if isinstance(batch[-1], Finished):
            self.is_over = True
        if self.elsewhere:
            self._tell()
        elif self.waiters:
            self.wake()

    def fail(self, error: PenstockError) -> None:
        """End it for all who follow."""
        # Each is raised anew, from a task of its own: this one knows the frames of another request.
        self.error = without_frames(error)
        self.is_over = True
        self._tell()

    def orphan(self, *, is_owed: bool = False) -> None:
        """Leave it to whichever follower takes it first. ``is_owed``: nobody was billed for what there is."""
        if not self.is_over:
            self.is_orphan, self.is_owed = True, is_owed
            self.on_wanted = None
            self._tell()

    def begin_again(self) -> Batch:
        """Return what the next generation goes on from: all that there is, nothing where nobody's caller was told any of it."""
        if not self.told and not self.elsewhere:
            # Whoever led still has the old one.
            self.record = []
        given = self.given()
        self.is_mixed = self.is_mixed or bool(given)
        self.is_owed = False
        return given

    def given(self) -> Batch:
        """Return what there is of the answer."""
        events: list[GenerationEvent] = [event for batch in self.record for event in batch]
        return [event for event in merge_deltas(events) if not isinstance(event, Usage)]

    async def changed(self) -> None:
        """Return once something has come, or whoever leads or follows has changed."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiters[waiter] = None
        try:
            await waiter
        finally:
            self.waiters.pop(waiter, None)

    def wake(self) -> None:
        """Have everybody look who waits."""
        waiters, self.waiters = self.waiters, {}
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _tell(self) -> None:
        self.wake()
        if self.elsewhere and self.publish is not None:
            self.publish(self)


class Flights:
    """The flights of this process.

    One that had followers can be joined for ``linger_seconds`` after its end: whoever has looked into the cache before
    the answer was there comes that late.
    """

    def __init__(self, shared: SharedFlights | None = None, *, linger_seconds: float = 1.0) -> None:
        self.shared = shared
        self.open: dict[FlightKey, Flight] = {}
        self._linger_seconds = linger_seconds

    def join(self, key: FlightKey) -> Flight | None:
        """Return the flight of equal requests, a seat of which is taken; None where there is none."""
        flight = self.open.get(key)
        if flight is None:
            return None
        flight.seats += 1
        flight.was_followed = True
        if flight.on_wanted is not None:
            flight.on_wanted()
        return flight

    def begin(self, key: FlightKey, name: str) -> Flight:
        """Return a flight that begins; whoever asks has it generated, or ends it."""
        flight = self.open[key] = Flight(key, name)
        return flight

    async def claim(self, flight: Flight) -> bool:
        """Return whether the answer is to be generated here. Whoever is cancelled meanwhile leaves an orphan."""
        flight.is_orphan = False
        if self.shared is None or flight.is_alone:
            return True
        # Nobody closes it meanwhile.
        flight.on_wanted = _wait_for_the_claim
        try:
            claim = await self.shared.claim(flight)
        except BaseException:
            self.end(flight)
            raise
        flight.on_wanted = None
        if claim is Claim.UNKNOWN:
            flight.is_alone = True
        elif claim is Claim.OURS:
            flight.publish = self.shared.publish
        return claim is not Claim.ANOTHERS

    def leave(self, flight: Flight) -> None:
        """Give a follower's seat back."""
        flight.seats -= 1
        if flight.seats:
            return
        # Whoever leads may wait for the last to leave.
        flight.wake()
        if flight.on_wanted is None and not flight.is_lingering:
            self._linger_or_close(flight)

    def end(self, flight: Flight) -> None:
        """Say that nobody here has it generated any longer."""
        flight.on_wanted = None
        if not flight.is_over:
            flight.orphan(is_owed=flight.is_owed)
            if not flight.seats:
                self.close(flight)
        elif flight.was_followed:
            # Also where they have read all of it by now.
            self._linger_or_close(flight)
        else:
            self.close(flight)

    def close(self, flight: Flight) -> None:
        """Have nobody join any more."""
        if self.open.get(flight.key) is flight:
            del self.open[flight.key]
        if self.shared is not None:
            self.shared.forget(flight)

    def _linger_or_close(self, flight: Flight) -> None:
        if flight.is_over and flight.error is None:
            flight.is_lingering = True
            asyncio.get_running_loop().call_later(self._linger_seconds, self.close, flight)
        else:
            self.close(flight)


def is_of_all(error: PenstockError) -> bool:
    """Return whether an error that ends a generation is every equal request's, and not its leader's own."""
    return not isinstance(error, DeadlineExceeded | OutOfMoney | AnswerRefused | GuardrailUnavailable)


def without_frames(error: PenstockError) -> PenstockError:
    """Return the same error, which knows of no frame that it has left."""
    made = copy.copy(error)
    made.__traceback__ = made.__cause__ = made.__context__ = None
    return made


def _wait_for_the_claim() -> None:
    pass
