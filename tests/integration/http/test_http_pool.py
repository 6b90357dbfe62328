"""The pool of the HTTP client: one look-up for all, and when a connection or an address is not used again."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from pathlib import Path

import pytest

from penstock_common.http import pool as pool_module
from penstock_common.http.address import Origin, parse_address
from penstock_common.http.failures import ConnectFailed, ConnectionCut
from penstock_common.http.pool import HttpPool
from penstock_common.http.request_head import RequestHead

sys.path.insert(0, str(Path(__file__).parent))

from http_origin import OK, origin  # noqa: E402

PATIENT_SECONDS = 30.0
# More than the buffers of both sockets take.
BIG = b"x" * 8_000_000
NAME = "several.example"


def stream_to(port, ip="127.0.0.1"):
    return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (ip, port))


class Resolver:
    """Counts look-ups, and answers them when let to."""

    def __init__(self):
        self.asked = 0
        self.ended = 0
        self.may_answer = asyncio.Event()
        self.failure = None

    async def __call__(self, host, port):
        self.asked += 1
        try:
            await self.may_answer.wait()
            if self.failure is not None:
                raise self.failure
            return [stream_to(port)]
        finally:
            self.ended += 1


async def until(condition):
    async with asyncio.timeout(PATIENT_SECONDS):
        while not condition():
            await asyncio.sleep(0)


def only_connection(pool):
    (connection,) = pool._connections
    return connection


async def ask(pool, body=b"{}"):
    head = RequestHead("POST", parse_address(f"http://{pool.origin.authority}/v1/x"), {})
    response = await pool.request(head, body, PATIENT_SECONDS)
    try:
        return response.status, await response.read_up_to(1_000_000)
    finally:
        response.release()


async def asking(pool, count):
    """Return so many requests that all wait for an address."""
    asked = [asyncio.ensure_future(ask(pool)) for _ in range(count)]
    await until(lambda: pool._opening == count)
    return asked


async def test_requests_at_once_share_one_look_up():
    resolver = Resolver()
    async with origin() as server:
        pool = HttpPool(Origin(NAME, server.port), None, look_up=resolver)
        asked = await asking(pool, 50)
        resolver.may_answer.set()
        assert await asyncio.gather(*asked) == [(200, b"hello")] * 50
        assert resolver.asked == 1
        await pool.aclose()


async def test_a_request_that_is_cancelled_leaves_the_look_up_to_the_others():
    resolver = Resolver()
    async with origin() as server:
        pool = HttpPool(Origin(NAME, server.port), None, look_up=resolver)
        first, second = await asking(pool, 2)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        resolver.may_answer.set()
        assert await second == (200, b"hello")
        assert resolver.asked == 1
        await pool.aclose()


async def test_a_look_up_that_fails_does_so_for_all_and_the_next_is_a_new_one():
    resolver = Resolver()
    resolver.failure = socket.gaierror("no such name")
    async with origin() as server:
        pool = HttpPool(Origin(NAME, server.port), None, look_up=resolver)
        asked = await asking(pool, 5)
        resolver.may_answer.set()
        for failure in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(failure, ConnectFailed)
            assert str(failure) == "no such name"
        assert resolver.asked == 1
        resolver.failure = None
        assert await ask(pool) == (200, b"hello")
        assert resolver.asked == 2
        await pool.aclose()


async def test_a_look_up_that_nobody_waits_for_any_more_fails_in_silence():
    resolver = Resolver()
    resolver.failure = OSError("no such name")
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
    pool = HttpPool(Origin(NAME, 80), None, look_up=resolver)
    (only,) = await asking(pool, 1)
    only.cancel()
    await asyncio.wait([only])
    # What is never retrieved is told when nobody can retrieve it any more.
    del only
    resolver.may_answer.set()
    await until(lambda: pool._renewal is None)
    gc.collect()
    assert not complaints
    await pool.aclose()


async def test_closing_ends_the_look_up_and_fails_who_waits_for_it():
    resolver = Resolver()
    pool = HttpPool(Origin(NAME, 80), None, look_up=resolver)
    asked = await asking(pool, 3)
    await until(lambda: resolver.asked)
    await pool.aclose()
    assert resolver.ended == 1
    for failure in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(failure, ConnectFailed)


async def test_after_a_connection_that_failed_the_name_is_looked_up_again():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        asked = 0

        async def look_up(host, port):
            nonlocal asked
            asked += 1
            return [stream_to(nobody.getsockname()[1] if asked == 1 else port)]

        async with origin() as server:
            pool = HttpPool(Origin(NAME, server.port), None, look_up=look_up)
            with pytest.raises(ConnectFailed):
                await ask(pool)
            assert await ask(pool) == (200, b"hello")
            assert asked == 2
            await pool.aclose()


async def test_a_used_connection_that_dies_late_is_a_failure_and_nothing_is_sent_again(monkeypatch):
    monkeypatch.setattr(pool_module, "REPEAT_SECONDS", 0.0)
    taken = []

    async def closing_when_asked_again(visit):
        taken.append(await visit.request())
        await visit.say(OK)
        taken.append(await visit.request())

    async with origin(closing_when_asked_again) as server:
        pool = HttpPool(Origin("127.0.0.1", server.port), None)
        assert await ask(pool) == (200, b"hello")
        with pytest.raises(ConnectionCut) as cut:
            await ask(pool)
        assert not cut.value.began
        assert len(taken) == 2
        assert len(server.visits) == 1
        await pool.aclose()


async def test_an_answer_that_comes_before_the_body_was_read_costs_its_connection():
    async def hasty(visit):
        await visit.reader.readuntil(b"\r\n\r\n")
        await until(lambda: pool._connections and only_connection(pool)._write_paused)
        await visit.say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno")
        await answered.wait()
        await visit.until_gone()

    answered = asyncio.Event()
    async with origin(hasty) as server:
        pool = HttpPool(Origin("127.0.0.1", server.port), None)
        assert await ask(pool, BIG) == (200, b"no")
        answered.set()
        assert await asyncio.wait_for(ask(pool), PATIENT_SECONDS) == (200, b"hello")
        assert len(server.visits) == 2
        await pool.aclose()


async def test_a_refusal_of_half_a_body_costs_its_connection_even_if_the_half_has_been_read():
    async def refusing(visit):
        await visit.reader.readuntil(b"\r\n\r\n")
        await until(lambda: pool._connections and only_connection(pool)._write_paused)
        await visit.say(b"HTTP/1.1 413 No\r\ncontent-length: 2\r\n\r\nn")
        await until(lambda: only_connection(pool)._response.status)
        reading = asyncio.ensure_future(visit.until_gone())
        await until(lambda: not only_connection(pool)._write_paused)
        await visit.say(b"o")
        await reading

    async with origin(refusing) as server:
        pool = HttpPool(Origin("127.0.0.1", server.port), None)
        assert await ask(pool, BIG) == (413, b"no")
        assert await asyncio.wait_for(ask(pool), PATIENT_SECONDS) == (200, b"hello")
        assert len(server.visits) == 2
        await pool.aclose()


async def test_of_several_connections_that_died_together_a_request_meets_one_at_most():
    # A balancer that restarts: every connection that was kept is reset with the next bytes that come.
    restarted = asyncio.Event()
    met = []

    async def resetting(visit):
        await visit.request()
        await all_are_open.wait()
        await visit.say(OK)
        if await visit.request() and restarted.is_set():
            met.append(visit)
            visit.writer.transport.abort()

    all_are_open = asyncio.Event()
    async with origin(*[resetting] * 5) as server:
        pool = HttpPool(Origin("127.0.0.1", server.port), None)
        asked = [asyncio.ensure_future(ask(pool)) for _ in range(5)]
        await until(lambda: len(server.visits) == 5)
        all_are_open.set()
        assert await asyncio.gather(*asked) == [(200, b"hello")] * 5
        restarted.set()
        assert await ask(pool) == (200, b"hello")
        assert (len(met), len(server.visits)) == (1, 6)
        # The others are gone with it.
        assert await asyncio.gather(*[ask(pool) for _ in range(4)]) == [(200, b"hello")] * 4
        assert (len(met), len(server.visits)) == (1, 9)
        await pool.aclose()


async def test_after_a_connection_that_died_late_the_next_is_a_new_one(monkeypatch):
    monkeypatch.setattr(pool_module, "REPEAT_SECONDS", 0.0)
    all_are_open = asyncio.Event()

    async def closing_when_asked_again(visit):
        await visit.request()
        await all_are_open.wait()
        await visit.say(OK)
        await visit.request()

    async with origin(*[closing_when_asked_again] * 3) as server:
        pool = HttpPool(Origin("127.0.0.1", server.port), None)
        asked = [asyncio.ensure_future(ask(pool)) for _ in range(3)]
        await until(lambda: len(server.visits) == 3)
        all_are_open.set()
        assert await asyncio.gather(*asked) == [(200, b"hello")] * 3
        with pytest.raises(ConnectionCut):
            await ask(pool)
        assert await ask(pool) == (200, b"hello")
        assert len(server.visits) == 4
        await pool.aclose()
