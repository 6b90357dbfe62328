"""Renders an answer as the events of the Messages API, block after block, in the vendor's order.

``message_start``, then of each block ``content_block_start``, its pieces, and ``content_block_stop``; then ``message_delta``
and ``message_stop``. https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from penstock_common.llm.encrypted_reasoning import is_encrypted
from penstock_common.llm.types import (
    Finished,
    GenerationEvent,
    OpaqueDelta,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from penstock_gateway.surfaces.wire_formats.anthropic.calls import call_block
from penstock_gateway.surfaces.wire_formats.anthropic.messages.turns import FORMAT
from penstock_gateway.surfaces.wire_formats.anthropic.signatures import wrapped
from penstock_gateway.surfaces.wire_formats.anthropic.usage import counts_of, end_of, usage_of
from penstock_gateway.surfaces.wire_formats.beside import unread_of, with_members
from penstock_gateway.surfaces.wire_formats.extension import extension_json
from penstock_gateway.surfaces.wire_formats.format import AnswerForm, StreamSummary
from penstock_gateway.surfaces.wire_formats.sse import on_one_line

_encode = msgspec.json.Encoder().encode
_CITATIONS = msgspec.json.Decoder(list[msgspec.Raw])
_TEXT, _THINKING = "text", "thinking"
_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


class _Call(msgspec.Struct):
    """A call whose block is open, and its arguments so far."""

    block: int
    arguments: list[str]


class EventRenderer:
    """Renders one stream: ``render`` for each batch of events, then ``end`` once.

    A call's block is ended when what follows begins, as the vendor does; where a provider sends the pieces of several calls
    in turn, those that are not whole stay open beside each other until all are.
    """

    def __init__(self, message_id: str, created: int, include_usage: bool, form: AnswerForm) -> None:
        del created, include_usage
        self._id = message_id
        self._input_tokens = form.input_tokens
        self._next = 0
        # The kind of the open block of text or thinking, and its number.
        self._open, self._at = "", 0
        self._calls: dict[int, _Call] = {}
        self._usage: Usage | None = None
        self._finished: Finished | None = None

    def render(self, events: Sequence[GenerationEvent]) -> bytes:
        """Return the frames of the next events, b"" where they have none."""
        pieces: list[bytes] = []
        for event in events:
            if isinstance(event, TextDelta):
                self._text(event, pieces)
            elif isinstance(event, ToolCallDelta):
                self._call(event, pieces)
            elif isinstance(event, ReasoningDelta):
                self._reasoning(event, pieces)
            else:
                self._other(event, pieces)
        return on_one_line(b"".join(pieces))

    def end(self, summary: StreamSummary) -> bytes:
        """Return the last frames: how it ended, what it took, and what is Penstock's own to tell."""
        finished = self._finished
        delta = end_of(finished) if finished is not None else {}
        told = {
            "type": "message_delta",
            "delta": delta,
            "usage": counts_of(self._usage),
            "x_penstock": msgspec.Raw(extension_json(finished, summary)),
        }
        members = unread_of(finished, FORMAT)
        if members:
            end = {name: members.pop(name) for name in delta if name in members}
            members = {**members, "delta": msgspec.Raw(_encode(end))}
        return on_one_line(b"event: message_delta\ndata: %b\n\n" % with_members(_encode(told), members) + _STOP)

    def _other(self, event: GenerationEvent, pieces: list[bytes]) -> None:
        if isinstance(event, Started):
            pieces.append(self._start(event))
        elif isinstance(event, OpaqueDelta):
            self._close(pieces)
            if event.block.format == FORMAT:
                self._begin(msgspec.Raw(event.block.json.encode()), pieces)
                pieces.append(_stopped(self._at))
        elif isinstance(event, Usage):
            self._usage = event
        elif isinstance(event, Finished):
            self._close(pieces)
            self._finished = event

    def _start(self, event: Started) -> bytes:
        message = {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": event.answered_by.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "container": None,
            # Counted here: most providers tell at the end, where it is told again.
            "usage": {**usage_of(Usage(input_tokens=self._input_tokens)), "output_tokens": 1},
        }
        return _frame(b"message_start", {"type": "message_start", "message": message})

    def _text(self, event: TextDelta, pieces: list[bytes]) -> None:
        if event.text:
            if self._open != _TEXT:
                self._close(pieces)
                self._begin({"type": _TEXT, "text": "", "citations": None}, pieces)
                self._open = _TEXT
            pieces.append(_text_delta(self._at, event.text))
        if event.citations_json:
            self._cite(event.citations_json, pieces)

    def _cite(self, citations_json: str, pieces: list[bytes]) -> None:
        """Tell what the open block refers to, and end it; citations in another vendor's words are not told here."""
        if self._open == _TEXT:
            told = [citation for citation in _CITATIONS.decode(citations_json) if b"_location" in bytes(citation)]
            pieces += [_delta(self._at, {"type": "citations_delta", "citation": citation}) for citation in told]
        self._close(pieces)

    def _reasoning(self, event: ReasoningDelta, pieces: list[bytes]) -> None:
        if event.text or event.signature:
            if self._open != _THINKING:
                self._close(pieces)
                self._begin({"type": _THINKING, "thinking": "", "signature": ""}, pieces)
                self._open = _THINKING
            if event.text:
                pieces.append(_delta(self._at, {"type": "thinking_delta", "thinking": event.text}))
        # OpenAI's encrypted reasoning is the signature of what is shown of it, in one block, as this vendor's own.
        proof = event.hidden if self._open == _THINKING and is_encrypted(event.hidden) else event.signature
        if proof:
            signature = wrapped(proof, event.origin)
            pieces.append(_delta(self._at, {"type": "signature_delta", "signature": signature}))
            self._close(pieces)
        if event.hidden and proof is not event.hidden:
            self._close(pieces)
            self._begin({"type": "redacted_thinking", "data": wrapped(event.hidden, event.origin)}, pieces)
            pieces.append(_stopped(self._at))

    def _call(self, event: ToolCallDelta, pieces: list[bytes]) -> None:
        call = self._calls.get(event.index)
        if call is None:
            self._close_text(pieces)
            self._close_whole_calls(pieces)
            self._begin(call_block(event.id, event.name, {}, event.extra_json), pieces)
            call = self._calls[event.index] = _Call(self._at, [])
        if event.arguments_json_fragment:
            call.arguments.append(event.arguments_json_fragment)
            piece = {"type": "input_json_delta", "partial_json": event.arguments_json_fragment}
            pieces.append(_delta(call.block, piece))

    def _begin(self, block: dict[str, Any] | msgspec.Raw, pieces: list[bytes]) -> None:
        self._at = self._next
        self._next += 1
        told = {"type": "content_block_start", "index": self._at, "content_block": block}
        pieces.append(_frame(b"content_block_start", told))

    def _close(self, pieces: list[bytes]) -> None:
        """End all that is open."""
        self._close_text(pieces)
        pieces += [_stopped(call.block) for call in self._calls.values()]
        self._calls.clear()

    def _close_text(self, pieces: list[bytes]) -> None:
        if self._open:
            pieces.append(_stopped(self._at))
            self._open = ""

    def _close_whole_calls(self, pieces: list[bytes]) -> None:
        for index, call in list(self._calls.items()):
            # Of a call whose arguments have not begun nothing is known.
            if call.arguments and _is_whole("".join(call.arguments)):
                pieces.append(_stopped(call.block))
                del self._calls[index]


def _is_whole(arguments: str) -> bool:
    try:
        msgspec.json.decode(arguments or "{}", type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _text_delta(index: int, text: str) -> bytes:
    return (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
        b'"delta":{"type":"text_delta","text":%b}}\n\n' % (index, _encode(text))
    )


def _delta(index: int, delta: dict[str, Any]) -> bytes:
    return _frame(b"content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta})


def _stopped(index: int) -> bytes:
    return b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % index


def _frame(name: bytes, told: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, _encode(told))
