"""Silences of streams: when the head goes, what fills a silence, and that a stuck reader costs nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest

from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats.event_stream import EventStream, Silences, StreamTiming

KEEP_ALIVE = b": keep-alive\n\n"


class Client:
    """A connection whose other end does not read while ``stuck``."""

    shared = SimpleNamespace(standing_lines=b"", is_ending=False)

    def __init__(self):
        self.sent = []
        self.is_lost = False
        self.refused = None
        self.reads = asyncio.Event()
        self.reads.set()

    @property
    def has_room(self):
        return self.reads.is_set()

    def send(self, data):
        self.sent.append(data)

    def answered(self):
        pass

    async def room(self):
        await self.reads.wait()

    @property
    def head(self):
        return b"".join(self.sent).partition(b"\r\n\r\n")[0]

    @property
    def body(self):
        chunks = b"".join(self.sent).partition(b"\r\n\r\n")[2].split(b"\r\n")
        return b"".join(chunks[1::2])

    @property
    def has_ended(self):
        return b"".join(self.sent).endswith(b"0\r\n\r\n")


@pytest.fixture
def client():
    return Client()


def stream_to(client, hold_back_ms=10_000, keep_alive_ms=10_000):
    timing = StreamTiming(timedelta(milliseconds=hold_back_ms), timedelta(milliseconds=keep_alive_ms))
    response = HttpResponse(HttpRequest("POST", "/", {}, client, 0), client)
    return EventStream(response, lambda: b"x-request-id: r\r\n", Silences(timing), KEEP_ALIVE)


async def until(holds):
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.001)


async def test_head_waits_for_the_first_frame(client):
    stream = stream_to(client)
    assert (client.sent, stream.begun) == ([], False)
    await stream.write(b"one")
    # Together, in one write.
    assert len(client.sent) == 1
    assert b"x-request-id: r" in client.head
    assert b"content-type: text/event-stream; charset=utf-8" in client.head
    assert not client.has_ended
    stream.end(b"done")
    assert client.body == b"onedone"
    assert client.has_ended


async def test_no_frames_are_nothing_to_send(client):
    stream = stream_to(client)
    await stream.write(b"")
    assert (client.sent, stream.begun) == ([], False)
    stream.stop()


async def test_head_goes_when_it_was_held_back_for_long_enough(client):
    stream = stream_to(client, hold_back_ms=1)
    await until(lambda: client.sent)
    assert b"x-request-id: r" in client.head
    assert client.body.startswith(KEEP_ALIVE)
    stream.stop()


async def test_silence_is_filled_again_and_again(client):
    stream = stream_to(client, keep_alive_ms=1)
    await stream.write(b"one")
    await until(lambda: client.body.count(KEEP_ALIVE) >= 3)
    assert client.body.startswith(b"one" + KEEP_ALIVE)
    stream.stop()


async def test_stopped_stream_sends_nothing_by_itself(client):
    stream = stream_to(client, hold_back_ms=1, keep_alive_ms=1)
    stream.stop()
    await asyncio.sleep(0.02)
    assert client.sent == []


async def test_ended_stream_fills_no_more_silence(client):
    stream = stream_to(client, keep_alive_ms=1)
    stream.end(b"done")
    await asyncio.sleep(0.02)
    assert client.body == b"done"


async def test_reader_that_does_not_read_has_nothing_piled_up(client):
    client.reads.clear()
    stream = stream_to(client, hold_back_ms=1, keep_alive_ms=1)
    await until(lambda: stream.begun)
    await asyncio.sleep(0.03)
    assert client.sent == []
    assert asyncio.all_tasks() == {asyncio.current_task()}
    writing = asyncio.create_task(stream.write(b"one"))
    await asyncio.sleep(0.01)
    assert client.sent == []
    client.reads.set()
    await writing
    assert b"one" in client.body
    stream.stop()


async def test_nothing_wakes_up_when_no_stream_is_open(client):
    stream = stream_to(client, keep_alive_ms=1)
    silences = stream._silences
    stream.end(b"done")
    await until(lambda: not silences._is_looking)
