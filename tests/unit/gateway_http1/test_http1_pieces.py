"""Bodies that pass by in pieces: of any length, with little of them in memory, in a time of their own."""

from __future__ import annotations

import asyncio
import contextlib
import gzip

import pytest

from .conftest import head, until

_KIB = 1024
_MIB = 1024 * _KIB


@pytest.mark.parametrize("size", [1, 100, 100 * _KIB, 3 * _MIB])
async def test_a_body_may_be_larger_than_those_that_are_read_whole(serve, application, size):
    application.hold.set()
    client = await (await serve(max_body_bytes=_MIB)).connect()
    for lines in (f"content-length: {size}",), ("transfer-encoding: chunked",):
        client.send(head("POST", "/pieces", *lines))
        client.send(b"x" * size if "length" in lines[0] else b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size))
        answered = await client.answer()
        assert (answered.status, answered.body) == (200, str(size).encode())
        assert answered.header["content-length"] == str(len(str(size)))


async def test_a_client_waits_while_nobody_takes_the_next_piece(serve, application):
    client = await (await serve(max_body_bytes=_MIB)).connect()
    size = 64 * _MIB
    client.send(head("POST", "/pieces", f"content-length: {size}"))

    async def pour():
        for _ in range(64):
            client.send(b"x" * _MIB)
            await client.writer.drain()

    pouring = asyncio.create_task(pour())
    await application.running.wait()
    request = application.seen[0]
    received = -1
    while received != request.received_bytes:
        # Until nothing more comes.
        received = request.received_bytes
        await asyncio.sleep(0.05)
    assert request.unread_bytes < _MIB
    assert not pouring.done()
    application.hold.set()
    answered = await client.answer()
    assert answered.body == str(size).encode()
    await pouring
    assert application.most_unread < _MIB


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_has_no_more_than_it_may(serve, application, announced):
    application.most = 200 * _KIB
    application.hold.set()
    client = await (await serve()).connect()
    line = f"content-length: {300 * _KIB}" if announced else "transfer-encoding: chunked"
    client.send(head("POST", "/pieces", line))
    if not announced:
        client.send(b"%x\r\n%b\r\n" % (300 * _KIB, b"x" * 300 * _KIB))
    assert (await client.answer()).status == 413


async def test_a_trickle_buys_no_time(serve, application):
    application.hold.set()
    served = await serve(body_seconds=10, body_min_bytes_per_second=10)
    served.pass_time(0)
    client = await served.connect()
    client.send(head("POST", "/pieces", "content-length: 1000"))
    for number in range(1, 4):
        client.send(b"x")
        await until(lambda number=number: application.seen and application.seen[0].received_bytes == number)
        await until(lambda: application.seen[0].is_awaited)
        with contextlib.suppress(Exception):
            served.pass_time(4)
    assert (await client.answer()).status == 408


async def test_what_comes_fast_enough_has_more_time(serve, application):
    application.hold.set()
    served = await serve(body_seconds=10, body_min_bytes_per_second=10)
    served.pass_time(0)
    client = await served.connect()
    client.send(head("POST", "/pieces", "content-length: 1001") + b"x" * 1000)
    await until(lambda: application.seen and application.seen[0].is_awaited)
    served.pass_time(50)
    served.pass_time(50)
    client.send(b"x")
    assert (await client.answer()).status == 200


async def test_what_is_compressed_is_not_streamed(serve, application):
    client = await (await serve()).connect()
    client.post("/pieces", gzip.compress(b"x"), "content-encoding: gzip")
    assert (await client.answer()).status == 415
