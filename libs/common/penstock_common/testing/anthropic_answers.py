"""Answers as Anthropic's Messages API writes them, streamed and whole, for servers that a test runs.

https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock_common.testing.openai_answers import Body

Block = Mapping[str, Any]
"""One block of a message's content."""

_DELTAS = {
    "text": ("text", "text_delta", "text"),
    "thinking": ("thinking", "thinking_delta", "thinking"),
}


@dataclass(frozen=True, kw_only=True)
class Message:
    """An answer; ``pieces`` is how many characters of a text come with one event, None for all of it."""

    content: Sequence[Block] = ({"type": "text", "text": "Hello, world."},)
    stop_reason: str = "end_turn"
    stop_sequence: str | None = None
    stop_details: Mapping[str, Any] | None = None
    usage: Mapping[str, Any] = field(default_factory=lambda: {"input_tokens": 7, "output_tokens": 4})
    model: str = "m"
    pieces: int | None = 6

    def whole(self) -> Body:
        """Return it in one piece."""
        document = {**self._begun(), "content": list(self.content), "stop_reason": self.stop_reason}
        document |= {"stop_sequence": self.stop_sequence, "usage": dict(self.usage)}
        if self.stop_details is not None:
            document["stop_details"] = dict(self.stop_details)
        return Body(frames=[_encoded(document)], content_type="application/json")

    def streamed(self) -> Body:
        """Return it as events, each a frame."""
        return Body(frames=list(self.events()))

    def events(self) -> Iterator[bytes]:
        """Yield the events of the stream, as they are written."""
        before = {**self.usage, "output_tokens": min(1, self.usage.get("output_tokens", 0))}
        yield event({"type": "message_start", "message": {**self._begun(), "usage": before}})
        for index, block in enumerate(self.content):
            yield from self._block_events(index, block)
        delta: dict[str, Any] = {"stop_reason": self.stop_reason, "stop_sequence": self.stop_sequence}
        if self.stop_details is not None:
            delta["stop_details"] = dict(self.stop_details)
        # The split of what was written to the cache is told at the start alone.
        counts = {name: count for name, count in self.usage.items() if name not in ("cache_creation", "service_tier")}
        yield event({"type": "message_delta", "delta": delta, "usage": counts})
        yield event({"type": "message_stop"})

    def _begun(self) -> dict[str, Any]:
        return {
            "id": "msg_01",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }

    def _block_events(self, index: int, block: Block) -> Iterator[bytes]:
        begun, deltas = _opened(block, self.pieces)
        yield event({"type": "content_block_start", "index": index, "content_block": begun})
        for delta in deltas:
            yield event({"type": "content_block_delta", "index": index, "delta": delta})
        yield event({"type": "content_block_stop", "index": index})


def event(document: Mapping[str, Any]) -> bytes:
    """Return one event of a stream; its name is the document's ``type``."""
    return b"event: %b\ndata: %b\n\n" % (document["type"].encode(), _encoded(document))


def error(kind: str, message: str, **more: Any) -> dict[str, Any]:
    """Return the document of an error, as responses and events carry it."""
    return {"type": "error", "error": {"type": kind, "message": message, **more}, "request_id": "req_011"}


def refusal(status: int, kind: str, message: str, headers: Mapping[str, str] | None = None, **more: Any) -> Body:
    """Return a response with an error status."""
    return Body(
        frames=[_encoded(error(kind, message, **more))],
        status=status,
        content_type="application/json",
        headers={"request-id": "req_011", **(headers or {})},
    )


def _opened(block: Block, size: int | None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a block as it starts, and the deltas that make it whole."""
    kind = block["type"]
    if kind in ("tool_use", "server_tool_use"):
        arguments = json.dumps(block["input"], separators=(",", ":")) if block["input"] else ""
        pieces = ["", *_pieces(arguments, size)]
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    if kind not in _DELTAS:
        return dict(block), []
    name, delta, member = _DELTAS[kind]
    begun = {**block, name: ""}
    deltas = [{"type": delta, member: piece} for piece in _pieces(block[name], size)]
    deltas += [{"type": "citations_delta", "citation": citation} for citation in block.get("citations") or ()]
    if block.get("citations"):
        begun["citations"] = []
    if kind == "thinking":
        begun["signature"] = ""
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    return begun, deltas


def _pieces(text: str, size: int | None) -> list[str]:
    if not text:
        return []
    return [text] if size is None else [text[at : at + size] for at in range(0, len(text), size)]


def _encoded(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
