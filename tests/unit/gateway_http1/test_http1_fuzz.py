"""Whatever bytes come, in whatever pieces: the same requests are read, or the same refusal, and never anything else."""

from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_gateway.surfaces.http1.failures import Refused
from penstock_gateway.surfaces.http1.limits import HttpLimits
from penstock_gateway.surfaces.http1.reading import RequestReader

LIMITS = HttpLimits(max_waiting_requests=1_000)
NOBODY = SimpleNamespace()

FIRST_LINES = st.sampled_from(
    [
        b"GET / HTTP/1.1",
        b"POST /a?b HTTP/1.1",
        b"POST http://h/%41 HTTP/1.1",
        b"HEAD /x HTTP/1.0",
        b"POST / HTTP/2.0",
        b"get / x",
    ]
)
LINES = st.sampled_from(
    [
        b"host: x", b"Host: y", b"content-length: 3", b"Content-Length: 5", b"content-length: 3, 3", b"content-length: +3",
        b"transfer-encoding: chunked", b"Transfer-Encoding: identity", b"transfer-encoding: gzip, chunked", b"te: trailers",
        b"connection: close", b"connection: keep-alive", b"connection: upgrade", b"upgrade: h2c", b"expect: 100-continue",
        b" folded", b"\tfolded", b"name : value", b"x: \x00", b"x: a\rb", b"x: a\nb", b"x:", b": x", b"x", b"", b"x: \xe9",
    ]
)  # fmt: skip
ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b""])
BODIES = st.sampled_from(
    [
        b"",
        b"",
        b"abc",
        b"abcde",
        b"3\r\nabc\r\n0\r\n\r\n",
        b"0\r\n\r\n",
        b"3;e\r\nabc\r\n0\r\nx: y\r\n\r\n",
        b"3\nabc\n0\n\n",
        b"-1\r\n",
    ]
)


@st.composite
def messages(draw):
    """One or two requests, or what looks like them."""
    message = b""
    for _ in range(draw(st.integers(1, 2))):
        lines = [draw(FIRST_LINES), *draw(st.lists(LINES, max_size=4))]
        message += b"".join([line + draw(ENDS) for line in lines]) + draw(ENDS) + draw(BODIES)
    return message


@st.composite
def damaged(draw):
    """The same with a few bytes changed."""
    message = bytearray(draw(messages()))
    for _ in range(draw(st.integers(0, 3))):
        message[draw(st.integers(0, len(message) - 1))] = draw(st.integers(0, 255))
    return bytes(message)


def read(pieces):
    """Return what was read out of the pieces, and the status of the refusal, if there was one."""
    reader = RequestReader(NOBODY, LIMITS)
    status = None
    for piece in pieces:
        try:
            reader.feed(piece)
        except Refused as refused:
            status = refused.status
            break
    found = [
        (one.method, one.path, one.headers, bytes(one._received), one.is_complete, one.keeps_alive)
        for one in reader.arrived
    ]
    return found, status


@settings(max_examples=400, deadline=None)
@given(damaged(), st.lists(st.integers(0, 300), max_size=6))
def test_pieces_change_nothing(message, cuts):
    places = sorted({0, len(message), *[cut for cut in cuts if cut < len(message)]})
    pieces = [message[start:end] for start, end in zip(places, places[1:], strict=False)]
    whole, bytewise, cut = read([message]), read([message[i : i + 1] for i in range(len(message))]), read(pieces)
    # An upgrade ends what is read, and how much of the same piece it still covers is the parser's business.
    if b"upgrade" not in message.lower():
        assert whole == bytewise == cut


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(message):
    found, status = read([message])
    assert status in (None, 400, 414, 417, 431, 505)
    assert all(method.isalpha() or "-" in method for method, *_ in found)


@settings(max_examples=400, deadline=None)
@given(damaged())
def test_a_request_has_one_length_and_one_version(message):
    """What was read is what any strict reader reads: no header of the body's framing besides the one that counts."""
    for _, _, headers, body, is_complete, _ in read([message])[0]:
        assert not ("content-length" in headers and "transfer-encoding" in headers)
        assert headers.get("transfer-encoding", "chunked").lower() == "chunked"
        if is_complete and "content-length" in headers and "upgrade" not in headers:
            assert len(body) == int(headers["content-length"])
        for name, value in headers.items():
            assert name == name.strip().lower()
            assert not any(mark in value for mark in "\r\n\0")
