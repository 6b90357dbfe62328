"""The HTTP client against real sockets: what is used again, what is closed, and servers that do as they please."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import sys
import weakref
from pathlib import Path

import pytest

from penstock_common.http import pool as pool_module
from penstock_common.http.address import parse_address
from penstock_common.http.client import HttpClient
from penstock_common.http.failures import ConnectFailed, ConnectionCut, ConnectTimedOut, NotHttp, TlsFailed
from penstock_common.http.pool import HttpPool
from penstock_common.http.request_head import RequestHead
from penstock_common.testing.certificates import CertificateFiles

sys.path.insert(0, str(Path(__file__).parent))

from http_origin import OK, origin  # noqa: E402

PATIENT_SECONDS = 30.0
BIG = b"x" * 8_000_000


class Asker:
    """Asks one URL."""

    def __init__(self, url, **more):
        self.address = parse_address(url)
        self.pool = HttpPool(self.address.origin, more.pop("tls", None), **more)
        self.head = RequestHead("POST", self.address, {"accept": "x"})

    async def begin(self, body=b"{}", connect_seconds=PATIENT_SECONDS):
        return await self.pool.request(self.head, body, connect_seconds)

    async def ask(self, body=b"{}"):
        response = await self.begin(body)
        try:
            return response.status, await response.read_up_to(1_000_000)
        finally:
            response.release()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.pool.aclose()


def at(server, **more):
    return Asker(f"http://127.0.0.1:{server.port}/v1/x", **more)


async def test_a_connection_is_used_again_and_requests_arrive_whole():
    heads = []

    async def behaviour(visit):
        while received := await visit.request():
            heads.append(received)
            await visit.say(OK)

    async with origin(behaviour) as server, at(server) as asker:
        assert await asker.ask(b"one") == (200, b"hello")
        assert await asker.ask(BIG) == (200, b"hello")
        assert len(server.visits) == 1
    assert heads[0][0].startswith(b"POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1:%d\r\naccept: x\r\n" % server.port)
    assert [body for _, body in heads] == [b"one", BIG]


async def test_whoever_asks_is_told_when_all_of_a_request_is_on_its_way():
    told = asyncio.Event()

    async def reads_late(visit):
        await visit.request()
        await visit.say(OK)
        await asyncio.wait_for(told.wait(), PATIENT_SECONDS)
        told.clear()
        await visit.reader.readuntil(b"\r\n\r\n")
        took_nothing.set()
        await reads_on.wait()
        await visit.reader.readexactly(len(BIG))
        await asyncio.wait_for(told.wait(), PATIENT_SECONDS)
        await visit.say(OK)

    took_nothing, reads_on = asyncio.Event(), asyncio.Event()
    async with origin(reads_late) as server, at(server) as asker:
        (await asker.pool.request(asker.head, b"{}", PATIENT_SECONDS, b"", told.set)).release()
        asking = asyncio.ensure_future(asker.pool.request(asker.head, BIG, PATIENT_SECONDS, b"", told.set))
        await asyncio.wait_for(took_nothing.wait(), PATIENT_SECONDS)
        # Most of it waits for the socket.
        assert not told.is_set()
        reads_on.set()
        (await asyncio.wait_for(asking, PATIENT_SECONDS)).release()


async def test_requests_at_once_have_connections_of_their_own_which_serve_the_next():
    async with origin() as server, at(server) as asker:
        for _ in range(2):
            assert await asyncio.gather(*(asker.ask() for _ in range(8))) == [(200, b"hello")] * 8
        assert len(server.visits) == 8


async def test_an_answer_that_is_not_read_to_its_end_costs_its_connection():
    async with origin() as server, at(server) as asker:
        (await asker.begin()).release()
        # All of it was there already: nothing speaks against using the connection again.
        assert await asker.ask() == (200, b"hello")
        assert len(server.visits) == 1

    async def half(visit):
        await visit.request()
        await visit.say(OK[:-1])
        await visit.until_gone()

    async with origin(half) as server, at(server) as asker:
        response = await asker.begin()
        assert await response.read() == b"hell"
        response.release()
        await asyncio.wait_for(server.visits[0].gone.wait(), PATIENT_SECONDS)
        assert await asker.ask() == (200, b"hello")
        assert len(server.visits) == 2


async def closing_when_asked_again(visit):
    """Answer once; close without a word when the next request comes."""
    await visit.request()
    await visit.say(OK)
    await visit.reader.readuntil(b"\r\n\r\n")


async def test_a_connection_that_dies_when_used_again_is_replaced_once_unseen():
    async with origin(closing_when_asked_again) as server, at(server) as asker:
        assert await asker.ask() == (200, b"hello")
        assert await asker.ask() == (200, b"hello")
        assert len(server.visits) == 2


async def test_after_one_dead_connection_the_next_is_new_however_many_are_kept():
    async with origin(*[closing_when_asked_again] * 5) as server, at(server) as asker:
        await asyncio.gather(*(asker.ask() for _ in range(5)))
        assert await asker.ask() == (200, b"hello")
        assert len(server.visits) == 6


async def test_a_new_connection_that_dies_is_a_failure():
    async def dying(visit):
        await visit.request()

    async with origin(dying) as server, at(server) as asker:
        with pytest.raises(ConnectionCut) as cut:
            await asker.ask()
        assert not cut.value.began
        assert len(server.visits) == 1


async def test_a_used_connection_that_dies_within_its_answer_is_a_failure():
    async def dying_late(visit):
        await visit.request()
        await visit.say(OK)
        await visit.request()
        await visit.say(b"HTTP/1.1 200 OK\r\n")

    async with origin(dying_late) as server, at(server) as asker:
        await asker.ask()
        with pytest.raises(ConnectionCut) as cut:
            await asker.ask()
        assert cut.value.began
        assert len(server.visits) == 1


async def test_a_connection_that_the_server_closed_meanwhile_is_forgotten():
    async def answering_once(visit):
        await visit.request()
        await visit.say(OK)

    async with origin(answering_once) as server, at(server) as asker:
        await asker.ask()
        await asyncio.wait_for(server.visits[0].gone.wait(), PATIENT_SECONDS)
        assert await asker.ask() == (200, b"hello")


async def test_what_comes_unasked_closes_the_connection():
    more = asyncio.Event()

    async def talking(visit):
        await visit.request()
        await visit.say(OK)
        await more.wait()
        await visit.say(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await visit.until_gone()

    async with origin(talking) as server, at(server) as asker:
        await asker.ask()
        more.set()
        await asyncio.wait_for(server.visits[0].gone.wait(), PATIENT_SECONDS)
        assert await asker.ask() == (200, b"hello")


async def test_unused_connections_are_closed_after_a_while(monkeypatch):
    monkeypatch.setattr(pool_module, "KEEP_ALIVE_SECONDS", 0.05)
    async with origin() as server, at(server) as asker:
        await asyncio.gather(asker.ask(), asker.ask())
        for visit in server.visits:
            await asyncio.wait_for(visit.gone.wait(), PATIENT_SECONDS)
        assert await asker.ask() == (200, b"hello")
        assert len(server.visits) == 3


async def test_a_connection_kept_too_long_is_not_used_even_if_nobody_closed_it_yet():
    async with origin() as server, at(server) as asker:
        await asker.ask()
        (kept,) = asker.pool._free
        kept.kept_at -= pool_module.KEEP_ALIVE_SECONDS
        await asker.ask()
        assert len(server.visits) == 2


async def silent(visit):
    await visit.request()
    await visit.until_gone()


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"], ids=["head", "body"])
async def test_cancelling_closes_the_connection_within_the_turn(begun: bytes):
    asked = asyncio.Event()

    async def behaviour(visit):
        await visit.request()
        await visit.say(begun)
        asked.set()
        await visit.until_gone()

    async with origin(behaviour) as server, at(server) as asker:
        asking = asyncio.ensure_future(asker.ask())
        await asyncio.wait_for(asked.wait(), PATIENT_SECONDS)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert not any(connection.is_usable for connection in asker.pool._connections)
        await asyncio.wait_for(server.visits[0].gone.wait(), PATIENT_SECONDS)
        assert not asker.pool._free


@pytest.mark.parametrize("status", [413, 429, 401])
async def test_a_refusal_that_comes_while_the_body_is_sent_is_read_and_no_more_is_sent(status: int):
    received = 0

    async def refusing(visit):
        nonlocal received
        await visit.reader.readuntil(b"\r\n\r\n")
        await visit.say(b"HTTP/1.1 %d No\r\ncontent-length: 2\r\n\r\nno" % status)
        while data := await visit.reader.read(65536):
            received += len(data)

    async with origin(refusing) as server, at(server) as asker:
        assert await asker.ask(BIG) == (status, b"no")
        await asyncio.wait_for(server.visits[0].gone.wait(), PATIENT_SECONDS)
        assert received < len(BIG)
        assert await asker.ask() == (200, b"hello")
        assert len(server.visits) == 2


async def test_a_server_that_reads_slowly_is_sent_no_more_than_it_takes():
    async def dawdling(visit):
        await visit.reader.readuntil(b"\r\n\r\n")
        await reading.wait()
        await visit.reader.readexactly(len(BIG))
        await visit.say(OK)

    reading = asyncio.Event()
    async with origin(dawdling) as server, at(server) as asker:
        asking = asyncio.ensure_future(asker.ask(BIG))
        while not (server.visits and asker.pool._connections):
            await asyncio.sleep(0)
        (connection,) = asker.pool._connections
        while not connection._write_paused:
            await asyncio.sleep(0)
        assert connection._transport.get_write_buffer_size() < 1_000_000
        reading.set()
        assert await asking == (200, b"hello")


async def test_an_answer_of_any_length_waits_for_its_reader():
    async def endless(visit):
        await visit.request()
        await visit.say(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await visit.say(b"x" * 65536)

    async with origin(endless) as server, at(server) as asker:
        response = await asker.begin()
        while not response._paused:
            await asyncio.sleep(0)
        assert response._waiting_bytes < 1_000_000
        assert len(await response.read()) > 0
        assert len(await response.read_up_to(3_000_000)) == 3_000_001
        response.release()
        await asyncio.wait_for(server.visits[0].gone.wait(), PATIENT_SECONDS)


@pytest.mark.parametrize(
    ("said", "failure"),
    [
        (b"", ConnectionCut),
        (b"HTTP/1.1 200 OK\r\n", ConnectionCut),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell", ConnectionCut),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel", ConnectionCut),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", ConnectionCut),
        (b"220 smtp.example.com ESMTP\r\n", NotHttp),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", NotHttp),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 20, NotHttp),
    ],
)
async def test_a_broken_answer_is_a_failure_of_its_kind(said: bytes, failure: type[Exception]):
    async def behaviour(visit):
        await visit.request()
        await visit.say(said)

    async with origin(behaviour) as server, at(server) as asker:
        with pytest.raises(failure):
            await asker.ask()
        assert await asker.ask() == (200, b"hello")


async def test_interim_answers_are_skipped():
    async def behaviour(visit):
        await visit.request()
        await visit.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        await visit.say(b"HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n" + OK)
        await visit.until_gone()

    async with origin(behaviour) as server, at(server) as asker:
        assert await asker.ask() == (200, b"hello")


async def test_a_refused_connection_and_a_name_that_is_nobodys_are_no_connection():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        async with Asker(f"http://127.0.0.1:{bound.getsockname()[1]}/") as asker:
            with pytest.raises(ConnectFailed):
                await asker.ask()
    async with Asker("http://no-such-name.invalid/") as asker:
        with pytest.raises(ConnectFailed):
            await asker.ask()


async def test_a_connection_has_a_time_to_come_about():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for connection in waiting:
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", port))
        async with Asker(f"http://127.0.0.1:{port}/") as asker:
            with pytest.raises(ConnectTimedOut):
                await asker.begin(connect_seconds=0.05)
        for connection in waiting:
            connection.close()


async def test_a_full_pool_refuses():
    async with origin(silent) as server, at(server, most_connections=1) as asker:
        asking = asyncio.ensure_future(asker.ask())
        while not server.visits:
            await asyncio.sleep(0)
        with pytest.raises(ConnectFailed):
            await asker.ask()
        asking.cancel()
        await asyncio.wait([asking])


async def test_closing_closes_what_is_kept_and_what_is_asked():
    async with origin(silent) as server:
        async with at(server) as asker:
            asking = asyncio.ensure_future(asker.ask())
            while not server.visits:
                await asyncio.sleep(0)
            await asker.ask()
        with pytest.raises(ConnectionCut):
            await asking
        for visit in server.visits:
            await asyncio.wait_for(visit.gone.wait(), PATIENT_SECONDS)
        with pytest.raises(ConnectFailed):
            await asker.ask()


async def test_another_address_is_tried_where_one_does_not_answer():
    asked = []

    async def look_up(host, port):
        asked.append(host)
        # Nobody listens on the first; the second is ours.
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("127.0.0.99", "127.0.0.1")]

    async with origin() as server, Asker(f"http://several.example:{server.port}/", look_up=look_up) as asker:
        assert await asyncio.gather(asker.ask(), asker.ask()) == [(200, b"hello")] * 2
        assert len(asked) <= 2
        assert asked[0] == "several.example"


async def test_an_address_that_swallows_connections_does_not_hold_up_the_next():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        swallowing = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for connection in waiting:
            connection.setblocking(False)
            connection.connect_ex(swallowing)

        async def look_up(host, port):
            places = (swallowing, ("127.0.0.1", port))
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]

        async with origin() as server, Asker(f"http://two.example:{server.port}/", look_up=look_up) as asker:
            assert await asker.ask() == (200, b"hello")
        for connection in waiting:
            connection.close()


async def test_ipv6_literals_are_asked():
    try:
        listening = origin(host="::1")
        server = await listening.__aenter__()
    except OSError:
        pytest.skip("no IPv6 here")
    async with Asker(f"http://[::1]:{server.port}/") as asker:
        assert await asker.ask() == (200, b"hello")
    await listening.__aexit__(None, None, None)


@pytest.fixture
def files(tmp_path):
    return CertificateFiles.make(tmp_path, "upstream.example")


@pytest.fixture
def server_context(files):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)
    return context


async def over_tls(server_context, host, trusted=None):
    """Return what a client sees that trusts the system, or this authority."""
    names = []
    server_context.sni_callback = lambda _, name, __: names.append(name)
    async with origin(tls=server_context, host="0.0.0.0") as server, HttpClient() as client:
        address = parse_address(f"https://{host}:{server.port}/")
        pool = client.pool(address.origin)
        pool._tls.load_verify_locations(trusted) if trusted else None
        response = await pool.request(RequestHead("POST", address, {}), b"{}", PATIENT_SECONDS)
        body = await response.read_up_to(10)
        response.release()
        again = await pool.request(RequestHead("POST", address, {}), b"{}", PATIENT_SECONDS)
        again.release()
        assert len(server.visits) == 1
        return body, names


async def test_tls_names_the_host_and_trusts_an_authority(server_context, files):
    assert await over_tls(server_context, "localhost", files.ca) == (b"hello", ["localhost"])


async def test_an_address_is_checked_against_the_certificates_addresses(server_context, files):
    assert (await over_tls(server_context, "127.0.0.1", files.ca))[0] == b"hello"


async def test_a_certificate_of_nobody_known_or_of_another_is_not_trusted(server_context, files):
    with pytest.raises(TlsFailed):
        await over_tls(server_context, "localhost")
    with pytest.raises(TlsFailed):
        await over_tls(server_context, "127.0.0.2", files.ca)


async def test_a_server_without_tls_is_not_trusted():
    async def plain(visit):
        await visit.say(OK)
        await visit.until_gone()

    async with origin(plain) as server, HttpClient() as client:
        address = parse_address(f"https://127.0.0.1:{server.port}/")
        with pytest.raises(TlsFailed):
            await client.pool(address.origin).request(RequestHead("POST", address, {}), b"{}", PATIENT_SECONDS)


async def test_a_cancelled_request_over_tls_closes_at_once(server_context, files):
    async with origin(silent, tls=server_context) as server, HttpClient() as client:
        address = parse_address(f"https://localhost:{server.port}/")
        pool = client.pool(address.origin)
        pool._tls.load_verify_locations(files.ca)
        asking = asyncio.ensure_future(pool.request(RequestHead("POST", address, {}), b"{}", PATIENT_SECONDS))
        while not server.visits:
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(server.visits[0].gone.wait(), PATIENT_SECONDS)


async def test_no_proxy_of_the_environment_is_asked(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with origin() as server, at(server) as asker:
        assert await asker.ask() == (200, b"hello")


async def test_what_was_lent_is_closed_once_nobody_has_it_any_more():
    async with origin() as server, HttpClient() as client:
        address = parse_address(f"http://127.0.0.1:{server.port}/")
        async with client.lending() as first:
            async with client.lending() as second:
                # Asked for twice, it is given back once all the same.
                assert first.pool(address.origin) is first.pool(address.origin) is second.pool(address.origin)
            kept = first.pool(address.origin)
            response = await kept.request(RequestHead("POST", address, {}), b"{}", PATIENT_SECONDS)
            await response.read_up_to(1_000)
            response.release()
            assert kept._connections
        assert not kept._connections
        assert client.pool(address.origin) is not kept


async def test_what_nobody_has_any_more_leaves_nothing():
    """Each reload of a configuration would leave a pool."""
    async with HttpClient() as client:
        async with client.lending() as lent:
            kept = weakref.ref(lent.pool(parse_address("http://127.0.0.1:9/").origin))
        del lent
        gc.collect()
        assert kept() is None
