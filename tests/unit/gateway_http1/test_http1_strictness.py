"""Whatever two servers could read differently is refused, and the connection with it."""

from __future__ import annotations

import pytest

from .conftest import head

# A request that must not be found behind, or inside, a bad one.
HIDDEN = head("GET", "/hidden")
GET = b"GET / HTTP/1.1\r\nhost: x\r\n"
POST = b"POST /echo HTTP/1.1\r\nhost: x\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"

BAD_HEADS = {
    "length and chunks": POST + b"content-length: 3\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "chunks and length": POST + CHUNKED + b"content-length: 3\r\n\r\n0\r\n\r\n",
    "the same length twice": POST + b"content-length: 3\r\ncontent-length: 3\r\n\r\nabc",
    "two lengths": POST + b"content-length: 3\r\nContent-Length: 5\r\n\r\nabcde",
    "a list of lengths": POST + b"content-length: 3, 3\r\n\r\nabc",
    "a signed length": POST + b"content-length: +3\r\n\r\nabc",
    "a negative length": POST + b"content-length: -3\r\n\r\nabc",
    "a length in hexadecimal": POST + b"content-length: 0x3\r\n\r\nabc",
    "a length with a space": POST + b"content-length: 1 2\r\n\r\nabc",
    "an empty length": POST + b"content-length:\r\n\r\nabc",
    "a length beyond 64 bits": POST + b"content-length: 99999999999999999999\r\n\r\nabc",
    "an encoding that is not known": POST + b"transfer-encoding: gzip\r\n\r\nabc",
    "an encoding before chunks": POST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "an encoding after chunks": POST + b"transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "identity and chunks": POST + b"transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "identity and chunks, spelt apart": POST
    + b"Transfer-Encoding: identity\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks twice": POST + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n",
    "almost chunks": POST + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks behind a control character": POST + b"transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunks with a parameter": POST + b"transfer-encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    "an empty encoding": POST + b"transfer-encoding:\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /echo HTTP/1.0\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "a folded line": GET + b"a: b\r\n c: d\r\n\r\n",
    "a folded line with a tab": GET + b"a: b\r\n\tc: d\r\n\r\n",
    "a folded first line": b"GET / HTTP/1.1\r\n host: x\r\n\r\n",
    "a bare CR": GET + b"a: b\rc: d\r\n\r\n",
    "a bare LF": GET + b"a: b\nc: d\r\n\r\n",
    "a bare LF at the end": GET + b"a: b\n\n",
    "a bare LF behind the request line": b"GET / HTTP/1.1\nhost: x\r\n\r\n",
    "a NUL": GET + b"a: b\x00c\r\n\r\n",
    "a control character": GET + b"a: b\x01c\r\n\r\n",
    "a space before the colon": GET + b"content-length : 3\r\n\r\n",
    "a tab before the colon": GET + b"content-length\t: 3\r\n\r\n",
    "no name": GET + b": b\r\n\r\n",
    "no colon": GET + b"abc\r\n\r\n",
    "a name that is none": GET + b"a(b: c\r\n\r\n",
    "a name beyond ASCII": GET + b"a\xc3: c\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\n\r\n",
    "a tab in the target": b"GET /a\tb HTTP/1.1\r\n\r\n",
    "a NUL in the target": b"GET /\x00 HTTP/1.1\r\n\r\n",
    "a target beyond ASCII": b"GET /\xff HTTP/1.1\r\n\r\n",
    "a method that is not known": b"FOO / HTTP/1.1\r\n\r\n",
    "a method in lower case": b"get / HTTP/1.1\r\n\r\n",
    "a version that is none": b"GET / HTTP/1.2\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a handshake of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "bytes behind a last request": GET + b"connection: close\r\n\r\n",
    "bytes behind a last request of HTTP/1.0": b"GET / HTTP/1.0\r\n\r\n",
}
BAD_VERSIONS = {"HTTP/2.0": b"GET / HTTP/2.0\r\n\r\n", "HTTP/0.9": b"GET /\r\n\r\n"}
BAD_CHUNKS = {
    "a size that is no number": b"3x\r\nabc\r\n0\r\n\r\n",
    "a size in C's notation": b"0x3\r\nabc\r\n0\r\n\r\n",
    "a signed size": b"+3\r\nabc\r\n0\r\n\r\n",
    "a space behind the size": b"3 \r\nabc\r\n0\r\n\r\n",
    "a size beyond 64 bits": b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "a bare LF behind the size": b"3\nabc\r\n0\r\n\r\n",
    "a bare LF in an extension": b"3;a\nabc\r\n0\r\n\r\n",
    "more than the size says": b"3\r\nabcde\r\n0\r\n\r\n",
    "a length among the trailers": b"3\r\nabc\r\n0\r\ncontent-length: 3\r\n\r\n",
}


async def refused(client, application):
    """Return the status of the one answer, behind which the connection is closed."""
    answered = await client.answer()
    assert answered.header["connection"] == "close"
    assert await client.closed() == b""
    assert "/hidden" not in [request.path for request in application.seen]
    return answered.status


@pytest.mark.parametrize("bad", BAD_HEADS)
async def test_head_with_more_than_one_meaning_is_refused(client, application, bad):
    client.send(BAD_HEADS[bad] + HIDDEN)
    assert await refused(client, application) == 400
    assert application.seen == []


@pytest.mark.parametrize("bad", BAD_HEADS)
async def test_the_same_piece_by_piece(client, application, bad):
    if bad.startswith("bytes behind"):
        pytest.skip("what comes later is not read at all")
    for start in range(0, len(BAD_HEADS[bad]), 5):
        client.send(BAD_HEADS[bad][start : start + 5])
        await client.writer.drain()
    client.send(HIDDEN)
    assert await refused(client, application) == 400
    assert application.seen == []


@pytest.mark.parametrize("bad", BAD_VERSIONS)
async def test_version_that_is_not_spoken_is_refused(client, application, bad):
    client.send(BAD_VERSIONS[bad] + HIDDEN)
    assert await refused(client, application) == 505


@pytest.mark.parametrize("bad", BAD_CHUNKS)
async def test_chunks_with_more_than_one_meaning_are_refused(client, application, bad):
    client.send(POST + CHUNKED + b"\r\n" + BAD_CHUNKS[bad] + HIDDEN)
    assert await refused(client, application) == 400


async def test_what_follows_a_running_last_request_is_not_read(client, application):
    client.get("/held", "connection: close")
    await application.running.wait()
    client.send(HIDDEN)
    application.hold.set()
    assert await refused(client, application) == 200


async def test_bad_request_behind_a_good_one_costs_the_good_one_nothing(client, application):
    client.send(head("GET", "/echo") + BAD_HEADS["two lengths"] + HIDDEN)
    answered = await client.answer()
    assert (answered.status, answered.header["connection"]) == (200, "close")
    assert await client.closed() == b""
    assert len(application.seen) == 1
