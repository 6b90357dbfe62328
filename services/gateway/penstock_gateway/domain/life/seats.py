"""A caller's seat in a flight: the one who leads it has the answer generated, the others read what comes of that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextvars import Context, copy_context

from penstock_common.errors import PenstockError
from penstock_common.llm.types import Batch, Finished, Plan
from penstock_common.rpc.client import deadline_of, deadline_passed
from penstock_common.rpc.scope import CURRENT_SCOPE
from penstock_common.telemetry.steps import Step
from penstock_gateway.domain.life.flights import Flight, FlightKey, Flights, is_of_all, without_frames
from penstock_gateway.domain.life.sources import AnswerStream, Generation, Saved, free_of_charge

GoOn = Callable[[Batch, Batch], AnswerStream]
"""Has an answer generated that goes on from the first, which may be nothing; what was given of it by a generation that nobody
was billed for is the second."""

LEAST_SECONDS = 0.25
"""Whoever has less time left has nothing generated: at the end of many callers' time each would ask for a moment."""


class Leading:
    """The source of an answer that others may follow."""

    __slots__ = ("_flight", "_flights", "_generation", "_stream", "plan", "saved")

    def __init__(self, flights: Flights, flight: Flight, generation: Generation) -> None:
        self._flights = flights
        self._flight = flight
        self._generation = generation
        self.plan: Plan | None = generation.plan
        self.saved: Saved | None = None
        self._stream: Led | None = None

    def open(self, steps: list[Step]) -> AnswerStream:
        """Return the answer."""
        stream = self._stream = Led(self._flights, self._flight, self._generation.open(steps))
        return stream

    @property
    def unread(self) -> list[Batch]:
        """What has come that the leader's caller was not told."""
        return [] if self._stream is None else self._stream.unread

    async def leave(self) -> None:
        """Say that no answer is asked for any more; may be repeated."""
        if self._stream is None:
            self._flights.end(self._flight)
        else:
            await self._stream.aclose()


class Led:
    """An answer as its leader reads it, and the flight records it.

    What is read first, which may be the whole answer and may take long, is read by a task of its own: should the leader's
    caller leave meanwhile, that goes on for whoever follows. Afterwards the leader reads by itself while it is alone.
    """

    __slots__ = (
        "_answer", "_at", "_batches", "_context", "_failure", "_flight", "_flights", "_has_ended", "_has_read", "_is_closed",
        "_is_reading", "_leads", "_record", "_task", "_until",
    )  # fmt: skip

    def __init__(self, flights: Flights, flight: Flight, answer: AnswerStream, at: int = 0) -> None:
        self._flights = flights
        self._flight = flight
        self._answer = answer
        self._batches = aiter(answer)
        self._at = at
        self._context: Context = copy_context()
        self._failure: BaseException | None = None
        self._has_ended = self._has_read = self._is_closed = self._is_reading = False
        # Others may go on with it, once this generation has ended.
        self._leads = True
        self._record = flight.record
        self._until: int | None = None
        self._task: asyncio.Task[None] | None = None
        flight.on_wanted = self._go_on

    def __aiter__(self) -> Led:
        return self

    async def __anext__(self) -> Batch:
        flight, record = self._flight, self._record
        while self._at >= (len(record) if self._until is None else self._until):
            if self._has_ended:
                raise self._failure or StopAsyncIteration
            if self._task is None:
                if self._has_read and not (flight.seats or flight.elsewhere):
                    await self._read()
                    break
                self._go_on()
            await flight.changed()
        batch = record[self._at]
        self._at += 1
        return batch

    @property
    def unread(self) -> list[Batch]:
        """What this generation has given that the leader's caller was not told."""
        return self._record[self._at : self._until]

    async def aclose(self) -> None:
        """End it once nobody follows: whoever does reads on after the leader's caller has left. May be repeated."""
        if self._is_closed:
            return
        self._is_closed = True
        flight = self._flight
        try:
            while not self._has_ended and (flight.seats or flight.elsewhere):
                self._go_on()
                await flight.changed()
        finally:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait((self._task,))
            await self._answer.aclose()
            self._let_go()

    def _go_on(self) -> None:
        """Read on, in a task of its own, unless somebody reads."""
        if self._task is None and not self._is_reading and not self._has_ended:
            self._task = asyncio.get_running_loop().create_task(self._run(), context=self._context)

    async def _run(self) -> None:
        flight = self._flight
        try:
            await self._read()
            while flight.seats or flight.elsewhere:
                await self._read()
        except (StopAsyncIteration, PenstockError):
            # It stands in the flight, and its leader hears of it.
            pass
        finally:
            self._task = None
            flight.wake()

    async def _read(self) -> None:
        self._is_reading = True
        try:
            self._flight.append(await self._batches.__anext__())
            self._has_read = True
        except BaseException as error:
            self._end(error)
            raise
        finally:
            self._is_reading = False

    def _end(self, error: BaseException) -> None:
        self._has_ended, self._until = True, len(self._record)
        if not isinstance(error, StopAsyncIteration):
            self._failure = error
        if self._flight.is_over:
            return
        if isinstance(error, PenstockError) and is_of_all(error):
            self._flight.fail(error)
        self._let_go()

    def _let_go(self) -> None:
        if self._leads:
            self._leads = False
            if self._until is None:
                self._until = len(self._record)
            self._flights.end(self._flight)


class Following:
    """The source of an answer that another request has generated, and the answer.

    ``go_on`` is called where that one has left, and it is this one's turn.
    """

    __slots__ = (
        "_at", "_deadline", "_flight", "_flights", "_go_on", "_has_left", "_led", "_timer", "_whole", "plan", "saved",
    )  # fmt: skip

    def __init__(self, flights: Flights, flight: Flight, go_on: GoOn, *, whole: bool) -> None:
        """Take a seat that has been counted. ``whole``: nobody is told anything before all of it is there."""
        self._flights = flights
        self._flight = flight
        self._go_on = go_on
        self._whole = whole
        self._at = 0
        self._led: Led | None = None
        self._has_left = False
        self._deadline = deadline_of(CURRENT_SCOPE.get(), None)
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

    async def leave(self) -> None:
        """Give the seat back; may be repeated."""
        if self._timer is not None:
            self._timer.cancel()
        self._stand_up()
        if self._led is not None:
            await self._led.aclose()

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
        self._led = Led(flights, flight, self._go_on(given, before if is_owed else ()), self._at)
        self._stand_up()
        return True

    async def _wait(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)
        await self._flight.changed()

    def _expire(self) -> None:
        self._timer = None
        self._flight.wake()


async def board(
    flights: Flights, key: FlightKey, generation: Generation, name: str, go_on: GoOn, *, whole: bool
) -> Seat:
    """Return the source of an answer: ``generation``, or another one to an equal request, which is followed.

    Whoever has it leaves it, whatever happened.
    """
    flight = flights.join(key)
    if flight is None:
        flight = flights.begin(key, name)
        if flights.shared is None or await flights.claim(flight):
            return Leading(flights, flight, generation)
        flight.seats += 1
    return Following(flights, flight, go_on, whole=whole)


Seat = Leading | Following
