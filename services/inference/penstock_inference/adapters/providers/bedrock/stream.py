"""From the events of a Converse stream, and from a whole answer, to ours.

A call's arguments, a signature, hidden reasoning and citations come in pieces of one block: the last three are told when
it ends. Usage comes after the message's end, which is told at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import msgspec

from penstock_common.llm.events import merge_deltas
from penstock_common.llm.types import (
    FinishReason,
    Opaque,
    OpaqueDelta,
    ReasoningDelta,
    StopDetails,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from penstock_inference.adapters.providers.bedrock import wire
from penstock_inference.adapters.providers.bedrock.errors import failure_of_frame
from penstock_inference.adapters.providers.bedrock.frames import (
    BrokenFrameError,
    Frame,
    FrameReader,
    FrameTooLargeError,
)
from penstock_inference.adapters.providers.bedrock.turns import FORMAT
from penstock_inference.adapters.providers.http.finish import BrokenOff, finish_reason_of
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Stopped, UpstreamEvent

_T = TypeVar("_T")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "tool_use": FinishReason.TOOL_CALLS,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "content_filtered": FinishReason.CONTENT_FILTER,
    "guardrail_intervened": FinishReason.CONTENT_FILTER,
}
# Of those our reasons say all.
_PLAIN = frozenset({"end_turn", "stop_sequence", "tool_use", "max_tokens"})
_OPAQUE = (
    ("toolUse", "tool_use"), ("toolResult", "tool_result"), ("image", "image"), ("video", "video"), ("audio", "audio"),
)  # fmt: skip
"""Whole blocks that only Converse knows, by the wire's names and ours."""
_NOTHING = b"null"
_STANDARD_LATENCY = ("", "standard")
_EXCEPTION, _EVENT = ("exception", "error"), "event"


# Ends a block of text that refers to nothing, where another follows: the two came as two, and go back so.
_ANOTHER_TEXT = TextDelta(text="", citations_json="[]")


class _Block(msgspec.Struct):
    """A content block that has not ended; ``call`` is its number among the calls, -1 where it is none."""

    call: int = -1
    has_arguments: bool = False
    signature: list[str] = []
    hidden: list[str] = []
    citations: list[msgspec.Raw] = []
    opaque: dict[str, Any] = {}
    """Of one that only Converse knows: its members so far."""
    kind: str = ""
    """The name of that."""
    arguments: list[str] = []


class ConverseStream:
    """Reads one stream; see ``Stream``."""

    __slots__ = ("_blocks", "_calls", "_frames", "_readers", "_stopped", "_text", "done")

    def __init__(self) -> None:
        self.done = False
        self._frames = FrameReader()
        self._blocks: dict[int, _Block] = {}
        self._calls = 0
        # The block of text that what comes next follows, -1 where it is none, or refers to something.
        self._text = -1
        self._stopped: Stopped | None = None
        self._readers: dict[str, Callable[[bytes, list[UpstreamEvent]], None]] = {
            "contentBlockDelta": self._read_delta,
            "contentBlockStart": self._read_start,
            "contentBlockStop": self._read_stop,
            "messageStop": self._read_end,
            "metadata": self._read_metadata,
        }

    def feed(self, data: bytes) -> list[UpstreamEvent]:
        """Return what one read brought; see ``Stream``."""
        events: list[UpstreamEvent] = []
        for headers, payload in self._frames_in(data):
            kind = headers.get(":message-type", _EVENT)
            if kind in _EXCEPTION:
                if self._stopped is None:
                    raise failure_of_frame(headers, payload)
                # The answer is there.
                self.done = True
            elif (read := self._readers.get(headers.get(":event-type", ""))) is not None:
                read(payload, events)
        return merged(events)

    def end(self) -> list[UpstreamEvent]:
        """Return nothing, where the message had come to its end; see ``Stream``."""
        if self._stopped is None:
            raise AttemptFailed(FailureKind.CUT, "the stream ended without a stop reason")
        return []

    def _frames_in(self, data: bytes) -> Sequence[Frame]:
        try:
            return self._frames.feed(data)
        except BrokenFrameError as error:
            failure = AttemptFailed(FailureKind.MALFORMED, f"the upstream sent a broken frame: {error}")
        except FrameTooLargeError:
            failure = AttemptFailed(FailureKind.OVERSIZE, "the upstream sent more than an answer can hold")
        if self._stopped is None:
            raise failure
        self.done = True
        return ()

    def _read_delta(self, payload: bytes, events: list[UpstreamEvent]) -> None:
        event = _decoded(wire.DELTA, payload)
        delta, index = event.delta, event.content_block_index
        if delta.text is not None:
            if delta.text:
                self._add_text(index, delta.text, events)
            return
        self._text = -1
        if delta.tool_use is not None:
            self._add_arguments(self._block(index), delta.tool_use.input, events)
        elif delta.reasoning_content is not None:
            self._add_reasoning(index, delta.reasoning_content, events)
        elif delta.citation:
            self._block(index).citations.append(delta.citation)
        elif delta.tool_result is not None:
            block = self._block(index)
            block.opaque.setdefault("content", []).extend(delta.tool_result)
        elif delta.image is not None:
            block = self._block(index)
            block.kind = block.kind or "image"
            block.opaque.update(delta.image)

    def _add_text(self, index: int, text: str, events: list[UpstreamEvent]) -> None:
        if self._text not in (-1, index):
            events.append(_ANOTHER_TEXT)
        self._text = index
        events.append(TextDelta(text=text))

    def _block(self, index: int) -> _Block:
        block = self._blocks.get(index)
        if block is None:
            block = self._blocks[index] = _Block()
        return block

    def _add_arguments(self, block: _Block, piece: str, events: list[UpstreamEvent]) -> None:
        if block.kind:
            block.arguments.append(piece)
        elif block.call < 0:
            raise AttemptFailed(FailureKind.MALFORMED, "the upstream sent arguments of a call that it had not begun")
        elif piece:
            block.has_arguments = True
            events.append(ToolCallDelta(index=block.call, arguments_json_fragment=piece))

    def _add_reasoning(self, index: int, piece: wire.ReasoningPiece, events: list[UpstreamEvent]) -> None:
        if piece.text:
            events.append(ReasoningDelta(text=piece.text))
        if piece.signature:
            self._block(index).signature.append(piece.signature)
        if piece.redacted_content:
            self._block(index).hidden.append(piece.redacted_content)

    def _read_start(self, payload: bytes, events: list[UpstreamEvent]) -> None:
        self._text = -1
        event = _decoded(wire.START, payload)
        block, start = self._block(event.content_block_index), event.start
        if start.tool_use is not None and not start.tool_use.type:
            block.call = self._calls
            self._calls += 1
            events.append(ToolCallDelta(index=block.call, id=start.tool_use.tool_use_id, name=start.tool_use.name))
        elif start.tool_use is not None:
            # One of Bedrock's own, which it answers itself.
            block.kind, block.opaque = "toolUse", msgspec.to_builtins(start.tool_use)
        elif start.tool_result is not None:
            block.kind, block.opaque = "toolResult", dict(start.tool_result)
        elif start.image is not None:
            block.kind, block.opaque = "image", dict(start.image)

    def _read_stop(self, payload: bytes, events: list[UpstreamEvent]) -> None:
        block = self._blocks.pop(_decoded(wire.STOP, payload).content_block_index, None)
        if block is not None:
            _end_block(block, events)

    def _read_end(self, payload: bytes, events: list[UpstreamEvent]) -> None:
        end = _decoded(wire.END, payload)
        for index in sorted(self._blocks):
            _end_block(self._blocks[index], events)
        self._blocks.clear()
        self._stopped = _stopped(end.stop_reason, end.additional_model_response_fields, has_calls=self._calls > 0)
        events.append(self._stopped)

    def _read_metadata(self, payload: bytes, events: list[UpstreamEvent]) -> None:
        metadata = _decoded(wire.METADATA, payload)
        _add_usage(metadata.usage, events)
        tier = _tier(metadata)
        if self._stopped is not None:
            if tier:
                events.append(msgspec.structs.replace(self._stopped, service_tier=tier))
            self.done = True


def _end_block(block: _Block, events: list[UpstreamEvent]) -> None:
    if block.signature:
        events.append(ReasoningDelta(signature="".join(block.signature).encode()))
    if block.hidden:
        events.append(ReasoningDelta(hidden="".join(block.hidden).encode()))
    if block.citations:
        events.append(TextDelta(text="", citations_json=f"[{','.join(_text(one) for one in block.citations)}]"))
    if block.kind:
        if block.kind == "toolUse":
            block.opaque["input"] = _arguments("".join(block.arguments))
        events.append(_opaque(block.kind, block.opaque))
    elif block.call >= 0 and not block.has_arguments:
        events.append(ToolCallDelta(index=block.call, arguments_json_fragment="{}"))


def whole_answer(body: bytes) -> list[UpstreamEvent]:
    """Return the events of an answer that came in one piece.

    Raises:
        AttemptFailed: MALFORMED, if it is none.
    """
    answer = _decoded(wire.WHOLE, body)
    events: list[UpstreamEvent] = []
    calls = 0
    is_after_text = False
    for block in answer.output.message.content:
        if is_after_text and (block.text or block.citations_content is not None):
            events.append(_ANOTHER_TEXT)
        is_after_text = bool(block.text)
        if (use := block.tool_use) is not None and not use.type:
            arguments = _text(use.input) or "{}"
            events.append(
                ToolCallDelta(index=calls, id=use.tool_use_id, name=use.name, arguments_json_fragment=arguments)
            )
            calls += 1
        else:
            _add_block(block, events)
    _add_usage(answer.usage, events)
    stopped = _stopped(answer.stop_reason, answer.additional_model_response_fields, has_calls=calls > 0)
    events.append(msgspec.structs.replace(stopped, service_tier=_tier(answer)))
    return merged(events)


def _add_block(block: wire.Content, events: list[UpstreamEvent]) -> None:
    if block.text is not None:
        if block.text:
            events.append(TextDelta(text=block.text))
    elif block.reasoning_content is not None:
        events.extend(_reasoning(block.reasoning_content))
    elif (cited := block.citations_content) is not None:
        text = "".join(piece.text for piece in cited.content)
        citations = _text(cited.citations)
        if text or citations:
            events.append(TextDelta(text=text, citations_json="" if citations == "[]" else citations))
    else:
        blocks = ((kind, getattr(block, name)) for kind, name in _OPAQUE)
        events.extend(_opaque(kind, value) for kind, value in blocks if value)


def _reasoning(content: wire.ReasoningContent) -> list[ReasoningDelta]:
    if content.redacted_content:
        return [ReasoningDelta(hidden=content.redacted_content.encode())]
    shown = content.reasoning_text
    if shown is None or not (shown.text or shown.signature):
        return []
    return [ReasoningDelta(text=shown.text, signature=shown.signature.encode())]


def merged(events: list[UpstreamEvent]) -> list[UpstreamEvent]:
    """Return the deltas merged, then usage and end, which belong after them."""
    # Deltas in, deltas out.
    deltas: list[Any] = [event for event in events if not isinstance(event, Usage | Stopped)]
    told = cast("list[UpstreamEvent]", merge_deltas(deltas))
    told.extend(event for event in events if isinstance(event, Usage | Stopped))
    return told


def _opaque(kind: str, value: object) -> OpaqueDelta:
    return OpaqueDelta(block=Opaque(format=FORMAT, json=msgspec.json.encode({kind: value}).decode()))


def _arguments(text: str) -> msgspec.Raw:
    try:
        json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise _malformed() from None
    return msgspec.Raw((text or "{}").encode())


def _stopped(word: str, more: object, *, has_calls: bool) -> Stopped:
    reason = _REASONS.get(word)
    if reason is None:
        try:
            reason = finish_reason_of(word)
        except BrokenOff:
            raise AttemptFailed(FailureKind.CUT, f"the model's answer broke off ({word})") from None
        if reason is None:
            raise _malformed()
    if reason is FinishReason.STOP and has_calls:
        # What a client goes by who runs the tools: not every model's answer says so.
        reason = FinishReason.TOOL_CALLS
    matched = cast("dict[str, object]", more).get("stop_sequence") if isinstance(more, dict) else None
    return Stopped(
        reason,
        matched if isinstance(matched, str) and word == "stop_sequence" else "",
        details=None if word in _PLAIN else StopDetails(word=word),
    )


def _add_usage(raw: msgspec.Raw, events: list[UpstreamEvent]) -> None:
    """Add what was used; what cannot be read is not counted, and takes nothing from the answer."""
    try:
        usage = wire.USAGE.decode(raw or _NOTHING)
    except _UNREADABLE:
        return
    if usage is not None:
        events.append(_usage(usage))


def _usage(usage: wire.TokenUsage) -> Usage:
    written = usage.cache_write_input_tokens or 0
    for_an_hour = sum(one.input_tokens for one in usage.cache_details or () if one.ttl == "1h")
    return Usage(
        # What it calls input is what the cache had no part in.
        input_tokens=usage.input_tokens + (usage.cache_read_input_tokens or 0) + written,
        output_tokens=usage.output_tokens,
        cached_input_tokens=usage.cache_read_input_tokens or 0,
        cache_write_input_tokens=written,
        cache_write_1h_input_tokens=min(for_an_hour, written),
    )


def _tier(told: wire.Metadata | wire.Whole) -> str:
    """Return the tier that the answer had; '' where Bedrock does not say."""
    tier = told.service_tier.type if told.service_tier is not None else ""
    latency = told.performance_config.latency if told.performance_config is not None else ""
    return tier if latency in _STANDARD_LATENCY or tier not in ("", "default") else latency


def _decoded(decoder: msgspec.json.Decoder[_T], payload: bytes) -> _T:
    try:
        return decoder.decode(payload)
    except _UNREADABLE:
        raise _malformed() from None


def _malformed() -> AttemptFailed:
    return AttemptFailed(FailureKind.MALFORMED, "the upstream sent a malformed event")


def _text(raw: msgspec.Raw) -> str:
    return bytes(raw).decode("utf-8", "replace")
