"""A script's answers as OpenAI's documents: chunks, completions, embeddings and errors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from penstock_faults.script import Answer, Error, ToolCall

INPUT_TOKENS = 7
"""What every conversation counts for."""
DIMENSIONS = 8
"""Of vectors, which are made of the text's digest: the same for the same text."""
_ID, _CREATED = "chatcmpl-scripted", 1_700_000_000

Document = dict[str, Any]


def error_document(error: Error) -> Document:
    """Return the object that carries an error."""
    return {"error": {"message": error.message, "type": error.type, "code": error.code, "param": error.param}}


def events_of(answer: Answer, tokens: Sequence[str], model: str) -> Iterator[bytes]:
    """Yield the events of a stream: the role, what is said, the finish reason, usage, ``[DONE]``."""
    for delta in _deltas(answer, tokens):
        yield event(json.dumps(_chunk(model, delta, None)))
    if answer.finish_reason is not None:
        yield event(json.dumps(_chunk(model, {}, answer.finish_reason)))
    usage = _usage(answer, tokens)
    if usage is not None:
        yield event(
            json.dumps({"id": _ID, "object": "chat.completion.chunk", "model": model, "choices": [], "usage": usage})
        )
    if answer.done:
        yield event("[DONE]")


def event(data: str) -> bytes:
    """Return a server-sent event."""
    return f"data: {data}\n\n".encode()


def completion_of(answer: Answer, tokens: Sequence[str], model: str) -> Document:
    """Return the answer in one piece."""
    message: Document = {"role": "assistant", "content": "".join(tokens) if tokens else None}
    if answer.reasoning:
        message["reasoning_content"] = "".join(answer.reasoning)
    if answer.tool_calls:
        message["tool_calls"] = [_whole_call(call) for call in answer.tool_calls]
    choice = {"index": 0, "message": message, "finish_reason": answer.finish_reason}
    document: Document = {
        "id": _ID, "object": "chat.completion", "created": _CREATED, "model": model, "choices": [choice],
    }  # fmt: skip
    usage = _usage(answer, tokens)
    return document if usage is None else {**document, "usage": usage}


def embeddings_of(texts: Sequence[str], model: str) -> Document:
    """Return a vector for each text."""
    data = [{"object": "embedding", "index": index, "embedding": _vector(text)} for index, text in enumerate(texts)]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return {"object": "list", "model": model, "data": data, "usage": usage}


def models_document(names: Sequence[str]) -> Document:
    """Return the list of models."""
    return {
        "object": "list",
        "data": [{"id": name, "object": "model", "owned_by": "penstock-faults"} for name in names],
    }


def _chunk(model: str, delta: Mapping[str, Any], finish_reason: str | None) -> Document:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": _ID, "object": "chat.completion.chunk", "created": _CREATED, "model": model, "choices": [choice]}


def _deltas(answer: Answer, tokens: Sequence[str]) -> Iterator[Document]:
    yield {"role": "assistant", "content": ""}
    for text in answer.reasoning:
        yield {"reasoning_content": text}
    for text in tokens:
        yield {"content": text}
    for index, call in enumerate(answer.tool_calls):
        first = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        yield {"tool_calls": [{"index": index, **first}]}
        for fragment in call.fragments:
            yield {"tool_calls": [{"index": index, "function": {"arguments": fragment}}]}


def _whole_call(call: ToolCall) -> Document:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": "".join(call.fragments)}}


def _usage(answer: Answer, tokens: Sequence[str]) -> Document | None:
    if answer.usage == "missing":
        return None
    if not isinstance(answer.usage, str):
        return dict(answer.usage)
    fragments = sum(len(call.fragments) for call in answer.tool_calls)
    output = 0 if answer.usage == "zero" else len(tokens) + len(answer.reasoning) + fragments
    prompt = 0 if answer.usage == "zero" else INPUT_TOKENS
    return {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}


def _vector(text: str) -> list[float]:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:DIMENSIONS]
    numbers = [byte / 255 - 0.5 for byte in digest]
    length = sum(number * number for number in numbers) ** 0.5 or 1.0
    return [number / length for number in numbers]


def encoded(document: Document) -> bytes:
    """Return the JSON of a document."""
    return msgspec.json.encode(document)
