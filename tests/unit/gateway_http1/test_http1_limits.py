"""Every bound: what is beyond it is refused in a way that can be read, and holds nothing."""

from __future__ import annotations

import asyncio

import pytest

from .conftest import head, until


@pytest.fixture
async def pour():
    """A function that begins to send bytes again and again."""
    pouring = []

    def begin(client, data):
        async def send_on():
            while True:
                client.send(data)
                await client.writer.drain()
                await asyncio.sleep(0)

        pouring.append(asyncio.create_task(send_on()))

    yield begin
    for task in pouring:
        task.cancel()
    await asyncio.gather(*pouring, return_exceptions=True)


async def status_of_refusal(client):
    answered = await client.answer()
    assert answered.header["connection"] == "close"
    return answered.status


async def test_head_of_every_size_up_to_the_limit_is_read(serve):
    client = await (await serve(max_head_bytes=2_000)).connect()
    for size in (10, 1_000, 1_900):
        client.get("/", "x-big: " + "x" * size)
        assert (await client.answer()).status == 200
    client.get("/", "x-big: " + "x" * 2_000)
    assert await status_of_refusal(client) == 431


@pytest.mark.parametrize("size", [100, 100_000])
async def test_head_without_an_end_is_refused(serve, application, pour, size):
    client = await (await serve(max_head_bytes=2_000)).connect()
    client.send(b"GET / HTTP/1.1\r\nx-big: ")
    pour(client, b"x" * size)
    assert await status_of_refusal(client) == 431
    assert application.seen == []


async def test_headers_are_counted(serve):
    client = await (await serve(max_headers=10)).connect()
    client.get("/", *[f"x-{number}: 1" for number in range(9)])
    assert (await client.answer()).status == 200
    client.get("/", *[f"x-{number}: 1" for number in range(10)])
    assert await status_of_refusal(client) == 431


async def test_target_is_bounded(serve):
    client = await (await serve(max_target_bytes=100)).connect()
    client.get("/" + "x" * 99)
    assert (await client.answer()).status == 200
    client.get("/?" + "x" * 99)
    assert await status_of_refusal(client) == 414


async def test_target_without_an_end_is_refused(serve, pour):
    client = await (await serve(max_head_bytes=2_000, max_target_bytes=1_000)).connect()
    client.send(b"GET /")
    pour(client, b"x" * 1_000)
    assert await status_of_refusal(client) == 414


async def test_empty_lines_without_an_end_are_refused(serve, pour):
    client = await (await serve(max_head_bytes=2_000)).connect()
    pour(client, b"\r\n" * 1_000)
    assert await status_of_refusal(client) == 431


async def test_body_of_the_limit_is_read_and_one_beyond_is_not(serve):
    client = await (await serve(max_body_bytes=1_000)).connect()
    client.post("/echo", b"x" * 1_000)
    assert (await client.answer()).body == b"x" * 1_000
    client.post("/echo", b"x" * 1_001)
    assert (await client.answer()).status == 413


async def test_body_that_says_that_it_is_too_large_is_refused_unread(serve):
    client = await (await serve(max_body_bytes=1_000)).connect()
    client.send(head("POST", "/echo", f"content-length: {2**63}", "expect: 100-continue"))
    assert await status_of_refusal(client) == 413


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_refusal_of_a_body_is_read_by_a_client_that_is_still_sending(serve, framing):
    """The server goes on taking what it does not want, so that the answer isn't lost in a reset connection."""
    client = await (await serve(max_body_bytes=1_000)).connect()
    line = "content-length: 3000000" if framing == "length" else "transfer-encoding: chunked"
    client.send(head("POST", "/echo", line))
    for _ in range(30):
        client.send(b"x" * 100_000 if framing == "length" else b"186a0\r\n" + b"x" * 100_000 + b"\r\n")
        await client.writer.drain()
    assert await status_of_refusal(client) == 413
    client.writer.close()


async def test_client_that_goes_on_sending_behind_a_refusal_is_cut_off(serve, pour):
    client = await (await serve(max_body_bytes=1_000, linger_seconds=0.05)).connect()
    client.send(head("POST", "/echo", "content-length: 999999999"))
    assert await status_of_refusal(client) == 413
    pour(client, b"x" * 1_000)
    await until(client.writer.transport.is_closing)


@pytest.mark.parametrize("noise", [b"1;" + b"x" * 1_000, b"x"], ids=["an extension", "a trailer"])
async def test_framing_without_an_end_is_refused(serve, pour, noise):
    client = await (await serve(max_head_bytes=2_000)).connect()
    client.send(head("POST", "/echo", "transfer-encoding: chunked") + b"1\r\nx\r\n")
    client.send(b"1;" if noise.startswith(b"1;") else b"0\r\nx: ")
    pour(client, b"x" * 1_000)
    assert await status_of_refusal(client) == 400


async def test_body_in_the_smallest_chunks_is_read(client):
    client.send(head("POST", "/echo", "transfer-encoding: chunked") + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n")
    assert (await client.answer()).body == b"x" * 100_000


async def test_body_that_nobody_asked_for_waits_at_the_client(serve, application):
    client = await (await serve(max_unwanted_bytes=10_000)).connect()
    client.send(head("POST", "/late", "content-length: 8000000") + b"x" * 8_000_000)
    await application.running.wait()
    await asyncio.sleep(0.05)
    (request,) = application.seen
    # What was in the way, and not the whole.
    assert request.received_bytes < 1_000_000
    application.hold.set()
    assert len((await client.answer()).body) == 8_000_000


async def test_answer_before_the_body_has_come_ends_the_connection(client):
    client.send(head("POST", "/unread", "content-length: 1000") + b"x")
    assert await status_of_refusal(client) == 401
    # What comes later is no request.
    client.send(b"x" * 999 + head("GET", "/"))
    assert await client.closed() == b""


# Times. None is asserted but that it ends.


async def test_head_that_does_not_go_on_is_refused(serve):
    client = await (await serve(head_seconds=0.05)).connect()
    client.send(b"GET / HTTP/1.1\r\nhost: x\r\n")
    assert await status_of_refusal(client) == 408


async def test_head_that_trickles_is_refused(serve):
    client = await (await serve(head_seconds=0.05)).connect()

    async def trickle():
        client.send(b"GET / HTTP/1.1\r\nx: ")
        while True:
            client.send(b"x")
            await asyncio.sleep(0.005)

    trickling = asyncio.create_task(trickle())
    assert await status_of_refusal(client) == 408
    trickling.cancel()


async def test_second_head_that_trickles_is_refused(serve):
    client = await (await serve(head_seconds=0.05)).connect()
    client.send(head("GET", "/") + b"GET / HTTP/1.1\r\n")
    assert (await client.answer()).status == 200
    assert await status_of_refusal(client) == 408


async def test_body_that_does_not_go_on_is_refused(serve):
    client = await (await serve(body_seconds=0.05)).connect()
    client.send(head("POST", "/echo", "content-length: 100") + b"x")
    assert await status_of_refusal(client) == 408


async def test_body_that_comes_fast_enough_has_more_time(serve, application):
    served = await serve(body_seconds=10, body_min_bytes_per_second=10)
    served.pass_time(0)
    client = await served.connect()
    client.send(head("POST", "/echo", "content-length: 1001") + b"x" * 1000)
    await application.running.wait()
    for _ in range(2):
        served.pass_time(50)
    client.send(b"x")
    assert (await client.answer()).status == 200
    client.send(head("POST", "/echo", "content-length: 1001") + b"x" * 1000)
    await until(lambda: len(application.seen) == 2)
    for _ in range(3):
        served.pass_time(50)
    assert (await client.answer()).status == 408


async def test_body_that_is_not_asked_for_has_no_time_of_its_own(serve, application):
    served = await serve(body_seconds=10)
    served.pass_time(0)
    client = await served.connect()
    client.post("/late", b"x")
    await application.running.wait()
    served.pass_time(1000)
    application.hold.set()
    assert (await client.answer()).status == 200


async def test_idle_connection_is_closed(serve):
    client = await (await serve(idle_seconds=0.05)).connect()
    assert await client.closed() == b""


async def test_connection_that_was_used_and_is_idle_is_closed(serve):
    served = await serve(idle_seconds=10)
    served.pass_time(0)
    client = await served.connect()
    client.get("/")
    assert (await client.answer()).status == 200
    served.pass_time(9)
    client.get("/")
    assert (await client.answer()).status == 200
    served.pass_time(9)
    assert not client.reader.at_eof()
    served.pass_time(2)
    assert await client.closed() == b""


async def test_connection_that_works_is_not_idle(serve, application):
    served = await serve(idle_seconds=10, head_seconds=5)
    served.pass_time(0)
    client = await served.connect()
    client.get("/held")
    await application.running.wait()
    served.pass_time(1000)
    application.hold.set()
    assert (await client.answer()).body == b"held"


async def test_handler_waits_for_a_client_that_does_not_read_and_in_the_end_no_longer(serve, application):
    client = await (await serve(write_seconds=0.1, max_unsent_bytes=10_000)).connect()
    client.reader._transport.pause_reading()
    client.get("/endless")
    await application.cancelled.wait()
    # What lies in buffers; nothing piles up.
    assert application.sent < 2_000_000


async def test_reader_that_makes_room_in_time_is_served(serve, application):
    client = await (await serve(max_unsent_bytes=10_000)).connect()
    client.get("/endless")
    await client.reader.readexactly(3_000_000)
    client.writer.transport.abort()
    async with asyncio.timeout(60):
        await application.cancelled.wait()


async def test_answer_that_nobody_reads_is_given_up(serve, application):
    """Its request has ended; only the connection is left."""
    served = await serve(write_seconds=0.1)
    client = await served.connect()
    client.reader._transport.pause_reading()

    async def large(request, response):
        response.whole(200, b"", b"x" * 8_000_000)

    application.large = large
    client.get("/large")
    await until(lambda: application.seen)
    await until(lambda: not served.server._connections)
