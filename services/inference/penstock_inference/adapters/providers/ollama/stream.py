"""From the lines of an Ollama answer, or from its one object, to our events.

A call comes whole and before ``done``; its arguments are an object. An error within a stream is a line of its own, and
the status was 200 long ago.
"""

from __future__ import annotations

import secrets
from typing import Any, cast

import msgspec

from penstock_common.llm.events import merge_deltas
from penstock_common.llm.types import FinishReason, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from penstock_inference.adapters.providers.http.errors import error_in, failure_in_band
from penstock_inference.adapters.providers.http.finish import BrokenOff, finish_reason_of
from penstock_inference.adapters.providers.http.server_sent_events import MAX_EVENT_BYTES, MAX_STREAM_BYTES
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Stopped, UpstreamEvent

_NOTHING = msgspec.Raw()


class _Function(msgspec.Struct):
    name: str = ""
    arguments: msgspec.Raw = _NOTHING


class _Call(msgspec.Struct):
    function: _Function
    id: str = ""


class _Message(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None


class _Line(msgspec.Struct):
    message: _Message | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: object = None


_LINE = msgspec.json.Decoder(_Line)


class ChatStream:
    """Reads one stream; see ``Stream``."""

    __slots__ = ("_begun", "_begun_bytes", "_reader", "_total_bytes", "done")

    def __init__(self) -> None:
        self.done = False
        self._reader = _Reader()
        # The line that is not complete yet, in the pieces it came in.
        self._begun: list[bytes] = []
        self._begun_bytes = 0
        self._total_bytes = 0

    def feed(self, data: bytes) -> list[UpstreamEvent]:
        """Return what one read brought; see ``Stream``."""
        self._total_bytes += len(data)
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join([*self._begun, lines[0]])
            self._begun, self._begun_bytes = [], 0
        self._begun.append(rest)
        self._begun_bytes += len(rest)
        if self._total_bytes > MAX_STREAM_BYTES or self._begun_bytes > MAX_EVENT_BYTES:
            raise AttemptFailed(FailureKind.OVERSIZE, "the upstream sent more than an answer can hold")
        return self._read(lines)

    def end(self) -> list[UpstreamEvent]:
        """Return what the last line says, which need not have an end; see ``Stream``."""
        events = self._read([b"".join(self._begun)])
        if not self.done:
            raise AttemptFailed(FailureKind.CUT, "the stream ended without its last line")
        return events

    def _read(self, lines: list[bytes]) -> list[UpstreamEvent]:
        events: list[UpstreamEvent] = []
        for line in lines:
            if line.strip() and not self.done:
                self.done = self._reader.read(line, events)
        return _merged(events)


def whole_answer(body: bytes) -> list[UpstreamEvent]:
    """Return the events of an answer that came in one piece.

    Raises:
        AttemptFailed: if it is none, or an error in its place.
    """
    events: list[UpstreamEvent] = []
    if not _Reader().read(body, events):
        raise AttemptFailed(FailureKind.CUT, "the answer is not done")
    return _merged(events)


class _Reader:
    """Reads the objects of one answer."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls = 0

    def read(self, line: bytes, events: list[UpstreamEvent]) -> bool:
        """Add what an object says; return whether it is the last."""
        try:
            said = _LINE.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise AttemptFailed(FailureKind.MALFORMED, "the upstream sent a malformed event") from None
        if said.error:
            error = error_in(line)
            if error is None:
                raise AttemptFailed(FailureKind.SERVER_ERROR, "the upstream reported an error")
            raise failure_in_band(error)
        if said.message is not None:
            self._add_message(said.message, events)
        if said.done:
            self._add_end(said, events)
        return said.done

    def _add_message(self, message: _Message, events: list[UpstreamEvent]) -> None:
        if message.thinking:
            events.append(ReasoningDelta(text=message.thinking))
        if message.content:
            events.append(TextDelta(text=message.content))
        for call in message.tool_calls or ():
            arguments = bytes(call.function.arguments).decode("utf-8", "replace")
            events.append(
                ToolCallDelta(
                    index=self._calls,
                    id=call.id or f"call_{secrets.token_hex(12)}",
                    name=call.function.name,
                    arguments_json_fragment="{}" if arguments in ("", "null") else arguments,
                )
            )
            self._calls += 1

    def _add_end(self, said: _Line, events: list[UpstreamEvent]) -> None:
        if said.prompt_eval_count is not None and said.eval_count is not None:
            events.append(Usage(input_tokens=said.prompt_eval_count, output_tokens=said.eval_count))
        try:
            reason = finish_reason_of(said.done_reason or "") or FinishReason.STOP
        except BrokenOff as broken:
            raise AttemptFailed(FailureKind.CUT, f"the model's answer broke off ({broken})") from None
        if reason is FinishReason.STOP and self._calls:
            reason = FinishReason.TOOL_CALLS
        events.append(Stopped(reason))


def _merged(events: list[UpstreamEvent]) -> list[UpstreamEvent]:
    deltas: list[Any] = [event for event in events if not isinstance(event, Usage | Stopped)]
    # Deltas in, deltas out.
    merged = cast("list[UpstreamEvent]", merge_deltas(deltas))
    merged.extend(event for event in events if isinstance(event, Usage | Stopped))
    return merged
