"""A script's answers as Anthropic's messages: events, whole messages and errors; with Vertex' paths for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from penstock_faults.http.format import (
    EVENT_STREAM,
    Asked,
    Counts,
    Document,
    Failure,
    Reply,
    arguments_of,
    encoded,
    said_by,
    server_sent_event,
    status_of,
    written,
)
from penstock_faults.openai.format import models_document
from penstock_faults.record import Seen
from penstock_faults.reply import prefix_of
from penstock_faults.script import Answer, Block, Error, Text, Thought, ToolCall

_ID, _REQUEST_ID = "msg_scripted", "req_scripted"
_VERTEX = re.compile(r"/publishers/anthropic/models/([^/:]+):(stream)?[rR]awPredict$")
_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_OVERLOADED = 529
_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 409: "conflict_error", 413: "request_too_large", 429: "rate_limit_error", 504: "timeout_error",
    503: "overloaded_error", _OVERLOADED: "overloaded_error",
}  # fmt: skip
_TOO_LONG = "prompt is too long: 4100 tokens > 16 maximum"
_PIECE = "content_block_delta"


class AnthropicFormat:
    """Messages."""

    name = "anthropic"
    base_path = ""
    stream_type = EVENT_STREAM
    ping = b'event: ping\ndata: {"type": "ping"}\n\n'
    torn = '{"type":"content_block_delta","index":0,"delta":{"type":"text_de'

    def answers(self, path: str) -> bool:
        """Return whether a path is one of its own."""
        return path.endswith(("/messages", "/messages/count_tokens")) or _VERTEX.search(path) is not None

    def asked(self, seen: Seen) -> Asked:
        """Return what a request asks for."""
        body, vertex = seen.body, _VERTEX.search(seen.bare_path)
        messages = body.get("messages")
        return Asked(
            model=str(body.get("model", "")) if vertex is None else vertex[1],
            streams=body.get("stream") is True or (vertex is not None and bool(vertex[2])),
            turns=len(cast("list[Any]", messages)) if isinstance(messages, list) else 0,
            prefix=prefix_of(messages),
            continues=True,
            kind="other" if seen.bare_path.endswith("/count_tokens") else "answer",
        )

    def events(self, reply: Reply) -> Iterator[bytes]:
        """Yield the message's start, what is said block by block, its end, and the stream's."""
        answer, counts = reply.answer, reply.counts
        waiting = self._start(reply) + self.ping
        index = 0
        for index, block in enumerate(reply.blocks):
            waiting += _event("content_block_start", index=index, content_block=_begun(block))
            if index == 0:
                yield waiting
                waiting = b""
            *deltas, last = _deltas(block) or (None,)
            for delta in deltas:
                yield waiting + _event("content_block_delta", index=index, delta=delta)
                waiting = b""
            if last is not None:
                waiting += _event("content_block_delta", index=index, delta=last)
            yield waiting
            waiting = _event("content_block_stop", index=index)
        if not reply.blocks:
            yield waiting
            waiting = b""
        if answer.finish_reason is not None:
            usage = {} if counts is None else {"usage": _usage(counts)}
            yield waiting + _event("message_delta", delta=_end(answer), **usage)
            waiting = b""
        if answer.done:
            yield waiting + _event("message_stop")

    def _start(self, reply: Reply) -> bytes:
        message = {**_message(reply), "content": [], "stop_reason": None, "stop_sequence": None}
        message.pop("stop_details", None)
        if reply.counts is not None:
            nothing = Counts(input=0) if reply.answer.usage_in == "end" else reply.counts
            message["usage"] = {**_usage(nothing), "output_tokens": min(1, reply.counts.output)}
        return _event("message_start", message=message)

    def whole(self, reply: Reply) -> bytes:
        """Return the message in one piece."""
        return encoded(_message(reply))

    def other(self, seen: Seen, asked: Asked) -> bytes:
        """Return the count of a request's tokens."""
        del seen
        return encoded(models_document([asked.model]) if asked.kind == "models" else {"input_tokens": Counts().input})

    def failure(self, error: Error, status: int, retry_after: str, asked: Asked) -> Failure:
        """Return an error in the place of an answer; what the filter refuses is an answer that says so."""
        del retry_after
        if error.code == "content_filter":
            answer = Answer(finish_reason="content_filter", details={"category": "cyber", "explanation": error.message})
            refused = Reply(answer=answer, blocks=(), model=asked.model, counts=Counts())
            if asked.streams:
                return Failure(200, b"".join(self.events(refused)), content_type=EVENT_STREAM)
            return Failure(200, self.whole(refused))
        message = _TOO_LONG if error.code == "context_length_exceeded" else error.message
        kind = _TYPES.get(status_of(error) if status < _FIRST_ERROR else status, "api_error")
        return Failure(status, encoded(_error(kind, message)), {"request-id": _REQUEST_ID})

    def error_event(self, error: Error) -> bytes:
        """Return an error within a stream."""
        document = _error(_TYPES.get(status_of(error), "api_error"), error.message)
        return server_sent_event(written(document), "error")

    def event(self, data: str) -> bytes:
        """Return an event of a stream that carries this, by its name where it is a piece of the answer."""
        return server_sent_event(data, _PIECE if data.startswith(f'{{"type":"{_PIECE}"') else "")


_FIRST_ERROR = 400


def _event(kind: str, **more: Any) -> bytes:
    return server_sent_event(written({"type": kind, **more}), kind)


def _error(kind: str, message: str) -> Document:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": _REQUEST_ID}


def _message(reply: Reply) -> Document:
    content = [_block(block) for block in reply.blocks]
    document: Document = {
        "id": _ID, "type": "message", "role": "assistant", "model": reply.model, "content": content, **_end(reply.answer),
    }  # fmt: skip
    return document if reply.counts is None else {**document, "usage": _usage(reply.counts, reply.answer.service_tier)}


def _end(answer: Answer) -> Document:
    word = answer.finish_reason
    reason = _STOPS.get(word, word) if word is not None else None
    if answer.matched_stop:
        reason = "stop_sequence"
    end: Document = {"stop_reason": reason, "stop_sequence": answer.matched_stop or None}
    return {**end, "stop_details": {"type": "refusal", **answer.details}} if answer.details else end


def _usage(counts: Counts, tier: str = "") -> Mapping[str, Any]:
    if counts.more:
        return dict(counts.more)
    usage: Document = {
        "input_tokens": counts.input - counts.cached - counts.written,
        "cache_creation_input_tokens": counts.written,
        "cache_read_input_tokens": counts.cached,
        "output_tokens": counts.output,
    }
    if counts.written:
        usage["cache_creation"] = {
            "ephemeral_5m_input_tokens": counts.written - counts.written_1h,
            "ephemeral_1h_input_tokens": counts.written_1h,
        }
    if counts.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": counts.reasoning}
    return {**usage, "service_tier": tier} if tier else usage


def _block(block: Block) -> Document:
    """Return a whole block of content."""
    if isinstance(block, ToolCall):
        return {"type": "tool_use", "id": block.id, "name": block.name, "input": arguments_of(block)}
    if isinstance(block, Thought):
        if block.hidden:
            return {"type": "redacted_thinking", "data": block.hidden}
        return {"type": "thinking", "thinking": said_by(block), "signature": block.signature}
    text: Document = {"type": "text", "text": said_by(block)}
    return {**text, "citations": list(block.citations)} if isinstance(block, Text) and block.citations else text


def _begun(block: Block) -> Document:
    """Return a block as it begins."""
    if isinstance(block, ToolCall):
        return {"type": "tool_use", "id": block.id, "name": block.name, "input": {}}
    if isinstance(block, Thought):
        return _block(block) if block.hidden else {"type": "thinking", "thinking": "", "signature": ""}
    return {"type": "text", "text": ""}


def _deltas(block: Block) -> list[Document]:
    if isinstance(block, ToolCall):
        return [{"type": "input_json_delta", "partial_json": piece} for piece in block.fragments]
    if isinstance(block, Thought):
        signed = [{"type": "signature_delta", "signature": block.signature}] if block.signature else []
        return [*({"type": "thinking_delta", "thinking": piece} for piece in block.pieces), *signed]
    cited = block.citations if isinstance(block, Text) else ()
    texts = [{"type": "text_delta", "text": piece} for piece in block.pieces]
    return [*texts, *({"type": "citations_delta", "citation": dict(citation)} for citation in cited)]
