"""Whatever order callers come, leave, and answers break off in: nobody is told anything wrong, and nothing is left behind."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_common.errors import DeadlineExceeded, PenstockError, UpstreamFailed
from penstock_common.llm.events import Answer
from penstock_common.llm.types import Candidate, Finished, FinishReason, Started, TextDelta, Usage
from penstock_gateway.domain.life.flights import FlightKey, Flights
from penstock_gateway.domain.life.seats import Boarding, Following, board

KEY = FlightKey("tenant", "model", b"digest")
WHO = Candidate(upstream="u", model="m")
WORDS = ["a", "b", "c", "d"]
EVENTS = [
    (Started(generation_id="g", answered_by=WHO), TextDelta(text=WORDS[0])),
    *[(TextDelta(text=word),) for word in WORDS[1:]],
    (Usage(input_tokens=1, output_tokens=4), Finished(reason=FinishReason.STOP, answered_by=WHO, cost_nano_usd=9)),
]
ENDS = {"late": DeadlineExceeded("late"), "failed": UpstreamFailed("failed")}


class Source:
    """Generates what is left of the answer, batch by batch, as the test lets it."""

    plan = saved = None

    def __init__(self, world, given=()):
        text = "".join(getattr(event, "text", "") for event in given)
        self.left = list(EVENTS[len(text) :]) if given else list(EVENTS)
        self.world = world
        world.made.append(self)
        self.is_closed = False
        self.failure = None
        self.turn = asyncio.Event()

    def open(self, steps):
        return self

    def __aiter__(self):
        return self

    async def __anext__(self):
        await self.turn.wait()
        self.turn.clear()
        if self.failure is not None:
            raise self.failure
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop(0)

    async def aclose(self):
        self.is_closed = True


class World:
    def __init__(self):
        self.flights = Flights(linger_seconds=0)
        self.made, self.callers = [], []

    def join(self, whole):
        def go_on(given, owed):
            return Source(self, given), []

        boarding = Boarding(f"g{len(self.callers)}", whole, go_on)
        flight = self.flights.open.get(KEY)
        source = Source(self) if flight is None else None
        seat = board(self.flights, KEY, source, boarding)
        told = Answer()
        self.callers.append((asyncio.ensure_future(self.read(seat, told)), told, isinstance(seat, Following)))

    async def read(self, seat, told):
        stream, error = seat.open([]), None
        if not isinstance(seat, Following):
            events = []
            stream.kept = events
        try:
            async for batch in stream:
                if not isinstance(seat, Following):
                    events += batch
                told.extend(batch)
        except BaseException as failure:
            error = failure
            raise
        finally:
            await seat.leave(error)

    async def settle(self):
        for _ in range(12):
            await asyncio.sleep(0)

    def push(self, how):
        for source in self.made:
            if not source.is_closed:
                source.failure = ENDS.get(how)
                source.turn.set()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.booleans()),
        st.tuples(st.just("leave"), st.integers(0, 5)),
        st.tuples(st.just("push"), st.sampled_from(["well", "well", "well", "late", "failed"])),
    ),
    max_size=20,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_each_is_told_the_whole_or_an_error_and_no_flight_is_left(steps):
    asyncio.run(_play(steps))


async def _play(steps):
    world = World()
    for kind, what in [("join", False), *steps]:
        if kind == "join":
            world.join(what)
        elif kind == "leave" and what < len(world.callers):
            world.callers[what][0].cancel()
        elif kind == "push":
            world.push(what)
        await world.settle()
    for _ in range(20):
        world.push("well")
        await world.settle()
    for task, told, _ in world.callers:
        assert task.done()
        assert "".join(WORDS).startswith(told.text)
        if not task.cancelled() and task.exception() is None:
            assert told.text == "".join(WORDS)
            assert told.finished is not None
        elif not task.cancelled():
            assert isinstance(task.exception(), PenstockError)
    assert all(source.is_closed for source in world.made)
    assert not world.flights.open


def test_those_who_come_while_it_is_answered_cost_nothing():
    async def storm():
        world = World()
        for number in range(5):
            world.join(number % 2 == 1)
        await world.settle()
        for _ in range(8):
            world.push("well")
            await world.settle()
        assert len(world.made) == 1
        assert [told.finished.cost_nano_usd for _, told, _ in world.callers] == [9, 0, 0, 0, 0]
        assert {told.text for _, told, _ in world.callers} == {"abcd"}

    asyncio.run(storm())


def test_one_that_was_followed_can_be_joined_for_a_while_after_its_end_and_another_cannot():
    async def play():
        flights = Flights(linger_seconds=3600)
        for is_followed in (True, False):
            flight = flights.begin(KEY, "g")
            flight.on_wanted = lambda: None
            if is_followed:
                flights.join(KEY)
            flight.append(EVENTS[-1])
            if is_followed:
                # It has read all of it before whoever leads says that it is over.
                flights.leave(flight)
            flights.end(flight)
            assert flights.join(KEY) is (flight if is_followed else None)
            flights.close(flight)

    asyncio.run(play())
