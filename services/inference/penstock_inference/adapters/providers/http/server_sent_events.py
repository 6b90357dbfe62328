"""Server-sent events over bytes, by the HTML standard's parsing rules, with bounds.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

MAX_EVENT_BYTES = 1024 * 1024
"""Bound on one line, and on the data of one event, unless the format has larger ones."""
MAX_STREAM_BYTES = 128 * 1024 * 1024
"""Bound on one response: 128,000 tokens at 250 bytes of JSON each, four times over."""

_BOM = b"\xef\xbb\xbf"
_CR = 13

Event = tuple[bytes, bytes]
"""The event's name (empty where none was given) and its data."""


class StreamTooLargeError(Exception):
    """A line, an event or the whole stream is larger than its bound."""


class EventParser:
    """Turns chunks, cut anywhere, into events.

    An event that the stream ends in the middle of is discarded, as the
    standard says. Memory is bounded by the largest event and one chunk.
    """

    __slots__ = (
        "_after_cr",
        "_at_start",
        "_between_events",
        "_data",
        "_data_bytes",
        "_max_event_bytes",
        "_name",
        "_tail",
        "_tail_bytes",
        "_total_bytes",
    )

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        """Begin; no line, and no event, may be larger than ``max_event_bytes``."""
        self._max_event_bytes = max_event_bytes
        self._at_start = True
        # Nothing of an event has come yet.
        self._between_events = True
        self._after_cr = False
        # The line that is not complete yet, in the pieces it came in.
        self._tail: list[bytes] = []
        self._tail_bytes = 0
        self._name = b""
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._total_bytes = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that this chunk completes.

        Raises:
            StreamTooLargeError: if a bound is passed.
        """
        if not chunk:
            return []
        self._total_bytes += len(chunk)
        if self._total_bytes > MAX_STREAM_BYTES:
            raise StreamTooLargeError
        events = self._feed(chunk)
        self._between_events = not (self._tail_bytes or self._data or self._name or self._after_cr)
        return events

    def plain_data(self, chunk: bytes) -> list[bytes] | None:
        """Return the data of the events in this chunk where it is nothing but whole events of one plain line each.

        Nearly every read is such a chunk, and known as one costs a fraction. Of any
        other nothing is taken: None, and it is for ``feed``.
        """
        if not (self._between_events and chunk.startswith(b"data: ") and chunk.endswith(b"\n\n")):
            return None
        size = len(chunk)
        # Where its end is the first, it is one event, as most are that come slowly.
        is_one = chunk.find(b"\n") == size - 2
        # Every line end belongs to one of the ends of events, and no line is longer than a line may be.
        if not is_one and chunk.count(b"\n") != 2 * chunk.count(b"\n\ndata: ") + 2:
            return None
        if _CR in chunk or size > self._max_event_bytes:
            return None
        self._at_start = False
        self._total_bytes += size
        if self._total_bytes > MAX_STREAM_BYTES:
            raise StreamTooLargeError
        return [chunk[6:-2]] if is_one else chunk[6:-2].split(b"\n\ndata: ")

    def _feed(self, chunk: bytes) -> list[Event]:
        if self._after_cr or chunk.find(_CR) >= 0:
            chunk = self._with_plain_line_ends(chunk)
        lines = chunk.split(b"\n")
        if self._tail_bytes:
            self._keep(lines[0])
            if len(lines) == 1:
                return []
            lines[0] = b"".join(self._tail)
            self._tail.clear()
            self._tail_bytes = 0
        rest = lines.pop()
        if rest:
            self._keep(rest)
        return self._events(lines) if lines else []

    def _with_plain_line_ends(self, chunk: bytes) -> bytes:
        """Return the chunk with every line end as LF; a CRLF cut in two is one line end."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _keep(self, piece: bytes) -> None:
        self._tail_bytes += len(piece)
        if self._tail_bytes > self._max_event_bytes:
            raise StreamTooLargeError
        self._tail.append(piece)

    def _events(self, lines: list[bytes]) -> list[Event]:
        if self._at_start:
            self._at_start = False
            lines[0] = lines[0].removeprefix(_BOM)
        events: list[Event] = []
        for line in lines:
            if not line:
                if self._data:
                    events.append((self._name, b"\n".join(self._data)))
                    self._data = []
                    self._data_bytes = 0
                self._name = b""
            elif line.startswith(b"data:"):
                self._add_data(line[5:])
            elif line.startswith(b"event:"):
                self._name = line[6:].removeprefix(b" ")
            elif line == b"data":
                self._add_data(b"")
            elif line.startswith(b"error:"):
                # No field of the standard's: llama.cpp's way to say what an event named so says.
                self._name = b"error"
                self._add_data(line[6:])
        return events

    def _add_data(self, value: bytes) -> None:
        self._data_bytes += len(value) + 1
        if self._data_bytes > self._max_event_bytes + 1:
            raise StreamTooLargeError
        self._data.append(value.removeprefix(b" "))
