"""A closed-loop client, in a process of its own: so many requests in flight, each on a connection that is kept.

Run: python bench/load_client.py. Each line of standard input is a job, each line of output says how it went.
Every answer is looked at: status 200 and its text, or as many tokens as were asked for and [DONE].
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import httptools
import msgspec
import uvloop

TURNS_EACH = 240
"""Characters of a turn of history, as somebody writes a short paragraph."""
_MOST_ERRORS = 20
_PATIENCE_SECONDS = 60.0
_CONNECTIONS_AT_ONCE = 256
_AGAIN_SECONDS = 0.05
_WRITTEN = re.compile(rb" token (\d{16})")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask, and until when."""

    address: str
    """``host:port``, or the path of a unix socket."""
    path: str = "/v1/chat/completions"
    headers: dict[str, str] = {}
    model: str = "bench"
    in_flight: int = 1
    requests: int = 0
    """In all; 0: until the time is over."""
    seconds: float = 3600.0
    stream: bool = False
    kind: str = ""
    """A word that tells the mock how to answer: LONG, BURST, STEP, SLOW."""
    pacer: str = ""
    """host:port of the mock, which is told of each token that has come, so that it sends the next (STEP)."""
    tokens: int = 0
    """That an answer of this kind has; 0: it is the short text."""
    turns: int = 0
    """Turns of history before the question."""
    same: bool = False
    """Ask the same every time."""
    done: bool = True
    """A stream ends in [DONE]."""
    addresses: int = 1
    """From how many addresses of the loopback it asks, in turn, where the door is a port."""
    begin_per_second: float = 0.0
    """How many of those in flight begin a second; 0: all at once."""
    salt: str = ""
    """Makes the prompts of two jobs differ."""


class Outcome(msgspec.Struct, kw_only=True):
    """How a job went."""

    requests: int = 0
    errors: int = 0
    first_error: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    """Of this process."""
    whole_us: list[int] = []
    first_us: list[int] = []
    late_us: list[int] = []
    """Of each token of SLOW streams: from when the mock wrote it until it was read."""
    gap_us: list[int] = []
    """By how much each gap between two of them was longer, or shorter, than the mock had made it."""


class Lateness:
    """How late the tokens of one SLOW stream were."""

    def __init__(self, late_us: list[int], gap_us: list[int]) -> None:
        self._late_us, self._gap_us = late_us, gap_us
        self._last: int | None = None

    def look(self, data: bytes) -> None:
        """Note the tokens of a piece of a stream that has just been read."""
        now = time.monotonic_ns() // 1000
        for written in _WRITTEN.findall(data):
            late = now - int(written)
            self._late_us.append(late)
            if self._last is not None:
                self._gap_us.append(late - self._last)
            self._last = late


class Prompts:
    """The requests of a job, as bytes to send."""

    def __init__(self, job: Job) -> None:
        text = "What is the capital of France? Answer in one short sentence."
        history = [
            {
                "role": "assistant" if number % 2 else "user",
                "content": f"Turn {number}. " + "Lorem ipsum " * (TURNS_EACH // 12),
            }
            for number in range(job.turns)
        ]
        question = f"{job.kind} {text}".strip() + ("" if job.same else " (%MARK%)")
        body = {
            "model": job.model,
            "messages": [*history, {"role": "user", "content": question}],
            **({"stream": True} if job.stream else {}),
        }
        self._before, _, self._after = json.dumps(body).encode().partition(b"%MARK%")
        lines = [f"POST {job.path} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in job.headers.items()]
        self._head = "\r\n".join(lines).encode()
        self._salt = job.salt
        self._serial = 0

    def next(self) -> tuple[bytes, bytes]:
        """Return a request, and the mark that it alone has; empty where all are the same."""
        self._serial += 1
        mark = f"{self._salt} {self._serial:09}".encode() if self._after else b""
        body = self._before + mark + self._after
        return b"%s\r\nContent-Length: %d\r\n\r\n%s" % (self._head, len(body), body), mark


class Pacer(asyncio.Protocol):
    """Asks the mock for the next token of a stream; what it answers does not matter."""

    def __init__(self) -> None:
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def go_on(self, mark: bytes) -> None:
        body = b"NEXT " + mark
        self._transport.write(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def close(self) -> None:
        self._transport.close()


class Run:
    """A job under way."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.outcome = Outcome(whole_us=[], first_us=[], late_us=[], gap_us=[])
        self.prompts = Prompts(job)
        self.pacer: Pacer | None = None
        self._began = time.perf_counter()
        self._sent = self._addresses = 0

    def take(self) -> tuple[bytes, bytes] | None:
        """Return the next request, or nothing if there shall be no more."""
        job = self.job
        if job.requests and self._sent >= job.requests:
            return None
        if time.perf_counter() - self._began >= job.seconds or self.outcome.errors >= _MOST_ERRORS:
            return None
        self._sent += 1
        return self.prompts.next()

    def next_address(self) -> tuple[str, int] | None:
        """Return whom the next connection comes from; None: as the system says."""
        if self.job.addresses == 1:
            return None
        self._addresses += 1
        return f"127.0.0.{2 + self._addresses % self.job.addresses}", 0

    def fail(self, text: str) -> None:
        self.outcome.errors += 1
        self.outcome.first_error = self.outcome.first_error or text[:500]

    def judge(self, status: int, body: bytes) -> str:
        """Return what is wrong with an answer."""
        if status != 200:
            return f"status {status}: {body!r}"
        if self.job.stream and self.job.done and b"[DONE]" not in body:
            return f"no [DONE] in {body!r}"
        if not self.job.tokens:
            return "" if b"A short answer." in body else f"no answer in {body!r}"
        tokens = body.count(b" token")
        return "" if tokens == self.job.tokens else f"{tokens} tokens: {body!r}"


class Connection(asyncio.Protocol):
    """Sends a request when the one before is answered, until there is no more."""

    def __init__(self, run: Run, ended: asyncio.Future[bool]) -> None:
        self._run = run
        self._ended = ended
        self._parser: Any = None
        self._transport: Any = None
        self._body: list[bytes] = []
        self._mark = b""
        self._sent_at = 0.0
        self._first_at = 0.0
        self._lateness: Lateness | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send_next()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._run.fail(f"{type(error).__name__}: {data!r}")
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._sent_at:
            self._run.fail(f"the connection closed: {exc!r}")
        if not self._ended.done():
            self._ended.set_result(True)

    def on_body(self, body: bytes) -> None:
        if not self._first_at:
            self._first_at = time.perf_counter()
        self._body.append(body)
        if self._lateness is not None:
            self._lateness.look(body)
        if self._run.pacer is not None and b" token" in body:
            self._run.pacer.go_on(self._mark)

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        outcome = self._run.outcome
        if fault := self._run.judge(self._parser.get_status_code(), b"".join(self._body)):
            self._run.fail(fault)
        else:
            outcome.requests += 1
            outcome.whole_us.append(round((now - self._sent_at) * 1e6))
            outcome.first_us.append(round(((self._first_at or now) - self._sent_at) * 1e6))
        self._sent_at = 0.0
        if self._parser.should_keep_alive():
            asyncio.get_running_loop().call_soon(self._send_next)
        else:
            self._transport.close()

    def _send_next(self) -> None:
        taken = self._run.take()
        if taken is None or self._transport.is_closing():
            self._transport.close()
            return
        request, self._mark = taken
        self._parser = httptools.HttpResponseParser(self)
        self._body.clear()
        self._first_at = 0.0
        outcome = self._run.outcome
        self._lateness = Lateness(outcome.late_us, outcome.gap_us) if self._run.job.kind == "SLOW" else None
        self._sent_at = time.perf_counter()
        self._transport.write(request)


async def perform(job: Job) -> Outcome:
    """Return how the job went."""
    run = Run(job)
    began, cpu = time.perf_counter(), time.process_time()
    if job.pacer:
        host, _, port = job.pacer.rpartition(":")
        _, run.pacer = await asyncio.get_running_loop().create_connection(Pacer, host, int(port))
    try:
        async with asyncio.timeout(job.seconds + _PATIENCE_SECONDS), asyncio.TaskGroup() as group:
            connecting = asyncio.Semaphore(_CONNECTIONS_AT_ONCE)
            for number in range(job.in_flight):
                if job.begin_per_second:
                    # By the clock: short sleeps are longer than they are told.
                    await asyncio.sleep(max(began + number / job.begin_per_second - time.perf_counter(), 0))
                group.create_task(_keep_asking(run, connecting))
    except TimeoutError:
        run.fail(f"no answer within {_PATIENCE_SECONDS} s")
    if run.pacer is not None:
        run.pacer.close()
    run.outcome.seconds = time.perf_counter() - began
    run.outcome.cpu_seconds = time.process_time() - cpu
    return run.outcome


async def _keep_asking(run: Run, connecting: asyncio.Semaphore) -> None:
    """Open a connection again if one closes before the job is over."""
    before = -1
    while run.outcome.requests > before and run.outcome.errors < _MOST_ERRORS:
        before = run.outcome.requests
        ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        try:
            async with connecting:
                await _connect(run.job.address, partial(Connection, run, ended), run.next_address())
        except OSError as error:
            run.fail(repr(error))
            return
        await ended


async def _connect(address: str, protocol: Callable[[], Connection], own: tuple[str, int] | None) -> None:
    loop = asyncio.get_running_loop()
    if not address.startswith("/"):
        host, _, port = address.rpartition(":")
        await loop.create_connection(protocol, host, int(port), local_addr=own)
        return
    while True:
        try:
            await loop.create_unix_connection(protocol, address)
        except BlockingIOError:
            # The listener's queue is full, and a unix socket says so instead of waiting.
            await asyncio.sleep(_AGAIN_SECONDS)
        else:
            return


async def main() -> None:
    """Do the jobs as they come."""
    loop = asyncio.get_running_loop()
    decoder = msgspec.json.Decoder(Job)
    while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
        outcome = await perform(decoder.decode(line))
        sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(main())
