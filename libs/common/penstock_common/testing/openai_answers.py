"""What an ``OpenAIUpstream`` may do with a request: answers, well or badly ended, failures, and no response at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

EVENT_STREAM = "text/event-stream; charset=utf-8"


class End(Enum):
    """How a response ends once its frames are written."""

    CLEAN = "clean"
    """As HTTP says."""
    FIN = "fin"
    """The connection is closed, the body's end never said."""
    RESET = "reset"
    """The connection is reset."""
    STALL = "stall"
    """Nothing more comes; the connection stays open until the client leaves."""
    REPEAT = "repeat"
    """The last frame again and again, until the client leaves."""


@dataclass(frozen=True, kw_only=True)
class Body:
    """A response, frame by frame; each frame is one write.

    ``hold`` maps a frame's number to an event that must be set before it is
    written; the number after the last holds the end. ``cut_at_byte`` ends the body within a frame, in the way ``end`` says.
    ``delimited`` False leaves the length unsaid, so that closing the connection ends the body.
    """

    frames: Sequence[bytes] = ()
    status: int = 200
    content_type: str = EVENT_STREAM
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    hold: Mapping[int, asyncio.Event] = field(default_factory=dict[int, asyncio.Event])
    end: End = End.CLEAN
    cut_at_byte: int | None = None
    delimited: bool = True


@dataclass(frozen=True)
class ToolCall:
    """A tool call and the pieces its arguments come in."""

    name: str
    fragments: Sequence[str] = ("{}",)
    id: str = "call_1"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer, one event per token where it is streamed.

    ``usage`` None leaves it out, ``COUNTED`` counts tokens. ``stop_after`` ends
    the body after that many events, in the way ``end`` says.
    ``insert`` maps an event's number to bytes written before it.
    """

    tokens: Sequence[str] = ("Hello", ", ", "world", ".")
    reasoning: Sequence[str] = ()
    reasoning_field: str = "reasoning_content"
    tool_calls: Sequence[ToolCall] = ()
    numbered_tool_calls: bool = True
    finish_reason: str | None = "stop"
    usage: Mapping[str, Any] | None = field(default_factory=lambda: COUNTED)
    done: bool = True
    insert: Mapping[int, bytes] = field(default_factory=dict[int, bytes])
    hold: Mapping[int, asyncio.Event] = field(default_factory=dict[int, asyncio.Event])
    stop_after: int | None = None
    cut_at_byte: int | None = None
    end: End = End.CLEAN
    delimited: bool = True
    input_tokens: int = 7
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Members of every chunk with a choice, or of the completion, beside the usual ones."""

    def body(self, model: str) -> Body:
        """Return the answer as it goes over the wire; event 0 carries the role alone."""
        events = self._events(model)
        frames = [self.insert.get(number, b"") + event for number, event in enumerate(events)]
        if len(events) in self.insert:
            frames.append(self.insert[len(events)])
        return Body(
            frames=frames[: self.stop_after],
            hold=self.hold,
            cut_at_byte=self.cut_at_byte,
            end=self.end,
            delimited=self.delimited,
        )

    def _events(self, model: str) -> list[bytes]:
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{self.reasoning_field: text} for text in self.reasoning]
        deltas += [{"content": text} for text in self.tokens]
        for index, call in enumerate(self.tool_calls):
            deltas += [{"tool_calls": [piece]} for piece in self._tool_call_pieces(index, call)]
        events = [_chunk(model, {"index": 0, "delta": delta, "finish_reason": None}, self.more) for delta in deltas]
        if self.finish_reason is not None:
            events.append(_chunk(model, {"index": 0, "delta": {}, "finish_reason": self.finish_reason}, self.more))
        if self.usage is not None:
            events.append(_sse({"object": "chat.completion.chunk", "choices": [], "usage": self._usage()}))
        if self.done:
            events.append(b"data: [DONE]\n\n")
        return events

    def _tool_call_pieces(self, index: int, call: ToolCall) -> list[dict[str, Any]]:
        number = {"index": index} if self.numbered_tool_calls else {}
        first = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        rest = [{"function": {"arguments": fragment}} for fragment in call.fragments]
        return [{**number, **piece} for piece in [first, *rest]]

    def _usage(self) -> Mapping[str, Any]:
        if self.usage is not COUNTED and self.usage is not None:
            return self.usage
        output_tokens = len(self.tokens) + len(self.reasoning) + sum(len(call.fragments) for call in self.tool_calls)
        return {
            "prompt_tokens": self.input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": self.input_tokens + output_tokens,
            "completion_tokens_details": {"reasoning_tokens": len(self.reasoning)},
        }

    def completion(self, model: str) -> Body:
        """Return the answer to a request that does not stream: ``hold`` holds all of it, ``stop_after`` leaves half."""
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self.tokens) or None}
        if self.reasoning:
            message[self.reasoning_field] = "".join(self.reasoning)
        if self.tool_calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": "".join(call.fragments)},
                }
                for call in self.tool_calls
            ]
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason}
        document: dict[str, Any] = {"object": "chat.completion", "model": model, "choices": [choice], **self.more}
        if self.usage is not None:
            document["usage"] = self._usage()
        frame = json.dumps(document).encode()
        return Body(
            frames=[frame if self.stop_after is None else frame[: len(frame) // 2]],
            content_type="application/json",
            hold={0: event} if (event := next(iter(self.hold.values()), None)) is not None else {},
            cut_at_byte=self.cut_at_byte,
            end=self.end,
            delimited=self.delimited,
        )


COUNTED: Mapping[str, Any] = {"counted": True}
"""Usage that the answer counts itself."""


@dataclass(frozen=True)
class Failure:
    """An error response; ``error`` is the object under "error", or a text sent as HTML."""

    status: int
    error: Mapping[str, Any] | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def body(self) -> Body:
        """Return the response."""
        if isinstance(self.error, str):
            frames, content_type = [self.error.encode()], "text/html"
        else:
            error = self.error or {"message": f"status {self.status}", "type": "server_error"}
            frames, content_type = [json.dumps({"error": error}).encode()], "application/json"
        return Body(frames=frames, status=self.status, content_type=content_type, headers=self.headers)


@dataclass(frozen=True)
class NoResponse:
    """The request is read and no byte comes back; then ``end``, by default a long silence."""

    end: End = End.STALL


Behaviour = Answer | Failure | Body | NoResponse


def stalled_after_headers() -> Body:
    """Return a response whose headers come at once, and nothing after them."""
    return Body(end=End.STALL)


def _chunk(model: str, choice: Mapping[str, Any], more: Mapping[str, Any]) -> bytes:
    return _sse(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": model,
            "choices": [choice],
            "usage": None,
            **more,
        }
    )


def _sse(document: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"
