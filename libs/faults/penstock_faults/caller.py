"""Asks a gateway for a chat as a caller does, over OpenAI's wire format, and keeps what it saw.

Strict where a row of the table needs it: an answer is complete only if its finish reason, its ``[DONE]`` and the
body's own end came, in this order.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from penstock_faults.table import Mode
from penstock_faults.verdict import Sight

Document = dict[str, Any]
OnText = Callable[[str], None]

_CUT = "connection_cut"
_LINE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked, of whom: ``socket`` is the path of a unix socket, else ``host`` and ``port`` count."""

    model: str
    key: str
    mode: Mode
    socket: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0
    text: str = "Who asks?"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def body(self) -> bytes:
        """The request's JSON."""
        document: Document = {"model": self.model, "messages": [{"role": "user", "content": self.text}], **self.more}
        if self.mode is Mode.STREAMED:
            document |= {"stream": True, "stream_options": {"include_usage": True}}
        return msgspec.json.encode(document)


def _nobody_hears(text: str) -> None:
    """Let it be."""


async def ask(question: Question, on_text: OnText = _nobody_hears) -> Sight:
    """Return what the caller saw; ``on_text`` is told all of the text so far whenever there is more."""
    began = time.monotonic()
    sight = Sight()
    reader, writer = await _connected(question)
    try:
        await _exchange(question, _Connection(reader, writer), sight, on_text)
    except (ConnectionError, asyncio.IncompleteReadError, ValueError):
        sight.complete = False
        sight.error_code = sight.error_code or _CUT
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        sight.seconds = time.monotonic() - began
    return sight


async def _connected(question: Question) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if question.socket is not None:
        return await asyncio.open_unix_connection(str(question.socket), limit=_LINE_BYTES)
    return await asyncio.open_connection(question.host, question.port, limit=_LINE_BYTES)


async def _exchange(question: Question, connection: _Connection, sight: Sight, on_text: OnText) -> None:
    await connection.send(question)
    sight.status, headers = await connection.head()
    sight.answered_by = headers.get("x-penstock-upstream", "")
    if "retry-after" in headers:
        sight.retry_after_seconds = float(headers["retry-after"])
    if headers.get("content-type", "").startswith("text/event-stream"):
        await _read_events(connection.body(headers), sight, on_text)
    else:
        _read_completion(b"".join([piece async for piece in connection.body(headers)]), sight)


class _Connection:
    """One exchange of HTTP/1.1."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, question: Question) -> None:
        body = question.body
        headers = {
            "host": "penstock", "authorization": f"Bearer {question.key}", "content-type": "application/json",
            "content-length": str(len(body)), **question.headers,
        }  # fmt: skip
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._writer.write(f"POST /v1/chat/completions HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body)
        await self._writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        return int(first.split(" ")[1]), headers

    async def body(self, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Yield the body as it comes; an end that HTTP does not know is an error."""
        if "content-length" in headers:
            yield await self._reader.readexactly(int(headers["content-length"]))
            return
        while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
            yield (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readuntil(b"\r\n")


async def _read_events(pieces: AsyncIterator[bytes], sight: Sight, on_text: OnText) -> None:
    waiting, done = b"", False
    async for piece in pieces:
        *events, waiting = (waiting + piece).split(b"\n\n")
        for event in events:
            # Comments keep a connection alive, and say nothing.
            if event.startswith(b"data: [DONE]"):
                done = True
            elif event.startswith(b"data: "):
                _read_chunk(msgspec.json.decode(event[6:]), sight, on_text)
    if not sight.error_code:
        sight.complete = done and bool(sight.finish_reason)


def _read_chunk(chunk: Document, sight: Sight, on_text: OnText) -> None:
    if "error" in chunk:
        _note_error(chunk["error"], sight)
        return
    sight.model = chunk.get("model") or sight.model
    if usage := chunk.get("usage"):
        sight.output_tokens = usage["completion_tokens"]
    for choice in chunk["choices"]:
        sight.finish_reason = choice.get("finish_reason") or sight.finish_reason
        if text := choice["delta"].get("content"):
            sight.text += text
            on_text(sight.text)


def _read_completion(body: bytes, sight: Sight) -> None:
    document: Document = msgspec.json.decode(body)
    if "error" in document:
        _note_error(document["error"], sight)
        return
    (choice,) = document["choices"]
    sight.model = document["model"]
    sight.text = choice["message"]["content"] or ""
    sight.finish_reason = choice["finish_reason"] or ""
    sight.output_tokens = (document.get("usage") or {}).get("completion_tokens")
    sight.complete = bool(sight.finish_reason)


def _note_error(error: Mapping[str, Any], sight: Sight) -> None:
    sight.error_code = str(error.get("code") or error.get("type") or "error")
    sight.error_message = str(error.get("message", ""))
