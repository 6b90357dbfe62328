"""A servicer may answer with an object of its own instead of a generator: it is read, and closed, the same way."""

import asyncio

import pytest

from penstock_common import errors
from penstock_common.testing.transports import IN_PROCESS


class Countdown:
    """Notes from three to one; before the last it waits until it is told to go on."""

    def __init__(self, note):
        self._note = note
        self.left = 3
        self.waiting = asyncio.Event()
        self.go_on = asyncio.Event()
        self.closed = asyncio.Event()
        self.seen = []

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.left or self.closed.is_set():
            raise StopAsyncIteration
        if self.left == 1:
            self.waiting.set()
            try:
                await self.go_on.wait()
            except BaseException as error:
                self.seen.append(type(error))
                raise
        self.left -= 1
        return self._note(str(self.left + 1))

    async def aclose(self):
        self.closed.set()

    def behaviour(self, request, call):
        return self


@pytest.fixture
def countdown(note):
    return Countdown(note)


async def until(event):
    async with asyncio.timeout(60):
        await event.wait()


async def test_it_is_read_to_its_end(served, countdown, texts_of):
    countdown.go_on.set()
    async with served(stream=countdown.behaviour) as client:
        assert await texts_of(client.tell()) == ["3", "2", "1"]


async def test_a_reader_that_leaves_closes_it(served, countdown, transport):
    async with served(stream=countdown.behaviour) as client:
        responses = client.tell()
        assert (await anext(aiter(responses))).text == "3"
        await responses.aclose()
        assert countdown.closed.is_set() or transport != IN_PROCESS
        await until(countdown.closed)


async def test_a_reader_that_is_cancelled_interrupts_it_and_closes_it(served, countdown, texts_of):
    async with served(stream=countdown.behaviour) as client:
        task = asyncio.create_task(texts_of(client.tell()))
        await until(countdown.waiting)
        task.cancel()
        await asyncio.wait((task,))
        await until(countdown.closed)
    assert task.cancelled()
    assert countdown.seen == [asyncio.CancelledError]


async def test_its_time_interrupts_it(served, countdown, texts_of):
    async with served(stream=countdown.behaviour) as client:
        with pytest.raises(errors.DeadlineExceeded):
            await texts_of(client.tell(timeout=3))
        await until(countdown.closed)
    assert countdown.seen == [asyncio.CancelledError]
    assert asyncio.current_task().cancelling() == 0


async def test_its_time_closes_it_though_nobody_reads(served, countdown):
    async with served(stream=countdown.behaviour) as client:
        responses = client.tell(timeout=3)
        await anext(aiter(responses))
        await until(countdown.closed)
        with pytest.raises(errors.DeadlineExceeded):
            async for _ in responses:
                pass
        await responses.aclose()
