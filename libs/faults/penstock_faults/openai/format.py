"""A script's answers as OpenAI's documents: chunks, completions, embeddings and errors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
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
from penstock_faults.record import Seen
from penstock_faults.reply import prefix_of
from penstock_faults.script import Error, Refusal, Text, Thought, ToolCall

DIMENSIONS = 8
"""Of vectors, which are made of the text's digest: the same for the same text."""
_ID, _CREATED = "chatcmpl-scripted", 1_700_000_000


class ChatFormat:
    """Chat completions."""

    name = "openai"
    base_path = "/v1"
    stream_type = EVENT_STREAM
    ping = b": ping\n\n"
    torn = '{"choices":[{"delta":{"co'

    def answers(self, path: str) -> bool:
        """Return whether a path is one of its own."""
        return path.endswith(("/chat/completions", "/embeddings", "/models"))

    def asked(self, seen: Seen) -> Asked:
        """Return what a request asks for."""
        body, path = seen.body, seen.bare_path
        kind = "models" if path.endswith("/models") else "other" if path.endswith("/embeddings") else "answer"
        messages = body.get("messages")
        return Asked(
            model=str(body.get("model", "")),
            streams=body.get("stream") is True,
            turns=len(cast("list[Any]", messages)) if isinstance(messages, list) else 0,
            prefix=prefix_of(messages),
            continues=body.get("continue_final_message") is True,
            kind=kind,
        )

    def events(self, reply: Reply) -> Iterator[bytes]:
        """Yield the role, what is said, the finish reason, usage, ``[DONE]``."""
        answer = reply.answer
        usage = usage_of(reply.counts)
        often = usage if answer.usage_in == "every" else None
        for delta in _deltas(reply):
            yield self.event(written(self.chunk(reply, delta, None, often)))
        if answer.finish_reason is not None:
            with_end = None if answer.usage_in == "last" else usage
            yield self.event(written(self.chunk(reply, {}, answer.finish_reason, with_end)))
        if usage is not None and answer.usage_in == "last":
            head = {"id": _ID, "object": "chat.completion.chunk", "model": reply.model}
            yield self.event(written({**head, "choices": [], "usage": usage}))
        if answer.done:
            yield self.event("[DONE]")

    def chunk(self, reply: Reply, delta: Mapping[str, Any], finish: str | None, usage: Document | None) -> Document:
        """Return one chunk of a stream."""
        choice: Document = {"index": 0, "delta": delta, "finish_reason": finish}
        if finish is not None and reply.answer.matched_stop:
            choice["stop_reason"] = reply.answer.matched_stop
        document: Document = {
            "id": _ID, "object": "chat.completion.chunk", "created": _CREATED, "model": reply.model, "choices": [choice],
        }  # fmt: skip
        return _with(document, reply, usage)

    def whole(self, reply: Reply) -> bytes:
        """Return the answer in one piece."""
        return encoded(self.completion(reply))

    def completion(self, reply: Reply) -> Document:
        """Return the answer in one piece, as a document."""
        answer = reply.answer
        choice: Document = {"index": 0, "message": _message(reply), "finish_reason": answer.finish_reason}
        if answer.matched_stop:
            choice["stop_reason"] = answer.matched_stop
        document: Document = {
            "id": _ID, "object": "chat.completion", "created": _CREATED, "model": reply.model, "choices": [choice],
        }  # fmt: skip
        return _with(document, reply, usage_of(reply.counts))

    def other(self, seen: Seen, asked: Asked) -> bytes:
        """Return vectors, or the list of models."""
        if asked.kind == "models":
            return encoded(models_document(["scripted"]))
        return encoded(embeddings_of(texts_of(seen.body.get("input")), asked.model))

    def failure(self, error: Error, status: int, retry_after: str, asked: Asked) -> Failure:
        """Return an error in the place of an answer."""
        del retry_after, asked
        return Failure(status, encoded(error_document(error)))

    def error_event(self, error: Error) -> bytes:
        """Return an error within a stream."""
        return self.event(written(error_document(error)))

    def event(self, data: str) -> bytes:
        """Return an event of a stream that carries this."""
        return server_sent_event(data)


def error_document(error: Error) -> Document:
    """Return the object that carries an error."""
    return {"error": {"message": error.message, "type": error.type, "code": error.code, "param": error.param}}


def embeddings_of(texts: Sequence[str], model: str) -> Document:
    """Return a vector for each text."""
    data = [{"object": "embedding", "index": index, "embedding": vector(text)} for index, text in enumerate(texts)]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return {"object": "list", "model": model, "data": data, "usage": usage}


def models_document(names: Sequence[str]) -> Document:
    """Return the list of models."""
    return {
        "object": "list",
        "data": [{"id": name, "object": "model", "owned_by": "penstock-faults"} for name in names],
    }


def texts_of(asked: object) -> list[str]:
    """Return the texts that embeddings are asked for."""
    if isinstance(asked, str):
        return [asked]
    return [str(text) for text in cast("list[Any]", asked)] if isinstance(asked, list) else []


def usage_of(counts: Counts | None) -> Document | None:
    """Return the usage in OpenAI's names."""
    if counts is None:
        return None
    usage: Document = {}
    if not counts.more:
        total = counts.input + counts.output
        usage = {"prompt_tokens": counts.input, "completion_tokens": counts.output, "total_tokens": total}
    if counts.cached or counts.written:
        usage["prompt_tokens_details"] = {"cached_tokens": counts.cached, "cache_write_tokens": counts.written}
    if counts.reasoning:
        usage["completion_tokens_details"] = {"reasoning_tokens": counts.reasoning}
    return {**usage, **counts.more}


def vector(text: str) -> list[float]:
    """Return the vector of a text, of length 1."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:DIMENSIONS]
    numbers = [byte / 255 - 0.5 for byte in digest]
    length = sum(number * number for number in numbers) ** 0.5 or 1.0
    return [number / length for number in numbers]


def _with(document: Document, reply: Reply, usage: Document | None) -> Document:
    if usage is not None:
        document["usage"] = usage
    if reply.answer.service_tier:
        document["service_tier"] = reply.answer.service_tier
    return document


def _deltas(reply: Reply) -> Iterator[Document]:
    yield {"role": "assistant", "content": ""}
    calls = 0
    for block in reply.blocks:
        if isinstance(block, ToolCall):
            first = {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": ""}}
            yield {"tool_calls": [{"index": calls, **first}]}
            for fragment in block.fragments:
                yield {"tool_calls": [{"index": calls, "function": {"arguments": fragment}}]}
            calls += 1
        else:
            for piece in block.pieces:
                yield {_FIELDS[type(block)]: piece}


_FIELDS: dict[type[Any], str] = {Text: "content", Thought: "reasoning_content", Refusal: "refusal"}


def _message(reply: Reply) -> Document:
    message: Document = {"role": "assistant", "content": reply.text or None}
    for kind in (Thought, Refusal):
        if said := "".join(said_by(block) for block in reply.blocks if isinstance(block, kind)):
            message[_FIELDS[kind]] = said
    if calls := [_whole_call(block) for block in reply.blocks if isinstance(block, ToolCall)]:
        message["tool_calls"] = calls
    return message


def _whole_call(call: ToolCall) -> Document:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": said_by(call)}}
