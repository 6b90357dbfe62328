"""From the bytes of a generateContent answer, streamed or whole, to our events.

A stream is events of ``data:`` alone, without an event that ends it: it is whole once a candidate
has said why it ended, and usage may follow until the body's end.
"""

from __future__ import annotations

import msgspec

from penstock_common.llm.types import GenerationInput
from penstock_inference.adapters.providers.gemini import wire
from penstock_inference.adapters.providers.gemini.errors import failure_in_band
from penstock_inference.adapters.providers.gemini.reader import AnswerReader
from penstock_inference.adapters.providers.http.errors import error_in
from penstock_inference.adapters.providers.http.merging import merged
from penstock_inference.adapters.providers.http.server_sent_events import EventParser, StreamTooLargeError
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import UpstreamEvent

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# What servers in between send to keep a connection open, or at the end.
_SAY_NOTHING = (b"", b"null", b"[DONE]")


class ContentStream:
    """Reads one response's bytes; see ``Stream``."""

    done = False

    def __init__(self, asked: GenerationInput) -> None:
        self._parser = EventParser()
        self._reader = AnswerReader(asked)

    def feed(self, data: bytes) -> list[UpstreamEvent]:
        """Return what one read brought; see ``Stream``."""
        try:
            payloads = self._parser.plain_data(data)
            if payloads is None:
                payloads = [payload for _, payload in self._parser.feed(data)]
        except StreamTooLargeError:
            raise AttemptFailed(FailureKind.OVERSIZE, "the upstream sent more than an answer can hold") from None
        events: list[UpstreamEvent] = []
        for payload in payloads:
            if payload not in _SAY_NOTHING:
                self._read(payload, events)
        return merged(events) if len(events) > 1 else events

    def end(self) -> list[UpstreamEvent]:
        """Return nothing: nothing waits. An answer that has not said why it ended was cut off."""
        return []

    def _read(self, payload: bytes, events: list[UpstreamEvent]) -> None:
        try:
            self._reader.add(wire.CHUNK.decode(payload), events)
        except UNREADABLE:
            if error_in(payload) is not None:
                raise failure_in_band(payload) from None
            raise AttemptFailed(FailureKind.MALFORMED, "the upstream sent a malformed event") from None


def whole_answer(body: bytes, asked: GenerationInput) -> list[UpstreamEvent]:
    """Return the events of an answer that came in one piece: one response, or an array of those that a stream would have.

    Raises:
        AttemptFailed: if it is none, or an error in its place.
    """
    reader, events = AnswerReader(asked), list[UpstreamEvent]()
    try:
        chunks = wire.CHUNKS.decode(body) if body.lstrip().startswith(b"[") else [wire.CHUNK.decode(body)]
        for chunk in chunks:
            reader.add(chunk, events)
    except UNREADABLE:
        chunks = []
    if not any(chunk.candidates for chunk in chunks):
        if error_in(body) is not None:
            raise failure_in_band(body)
        raise AttemptFailed(FailureKind.MALFORMED, "the upstream did not answer with generated content")
    return merged(events)
