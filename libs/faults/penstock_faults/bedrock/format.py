"""A script's answers as Amazon Bedrock's Converse: frames of its event stream, whole answers, exceptions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import unquote

from penstock_faults.bedrock.frames import event_frame, exception_frame
from penstock_faults.http.format import (
    Asked,
    Counts,
    Document,
    Failure,
    Reply,
    arguments_of,
    encoded,
    said_by,
    status_of,
)
from penstock_faults.record import Seen
from penstock_faults.reply import prefix_of
from penstock_faults.script import Answer, Block, Error, Text, Thought, ToolCall

_CALL = re.compile(r"/model/([^/]+)/(converse|converse-stream|count-tokens)$")
_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "content_filtered"}
_EXCEPTIONS = {
    400: "ValidationException", 401: "UnrecognizedClientException", 403: "AccessDeniedException", 404: "ResourceNotFoundException", 408: "ModelTimeoutException",
    424: "ModelErrorException", 429: "ThrottlingException", 500: "InternalServerException", 503: "ServiceUnavailableException",
}  # fmt: skip
_FIRST_ERROR = 400
_TOO_LONG = "Input is too long for requested model."


class BedrockFormat:
    """Converse."""

    name = "bedrock"
    base_path = ""
    stream_type = "application/vnd.amazon.eventstream"
    ping = event_frame("initial-response", b"{}")
    torn = '{"contentBlockIndex":0,"delta":{"te'

    def answers(self, path: str) -> bool:
        """Return whether a path is one of its own."""
        return _CALL.search(path) is not None

    def asked(self, seen: Seen) -> Asked:
        """Return what a request asks for."""
        found = _CALL.search(seen.bare_path)
        model, method = (unquote(found[1]), found[2]) if found is not None else ("", "converse")
        messages = seen.body.get("messages")
        return Asked(
            model=model,
            streams=method == "converse-stream",
            turns=len(cast("list[Any]", messages)) if isinstance(messages, list) else 0,
            prefix=prefix_of(messages),
            continues=True,
            kind="other" if method == "count-tokens" else "answer",
        )

    def events(self, reply: Reply) -> Iterator[bytes]:
        """Yield the message's start, what is said block by block, why it ended, and the numbers, which are last."""
        answer = reply.answer
        waiting = _event("messageStart", role="assistant")
        index = 0
        for index, block in enumerate(reply.blocks):
            if isinstance(block, ToolCall):
                start = {"toolUse": {"toolUseId": block.id, "name": block.name}}
                waiting += _event("contentBlockStart", contentBlockIndex=index, start=start)
            if index == 0:
                yield waiting
                waiting = b""
            for delta in _deltas(block):
                yield waiting + _event("contentBlockDelta", contentBlockIndex=index, delta=delta)
                waiting = b""
            waiting += _event("contentBlockStop", contentBlockIndex=index)
        if not reply.blocks:
            yield waiting
            waiting = b""
        if answer.finish_reason is not None:
            yield waiting + _event("messageStop", **_end(reply))
            waiting = b""
        if answer.done and reply.counts is not None:
            yield waiting + _event("metadata", usage=_usage(reply.counts), metrics={"latencyMs": 1})
        elif waiting:
            yield waiting

    def whole(self, reply: Reply) -> bytes:
        """Return the answer in one piece."""
        message = {"role": "assistant", "content": [_block(block) for block in reply.blocks]}
        end = _end(reply) if reply.answer.finish_reason is not None else {}
        document: Document = {"output": {"message": message}, **end, "metrics": {"latencyMs": 1}}
        return encoded(document if reply.counts is None else {**document, "usage": _usage(reply.counts)})

    def other(self, seen: Seen, asked: Asked) -> bytes:
        """Return the count of a request's tokens."""
        del seen, asked
        return encoded({"inputTokens": Counts().input})

    def failure(self, error: Error, status: int, retry_after: str, asked: Asked) -> Failure:
        """Return an error in the place of an answer; what the filter refuses is an answer that says so."""
        del retry_after
        if error.code == "content_filter":
            refused = Reply(
                answer=Answer(finish_reason="content_filter"), blocks=(), model=asked.model, counts=Counts()
            )
            if asked.streams:
                return Failure(200, b"".join(self.events(refused)), content_type=self.stream_type)
            return Failure(200, self.whole(refused))
        message = _TOO_LONG if error.code == "context_length_exceeded" else error.message
        kind = _EXCEPTIONS.get(status_of(error) if status < _FIRST_ERROR else status, "InternalServerException")
        return Failure(
            status, encoded({"message": message}), {"x-amzn-errortype": f"{kind}:http://internal.amazon.com/"}
        )

    def error_event(self, error: Error) -> bytes:
        """Return an error within a stream."""
        kind = _EXCEPTIONS.get(status_of(error), "InternalServerException")
        return exception_frame(kind[0].lower() + kind[1:], encoded({"message": error.message}))

    def event(self, data: str) -> bytes:
        """Return an event of a stream that carries this: a piece of the answer where it begins as one does."""
        kind = "contentBlockDelta" if data.startswith('{"contentBlockIndex"') else "unheardOf"
        return event_frame(kind, data.encode())


def _event(kind: str, **document: Any) -> bytes:
    return event_frame(kind, encoded({**document, "p": "abcdefgh"}))


def _end(reply: Reply) -> Document:
    answer = reply.answer
    word = answer.finish_reason or ""
    if not answer.matched_stop:
        return {"stopReason": _STOPS.get(word, word)}
    return {"stopReason": "stop_sequence", "additionalModelResponseFields": {"stop_sequence": answer.matched_stop}}


def _usage(counts: Counts) -> Document:
    if counts.more:
        return dict(counts.more)
    usage: Document = {
        "inputTokens": counts.input - counts.cached - counts.written,
        "outputTokens": counts.output,
        "totalTokens": counts.input + counts.output,
    }
    if counts.cached or counts.written:
        usage |= {"cacheReadInputTokens": counts.cached, "cacheWriteInputTokens": counts.written}
        lives = {"5m": counts.written - counts.written_1h, "1h": counts.written_1h}
        usage["cacheDetails"] = [{"ttl": ttl, "inputTokens": tokens} for ttl, tokens in lives.items() if tokens]
    return usage


def _block(block: Block) -> Document:
    if isinstance(block, ToolCall):
        return {"toolUse": {"toolUseId": block.id, "name": block.name, "input": arguments_of(block)}}
    if isinstance(block, Thought):
        if block.hidden:
            return {"reasoningContent": {"redactedContent": block.hidden}}
        signed = {"signature": block.signature} if block.signature else {}
        return {"reasoningContent": {"reasoningText": {"text": said_by(block), **signed}}}
    if isinstance(block, Text) and block.citations:
        content = [{"text": said_by(block)}]
        return {"citationsContent": {"content": content, "citations": list(block.citations)}}
    return {"text": said_by(block)}


def _deltas(block: Block) -> Iterator[Document]:
    if isinstance(block, ToolCall):
        yield from ({"toolUse": {"input": piece}} for piece in block.fragments)
        return
    if isinstance(block, Thought):
        yield from ({"reasoningContent": {"text": piece}} for piece in block.pieces)
        if block.signature:
            yield {"reasoningContent": {"signature": block.signature}}
        if block.hidden:
            yield {"reasoningContent": {"redactedContent": block.hidden}}
        return
    yield from ({"text": piece} for piece in block.pieces)
    if isinstance(block, Text):
        yield from ({"citation": dict(citation)} for citation in block.citations)
