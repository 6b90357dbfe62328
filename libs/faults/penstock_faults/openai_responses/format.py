"""A script's answers as OpenAI's responses: items, their events, and errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from penstock_faults.http.format import (
    EVENT_STREAM,
    Asked,
    Counts,
    Document,
    Failure,
    Reply,
    encoded,
    said_by,
    server_sent_event,
    written,
)
from penstock_faults.openai.format import error_document, models_document
from penstock_faults.record import Seen
from penstock_faults.reply import prefix_of
from penstock_faults.script import Block, Error, Refusal, Text, Thought, ToolCall

_ID, _CREATED = "resp_scripted", 1_700_000_000
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_PIECE = "response.output_text.delta"


class ResponsesFormat:
    """Responses."""

    name = "openai_responses"
    base_path = "/v1"
    stream_type = EVENT_STREAM
    ping = b": ping\n\n"
    torn = '{"type":"response.output_text.delta","output_index":0,"del'

    def answers(self, path: str) -> bool:
        """Return whether a path is one of its own."""
        return path.endswith(("/responses", "/responses/input_tokens"))

    def asked(self, seen: Seen) -> Asked:
        """Return what a request asks for."""
        body = seen.body
        given = body.get("input")
        items = cast("list[Any]", given) if isinstance(given, list) else [given] if given else []
        return Asked(
            model=str(body.get("model", "")),
            streams=body.get("stream") is True,
            turns=len(items),
            prefix=prefix_of(items),
            continues=True,
            kind="other" if seen.bare_path.endswith("/input_tokens") else "answer",
        )

    def events(self, reply: Reply) -> Iterator[bytes]:
        """Yield the response's beginning, each item piece by piece, its end, and ``[DONE]``."""
        numbered = _Numbered()
        begun = {**_response(reply, [], "in_progress", None), "usage": None}
        waiting = numbered.event("response.created", response=begun)
        waiting += numbered.event("response.in_progress", response=begun)
        for index, item in enumerate(_items(reply)):
            waiting += numbered.begun(index, item)
            if index == 0:
                yield waiting
                waiting = b""
            for piece in pieces_of_item(item):
                yield waiting + numbered.delta(index, item, piece)
                waiting = b""
            waiting += numbered.done(index, item)
        if not reply.blocks:
            yield waiting
            waiting = b""
        if reply.answer.finish_reason is not None:
            ended = _ended(reply)
            yield waiting + numbered.event(f"response.{ended['status']}", response=ended)
            waiting = b""
        if reply.answer.done:
            yield waiting + server_sent_event("[DONE]")

    def whole(self, reply: Reply) -> bytes:
        """Return the response in one piece."""
        return encoded(_ended(reply))

    def other(self, seen: Seen, asked: Asked) -> bytes:
        """Return the count of a request's tokens."""
        del seen
        counted = {"object": "response.input_tokens", "input_tokens": Counts().input}
        return encoded(models_document([asked.model]) if asked.kind == "models" else counted)

    def failure(self, error: Error, status: int, retry_after: str, asked: Asked) -> Failure:
        """Return an error in the place of an answer."""
        del retry_after, asked
        return Failure(status, encoded(error_document(error)))

    def error_event(self, error: Error) -> bytes:
        """Return an error within a stream: the event, and that the response failed."""
        code = "server_is_overloaded" if error.code == "overloaded" else str(error.code or error.type or "server_error")
        flat = {"type": "error", "code": code, "message": error.message, "param": error.param, "sequence_number": 99}
        failed = {
            "id": _ID,
            "object": "response",
            "status": "failed",
            "error": {"code": code, "message": error.message},
        }
        told = server_sent_event(written({**flat, "error": error_document(error)["error"]}), "error")
        document = {"type": "response.failed", "sequence_number": 100, "response": {**failed, "output": []}}
        return told + server_sent_event(written(document), "response.failed")

    def event(self, data: str) -> bytes:
        """Return an event of a stream that carries this, by its name where it is a piece of the answer."""
        return server_sent_event(data, _PIECE if data.startswith(f'{{"type":"{_PIECE}"') else "")


class _Item:
    """One item of the output: a message of one part, a call, or reasoning."""

    def __init__(self, index: int, block: Block) -> None:
        self.block = block
        prefix = "fc" if isinstance(block, ToolCall) else "rs" if isinstance(block, Thought) else "msg"
        self.id = f"{prefix}_{index}"

    @property
    def part(self) -> Document:
        """The part of a message."""
        if isinstance(self.block, Refusal):
            return {"type": "refusal", "refusal": said_by(self.block)}
        cited = self.block.citations if isinstance(self.block, Text) else ()
        return {"type": "output_text", "text": said_by(self.block), "annotations": list(cited), "logprobs": []}

    @property
    def whole(self) -> Document:
        """All of it."""
        block = self.block
        if isinstance(block, ToolCall):
            call = {"call_id": block.id, "name": block.name, "arguments": said_by(block)}
            return {"type": "function_call", "id": self.id, "status": "completed", **call}
        if isinstance(block, Thought):
            summary = [{"type": "summary_text", "text": said_by(block)}] if block.pieces else []
            reasoning: Document = {"type": "reasoning", "id": self.id, "summary": summary}
            hidden = block.hidden or block.signature
            return {**reasoning, "encrypted_content": hidden} if hidden else reasoning
        message = {"role": "assistant", "status": "completed", "content": [self.part]}
        return {"type": "message", "id": self.id, **message}

    @property
    def begun(self) -> Document:
        """As much of it as there is at its beginning."""
        whole = self.whole
        empty = {"arguments": "", "summary": [], "content": []}
        return {
            name: empty.get(name, "in_progress" if name == "status" else value)
            for name, value in whole.items()
            if name != "encrypted_content"
        }


def _items(reply: Reply) -> list[_Item]:
    return [_Item(index, block) for index, block in enumerate(reply.blocks)]


def pieces_of_item(item: _Item) -> tuple[str, ...]:
    """Return the pieces that come as deltas."""
    return item.block.fragments if isinstance(item.block, ToolCall) else item.block.pieces


class _Numbered:
    """Events with their numbers."""

    def __init__(self) -> None:
        self._next = 0

    def event(self, kind: str, **more: Any) -> bytes:
        document = {"type": kind, "sequence_number": self._next, **more}
        self._next += 1
        return server_sent_event(written(document), kind)

    def begun(self, index: int, item: _Item) -> bytes:
        told = self.event("response.output_item.added", output_index=index, item=item.begun)
        if isinstance(item.block, ToolCall):
            return told
        where = {"item_id": item.id, "output_index": index}
        if isinstance(item.block, Thought):
            if not item.block.pieces:
                return told
            part = {"type": "summary_text", "text": ""}
            return told + self.event("response.reasoning_summary_part.added", **where, summary_index=0, part=part)
        empty = {"refusal": ""} if isinstance(item.block, Refusal) else {"text": "", "annotations": []}
        part = {"type": item.part["type"], **empty}
        return told + self.event("response.content_part.added", **where, content_index=0, part=part)

    def delta(self, index: int, item: _Item, piece: str) -> bytes:
        where: Document = {"item_id": item.id, "output_index": index}
        if isinstance(item.block, ToolCall):
            return self.event("response.function_call_arguments.delta", **where, delta=piece)
        if isinstance(item.block, Thought):
            return self.event("response.reasoning_summary_text.delta", **where, summary_index=0, delta=piece)
        kind = "refusal" if isinstance(item.block, Refusal) else "output_text"
        return self.event(f"response.{kind}.delta", **where, content_index=0, delta=piece)

    def done(self, index: int, item: _Item) -> bytes:
        block, where = item.block, {"item_id": item.id, "output_index": index}
        said, told = said_by(block), b""
        if isinstance(block, ToolCall):
            told = self.event("response.function_call_arguments.done", **where, name=block.name, arguments=said)
        elif isinstance(block, Thought):
            if block.pieces:
                part = {"type": "summary_text", "text": said}
                told = self.event("response.reasoning_summary_text.done", **where, summary_index=0, text=said)
                told += self.event("response.reasoning_summary_part.done", **where, summary_index=0, part=part)
        else:
            told = self._message_done(item, where, said)
        return told + self.event("response.output_item.done", output_index=index, item=item.whole)

    def _message_done(self, item: _Item, where: Document, said: str) -> bytes:
        if isinstance(item.block, Refusal):
            told = self.event("response.refusal.done", **where, content_index=0, refusal=said)
            return told + self.event("response.content_part.done", **where, content_index=0, part=item.part)
        told = b""
        for number, annotation in enumerate(item.part["annotations"]):
            more = {"content_index": 0, "annotation_index": number, "annotation": annotation}
            told += self.event("response.output_text.annotation.added", **where, **more)
        told += self.event("response.output_text.done", **where, content_index=0, text=said, logprobs=[])
        return told + self.event("response.content_part.done", **where, content_index=0, part=item.part)


def _ended(reply: Reply) -> Document:
    items = [item.whole for item in _items(reply)]
    if reply.answer.finish_reason is None:
        return _response(reply, items, "in_progress", None)
    incomplete = _INCOMPLETE.get(reply.answer.finish_reason)
    return _response(reply, items, "incomplete" if incomplete else "completed", incomplete)


def _response(reply: Reply, output: list[Document], status: str, incomplete: str | None) -> Document:
    document: Document = {
        "id": _ID, "object": "response", "created_at": _CREATED, "status": status, "model": reply.model,
        "error": None, "incomplete_details": {"reason": incomplete} if incomplete else None, "output": output,
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "store": False,
    }  # fmt: skip
    if reply.answer.service_tier:
        document["service_tier"] = reply.answer.service_tier
    return document if reply.counts is None else {**document, "usage": _usage(reply.counts)}


def _usage(counts: Counts) -> Document:
    if counts.more:
        return dict(counts.more)
    return {
        "input_tokens": counts.input,
        "input_tokens_details": {"cached_tokens": counts.cached, "cache_write_tokens": counts.written},
        "output_tokens": counts.output,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": counts.input + counts.output,
    }
