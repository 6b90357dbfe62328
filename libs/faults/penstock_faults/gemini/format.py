"""A script's answers in Gemini's own words: ``generateContent``, streamed and whole, its vectors and its errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote

from penstock_faults.http.format import (
    EVENT_STREAM,
    JSON,
    Asked,
    Counts,
    Document,
    Failure,
    Reply,
    arguments_of,
    encoded,
    server_sent_event,
    status_of,
    written,
)
from penstock_faults.openai.format import vector
from penstock_faults.record import Seen
from penstock_faults.reply import prefix_of
from penstock_faults.script import Block, Error, Text, Thought, ToolCall

_CALL = re.compile(r"/models/([^/:]+):(\w+)$")
_STOPS = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}
_WORDS = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED", 499: "CANCELLED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip
_FIRST_ERROR = 400
_TOO_LONG = "The input token count (4100) exceeds the maximum number of tokens allowed (16)."
_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"


class GeminiFormat:
    """Gemini's ``generateContent``; Vertex' paths for it end alike."""

    name = "gemini"
    base_path = "/v1beta"
    stream_type = EVENT_STREAM
    ping = b": ping\n\n"
    torn = '{"candidates":[{"content":{"parts":[{"te'

    def answers(self, path: str) -> bool:
        """Return whether a path is one of its own."""
        return _CALL.search(path) is not None

    def asked(self, seen: Seen) -> Asked:
        """Return what a request asks for."""
        found, body = _CALL.search(seen.bare_path), seen.body
        model, method = (unquote(found[1]), found[2]) if found is not None else ("", "generateContent")
        contents = body.get("contents")
        return Asked(
            model=model,
            streams=method == "streamGenerateContent",
            turns=len(cast("list[Any]", contents)) if isinstance(contents, list) else 0,
            prefix=prefix_of(contents, "model", "parts"),
            continues=True,
            kind="answer" if method.endswith("enerateContent") else "other",
        )

    def events(self, reply: Reply) -> Iterator[bytes]:
        """Yield nothing before the first piece, then a response for each, and one with the end; no other end comes."""
        answer, counts = reply.answer, reply.counts
        often = counts if answer.usage_in == "every" else None
        yield b""
        for block in reply.blocks:
            for part in _parts(block):
                yield self.event(written(_response(reply, [part], None, often)))
        if answer.finish_reason is not None:
            yield self.event(written(_response(reply, [], _word(answer.finish_reason), counts)))

    def whole(self, reply: Reply) -> bytes:
        """Return the response in one piece."""
        parts = [_joined(_parts(block)) for block in reply.blocks]
        word = reply.answer.finish_reason
        return encoded(_response(reply, parts, _word(word) if word is not None else None, reply.counts))

    def other(self, seen: Seen, asked: Asked) -> bytes:
        """Return vectors, or the count of a request's tokens."""
        if seen.bare_path.endswith(":countTokens"):
            return encoded({"totalTokens": Counts().input})
        if seen.bare_path.endswith(":batchEmbedContents"):
            requests = cast("list[Any]", seen.body.get("requests") or [])
            return encoded({"embeddings": [{"values": vector(_text_of(one))} for one in requests]})
        return encoded({"embedding": {"values": vector(_text_of(seen.body))}})

    def failure(self, error: Error, status: int, retry_after: str, asked: Asked) -> Failure:
        """Return an error in the place of an answer; of a prompt that is blocked, that it is."""
        if error.code == "content_filter":
            feedback = {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": error.message}
            document = {"promptFeedback": feedback, "usageMetadata": _usage(Counts()), "modelVersion": asked.model}
            if asked.streams:
                return Failure(HTTPStatus.OK, self.event(written(document)), content_type=EVENT_STREAM)
            return Failure(HTTPStatus.OK, encoded(document))
        return Failure(status, encoded(_error(error, status, retry_after)), content_type=JSON)

    def error_event(self, error: Error) -> bytes:
        """Return an error within a stream."""
        return self.event(written(_error(error, HTTPStatus.OK, "")))

    def event(self, data: str) -> bytes:
        """Return an event of a stream that carries this."""
        return server_sent_event(data)


def _error(error: Error, status: int, retry_after: str) -> Document:
    code = status_of(error) if status < _FIRST_ERROR else status
    message = _TOO_LONG if error.code == "context_length_exceeded" else error.message
    found: Document = {"code": code, "message": message, "status": _WORDS.get(code, "UNKNOWN")}
    if retry_after:
        found["details"] = [{"@type": _RETRY_INFO, "retryDelay": _delay(retry_after)}]
    return {"error": found}


def _delay(form: str) -> str:
    if form.endswith("ms") and form[:-2].isdecimal():
        return f"{int(form[:-2]) / 1000:g}s"
    return f"{form.removeprefix('date+')}s"


def _word(finish_reason: str) -> str:
    return _STOPS.get(finish_reason, finish_reason)


def _response(reply: Reply, parts: list[Document], finish: str | None, counts: Counts | None) -> Document:
    candidate: Document = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if not parts:
        candidate = {"content": {"role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
        if explanation := reply.answer.details.get("explanation"):
            candidate["finishMessage"] = explanation
        cited = [citation for block in reply.blocks if isinstance(block, Text) for citation in block.citations]
        if cited:
            candidate["citationMetadata"] = {"citationSources": cited}
    document: Document = {"candidates": [candidate]}
    if counts is not None:
        document["usageMetadata"] = _usage(counts)
    return {**document, "modelVersion": reply.model, "responseId": "scripted"}


def _usage(counts: Counts) -> Document:
    if counts.more:
        return dict(counts.more)
    usage: Document = {
        "promptTokenCount": counts.input,
        "candidatesTokenCount": counts.output - counts.reasoning,
        "totalTokenCount": counts.input + counts.output,
    }
    if counts.cached:
        usage["cachedContentTokenCount"] = counts.cached
    if counts.reasoning:
        usage["thoughtsTokenCount"] = counts.reasoning
    return usage


def _parts(block: Block) -> list[Document]:
    """Return what each piece of a block is; a call is one, and what is hidden is none."""
    if isinstance(block, ToolCall):
        call = {"id": block.id, "name": block.name, "args": arguments_of(block)}
        return [_signed({"functionCall": call}, block.signature)]
    more = {"thought": True} if isinstance(block, Thought) else {}
    parts: list[Document] = [{"text": piece, **more} for piece in block.pieces]
    signature = block.signature if isinstance(block, Text | Thought) else ""
    if signature:
        parts[-1:] = [_signed(part, signature) for part in parts[-1:] or [{"text": "", **more}]]
    return parts


def _signed(part: Document, signature: str) -> Document:
    return {**part, "thoughtSignature": signature} if signature else part


def _joined(parts: list[Document]) -> Document:
    if len(parts) < 2:  # noqa: PLR2004 - one is itself
        return parts[0] if parts else {"text": ""}
    return {**parts[0], **parts[-1], "text": "".join(part["text"] for part in parts)}


def _text_of(request: Any) -> str:
    content = request.get("content") if isinstance(request, dict) else None
    parts = content.get("parts") if isinstance(content, dict) else None
    return "".join(str(part.get("text", "")) for part in parts or [])
