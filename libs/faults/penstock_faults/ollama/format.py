"""A script's answers in Ollama's own words: lines of JSON, and errors that are a text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from penstock_faults.http.format import (
    Asked,
    Counts,
    Document,
    Failure,
    Reply,
    arguments_of,
    encoded,
    is_text,
    said_by,
    written,
)
from penstock_faults.openai.format import texts_of, vector
from penstock_faults.record import Seen
from penstock_faults.reply import prefix_of
from penstock_faults.script import Block, Error, Thought, ToolCall

_CREATED = "2026-11-01T00:00:00Z"
_STOPS = {"tool_calls": "stop", "content_filter": "stop"}
_SECOND = 1_000_000_000


class OllamaFormat:
    """Ollama's ``/api``."""

    name = "ollama"
    base_path = ""
    stream_type = "application/x-ndjson"
    ping = b"\n"
    torn = '{"model":"m","message":{"role":"assistant","co'

    def answers(self, path: str) -> bool:
        """Return whether a path is one of its own."""
        return path.endswith(("/api/chat", "/api/embed", "/api/tags"))

    def asked(self, seen: Seen) -> Asked:
        """Return what a request asks for; it streams unless it is told not to."""
        body, path = seen.body, seen.bare_path
        messages = body.get("messages")
        return Asked(
            model=str(body.get("model", "")),
            streams=body.get("stream") is not False,
            turns=len(cast("list[Any]", messages)) if isinstance(messages, list) else 0,
            prefix=prefix_of(messages),
            continues=True,
            kind="models" if path.endswith("/tags") else "other" if path.endswith("/embed") else "answer",
        )

    def events(self, reply: Reply) -> Iterator[bytes]:
        """Yield nothing before the first piece, then a line for each, and the last one, which has the numbers."""
        yield b""
        for block in reply.blocks:
            for message in _messages(block):
                yield _line({**_head(reply), "message": message, "done": False})
        if reply.answer.finish_reason is not None:
            yield _line({**_head(reply), "message": {"role": "assistant", "content": ""}, **_end(reply)})

    def whole(self, reply: Reply) -> bytes:
        """Return the answer in one piece."""
        message: Document = {
            "role": "assistant",
            "content": "".join(said_by(one) for one in reply.blocks if is_text(one)),
        }
        if thought := "".join(said_by(one) for one in reply.blocks if isinstance(one, Thought)):
            message["thinking"] = thought
        if calls := [_call(one) for one in reply.blocks if isinstance(one, ToolCall)]:
            message["tool_calls"] = calls
        end = _end(reply) if reply.answer.finish_reason is not None else {"done": False}
        return encoded({**_head(reply), "message": message, **end})

    def other(self, seen: Seen, asked: Asked) -> bytes:
        """Return vectors, or the list of models."""
        if asked.kind == "models":
            return encoded({"models": [{"name": "scripted", "model": "scripted"}]})
        texts = texts_of(seen.body.get("input"))
        vectors = [vector(text) for text in texts]
        return encoded({"model": asked.model, "embeddings": vectors, "prompt_eval_count": len(texts)})

    def failure(self, error: Error, status: int, retry_after: str, asked: Asked) -> Failure:
        """Return an error in the place of an answer; a filter that refuses is not among what it knows."""
        del retry_after, asked
        return Failure(status, encoded({"error": error.message}))

    def error_event(self, error: Error) -> bytes:
        """Return an error within a stream."""
        return _line({"error": error.message})

    def event(self, data: str) -> bytes:
        """Return an event of a stream that carries this."""
        return f"{data}\n".encode()


def _line(document: Document) -> bytes:
    return f"{written(document)}\n".encode()


def _head(reply: Reply) -> Document:
    return {"model": reply.model, "created_at": _CREATED}


def _end(reply: Reply) -> Document:
    word = reply.answer.finish_reason or ""
    end: Document = {"done": True, "done_reason": _STOPS.get(word, word)}
    return end if reply.counts is None else {**end, **_usage(reply.counts)}


def _usage(counts: Counts) -> Document:
    if counts.more:
        return dict(counts.more)
    return {"total_duration": _SECOND, "prompt_eval_count": counts.input, "eval_count": counts.output}


def _messages(block: Block) -> Iterator[Document]:
    if isinstance(block, ToolCall):
        yield {"role": "assistant", "content": "", "tool_calls": [_call(block)]}
        return
    for piece in block.pieces:
        if isinstance(block, Thought):
            yield {"role": "assistant", "content": "", "thinking": piece}
        else:
            yield {"role": "assistant", "content": piece}


def _call(call: ToolCall) -> Document:
    return {"function": {"name": call.name, "arguments": arguments_of(call)}}
