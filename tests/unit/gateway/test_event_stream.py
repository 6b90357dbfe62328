"""The stream's one timer: when the head goes, what fills a silence, and that a stuck reader costs one task."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from penstock_gateway.surfaces.openai.stream import EventStream, StreamTiming


class Client:
    """Receives ASGI messages; while ``stuck`` it does not read."""

    def __init__(self):
        self.messages = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.waiting = 0

    async def send(self, message):
        self.waiting += 1
        await self.reads.wait()
        self.waiting -= 1
        self.messages.append(message)

    @property
    def kinds(self):
        return [message["type"].rpartition(".")[2] for message in self.messages]

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.messages)


@pytest.fixture
def client():
    return Client()


def stream_to(client, hold_back_ms=10_000, keep_alive_ms=10_000):
    timing = StreamTiming(timedelta(milliseconds=hold_back_ms), timedelta(milliseconds=keep_alive_ms))
    return EventStream(client.send, lambda: [(b"x-request-id", b"r")], timing)


async def test_head_waits_for_the_first_frame(client):
    stream = stream_to(client)
    assert (client.messages, stream.begun) == ([], False)
    await stream.write(b"one")
    assert client.kinds == ["start", "body"]
    assert (b"x-request-id", b"r") in client.messages[0]["headers"]
    await stream.end(b"done")
    assert client.body == b"onedone"
    assert [message.get("more_body", False) for message in client.messages] == [False, True, False]


async def test_stopped_stream_sends_nothing_by_itself(client):
    stream = stream_to(client, hold_back_ms=1, keep_alive_ms=1)
    stream.stop()
    await asyncio.sleep(0.02)
    assert client.messages == []


async def test_ended_stream_fills_no_more_silence(client):
    stream = stream_to(client, keep_alive_ms=1)
    await stream.end(b"done")
    await asyncio.sleep(0.02)
    assert client.body == b"done"


async def test_reader_that_does_not_read_costs_one_waiting_comment(client):
    stream = stream_to(client, hold_back_ms=1, keep_alive_ms=1)
    client.reads.clear()
    async with asyncio.timeout(5):
        while not client.waiting:
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.03)
    assert client.waiting == 1
    stream.stop()
    await asyncio.sleep(0)
    client.reads.set()
    await asyncio.sleep(0.01)
    assert client.messages == []
