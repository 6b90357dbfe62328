"""When a silent Redis is late: after so many looks of the loop, of which a stall of any length is one."""

from __future__ import annotations

import asyncio

import pytest

from penstock_common.redis_pipeline import Patience, RedisPipeline, RedisUnavailable

TIMEOUT_SECONDS = 0.05
LOOKS = 6


class HandRunLoop:
    """A loop whose timers a test runs; how long it sleeps between two is nobody's business."""

    def __init__(self):
        self._timers = []
        self._soon = []
        self.create_future = asyncio.get_running_loop().create_future

    def call_later(self, seconds, call):
        assert seconds == pytest.approx(TIMEOUT_SECONDS / 5)
        self._timers.append(call)
        return self

    def call_soon(self, call):
        self._soon.append(call)

    def cancel(self):
        self._timers.clear()

    def turn(self):
        """Run what was to run soon."""
        while self._soon:
            self._soon.pop()()

    def look(self):
        """Run the timer that is due."""
        (timer,) = self._timers
        self._timers.clear()
        timer()

    @property
    def is_idle(self):
        return not self._timers


class Wire:
    """Takes nothing until it is told to."""

    def __init__(self):
        self.waiting = 0

    def get_write_buffer_size(self):
        return self.waiting

    def set_protocol(self, protocol):
        pass

    def write(self, words):
        self.waiting += len(words)

    def abort(self):
        pass


@pytest.fixture
async def loop():
    return HandRunLoop()


@pytest.fixture
async def lost():
    return []


@pytest.fixture
async def pipeline(loop, lost):
    made = RedisPipeline(Wire(), TIMEOUT_SECONDS, lost.append)
    made._loop = loop
    return made


@pytest.mark.parametrize("looks", range(LOOKS))
async def test_a_stall_uses_up_one_look_and_a_reply_counts_at_each_but_the_last(pipeline, loop, lost, looks):
    reply = pipeline.ask(b"PING")
    loop.turn()
    for _ in range(looks):
        loop.look()
    pipeline.data_received(b"+PONG\r\n")
    assert await reply == b"PONG"
    loop.look()
    assert (lost, loop.is_idle) == ([], True)


async def test_silence_at_every_look_is_an_end(pipeline, loop, lost):
    first = pipeline.ask(b"PING")
    loop.turn()
    loop.look()
    second = pipeline.ask(b"PING")
    loop.turn()
    for _ in range(LOOKS - 1):
        assert lost == []
        loop.look()
    for reply in (first, second):
        with pytest.raises(RedisUnavailable) as failed:
            await reply
        # It was on its way: nobody knows whether Redis does it.
        assert failed.value.may_be_done
    assert len(lost) == 1


async def test_a_later_command_has_its_own_looks(pipeline, loop, lost):
    first = pipeline.ask(b"PING")
    loop.turn()
    for _ in range(LOOKS - 1):
        loop.look()
    second = pipeline.ask(b"PING")
    loop.turn()
    pipeline.data_received(b"+PONG\r\n")
    assert await first == b"PONG"
    for _ in range(LOOKS - 1):
        loop.look()
        assert lost == []
    pipeline.data_received(b"+PONG\r\n")
    assert await second == b"PONG"


async def test_patience_ends_once_after_its_looks_and_never_once_cancelled(monkeypatch, loop):
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    expired = []
    Patience(TIMEOUT_SECONDS, lambda: expired.append(True))
    for _ in range(LOOKS - 1):
        loop.look()
    assert expired == []
    loop.look()
    assert (expired, loop.is_idle) == ([True], True)
    Patience(TIMEOUT_SECONDS, lambda: expired.append(True)).cancel()
    monkeypatch.undo()
    assert (expired, loop.is_idle) == ([True], True)


async def test_what_the_wire_has_not_taken_is_unsent_and_so_is_what_waits_for_this_turns_end(pipeline, loop):
    assert pipeline.unsent_bytes == 0
    pipeline.put(b"PING", None)
    pipeline.put(b"PONG!", None)
    assert pipeline.unsent_bytes == 9
    loop.turn()
    pipeline.put(b"PING", None)
    assert pipeline.unsent_bytes == 13
    pipeline._transport.waiting = 0
    assert pipeline.unsent_bytes == 4
