"""A caller's seat in a flight: the one who leads it has the answer generated, the others read what comes of that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from typing import NoReturn

import msgspec

from penstock_common.errors import PenstockError
from penstock_common.llm.types import Batch, Finished, GenerationEvent, Plan
from penstock_common.rpc.client import deadline_of, deadline_passed
from penstock_common.rpc.scope import CURRENT_SCOPE
from penstock_common.telemetry.steps import Step
from penstock_gateway.domain.life.flights import Flight, FlightKey, Flights, is_of_all, without_frames
from penstock_gateway.domain.life.ports import AnswerStream
from penstock_gateway.domain.life.sources import AnswerSource, Saved, free_of_charge

GoOn = Callable[[Batch, Batch], tuple[AnswerSource, list[Step]]]
"""Returns what generates an answer that goes on from the first, which may be nothing, and where its attempts are noted; what
was given of it by a generation that nobody was billed for is the second."""


class Boarding(msgspec.Struct, frozen=True):
    """Who boards: the name of its generation, and whether its caller is told nothing before all of it is there.

    ``go_on`` is called where whoever leads has left, and it is this one's turn.
    """

    name: str
    whole: bool
    go_on: GoOn


_NOWHERE: Sequence[GenerationEvent] = ()
LEAST_SECONDS = 0.25
"""Whoever has less time left has nothing generated: at the end of many callers' time each would ask for a moment."""


class Leading:
    """The source of an answer that others may follow, and the answer.

    What is read first, which may be the whole answer and may take long, is read by a task of its own: should the leader's
    caller leave meanwhile, that goes on for whoever follows. Afterwards the leader reads by itself for as long as it is
    alone, and what it was given stands with it alone; from the first follower on it stands in the flight.
    """

    __slots__ = (
        "_answer", "_at", "_context", "_failure", "_flights", "_generation", "_has_ended",
        "_is_alone", "_is_closed", "_leads", "_mark", "_read_next", "_record", "_recorded", "_task", "_until", "flight", "kept", "plan", "saved",
    )  # fmt: skip

    def __init__(self, flights: Flights, flight: Flight, generation: AnswerSource, at: int = 0) -> None:
        self._flights = flights
        self.flight = flight
        self._generation = generation
        self.plan: Plan | None = generation.plan
        self.saved: Saved | None = None
        self._answer: AnswerStream | None = None
        self._read_next: Callable[[], Awaitable[Batch]] = _nothing
        self._context: Context | None = None
        self._at = at
        self._failure: BaseException | None = None
        self._has_ended = self._is_closed = self._is_alone = False
        # Others may go on with it, once this generation has ended.
        self._leads = True
        self._record = flight.record
        self._until: int | None = None
        self._task: asyncio.Task[None] | None = None
        self.kept = _NOWHERE
        """Where its reader keeps what it is given, each event in its place."""
        # While it is alone: how much of what it was given stands in the flight, and how much there was before the read.
        self._recorded = self._mark = 0

    def open(self, steps: list[Step]) -> Leading:
        """Return the answer."""
        answer = self._answer = self._generation.open(steps)
        self._read_next = aiter(answer).__anext__
        self.flight.on_wanted = self._share
        return self

    def __aiter__(self) -> Leading:
        return self

    def __anext__(self) -> Awaitable[Batch]:
        if self._is_alone and not self.flight.seats and not self.flight.elsewhere:
            self._mark = len(self.kept)
            return self._read_next()
        return self._next()

    @property
    def unread(self) -> list[Batch]:
        """What this generation has given that the leader's caller was not told."""
        return self._record[self._at : self._until]

    async def leave(self, error: BaseException | None = None) -> None:
        """End it once nobody follows: whoever does reads on after the leader's caller has left. May be repeated.

        ``error`` is what the leader was told, where it was that.
        """
        if self._is_closed:
            return
        self._is_closed = True
        flight, answer = self.flight, self._answer
        if self._is_alone:
            if flight.seats or flight.elsewhere:
                self._leave_followers(error)
            else:
                self._has_ended, self._leads, flight.on_wanted = True, False, None
                self._flights.close(flight)
        try:
            while answer is not None and not self._has_ended and (flight.seats or flight.elsewhere):
                self._go_on()
                await flight.changed()
        finally:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait((self._task,))
            if answer is not None:
                await answer.aclose()
            if self._leads:
                self._let_go()

    aclose = leave

    async def _next(self) -> Batch:
        if self._is_alone:
            self._record_events()
            self._is_alone = False
        flight, record = self.flight, self._record
        while self._at >= (len(record) if self._until is None else self._until):
            if self._has_ended:
                self._raise_failure()
            self._go_on()
            await flight.changed()
        batch = record[self._at]
        self._at += 1
        if self._at == 1 and self.kept is not _NOWHERE and not (flight.seats or flight.elsewhere or self._has_ended):
            self._is_alone, self._recorded = True, len(batch)
        return batch

    def _raise_failure(self) -> NoReturn:
        failure, self._failure = self._failure, None
        try:
            raise failure or StopAsyncIteration
        finally:
            # It knows this frame, and would live on with all that it holds.
            del failure

    def _share(self) -> None:
        """Have all that there is stand in the flight from now on, and the rest come, whether the leader reads or not."""
        if self._is_alone:
            self._record_events()
            if len(self.kept) == self._mark:
                # It reads; what that brings is recorded before it reads again.
                return
            self._is_alone = False
        self._go_on()

    def _record_events(self) -> None:
        new = self.kept[self._recorded :]
        if new:
            self._recorded += len(new)
            self.flight.append(new)
            self._at = len(self._record)

    def _leave_followers(self, error: BaseException | None) -> None:
        """Leave those who came while the leader was reading by itself."""
        self._record_events()
        self._is_alone = False
        if self.flight.is_over:
            self._has_ended = True
        elif len(self.kept) == self._mark:
            # What ended its read has ended the generation.
            self._end(error or asyncio.CancelledError())

    def _go_on(self) -> None:
        """Read on, in a task of its own, unless somebody reads."""
        if self._task is None and not self._has_ended:
            if self._context is None:
                self._context = copy_context()
            self._task = asyncio.get_running_loop().create_task(self._run(), context=self._context)

    async def _run(self) -> None:
        flight, read = self.flight, self._read_next
        try:
            flight.append(await read())
            while flight.seats or flight.elsewhere or self.kept is _NOWHERE:
                flight.append(await read())
        except BaseException as error:
            self._end(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._task = None
            if flight.waiters:
                flight.wake()

    def _end(self, error: BaseException) -> None:
        self._has_ended, self._until = True, len(self._record)
        if not isinstance(error, StopAsyncIteration):
            self._failure = error
        if self.flight.is_over or not self._leads:
            return
        if isinstance(error, PenstockError) and is_of_all(error):
            self.flight.fail(error)
        self._let_go()

    def _let_go(self) -> None:
        self._leads = False
        if self._until is None:
            self._until = len(self._record)
        self._flights.end(self.flight)


async def _nothing() -> Batch:
    raise StopAsyncIteration


class Following:
    """The source of an answer that another request has generated, and the answer."""

    __slots__ = (
        "_at", "_deadline", "_flight", "_flights", "_go_on", "_has_left", "_led", "_timer", "_whole", "plan", "saved",
    )  # fmt: skip

    def __init__(self, flights: Flights, flight: Flight, boarding: Boarding) -> None:
        """Take a seat that has been counted."""
        self._flights = flights
        self._flight = flight
        self._go_on = boarding.go_on
        self._whole = boarding.whole
        self._at = 0
        self._led: Leading | None = None
        self._has_left = False
        self._deadline = deadline_of(CURRENT_SCOPE.get(), None, time.monotonic())
        self._timer: asyncio.TimerHandle | None = None
        self.plan: Plan | None = None
        self.saved: Saved | None = None

    @property
    def name(self) -> str:
        """Whose generation it is."""
        return self._flight.name

    @property
    def unread(self) -> list[Batch]:
        """What was generated here that the caller was not told."""
        return self._led.unread if self._led is not None else []

    def open(self, steps: list[Step]) -> AnswerStream:
        """Return the answer."""
        return self

    def __aiter__(self) -> Following:
        return self

    async def __anext__(self) -> Batch:
        while self._led is None:
            flight = self._flight
            if self._may_be_told:
                return self._next()
            if flight.is_over:
                if flight.error is None:
                    raise StopAsyncIteration
                if self._at or not flight.is_mixed:
                    raise without_frames(flight.error)
                self._board_another()
                continue
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise deadline_passed()
            if not (flight.is_orphan and left > LEAST_SECONDS and await self._take()):
                await self._wait(left)
        return await self._led.__anext__()

    async def aclose(self) -> None:
        """Leave; what is generated here goes on while others follow."""
        await self.leave()

    async def leave(self, error: BaseException | None = None) -> None:
        """Give the seat back; may be repeated."""
        if self._timer is not None:
            self._timer.cancel()
        self._stand_up()
        if self._led is not None:
            await self._led.leave(error)

    @property
    def _may_be_told(self) -> bool:
        flight = self._flight
        if self._at >= len(flight.record):
            return False
        return not self._whole or (flight.is_over and flight.error is None)

    def _stand_up(self) -> None:
        if not self._has_left:
            self._has_left = True
            if self._at and not self._whole:
                self._flight.told -= 1
            self._flights.leave(self._flight)

    def _next(self) -> Batch:
        record = self._flight.record
        if self._whole:
            batch: Batch = [event for each in record for event in each]
            self._at = len(record)
        else:
            if not self._at:
                self._flight.told += 1
            batch = record[self._at]
            self._at += 1
        if isinstance(batch[-1], Finished):
            batch, self.saved = free_of_charge(batch)
        return batch

    def _board_another(self) -> None:
        """Have it answered anew: the generation that went on from another's has failed, and nothing was told here."""
        flights, key = self._flights, self._flight.key
        flights.leave(self._flight)
        flight = flights.join(key)
        if flight is None:
            flight = flights.begin(key, self._flight.name)
            flight.seats, flight.is_orphan = 1, True
        self._flight = flight

    async def _take(self) -> bool:
        """Have the answer generated here from now on, unless somebody else does."""
        flight, flights = self._flight, self._flights
        if not await flights.claim(flight):
            return False
        if flight.is_over:
            return True
        if self._at < len(flight.record) and not self._whole:
            # What others have been given comes first.
            flight.orphan(is_owed=flight.is_owed)
            return False
        is_owed, before = flight.is_owed, flight.given()
        given = flight.begin_again()
        # Whoever leads is no follower; the seat is given back once the flight is led.
        source, steps = self._go_on(given, before if is_owed else ())
        led = Leading(flights, flight, source, self._at)
        self._led = led.open(steps)
        self._stand_up()
        return True

    async def _wait(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)
        await self._flight.changed()

    def _expire(self) -> None:
        self._timer = None
        self._flight.wake()


def board(flights: Flights, key: FlightKey, generation: AnswerSource, call: Boarding) -> Seat:
    """Return the source of an answer: ``generation``, or another one to an equal request, which is followed.

    Whoever has it leaves it, whatever happened; where flights are shared, the leader's is claimed first.
    """
    flight = flights.join(key) if key in flights.open else None
    if flight is None:
        return Leading(flights, flights.begin(key, call.name), generation)
    return Following(flights, flight, call)


async def claim(flights: Flights, seat: Leading, call: Boarding) -> Seat:
    """Return the seat, or a follower's where another process has the answer generated."""
    flight = seat.flight
    if await flights.claim(flight):
        return seat
    flight.seats += 1
    flight.was_followed = True
    return Following(flights, flight, call)


Seat = Leading | Following
