"""From the bytes of a chat completion, streamed or whole, to our events."""

from __future__ import annotations

import re

from penstock_common.llm.types import TextDelta, Usage
from penstock_inference.adapters.providers.http.errors import error_in, failure_in_band, named_error
from penstock_inference.adapters.providers.http.json_text import Unreadable, value_of
from penstock_inference.adapters.providers.http.merging import merged
from penstock_inference.adapters.providers.http.server_sent_events import EventParser, StreamTooLargeError
from penstock_inference.adapters.providers.openai import chunks as wire
from penstock_inference.adapters.providers.openai.loose import chunk_of
from penstock_inference.adapters.providers.openai.plain_text import UNREADABLE, TextFrame, text_alone
from penstock_inference.adapters.providers.openai.reader import AnswerReader, Reader
from penstock_inference.adapters.providers.openai.unread import UnreadOfStream
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Gap, Stopped, UpstreamEvent

_DONE = b"[DONE]"
# Words without an object around them that only say that somebody is there.
_PING = re.compile(rb"[\s:\"'\[(<]*(?:ping|pong|keep[-_ ]?alive|heart[-_ ]?beat|no-?op|processing)\b", re.IGNORECASE)
# What is broken in an event that has no choices is not a part of the answer.
_WITHOUT_CHOICES = re.compile(rb'"choices"\s*:\s*(?:\[\s*\]|null)')
_UNNAMED = (b"", b"message")
# So much of a chunk tells what it is: its first member's name.
_BEGINNING_BYTES = 6
# What is in a part of the answer, and in nothing else.
_OF_THE_ANSWER = re.compile(rb'"(?:choices|delta|content|tool_calls|reasoning)"')


class CompletionStream:
    """Reads one response's bytes; ``done`` is set when ``[DONE]`` has come, and nothing after it is read."""

    def __init__(self, reader: Reader | None = None) -> None:
        """Begin; ``reader`` is one that reads more than an answer of one choice."""
        self._parser = EventParser()
        self._reader = reader or AnswerReader()
        self._frame = TextFrame()
        # The name of the events that chunks came in, where they have one, and how they begin.
        self._name_of_chunks = b""
        self._beginning = b""
        # Chunks with a part of the answer, and whether something came that may have been one.
        self._parts = 0
        self._has_gap = False
        self._unread = UnreadOfStream()
        self.done = False

    @property
    def stopped(self) -> bool:
        """Whether the answer has come to its end."""
        return self._reader.stopped

    def feed(self, data: bytes) -> list[UpstreamEvent]:
        """Return what one read brought, neighbouring deltas merged.

        Raises:
            AttemptFailed: for a malformed event, an error in band, more bytes than an answer can have, or what the
                reader refuses.
        """
        try:
            plain = self._parser.plain_data(data)
            if plain is not None:
                return self._read_plain(plain)
            arrived = self._parser.feed(data)
        except StreamTooLargeError:
            raise AttemptFailed(FailureKind.OVERSIZE, "the upstream sent more than an answer can hold") from None
        events: list[UpstreamEvent] = []
        for name, payload in arrived:
            self._read_event(name, payload, events)
            if self.done:
                self._reader.end(events)
                break
        return merged(events) if len(events) > 1 else events

    def end(self) -> list[UpstreamEvent]:
        """Return what waited for more, where the response ends without ``[DONE]``."""
        events: list[UpstreamEvent] = []
        self._reader.end(events)
        return merged(events) if len(events) > 1 else events

    def _read_plain(self, payloads: list[bytes]) -> list[UpstreamEvent]:
        """Read events that came whole: what they add to the text goes straight into one delta."""
        reader, frame = self._reader, self._frame
        events: list[UpstreamEvent] = []
        texts: list[str] = []
        at, count = 0, len(payloads)
        while True:
            if frame.is_known and not reader.looks_at_all:
                at = frame.take(payloads, at, texts)
            if at == count:
                break
            self._read_whole(payloads[at], texts, events)
            at += 1
            if self.done:
                break
        if texts:
            # Most reads end here: it must not cost a call.
            events.append(TextDelta(text="".join(texts)))
            self._parts += len(texts)
            reader.said_anything = True
        if self.done:
            reader.end(events)
        return merged(events) if len(events) > 1 else events

    def _read_whole(self, payload: bytes, texts: list[str], events: list[UpstreamEvent]) -> None:
        """Read an event that came whole into ``texts`` where it adds nothing but text, else all of them into events."""
        # Only what is none begins like this: a chunk is an object.
        if payload[:1] == b"[" and payload.startswith(_DONE):
            self.done = True
            return
        try:
            chunk = wire.CHUNK.decode(payload)
        except UNREADABLE:
            chunk = None
        text = None if chunk is None or self._reader.looks_at_all else text_alone(chunk)
        if text is not None:
            texts.append(text)
            self._beginning = self._beginning or payload[:_BEGINNING_BYTES]
            frame = self._frame
            if frame.tries or frame.is_known:
                frame.learn(payload, text)
            return
        if texts:
            self._add_text(texts, events)
            texts.clear()
        if chunk is None:
            self._read_odd(b"", payload, events)
        else:
            self._read_chunk(chunk, payload, events)

    def _add_text(self, texts: list[str], events: list[UpstreamEvent]) -> None:
        events.append(TextDelta(text="".join(texts)))
        self._parts += len(texts)
        self._reader.said_anything = True

    def _read_event(self, name: bytes, payload: bytes, events: list[UpstreamEvent]) -> None:
        if name == b"error":
            raise named_error(payload)
        try:
            chunk = wire.CHUNK.decode(payload)
        except UNREADABLE:
            self._read_odd(name, payload, events)
            return
        if chunk.choices and name not in _UNNAMED:
            self._name_of_chunks = name
        self._read_chunk(chunk, payload, events)

    def _read_chunk(self, chunk: wire.Chunk, payload: bytes, events: list[UpstreamEvent]) -> None:
        before = len(events)
        self._reader.add(chunk, payload, events)
        if chunk.usage is not None or not chunk.choices or chunk.choices[0].finish_reason:
            # What other chunks say beside, they say over and over, or of a piece of the text.
            self._unread.add(chunk, payload, events)
        self._beginning = self._beginning or payload[:_BEGINNING_BYTES]
        if len(events) > before and not isinstance(events[before], Usage | Stopped):
            self._parts += 1
        if self._has_gap:
            self._check_gap(events[before:])

    def _skip(self, payload: bytes, events: list[UpstreamEvent]) -> None:
        """Skip an event that cannot be read, once, where nothing shows that it was a part of the answer.

        Raises:
            AttemptFailed: MALFORMED, where something does.
        """
        # Before the answer has begun another can give it, and nobody sees.
        if self._has_gap or not self._parts or payload.startswith(self._beginning) or _OF_THE_ANSWER.search(payload):
            raise _malformed()
        self._has_gap = True
        events.append(Gap())

    def _check_gap(self, new: list[UpstreamEvent]) -> None:
        """Raise where the count of tokens shows that what was skipped was one: they came one by one, but for it."""
        for event in new:
            if isinstance(event, Usage) and event.output_tokens == self._parts + 1:
                raise _malformed()

    def _read_odd(self, name: bytes, payload: bytes, events: list[UpstreamEvent]) -> None:
        """Read an event that is not of the usual types: the end, a dialect, a sign of life, or a broken one."""
        payload = payload.strip()
        while payload.startswith(b"data:"):
            payload = payload[5:].lstrip()
        if payload.strip(b'"').startswith(_DONE):
            self.done = True
            return
        try:
            value = value_of(payload)
        except Unreadable:
            if self._is_needed(name, payload):
                self._skip(payload, events)
            return
        if isinstance(value, list):
            error = error_in(payload)
            if error is not None:
                raise failure_in_band(error)
        chunk = chunk_of(value)
        if chunk.choices and name not in _UNNAMED:
            self._name_of_chunks = name
        self._reader.expect_halves()
        self._read_chunk(chunk, payload, events)

    def _is_needed(self, name: bytes, payload: bytes) -> bool:
        """Return whether an event that cannot be read may have held a part of the answer."""
        if not payload or self._reader.stopped or _PING.match(payload) or _WITHOUT_CHOICES.search(payload):
            return False
        return name in _UNNAMED or name == self._name_of_chunks


def _malformed() -> AttemptFailed:
    return AttemptFailed(FailureKind.MALFORMED, "the upstream sent a malformed event")
