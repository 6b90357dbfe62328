"""What Bedrock's Converse answers, well or badly, for an ``OpenAIUpstream``, which serves any bytes.

    upstream.enqueue(Converse(blocks=[text("Hel", "lo")]).body())

Frames are written by hand here, so that they can be wrong in every way.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock_common.testing.openai_answers import Body, End

EVENT_STREAM = "application/vnd.amazon.eventstream"

USAGE: Mapping[str, Any] = {"inputTokens": 7, "outputTokens": 4, "totalTokens": 11}


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Return one frame; all headers are strings."""
    raw = b"".join(
        bytes([len(name.encode())]) + name.encode() + b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(raw) + len(payload), len(raw))
    whole = prelude + struct.pack(">I", zlib.crc32(prelude)) + raw + payload
    return whole + struct.pack(">I", zlib.crc32(whole))


def event(kind: str, value: Mapping[str, Any]) -> bytes:
    """Return the frame of one event, padded as Bedrock pads."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, json.dumps({**value, "p": "abcdefgh"}, separators=(",", ":")).encode())


def exception(kind: str, message: str, **more: Any) -> bytes:
    """Return the frame of an exception within a stream."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, json.dumps({"message": message, **more}).encode())


@dataclass(frozen=True)
class Block:
    """A content block: its start, its deltas, and what it is in a whole answer."""

    deltas: Sequence[Mapping[str, Any]]
    whole: Mapping[str, Any]
    start: Mapping[str, Any] | None = None


def text(*pieces: str) -> Block:
    """Return a block of text."""
    return Block([{"text": piece} for piece in pieces], {"text": "".join(pieces)})


def tool_use(identity: str, name: str, *pieces: str) -> Block:
    """Return a call, its arguments in pieces."""
    whole = {"toolUseId": identity, "name": name, "input": json.loads("".join(pieces) or "{}")}
    return Block(
        [{"toolUse": {"input": piece}} for piece in pieces],
        {"toolUse": whole},
        {"toolUse": {"toolUseId": identity, "name": name}},
    )


def reasoning(*pieces: str, signature: str = "") -> Block:
    """Return reasoning that is shown."""
    deltas = [{"reasoningContent": {"text": piece}} for piece in pieces]
    shown = {"text": "".join(pieces)}
    if signature:
        deltas.append({"reasoningContent": {"signature": signature}})
        shown["signature"] = signature
    return Block(deltas, {"reasoningContent": {"reasoningText": shown}})


def redacted(content: str) -> Block:
    """Return reasoning that is not."""
    block = {"reasoningContent": {"redactedContent": content}}
    return Block([block], block)


@dataclass(frozen=True, kw_only=True)
class Converse:
    """An answer. ``failure`` is a frame that comes after the blocks, and then nothing does; ``stop_after`` ends it early."""

    blocks: Sequence[Block] = field(default_factory=lambda: [text("Hello", ", ", "world", ".")])
    stop_reason: str = "end_turn"
    usage: Mapping[str, Any] | None = field(default_factory=lambda: USAGE)
    stop_more: Mapping[str, Any] = field(default_factory=dict[str, Any])
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Members of the metadata, or of the whole answer."""
    failure: bytes = b""
    stop_after: int | None = None
    end: End = End.CLEAN

    def frames(self) -> list[bytes]:
        """Return the frames of the stream."""
        frames = [event("messageStart", {"role": "assistant"})]
        for index, block in enumerate(self.blocks):
            place = {"contentBlockIndex": index}
            if block.start is not None:
                frames.append(event("contentBlockStart", {"start": block.start, **place}))
            frames += [event("contentBlockDelta", {"delta": delta, **place}) for delta in block.deltas]
            frames.append(event("contentBlockStop", place))
        if self.failure:
            return [*frames, self.failure]
        frames.append(event("messageStop", {"stopReason": self.stop_reason, **self.stop_more}))
        if self.usage is not None:
            frames.append(event("metadata", {"usage": self.usage, "metrics": {"latencyMs": 9}, **self.more}))
        return frames

    def body(self) -> Body:
        """Return the streamed answer."""
        return Body(frames=self.frames()[: self.stop_after], content_type=EVENT_STREAM, end=self.end)

    def completion(self) -> Body:
        """Return the whole answer."""
        message = {"role": "assistant", "content": [block.whole for block in self.blocks]}
        answer = {"output": {"message": message}, "stopReason": self.stop_reason, **self.stop_more, **self.more}
        if self.usage is not None:
            answer["usage"] = self.usage
        encoded = json.dumps(answer, separators=(",", ":")).encode()
        return Body(frames=[encoded], content_type="application/json", end=self.end)


def refusal(status: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> Body:
    """Return an error response."""
    return Body(
        frames=[json.dumps({"message": message}).encode()],
        status=status,
        content_type="application/json",
        headers={"x-amzn-ErrorType": f"{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/", **(headers or {})},
    )
