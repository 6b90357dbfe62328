"""The timers of an attempt on a clock that a test moves."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_inference.domain.catalogue import Timeouts, TimerSeconds
from penstock_inference.domain.watchdog import DEADLINE_MARGIN_SECONDS, Watchdog


class FakeClock:
    """Time that moves when told, and fires what is due on the way."""

    def __init__(self) -> None:
        self.now = 100.0
        self.scheduled = 0
        self._handles: list[tuple[float, int, FakeHandle]] = []

    def time(self) -> float:
        """Return the present."""
        return self.now

    def call_at(self, when: float, callback: Callable[[], None], /) -> FakeHandle:
        """Schedule."""
        self.scheduled += 1
        handle = FakeHandle(callback)
        heapq.heappush(self._handles, (when, self.scheduled, handle))
        return handle

    def advance(self, seconds: float) -> None:
        """Move on."""
        end = self.now + seconds
        while self._handles and self._handles[0][0] <= end:
            when, _, handle = heapq.heappop(self._handles)
            self.now = max(self.now, when)
            if not handle.cancelled:
                handle.callback()
        self.now = end

    def stall(self, seconds: float) -> None:
        """Let time pass that nothing is heard in, then fire what has become due."""
        self.now += seconds
        self.advance(0)


class FakeHandle:
    """A scheduled call."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        """Unschedule."""
        self.cancelled = True


TIMEOUTS = Timeouts(
    headers=timedelta(seconds=10),
    first_token=timedelta(seconds=30),
    idle=timedelta(seconds=5),
    total=timedelta(seconds=100),
)


async def watched(
    clock: FakeClock, deadline: float | None = None, seconds: TimerSeconds = TIMEOUTS.seconds
) -> tuple[Watchdog, asyncio.Task[None]]:
    """Return a watchdog and a task that waits for its upstream for ever."""
    watchdog = Watchdog(seconds, deadline, clock)
    waiting = asyncio.Event()

    async def wait() -> None:
        watchdog.wait()
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(wait())
    await waiting.wait()
    return watchdog, task


async def ended(task: asyncio.Task[None]) -> bool:
    """Return whether the watchdog cancelled the task."""
    asked = task.cancelling() > 0
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return asked


async def test_headers_is_due_when_the_response_has_not_begun() -> None:
    clock = FakeClock()
    watchdog, task = await watched(clock)
    clock.advance(9.99)
    assert watchdog.expired == ""
    clock.advance(0.02)
    assert watchdog.expired == "headers"
    assert await ended(task)


async def test_first_token_is_due_when_the_response_has_begun() -> None:
    clock = FakeClock()
    watchdog, task = await watched(clock)
    clock.advance(9)
    watchdog.headers_received()
    clock.advance(20.99)
    assert watchdog.expired == ""
    clock.advance(0.02)
    assert watchdog.expired == "first_token"
    assert await ended(task)


async def test_a_silence_that_a_callers_deadline_cut_short_says_so() -> None:
    hurried = msgspec.structs.replace(TIMEOUTS.seconds, first_token=1.0, hurried=True)
    clock = FakeClock()
    watchdog, task = await watched(clock, clock.now + 2, hurried)
    clock.advance(1)
    assert (watchdog.failure().stage, watchdog.failure().hurried) == ("first_token", True)
    assert await ended(task)


async def test_an_answer_that_takes_too_long_is_not_the_hurry_of_its_caller() -> None:
    clock = FakeClock()
    watchdog, task = await watched(clock, seconds=msgspec.structs.replace(TIMEOUTS.seconds, hurried=True))
    watchdog.pause()
    clock.advance(100)
    assert (watchdog.failure().stage, watchdog.failure().hurried) == ("total", False)
    assert not await ended(task)


@pytest.mark.parametrize("is_asked", [True, False], ids=["asked for", "in the place of a stream"])
@pytest.mark.parametrize(("granted", "hurried"), [(1.0, True), (20.0, True), (TIMEOUTS.seconds.whole, False)])
async def test_a_whole_answer_that_a_callers_deadline_cut_short_says_so(
    granted: float, hurried: bool, is_asked: bool
) -> None:
    clock = FakeClock()
    watchdog = Watchdog(TIMEOUTS.beside_others(granted), None, clock, expects_whole=is_asked)
    watchdog.whole_expected()
    clock.advance(granted - 0.1)
    assert watchdog.expired == ""
    clock.advance(0.1)
    assert (watchdog.failure().stage, watchdog.failure().hurried) == ("whole", hurried)


async def test_what_came_while_the_loop_stalled_is_read_before_silence_is_believed() -> None:
    clock = FakeClock()
    watchdog, task = await watched(clock)
    clock.advance(9.9)
    clock.stall(0.5)
    # The response had begun, and is read once the timers have been heard.
    watchdog.headers_received()
    clock.advance(19)
    assert watchdog.expired == ""
    clock.stall(5)
    watchdog.pause()
    clock.advance(60)
    assert watchdog.expired == ""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_silence_is_believed_at_the_second_look() -> None:
    clock = FakeClock()
    watchdog, task = await watched(clock)
    clock.stall(20)
    assert watchdog.expired == ""
    clock.advance(0.02)
    assert watchdog.expired == "headers"
    assert await ended(task)


async def test_the_deadline_is_believed_at_once() -> None:
    clock = FakeClock()
    watchdog, task = await watched(clock, deadline=clock.now + 5)
    clock.stall(6)
    assert watchdog.expired == "deadline"
    assert await ended(task)


async def test_idle_is_due_from_the_time_the_reader_came_back() -> None:
    clock = FakeClock()
    watchdog, task = await watched(clock)
    watchdog.pause()
    clock.advance(60)
    assert watchdog.expired == ""

    async def wait_again() -> None:
        watchdog.wait()
        await asyncio.Event().wait()

    again = asyncio.ensure_future(wait_again())
    await asyncio.sleep(0)
    clock.advance(4.99)
    assert watchdog.expired == ""
    clock.advance(0.02)
    assert watchdog.expired == "idle"
    assert await ended(again)
    await ended(task)


async def test_total_runs_on_while_the_reader_is_slow_and_cancels_nobody() -> None:
    clock = FakeClock()
    watchdog, task = await watched(clock)
    watchdog.pause()
    clock.advance(100.1)
    assert watchdog.expired == "total"
    assert not await ended(task)


async def test_the_deadline_is_due_a_margin_early() -> None:
    clock = FakeClock()
    watchdog, task = await watched(clock, deadline=clock.now + 2)
    clock.advance(2 - DEADLINE_MARGIN_SECONDS - 0.01)
    assert watchdog.expired == ""
    clock.advance(0.02)
    assert watchdog.expired == "deadline"
    assert await ended(task)


async def test_it_knows_the_longest_silence_and_the_longest_reading_after_the_first_content() -> None:
    clock = FakeClock()
    watchdog, task = await watched(clock)
    clock.advance(0.5)
    watchdog.pause()
    assert (watchdog.longest_silence, watchdog.longest_reading) == (0, 0), "the first token is late, it is no gap"
    for reading, silence in ((0.25, 1.5), (0.75, 0.125), (0.0, 1.0)):
        clock.advance(reading)
        watchdog.wait()
        clock.advance(silence)
        watchdog.pause()
    assert watchdog.longest_silence == pytest.approx(1.5)
    assert watchdog.longest_reading == pytest.approx(0.75)
    clock.advance(2)
    assert watchdog.seconds_since_content == pytest.approx(2)
    await ended(task)


async def test_content_schedules_nothing() -> None:
    clock = FakeClock()
    watchdog, task = await watched(clock)
    for _ in range(1000):
        watchdog.wait()
        watchdog.pause()
    assert clock.scheduled == 1
    await ended(task)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["content", "headers", "resume"]), st.floats(0, 4)), max_size=30))
def test_no_timer_is_ever_late(course: list[tuple[str, float]]) -> None:
    clock = FakeClock()
    watchdog = Watchdog(TIMEOUTS.seconds, None, clock)
    waiting_since, came, reading = clock.now, False, False
    for event, seconds in course:
        clock.advance(seconds)
        if watchdog.expired:
            break
        if event == "headers":
            watchdog.headers_received()
        elif event == "content":
            watchdog.pause()
            came, reading = True, True
        else:
            waiting_since, reading = clock.now, False
            wait_without_a_task(watchdog)
    clock.advance(0)
    idle_since = clock.now - waiting_since
    # Where nobody expired, no timer may be past its time.
    assert watchdog.expired or clock.now - 100 < 100
    assert watchdog.expired or not came or reading or idle_since <= 5.01
    assert watchdog.expired or came or clock.now - 100 <= 30.01
    watchdog.stop()


def wait_without_a_task(watchdog: Watchdog) -> None:
    """Begin to wait on a loop of its own, as a task would."""

    async def wait() -> None:
        watchdog.wait()

    asyncio.run(wait())


async def test_idle_is_due_when_content_came_long_before_the_earlier_timers():
    clock = FakeClock()
    watchdog, task = await watched(clock)
    clock.advance(1)
    watchdog.headers_received()
    watchdog.pause()
    again = asyncio.ensure_future(wait_for_ever(watchdog))
    await asyncio.sleep(0)
    clock.advance(5.01)
    assert watchdog.expired == "idle"
    assert await ended(again)
    await ended(task)


async def wait_for_ever(watchdog):
    watchdog.wait()
    await asyncio.Event().wait()


async def test_a_whole_answer_has_one_limit_until_it_is_there() -> None:
    clock = FakeClock()
    watchdog = Watchdog(TIMEOUTS.seconds, None, clock, expects_whole=True)
    task = asyncio.ensure_future(wait_for_ever(watchdog))
    await asyncio.sleep(0)
    # Neither headers (10 s) nor first_token (30 s) nor idle (5 s) say anything of an answer in one piece.
    clock.advance(40)
    watchdog.headers_received()
    clock.advance(19.9)
    assert not watchdog.expired
    clock.advance(0.2)
    assert watchdog.expired == "whole"
    assert watchdog.failure().stage == "whole"
    assert await ended(task)


async def test_a_whole_answer_that_comes_in_pieces_after_all_has_idle_between_them() -> None:
    clock = FakeClock()
    watchdog = Watchdog(TIMEOUTS.seconds, None, clock, expects_whole=True)
    watchdog.pause()
    task = asyncio.ensure_future(wait_for_ever(watchdog))
    await asyncio.sleep(0)
    clock.advance(5.01)
    assert watchdog.expired == "idle"
    assert await ended(task)


async def test_end_is_due_from_the_last_that_belonged_to_an_answer_that_is_whole() -> None:
    clock = FakeClock()
    watchdog, task = await watched(clock)
    watchdog.answer_ended()
    clock.advance(0.99)
    watchdog.answer_ended()
    clock.advance(0.99)
    assert watchdog.expired == ""
    clock.advance(0.02)
    assert watchdog.expired == "end"
    assert await ended(task)


async def test_end_is_not_due_while_the_reader_is_away() -> None:
    clock = FakeClock()
    watchdog, task = await watched(clock)
    watchdog.answer_ended()
    watchdog.pause()
    clock.advance(50)
    assert watchdog.expired == ""

    async def wait_again() -> None:
        watchdog.wait()
        await asyncio.Event().wait()

    again = asyncio.ensure_future(wait_again())
    await asyncio.sleep(0)
    clock.advance(0.99)
    assert watchdog.expired == ""
    clock.advance(1.02)
    assert watchdog.expired == "end"
    assert await ended(again)
    await ended(task)


async def test_a_deadline_before_the_end_of_the_response_is_due_first() -> None:
    clock = FakeClock()
    watchdog, task = await watched(clock, deadline=clock.time() + 0.5)
    watchdog.answer_ended()
    clock.advance(0.49)
    assert watchdog.expired == "deadline"
    assert await ended(task)


async def test_a_whole_answer_in_the_place_of_a_stream_has_its_time() -> None:
    clock = FakeClock()
    watchdog, task = await watched(clock)
    watchdog.whole_expected()
    clock.advance(59.9)
    assert watchdog.expired == ""
    clock.advance(0.2)
    assert watchdog.expired == "whole"
    assert await ended(task)
