"""From the bytes of a response, streamed or whole, to our events."""

from __future__ import annotations

from typing import Any

from penstock_common.llm.events import merge_deltas
from penstock_common.llm.types import Usage
from penstock_inference.adapters.providers.http.errors import error_in
from penstock_inference.adapters.providers.http.server_sent_events import EventParser, StreamTooLargeError
from penstock_inference.adapters.providers.openai_responses import wire
from penstock_inference.adapters.providers.openai_responses.errors import failure_of_event
from penstock_inference.adapters.providers.openai_responses.reader import CONTENT_EVENTS, ResponseReader
from penstock_inference.adapters.providers.openai_responses.unread import unread_of
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Stopped, Unread, UpstreamEvent

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""Bound on one event: the last one repeats the whole answer, its reasoning and what was asked with it."""
_DONE = b"[DONE]"
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_STATUS_OF = {name: name.removeprefix("response.") for name in _ENDS}
_KNOWN = CONTENT_EVENTS | _ENDS | {"error"}


class ResponseStream:
    """Reads one response's bytes; see ``Stream``. It is done with its terminal event, whatever follows that."""

    def __init__(self) -> None:
        self._parser = EventParser(MAX_EVENT_BYTES)
        self._reader = ResponseReader()
        self.done = False

    def feed(self, data: bytes) -> list[UpstreamEvent]:
        """Return what one read brought, neighbouring deltas merged.

        Raises:
            AttemptFailed: for a malformed event, an error in band, a response that failed, or more bytes than an answer can have.
        """
        try:
            arrived = self._parser.feed(data)
        except StreamTooLargeError:
            raise AttemptFailed(FailureKind.OVERSIZE, "the upstream sent more than an answer can hold") from None
        events: list[UpstreamEvent] = []
        for name, payload in arrived:
            self._read_event(name, payload.strip(), events)
            if self.done:
                break
        return _merged(events) if len(events) > 1 else events

    def end(self) -> list[UpstreamEvent]:
        """Fail: a stream that ends without its terminal event is no answer.

        Raises:
            AttemptFailed: CUT.
        """
        raise AttemptFailed(FailureKind.CUT, "the stream ended before the response did")

    def _read_event(self, name: bytes, payload: bytes, events: list[UpstreamEvent]) -> None:
        if not payload or payload.startswith(_DONE):
            return
        named = name.decode("ascii", "replace")
        if not payload.startswith(b"{") and named not in _KNOWN:
            # A sign of life.
            return
        event = wire.event_in(payload, _KNOWN)
        kind = event.type or named
        if kind == "error" or (not kind and event.error and bytes(event.error) != b"null"):
            raise failure_of_event(payload)
        if kind not in _ENDS:
            event.type = kind
            self._reader.add(event, events)
            return
        response = event.response or wire.Response()
        response.status = _STATUS_OF[kind]
        self._reader.finish(response, events)
        if (unread := unread_of(wire.response_raw_in(payload))) is not None:
            events.append(unread)
        self.done = True


def whole_answer(body: bytes) -> list[UpstreamEvent]:
    """Return the events of an answer that came in one piece, in their order.

    Raises:
        AttemptFailed: if it is none, or failed, or an error in its place.
    """
    response = wire.response_in(body)
    if response.output is None and response.status != "failed":
        error = error_in(body)
        if error is not None:
            raise failure_of_event(body)
        raise AttemptFailed(FailureKind.MALFORMED, "the upstream did not answer with a response")
    events: list[UpstreamEvent] = []
    ResponseReader().finish(response, events)
    if (unread := unread_of(body)) is not None:
        events.append(unread)
    return _merged(events)


def _merged(events: list[UpstreamEvent]) -> list[UpstreamEvent]:
    """Return the deltas merged, then usage and end, which come after them."""
    deltas: list[Any] = [event for event in events if not isinstance(event, Usage | Stopped | Unread)]
    merged: list[Any] = merge_deltas(deltas)
    merged.extend(event for event in events if isinstance(event, Usage | Stopped | Unread))
    return merged
