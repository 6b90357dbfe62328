"""Bodies that are written as they are sent are what they would have been at once."""

from __future__ import annotations

import asyncio
import base64

from hypothesis import given
from hypothesis import strategies as st

from penstock_common.http.body import PIECE_BYTES, ArrivingBody, BodyWithData, PlainBody

TEXTS = st.binary(max_size=20)
DATA = st.binary(max_size=20) | st.integers(0, 3).map(lambda more: b"d" * (PIECE_BYTES + more))


@given(st.lists(st.tuples(TEXTS, DATA), max_size=3), TEXTS)
def test_data_stands_between_texts_as_its_base64(before, last):
    texts, data = [text for text, _ in before] + [last], [data for _, data in before]
    body = BodyWithData(texts, data)
    whole = b"".join(text + base64.b64encode(each) for text, each in before) + last
    for _ in range(2):
        pieces = list(body.pieces())
        assert b"".join(pieces) == whole
        assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)
    assert len(body) == len(whole)


def test_bytes_are_sent_in_pieces():
    body = PlainBody(bytes(2 * PIECE_BYTES + 1))
    assert [len(piece) for piece in body.pieces()] == [PIECE_BYTES, PIECE_BYTES, 1]
    assert len(body) == 2 * PIECE_BYTES + 1
    assert not list(PlainBody(b"").pieces())


async def test_whoever_puts_a_piece_waits_until_it_is_taken():
    """That bounds what of an upload is here: a piece, however slow the upstream reads."""
    body = ArrivingBody(None)
    putting = asyncio.create_task(body.put(b"abc"))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not putting.done()
    assert body.take() == b"3\r\nabc\r\n"
    assert await putting
    stopped = asyncio.create_task(body.put(b"d"))
    await asyncio.sleep(0)
    body.stop()
    assert not await stopped
    assert body.take() is None
