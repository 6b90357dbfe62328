"""An OpenAI-compatible provider that answers at once, as cheaply as Python can: the floor that overhead is measured from.

Run: python bench/mock_upstream.py PORT [--slow-tokens N] [--slow-seconds S] [--slow-together N]

A request without ``"stream": true`` gets one JSON document, any other a stream. What a stream is like, a word in its
body says: LONG has 100 tokens, each a write of its own and in turn with those of other streams; BURST has them in one
write; STEP gets one at each request that says NEXT and the mark of the stream, which stands in parentheses in its
prompt; SLOW gets one every so many seconds, each with the microsecond in which it was written (CLOCK_MONOTONIC); VAST gets 1 MB, as fast as they are read. Without such a word it is one
short text.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
import resource
import time
from functools import partial
from typing import Any

import httptools
import uvloop

TOKENS = 100
ANSWER = "A short answer. " * 12

_MARK = re.compile(rb"\(([^)]+)\)")
_NEXT = b"NEXT "
_TICK_SECONDS = 0.005

_HEAD = {"id": "chatcmpl-bench", "created": 1, "model": "bench"}
_USAGE = {"prompt_tokens": 10, "completion_tokens": TOKENS, "total_tokens": 10 + TOKENS}
_STREAM = re.compile(rb'"stream"\s*:\s*true')
_WITH_USAGE = re.compile(rb'"include_usage"\s*:\s*true')


def _page(kind: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _unary(content: str) -> bytes:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE}
    return _page("application/json", json.dumps(body).encode())


def _chunk(choices: list[dict[str, Any]], **fields: Any) -> bytes:
    body = {**_HEAD, "object": "chat.completion.chunk", "choices": choices, **fields}
    return _framed(b"data: " + json.dumps(body).encode() + b"\n\n")


def _delta(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    return _chunk([{"index": 0, "delta": delta, "finish_reason": finish_reason}])


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


_MODELS = _page(
    "application/json",
    json.dumps(
        {"object": "list", "data": [{"id": "bench", "object": "model", "created": 1, "owned_by": "bench"}]}
    ).encode(),
)
_WHOLE = _unary(ANSWER)
_WHOLE_LONG = _unary(" token" * TOKENS)
_BEGIN = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
    + _delta({"role": "assistant", "content": ""})
)
_TOKEN = _delta({"content": " token"})
_TIMED_BEFORE, _, _TIMED_AFTER = _delta({"content": " token 0123456789012345"}).partition(b"0123456789012345")
_VAST_TOKEN = _delta({"content": "x" * 4_000})
_VAST_TOKENS = 250
_STOP = _delta({}, "stop")
_DONE = _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"
_USED = _chunk([], usage=_USAGE)
_SHORT = _delta({"content": ANSWER})


class Clock:
    """Gives slow streams their tokens: one every ``seconds`` to each, the streams spread evenly over that time.

    None gets its first before ``together`` of them are open, which is printed.
    """

    def __init__(self, tokens: int, seconds: float, together: int) -> None:
        self._tokens = tokens
        phases = max(int(seconds / _TICK_SECONDS), 1)
        self._seconds = seconds
        self._together = together
        self._joined = 0
        self._phases: list[dict[Connection, int]] = [{} for _ in range(phases)]

    def add(self, connection: Connection) -> None:
        self._phases[self._joined % len(self._phases)][connection] = self._tokens
        self._joined += 1
        if self._joined == self._together:
            print("open", flush=True)

    def forget(self, connection: Connection) -> None:
        for phase in self._phases:
            phase.pop(connection, None)

    async def run(self) -> None:
        step = self._seconds / len(self._phases)
        due = time.monotonic()
        for phase in itertools.cycle(self._phases):
            # By the clock, and not by what a sleep comes to: what is late is made up for.
            due = max(due + step, time.monotonic() - self._seconds)
            await asyncio.sleep(max(due - time.monotonic(), 0))
            if self._joined >= self._together:
                self._tick(phase)

    def _tick(self, phase: dict[Connection, int]) -> None:
        for connection, left in list(phase.items()):
            if left:
                phase[connection] = left - 1
                connection.write(b"%s%016d%s" % (_TIMED_BEFORE, time.monotonic_ns() // 1000, _TIMED_AFTER))
            else:
                del phase[connection]
                connection.end_stream()


class Steps:
    """Gives a stream its next token when it is asked to."""

    def __init__(self) -> None:
        self._left: dict[bytes, tuple[Connection, int]] = {}

    def begin(self, mark: bytes, connection: Connection) -> None:
        self._left[mark] = connection, TOKENS
        self.go_on(mark)

    def go_on(self, mark: bytes) -> None:
        connection, left = self._left.pop(mark)
        if left:
            self._left[mark] = connection, left - 1
            connection.write(_TOKEN)
        else:
            connection.end_stream()


class Connection(asyncio.Protocol):
    """One connection; its requests are answered one after the other."""

    def __init__(self, clock: Clock, steps: Steps) -> None:
        self._clock = clock
        self._steps = steps
        self._parser = httptools.HttpRequestParser(self)
        self._body: list[bytes] = []
        self._end = b""
        self._vast_left = 0
        self._is_paused = False
        self._transport: Any = None
        self._call_soon = asyncio.get_running_loop().call_soon

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._clock.forget(self)
        self._transport = None

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._write_vast()

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        body = b"".join(self._body)
        self._body.clear()
        if body.startswith(_NEXT):
            self._steps.go_on(body.removeprefix(_NEXT))
            self.write(_WHOLE)
        elif not body:
            self.write(_MODELS)
        elif _STREAM.search(body):
            self._begin_stream(body)
        else:
            self.write(_WHOLE_LONG if b"LONG" in body else _WHOLE)

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def end_stream(self) -> None:
        self.write(self._end)

    def _begin_stream(self, body: bytes) -> None:
        self._end = _STOP + (_USED if _WITH_USAGE.search(body) else b"") + _DONE
        if b"SLOW" in body:
            self.write(_BEGIN)
            self._clock.add(self)
        elif b"STEP" in body and (mark := _MARK.search(body)):
            self.write(_BEGIN)
            self._steps.begin(mark[1], self)
        elif b"BURST" in body:
            self.write(_BEGIN + _TOKEN * TOKENS + self._end)
        elif b"VAST" in body:
            self.write(_BEGIN)
            self._vast_left = _VAST_TOKENS
            self._write_vast()
        elif b"LONG" in body:
            self.write(_BEGIN)
            self._call_soon(self._write_token, TOKENS)
        else:
            self.write(_BEGIN + _SHORT + self._end)

    def _write_vast(self) -> None:
        # One each turn of the loop, as of LONG, and none that the reader has no room for.
        if self._is_paused or not self._vast_left or self._transport is None:
            return
        self._vast_left -= 1
        self.write(_VAST_TOKEN)
        if self._vast_left:
            self._call_soon(self._write_vast)
        else:
            self.end_stream()

    def _write_token(self, left: int) -> None:
        # A turn of the loop for each, or they would leave as one write.
        if left and self._transport is not None:
            self._transport.write(_TOKEN)
            self._call_soon(self._write_token, left - 1)
        else:
            self.end_stream()


async def serve(port: int, clock: Clock) -> None:
    """Answer until the process is ended."""
    connection = partial(Connection, clock, Steps())
    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", port, backlog=8192)
    async with server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await clock.run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int, help="0 takes a free one; the one that it is gets printed")
    parser.add_argument("--slow-tokens", type=int, default=20)
    parser.add_argument("--slow-seconds", type=float, default=1.0, help="between two tokens of a slow stream")
    parser.add_argument("--slow-together", type=int, default=1, help="slow streams that must be open before the first")
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    clock = Clock(arguments.slow_tokens, arguments.slow_seconds, arguments.slow_together)
    uvloop.run(serve(arguments.port, clock))


if __name__ == "__main__":
    main()
