"""Clients that leave, and a server that ends."""

from __future__ import annotations

import asyncio
import gc
import socket
import stat
from datetime import timedelta

import pytest

from penstock_common.rpc.server import ListenError
from penstock_common.testing.garbage import uncollected
from penstock_gateway.surfaces.http1.connection import Connection
from penstock_gateway.surfaces.http1.messages import HttpRequest
from penstock_gateway.surfaces.http1.server import serving_http

from .conftest import head, until


def closes(client):
    client.writer.close()


def resets(client):
    client.writer.transport.abort()


def shuts_its_half(client):
    client.writer.write_eof()


@pytest.mark.parametrize("leave", [closes, resets, shuts_its_half])
@pytest.mark.parametrize("path", ["/held", "/begun", "/endless"])
async def test_client_that_leaves_cancels_what_it_waits_for(client, application, leave, path):
    """Who shuts its half of the connection has left: nothing tells that from leaving before something is sent."""
    client.get(path)
    await application.running.wait()
    leave(client)
    async with asyncio.timeout(60):
        await application.cancelled.wait()


async def test_client_that_leaves_while_it_sends_its_body_cancels(client, application):
    client.send(head("POST", "/echo", "content-length: 100") + b"x")
    await application.running.wait()
    closes(client)
    async with asyncio.timeout(60):
        await application.cancelled.wait()


async def test_client_that_leaves_while_it_sends_its_head_is_no_request(serve, application):
    served = await serve()
    client = await served.connect()
    await until(lambda: served.server._connections)
    client.send(b"GET / HTTP/1.1\r\nhost: x\r\nconte")
    await client.writer.drain()
    closes(client)
    await until(lambda: not served.server._connections)
    assert application.seen == []


async def test_client_that_leaves_with_requests_waiting_starts_none_of_them(serve, application):
    served = await serve()
    client = await served.connect()
    client.send(head("GET", "/held") + head("GET", "/") * 3)
    await application.running.wait()
    resets(client)
    await until(lambda: not served.server._connections or len(application.seen) > 1)
    assert len(application.seen) == 1
    application.hold.set()


async def test_client_that_leaves_after_its_answer_cancels_nothing(serve, application):
    served = await serve()
    client = await served.connect()
    ended = asyncio.Event()

    async def settles(request, response):
        response.whole(200, b"", b"all")
        await application.hold.wait()
        ended.set()

    application.settles = settles
    client.get("/settles")
    assert (await client.answer()).body == b"all"
    closes(client)
    await until(lambda: not served.server._connections)
    application.hold.set()
    async with asyncio.timeout(60):
        await ended.wait()
    assert not application.cancelled.is_set()


async def test_next_request_does_not_wait_for_what_a_handler_does_after_its_answer(client, application):
    async def settles(request, response):
        response.whole(200, b"", b"all")
        await application.hold.wait()

    application.settles = settles
    client.send(head("GET", "/settles") + head("GET", "/echo"))
    assert (await client.answer()).body == b"all"
    assert (await client.answer()).header["x-path"] == "/echo"
    client.get("/settles", "connection: close")
    assert (await client.answer()).body == b"all"
    assert await client.closed() == b""
    assert len(application.seen) == 3
    application.hold.set()


async def test_server_that_ends_waits_for_what_handlers_do_after_their_answers(serve, application):
    served = await serve()
    client = await served.connect()
    ended = []

    async def settles(request, response):
        response.whole(200, b"", b"all")
        await application.hold.wait()
        ended.append(request)

    application.settles = settles
    client.get("/settles")
    await client.answer()
    ending = asyncio.create_task(served.server.end(timedelta(seconds=60)))
    assert await client.closed() == b""
    application.hold.set()
    await ending
    assert len(ended) == 1


async def test_server_that_ends_closes_idle_connections_and_lets_answers_finish(serve, application):
    served = await serve()
    idle, used, held, begun = [await served.connect() for _ in range(4)]
    used.get("/")
    await used.answer()
    begun.get("/begun")
    assert b"begun" in await begun.reader.readuntil(b"begun\r\n")
    held.get("/held")
    await until(lambda: len(application.seen) == 3)
    ending = asyncio.create_task(served.server.end(timedelta(seconds=60)))
    assert await idle.closed() == b""
    assert await used.closed() == b""
    assert not ending.done()
    application.hold.set()
    answered = await held.answer()
    assert (answered.body, answered.header["connection"]) == (b"held", "close")
    assert await held.closed() == b""
    assert (await begun.closed()).endswith(b"0\r\n\r\n")
    await ending
    assert not application.cancelled.is_set()


async def test_answer_that_outlasts_the_grace_is_a_refusal_or_has_no_end(serve, application):
    served = await serve()
    held, begun = await served.connect(), await served.connect()
    held.get("/held")
    begun.get("/begun")
    await until(lambda: len(application.seen) == 2)
    await served.server.end(timedelta(milliseconds=10))
    assert application.cancelled.is_set()
    answered = await held.answer()
    assert (answered.status, answered.body) == (503, b"This server is shutting down. Try again.")
    received = await begun.closed()
    assert b"begun" in received
    assert not received.endswith(b"0\r\n\r\n")


async def test_connection_that_does_not_go_does_not_hold_the_end_up(serve):
    served = await serve()
    client = await served.connect()
    client.send(b"GET / HTTP")
    await until(lambda: served.server._connections)
    await served.server.end(timedelta(milliseconds=10))
    assert await client.closed() == b""


async def test_line_that_is_announced_stands_in_every_answer(serve):
    served = await serve()
    client = await served.connect()
    client.get("/")
    assert "x-notice" not in (await client.answer()).header
    served.server.announce(b"x-notice: 1\r\n")
    client.get("/")
    assert (await client.answer()).header["x-notice"] == "1"
    before = served.server.now
    await until(lambda: served.server.now > before)
    client.get("/stream")
    assert (await client.answer()).header["x-notice"] == "1"


async def test_unix_socket_is_its_owners_alone_and_goes_with_the_server(application, tmp_path):
    path = tmp_path / "a.sock"
    path.write_bytes(b"a dead server's")
    async with serving_http(application, f"unix:{path}"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_ISSOCK(path.stat().st_mode)
    assert not path.exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_address_of_the_client_is_known_over_tcp(application, host):
    if host == "[::1]" and not _has_ipv6():
        pytest.skip("there is no IPv6 here")
    port = _free_port()
    found = []

    async def note(request, response):
        found.append(request.peer())
        response.whole(200, b"", b"")

    application.note = note
    async with serving_http(application, f"{host}:{port}"):
        reader, writer = await asyncio.open_connection(host.strip("[]"), port)
        writer.write(head("GET", "/note", "connection: close"))
        await reader.read()
        writer.close()
    assert found == [host.strip("[]")]


async def test_client_on_a_unix_socket_has_no_address(client, application):
    client.get("/")
    await client.answer()
    assert application.seen[0].peer() == ""


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:x", "192.0.2.1:80"])
async def test_address_that_is_not_ours_is_refused(application, address):
    with pytest.raises(ListenError, match="cannot listen on"):
        async with serving_http(application, address):
            pass


async def test_address_that_is_taken_is_refused(application):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ListenError, match="cannot listen on"):
        async with serving_http(application, f"127.0.0.1:{taken.getsockname()[1]}"):
            pass


def _has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


LARGE = 1_000_000


async def is_answered(client, application):
    client.post("/echo", b"x" * LARGE)
    assert (await client.answer()).status == 200


async def is_refused(client, application):
    client.send(head("POST", "/echo", "content-length: 9999999999") + b"x" * LARGE)
    assert (await client.answer()).status == 413


async def is_no_request(client, application):
    client.send(b"hello" * 100)
    assert (await client.answer()).status == 400


async def still_sends(client, application):
    client.send(head("POST", "/echo", f"content-length: {LARGE}") + b"x" * (LARGE - 1))
    await application.running.wait()


async def still_waits(client, application):
    client.post("/held", b"x" * 1000)
    await application.running.wait()


@pytest.mark.parametrize("what", [is_answered, is_refused, is_no_request, still_sends, still_waits])
async def test_client_that_leaves_leaves_nothing_to_the_garbage_collector(serve, application, what):
    """It runs seldom, and a body may have many megabytes."""

    def left() -> int:
        application.seen.clear()
        return sum(isinstance(each, Connection | HttpRequest) for each in gc.get_objects())

    served = await serve()
    with uncollected():
        for _ in range(3):
            client = await served.connect()
            application.running.clear()
            await what(client, application)
            resets(client)
        await until(lambda: not served.server._connections and not served.server.tasks and not left())
        assert left() == 0
