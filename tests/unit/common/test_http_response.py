"""An answer's bytes, cut anywhere, are the same answer; what breaks the rules or passes a bound is refused."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.http.failures import ConnectionCut, HttpFailure, NotHttp
from penstock_common.http.response import HIGH_WATER_BYTES, MAX_HEAD_BYTES, MAX_HEADERS, MAX_INTERIM_ANSWERS, Response

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nx-a: 2\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\nTrailer: t\r\n\r\n"
    b"3;name=value\r\nhel\r\n2\r\nlo\r\n0\r\nT: kept to itself\r\n\r\n"
)
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\nContent-Length: 7\r\n\r\n"


class Connection:
    """Keeps what an exchange did to its connection."""

    def __init__(self):
        self.reading = True
        self.reused = None

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def let_go(self, *, reusable):
        self.reused = reusable


async def seen(stream: bytes, cuts: list[int], reset: bool = False):
    """Return all that a reader sees of an answer that comes in these pieces, the connection closed behind it."""
    connection = Connection()
    response = Response(connection, asyncio.get_running_loop())
    bounds = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    for begin, end in zip(bounds, bounds[1:], strict=False):
        response.feed(stream[begin:end])
    response.end(ConnectionResetError() if reset else None)
    body, failure = b"", None
    try:
        await response.begun()
        while data := await response.read():
            body += data
    except HttpFailure as error:
        failure = type(error)
    response.release()
    return response.status, response.headers, body, failure, connection.reused


CUTS = st.lists(st.integers(min_value=0, max_value=500), max_size=30)


@given(
    st.sampled_from([PLAIN, CHUNKED]),
    st.sampled_from([b"", INTERIM]),
    st.sampled_from(
        [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother", b"rubbish"]
    ),
    CUTS,
)
def test_any_cut_of_a_whole_answer_gives_the_same(answer: bytes, before: bytes, after: bytes, cuts: list[int]):
    status, headers, body, failure, reused = asyncio.run(seen(before + answer + after, cuts))
    assert (status, body, failure) == (200, b"hello", None)
    assert headers == (
        {"content-length": "5", "x-a": "1, 2"} if answer is PLAIN else {"transfer-encoding": "chunked", "trailer": "t"}
    )
    assert reused is (not after)


@given(st.sampled_from([PLAIN, CHUNKED, INTERIM + PLAIN]), st.integers(min_value=0, max_value=500), CUTS)
def test_an_answer_that_ends_early_is_cut_wherever_the_reads_ended(answer: bytes, length: int, cuts: list[int]):
    begun = answer[: length % len(answer)]
    whole = asyncio.run(seen(begun, []))
    assert asyncio.run(seen(begun, cuts)) == whole
    status, _, body, failure, reused = whole
    assert failure is ConnectionCut
    assert reused is False
    assert b"hello".startswith(body)
    assert status in (0, 200)


BROKEN = {
    "no HTTP": b"SSH-2.0-OpenSSH\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\ncontent-length: 1\n\na",
    "folded header": b"HTTP/1.1 200 OK\r\nx: 1\r\n y\r\ncontent-length: 1\r\n\r\na",
    "space before the colon": b"HTTP/1.1 200 OK\r\ncontent-length : 1\r\n\r\na",
    "NUL in a header": b"HTTP/1.1 200 OK\r\nx: a\x00b\r\ncontent-length: 1\r\n\r\na",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\na",
    "length and chunks": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "a sign in the length": b"HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\na",
    "a length that no counter holds": b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\na",
    "another coding around chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, gzip\r\n\r\na",
    "another coding": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\na",
    "chunked twice": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk's size that is none": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\na\r\n0\r\n\r\n",
    "a chunk longer than it says": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "switching protocols": b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    "interim answers without end": b"HTTP/1.1 102 Processing\r\n\r\n" * (MAX_INTERIM_ANSWERS + 1),
    "too many headers": b"HTTP/1.1 200 OK\r\n"
    + b"".join(b"x-%d: y\r\n" % number for number in range(MAX_HEADERS + 1))
    + b"content-length: 1\r\n\r\na",
    "a long header": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 20_000 + b"\r\ncontent-length: 1\r\n\r\na",
    "long headers": b"HTTP/1.1 200 OK\r\n" + (b"x: " + b"y" * 9_000 + b"\r\n") * 8 + b"content-length: 1\r\n\r\na",
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("step", [1, 7, 100_000])
async def test_what_breaks_the_rules_is_refused(name: str, step: int):
    stream = BROKEN[name]
    *_, failure, reused = await seen(stream, list(range(0, len(stream), step)))
    assert failure is NotHttp
    assert reused is False


@pytest.mark.parametrize(
    "endless",
    [
        b"HTTP/1.1 200 " + b"x" * 10,
        b"HTTP/1.1 200 OK\r\nx: ",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: ",
    ],
    ids=["reason", "header", "chunk extension", "trailer"],
)
async def test_what_never_ends_is_refused_before_it_takes_memory(endless: bytes):
    connection = Connection()
    response = Response(connection, asyncio.get_running_loop())
    response.feed(endless)
    for _ in range(MAX_HEAD_BYTES // 1000 + 1):
        response.feed(b"x" * 1000)
    with pytest.raises(NotHttp):
        await response.begun()
        while await response.read():
            pass
    assert not connection.reading


@pytest.mark.parametrize(
    ("head", "reset", "failure", "reused"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", False, None, False),
        (b"HTTP/1.0 200 OK\r\n\r\n", False, None, False),
        (b"HTTP/1.1 200 OK\r\n\r\n", True, ConnectionCut, False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", False, ConnectionCut, False),
    ],
)
async def test_a_body_without_a_length_ends_with_its_connection_if_that_ends_in_order(head, reset, failure, reused):
    assert (await seen(head + b"hello", [], reset))[2:] == (b"hello", failure, reused)


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("header", [b"", b"content-length: 5\r\n"])
async def test_some_statuses_have_no_body_whatever_the_headers_say(status: int, header: bytes):
    seen_status, _, body, failure, reused = await seen(b"HTTP/1.1 %d x\r\n%b\r\n" % (status, header), [])
    assert (seen_status, body, failure, reused) == (status, b"", None, True)


@pytest.mark.parametrize("close", [b"HTTP/1.1 200 OK\r\nconnection: close\r\n", b"HTTP/1.0 200 OK\r\n"])
async def test_a_connection_that_the_server_closes_is_not_used_again(close: bytes):
    assert (await seen(close + b"content-length: 0\r\n\r\n", []))[3:] == (None, False)


async def test_a_reader_that_is_slow_pauses_the_sender_and_reading_lets_it_go_on():
    connection = Connection()
    response = Response(connection, asyncio.get_running_loop())
    response.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n")
    for _ in range(HIGH_WATER_BYTES // 65536):
        response.feed(b"x" * 65536)
    assert connection.reading
    response.feed(b"x")
    assert not connection.reading
    assert len(await response.read()) == HIGH_WATER_BYTES + 1
    assert connection.reading


async def test_an_answer_that_is_not_read_to_its_end_closes_its_connection():
    connection = Connection()
    response = Response(connection, asyncio.get_running_loop())
    response.feed(PLAIN[:-1])
    response.release()
    assert connection.reused is False


@pytest.mark.parametrize(("most", "body"), [(4, b"hello"), (5, b"hello"), (2, b"hel"), (0, b"h")])
@pytest.mark.parametrize("step", [1, 1000])
async def test_a_body_is_read_up_to_a_bound_and_a_byte_more_tells_that_there_is_more(most, body, step):
    response = Response(Connection(), asyncio.get_running_loop())
    for begin in range(0, len(PLAIN), step):
        response.feed(PLAIN[begin : begin + step])
    assert await response.read_up_to(most) == body


async def test_what_was_whole_comes_before_the_failure():
    response = Response(Connection(), asyncio.get_running_loop())
    response.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\nrubbish\r\n")
    assert await response.read() == b"hi"
    with pytest.raises(NotHttp):
        await response.read()


@pytest.mark.parametrize("read_between", [True, False], ids=["read", "unread"])
@pytest.mark.parametrize("answer", [PLAIN, CHUNKED], ids=["plain", "chunked"])
async def test_nothing_of_another_answer_is_ever_taken_for_this_ones(answer, read_between):
    connection = Connection()
    response = Response(connection, asyncio.get_running_loop())
    response.feed(answer)
    read = [await response.read()] if read_between else []
    for piece in (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nother", b"other"):
        response.feed(piece)
    read += [await response.read(), await response.read()]
    assert b"".join(read) == b"hello"
    assert response.at_end
    response.release()
    assert connection.reused is False


async def test_nothing_is_taken_after_a_failure():
    response = Response(Connection(), asyncio.get_running_loop())
    response.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\nrubbish\r\n")
    response.feed(b"2\r\nho\r\n0\r\n\r\n")
    assert await response.read() == b"hi"
    with pytest.raises(NotHttp):
        await response.read()


async def test_a_server_that_offers_another_protocol_is_understood():
    offer = b"HTTP/1.1 200 OK\r\nupgrade: h2,h2c\r\nconnection: Upgrade, Keep-Alive\r\ncontent-length: 5\r\n\r\nhello"
    assert (await seen(offer, []))[2:] == (b"hello", None, True)


async def test_a_large_answer_that_is_whole_pauses_nobody():
    connection = Connection()
    response = Response(connection, asyncio.get_running_loop())
    body = b"x" * (2 * HIGH_WATER_BYTES)
    response.feed(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    assert connection.reading
    response.release()
    assert connection.reused is True
