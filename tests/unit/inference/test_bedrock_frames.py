"""Frames are what was sent, however they are cut; whatever is not is found out."""

import struct
import zlib

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.testing.bedrock_answers import frame
from penstock_inference.adapters.providers.bedrock import frames as owner
from penstock_inference.adapters.providers.bedrock.frames import BrokenFrameError, FrameReader, FrameTooLargeError

WORD = st.text(min_size=1, max_size=8)
FRAMES = st.lists(
    st.tuples(st.dictionaries(WORD, st.text(max_size=20), max_size=3), st.binary(max_size=60)), max_size=5
)
EVENT = frame({":message-type": "event", ":event-type": "x"}, b'{"a":1}')


@given(FRAMES, st.data())
def test_frames_are_those_of_botocore_in_every_chunking(frames, data):
    sent = b"".join(frame(*one) for one in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    reader, read = FrameReader(), []
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        read += reader.feed(sent[start:end])
    theirs = EventStreamBuffer()
    theirs.add_data(sent)
    assert read == frames
    assert [(dict(headers), payload) for headers, payload in read] == [(one.headers, one.payload) for one in theirs]


def test_byte_by_byte_it_is_the_same():
    reader = FrameReader()
    read = [one for byte in EVENT * 3 for one in reader.feed(bytes([byte]))]
    assert read == FrameReader().feed(EVENT * 3)
    assert len(read) == 3


@pytest.mark.parametrize("place", range(len(EVENT)))
def test_a_byte_that_is_another_is_found_out(place):
    broken = bytearray(EVENT)
    broken[place] ^= 1
    with pytest.raises(BrokenFrameError):
        FrameReader().feed(bytes(broken))


def prelude(total: int, headers: int) -> bytes:
    begun = struct.pack(">II", total, headers)
    return begun + struct.pack(">I", zlib.crc32(begun))


def test_a_frame_that_is_too_large_is_refused_by_its_beginning():
    assert FrameReader().feed(prelude(owner.MAX_FRAME_BYTES, 0)) == []
    with pytest.raises(FrameTooLargeError):
        FrameReader().feed(prelude(owner.MAX_FRAME_BYTES + 1, 0))


def test_a_stream_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(owner, "MAX_STREAM_BYTES", 2 * len(EVENT))
    reader = FrameReader()
    reader.feed(EVENT * 2)
    with pytest.raises(FrameTooLargeError):
        reader.feed(b"\x00")


@pytest.mark.parametrize(("total", "headers"), [(0, 0), (15, 0), (16, 1), (40, 2**31)])
def test_lengths_that_cannot_be_are_refused(total, headers):
    with pytest.raises(BrokenFrameError):
        FrameReader().feed(prelude(total, headers))


def with_headers(raw: bytes) -> bytes:
    begun = prelude(16 + len(raw), len(raw)) + raw
    return begun + struct.pack(">I", zlib.crc32(begun))


VALUES = [b"\x00", b"\x01", b"\x02a", b"\x03ab", b"\x04abcd", b"\x05abcdefgh", b"\x06\x00\x02ab", b"\x08abcdefgh",
          b"\x09" + b"a" * 16]  # fmt: skip


def test_headers_of_other_types_are_passed_over():
    raw = b"".join(b"\x01" + bytes([97 + place]) + value for place, value in enumerate(VALUES)) + b"\x01z\x07\x00\x01y"
    assert FrameReader().feed(with_headers(raw)) == [({"z": "y"}, b"")]


@pytest.mark.parametrize("raw", [b"\x05a", b"\x01a", b"\x01a\x07", b"\x01a\x07\x00\x09ab", b"\x01a\x0aab",
                                 b"\x01\xff\x00", b"\x01a\x04ab", b"\x01a\x07\x00\x01\xff"])  # fmt: skip
def test_headers_that_cannot_be_read_are_refused(raw):
    with pytest.raises(BrokenFrameError):
        FrameReader().feed(with_headers(raw))
