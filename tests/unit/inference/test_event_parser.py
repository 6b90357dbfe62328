"""Server-sent events: any cut of the bytes gives the same events, and memory stays bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_inference.adapters.providers.http.server_sent_events import (
    MAX_EVENT_BYTES,
    MAX_STREAM_BYTES,
    Event,
    EventParser,
    StreamTooLargeError,
)

LINES = st.sampled_from(
    [b"data: a", b"data:b", b"data", b"data:", b"data:  c", b": ping", b"event: error", b"event:x", b"id: 7",
     b"retry: 1", b"", b"", b"", b"data: \xc3\xa9\xe6\x97\xa5", b"nonsense", b'data: {"x":1}', b"data: \x00"]
)  # fmt: skip
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


def reference(stream: bytes) -> list[Event]:
    """Return the events by the standard's rules, read literally, a line at a time."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events: list[Event] = []
    name, data = b"", list[bytes]()
    for line in text.split(b"\n")[:-1]:
        if not line:
            if data:
                events.append((name, b"\n".join(data)))
            name, data = b"", []
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return events


def parsed(stream: bytes, cuts: list[int]) -> list[Event]:
    """Return the events of the stream, fed in pieces."""
    parser = EventParser()
    bounds = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [event for begin, end in zip(bounds, bounds[1:], strict=False) for event in parser.feed(stream[begin:end])]


@given(
    st.lists(st.tuples(LINES, ENDS), max_size=30).map(lambda lines: b"".join(line + end for line, end in lines)),
    st.booleans(),
    st.binary(max_size=4),
    st.lists(st.integers(min_value=0, max_value=1000), max_size=20),
)
def test_any_cut_of_the_bytes_gives_the_same_events(
    stream: bytes, begins_with_bom: bool, rest: bytes, cuts: list[int]
) -> None:
    whole = (b"\xef\xbb\xbf" if begins_with_bom else b"") + stream + rest
    assert parsed(whole, cuts) == reference(whole)


@given(st.lists(st.tuples(LINES, ENDS), max_size=10).map(lambda lines: b"".join(line + end for line, end in lines)))
def test_byte_by_byte_gives_the_same_events(stream: bytes) -> None:
    assert parsed(stream, list(range(len(stream)))) == reference(stream)


def test_several_data_lines_are_one_event() -> None:
    assert EventParser().feed(b"data: a\ndata: b\n\n") == [(b"", b"a\nb")]


def test_an_event_that_is_not_ended_is_not_an_event() -> None:
    assert EventParser().feed(b"data: a\n") == []


@pytest.mark.parametrize("piece", [b"x" * 4096, b"x"])
def test_an_endless_line_is_refused_when_it_comes_in_pieces(piece: bytes) -> None:
    parser = EventParser()
    with pytest.raises(StreamTooLargeError):
        for _ in range(MAX_EVENT_BYTES // len(piece) + 1):
            parser.feed(piece)


def test_an_endless_event_is_refused() -> None:
    parser = EventParser()
    with pytest.raises(StreamTooLargeError):
        for _ in range(MAX_EVENT_BYTES // 1000 + 2):
            parser.feed(b"data: " + b"x" * 1000 + b"\n")


def test_an_event_of_the_largest_size_is_taken() -> None:
    payload = b"x" * (MAX_EVENT_BYTES - len(b"data: "))
    assert EventParser().feed(b"data: " + payload + b"\n\n") == [(b"", payload)]


def test_an_endless_stream_is_refused() -> None:
    parser = EventParser()
    pings = (b":" + b"x" * 65535 + b"\n") * 16
    with pytest.raises(StreamTooLargeError):
        for _ in range(MAX_STREAM_BYTES // len(pings) + 1):
            parser.feed(pings)
