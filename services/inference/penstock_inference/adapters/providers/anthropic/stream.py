"""From the bytes of a message, streamed or whole, to our events."""

from __future__ import annotations

from penstock_inference.adapters.providers.anthropic import chunks as wire
from penstock_inference.adapters.providers.anthropic.reader import MessageReader
from penstock_inference.adapters.providers.anthropic.unread import unread_of, with_end
from penstock_inference.adapters.providers.http.errors import error_in, named_error
from penstock_inference.adapters.providers.http.merging import merged
from penstock_inference.adapters.providers.http.server_sent_events import EventParser, StreamTooLargeError
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Unread, UpstreamEvent

_Events = list[UpstreamEvent]
_OF_THE_ANSWER = frozenset(
    {"message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta"}
)
_MESSAGE = wire.MESSAGE


class MessageStream:
    """Reads one response's bytes; ``done`` is set when ``message_stop`` has come, and nothing after it is read."""

    def __init__(self, custom: frozenset[str] = frozenset()) -> None:
        """Begin; ``custom`` are the names of tools whose input is free text."""
        self._parser = EventParser()
        self._reader = MessageReader(custom)
        self._unread: Unread | None = None
        self.done = False

    def feed(self, data: bytes) -> _Events:
        """Return what one read brought, neighbouring deltas merged.

        Raises:
            AttemptFailed: for a malformed event, an error in band, or more bytes than an answer can have.
        """
        try:
            arrived = self._parser.feed(data)
        except StreamTooLargeError:
            raise AttemptFailed(FailureKind.OVERSIZE, "the upstream sent more than an answer can hold") from None
        events: _Events = []
        for name, payload in arrived:
            self._read(name.decode("utf-8", "replace"), payload, events)
            if self.done:
                break
        return merged(events) if len(events) > 1 else events

    def end(self) -> _Events:
        """Return what waited for more, where the response ends without ``message_stop``."""
        events: _Events = []
        self._reader.end_blocks(events)
        return merged(events)

    def _read(self, name: str, payload: bytes, events: _Events) -> None:
        try:
            kind = wire.TYPE.decode(payload).type or name
        except wire.UNREADABLE:
            kind = name
        if kind == "error":
            raise named_error(payload)
        if kind == "message_stop":
            self.done = True
        elif kind in _OF_THE_ANSWER:
            try:
                self._read_event(kind, wire.EVENT.decode(payload), payload, events)
            except wire.UNREADABLE:
                raise AttemptFailed(FailureKind.MALFORMED, "the upstream sent a malformed event") from None
        elif not kind and error_in(payload) is not None:
            raise named_error(payload)

    def _read_event(self, kind: str, event: wire.Event, payload: bytes, events: _Events) -> None:
        reader = self._reader
        if kind == "content_block_delta":
            reader.add_to_block(event.index, event.delta, events)
        elif kind == "content_block_start":
            reader.begin_block(event.index, event.content_block, events)
        elif kind == "content_block_stop":
            reader.end_block(event.index, events)
        elif kind == "message_start":
            if event.message is not None:
                reader.add_usage(event.message.usage, events)
                self._unread = unread_of(bytes(wire.MEMBERS.decode(payload)["message"]))
        else:
            self._unread = with_end(self._unread, payload)
            if self._unread is not None:
                events.append(self._unread)
            reader.add_usage(event.usage, events)
            reader.add_end(_MESSAGE.decode(event.delta or b"{}"), events)


def whole_answer(body: bytes, custom: frozenset[str] = frozenset()) -> _Events:
    """Return the events of an answer that came in one piece, in their order; ``custom``: as ``MessageStream``'s.

    Raises:
        AttemptFailed: if it is none, or an error in its place.
    """
    try:
        message = wire.MESSAGE.decode(body)
        if message.type == "error" or (message.content is None and error_in(body) is not None):
            raise named_error(body)
        if message.content is None:
            raise _no_message()
        return merged(_events_of(body, message, custom))
    except wire.UNREADABLE:
        raise _no_message() from None


def _events_of(body: bytes, message: wire.Message, custom: frozenset[str]) -> _Events:
    reader, events = MessageReader(custom), list[UpstreamEvent]()
    for index, block in enumerate(message.content or ()):
        reader.begin_block(index, block, events)
        reader.end_block(index, events)
    reader.add_usage(message.usage, events)
    reader.add_end(message, events)
    if (unread := unread_of(body)) is not None:
        events.append(unread)
    return events


def _no_message() -> AttemptFailed:
    return AttemptFailed(FailureKind.MALFORMED, "the upstream did not answer with a message")
