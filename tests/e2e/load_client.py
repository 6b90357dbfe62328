"""Opens many streams at once, over HTTP and gRPC, and says what became of each. A process of its own.

Reads one JSON object from standard input, writes three lines of JSON: ``{"opened": …}`` once every request has been
sent, ``{"begun": …}`` once each has brought its first bytes or has ended, and the tally once every stream has ended.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import uvloop
from google.rpc import error_details_pb2, status_pb2

from penstock.gateway.v1 import chat_service_pb2 as chat_pb
from penstock.gateway.v1 import chat_service_pb2_grpc
from penstock.llm.v1 import generation_pb2, message_pb2
from penstock_common.llm.convert import event_from_proto
from penstock_common.llm.events import StreamInvariants

_HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_RETRY_AFTER = re.compile(rb"\r\nretry-after: (\d+)\r\n", re.IGNORECASE)
_REFUSALS = {429, 503}
_GRPC_REFUSALS = {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE}
_CONNECTIONS_AT_ONCE = 256


@dataclass
class Tally:
    """``complete`` and ``refused`` as they should be; ``broken`` is everything else, with an example of each kind."""

    complete: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    broken: dict[str, str] = field(default_factory=dict)
    broken_count: int = 0
    characters: int = 0

    def spoil(self, kind: str, example: str) -> None:
        self.broken_count += 1
        self.broken.setdefault(kind, example[-2000:])


class HttpStream(asyncio.Protocol):
    """One connection with one request, read to its end."""

    def __init__(
        self, request: bytes, ended: asyncio.Future[tuple[bytes, Exception | None]], begun: Callable[[], None]
    ) -> None:
        self._request = request
        self._ended = ended
        self._begun = begun
        self._received = bytearray()

    def connection_made(self, transport: Any) -> None:
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._received:
            self._begun()
        self._received += data

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_result((bytes(self._received), exc))


def judge_http(received: bytes, error: Exception | None, tally: Tally) -> None:
    head, _, rest = received.partition(b"\r\n\r\n")
    match = _HEAD.match(head)
    if error is not None or match is None:
        tally.spoil(f"http connection: {type(error).__name__}", repr(error) + received.decode(errors="replace"))
        return
    status = int(match[1])
    if status in _REFUSALS and _RETRY_AFTER.search(head + b"\r\n") and rest:
        tally.refused[str(status)] += 1
    elif status != 200:
        tally.spoil(f"http status {status}", received.decode(errors="replace"))
    else:
        _judge_events(rest, tally)


def _judge_events(chunked: bytes, tally: Tally) -> None:
    body = bytearray()
    while True:
        size, separator, chunked = chunked.partition(b"\r\n")
        if not separator:
            tally.spoil("http truncated", body.decode(errors="replace"))
            return
        length = int(size, 16)
        if length == 0:
            break
        body += chunked[:length]
        chunked = chunked[length + 2 :]
    if not body.endswith(b"data: [DONE]\n\n") or b'"error"' in body or b'"finish_reason":"' not in body:
        tally.spoil("http incomplete", body.decode(errors="replace"))
        return
    tally.complete += 1
    events = [json.loads(line[6:]) for line in body.split(b"\n\n") if line.startswith(b"data: {")]
    tally.characters += sum(len(choice["delta"].get("content") or "") for e in events for choice in e["choices"])


class Stages:
    """How far one stream has come; the last one to reach a stage says so for all."""

    NAMES = ("opened", "begun")

    def __init__(self, job: dict[str, Any]) -> None:
        self._left = job["left"]
        self._streams = job["http_streams"] + job["grpc_streams"]
        self._reached = 0

    def opened(self) -> None:
        """Note that the request has been sent."""
        self._reach(1)

    def begun(self) -> None:
        """Note that something has come, or that nothing will."""
        self._reach(2)

    def _reach(self, stage: int) -> None:
        for name in self.NAMES[self._reached : stage]:
            self._left[name] -= 1
            if not self._left[name]:
                say({name: self._streams})
        self._reached = max(self._reached, stage)


async def http_stream(job: dict[str, Any], number: int, sent: asyncio.Semaphore, tally: Tally) -> None:
    loop = asyncio.get_running_loop()
    prompt = job["prompts"][number % len(job["prompts"])]
    body = {"model": job["model"], "stream": True, "messages": [{"role": "user", "content": prompt}]}
    payload = json.dumps(body).encode()
    request = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {job['http']}\r\nAuthorization: Bearer {job['key']}\r\n"
        f"Content-Type: application/json\r\nX-Penstock-Cache: no-store\r\nConnection: close\r\n"
        f"Content-Length: {len(payload)}\r\n\r\n"
    ).encode() + payload
    ended: asyncio.Future[tuple[bytes, Exception | None]] = loop.create_future()
    host, _, port = job["http"].rpartition(":")
    transport = None
    stages = Stages(job)
    try:
        async with asyncio.timeout(job["seconds"]):
            async with sent:
                transport, _ = await loop.create_connection(
                    lambda: HttpStream(request, ended, stages.begun), host, int(port)
                )
            stages.opened()
            judge_http(*await ended, tally)
    except TimeoutError:
        tally.spoil("http hangs", "")
    except OSError as error:
        tally.spoil(f"http connect: {type(error).__name__}", repr(error))
    finally:
        stages.begun()
        if transport is not None:
            transport.abort()


async def grpc_stream(job: dict[str, Any], number: int, stub: Any, tally: Tally) -> None:
    prompt = job["prompts"][number % len(job["prompts"])]
    turn = message_pb2.Message(role=message_pb2.ROLE_USER, parts=[message_pb2.ContentPart(text=prompt)])
    request = chat_pb.StreamChatRequest(
        input=generation_pb2.GenerationInput(model=job["model"], messages=[turn]),
        cache_control=chat_pb.CacheControl(no_store=True),
    )
    invariants = StreamInvariants()
    characters = 0
    stages = Stages(job)
    try:
        call = stub.StreamChat(request, metadata=[("authorization", f"Bearer {job['key']}")], timeout=job["seconds"])
        stages.opened()
        async for response in call:
            stages.begun()
            invariants.observe(event_from_proto(response.event))
            characters += len(response.event.text_delta.text)
        invariants.end()
        tally.complete += 1
        tally.characters += characters
    except grpc.aio.AioRpcError as error:
        if error.code() in _GRPC_REFUSALS and _has_retry_info(error) and not characters:
            tally.refused[error.code().name] += 1
        else:
            tally.spoil(f"grpc {error.code().name}", error.details() or "")
    except Exception as error:
        tally.spoil(f"grpc {type(error).__name__}", repr(error))
    finally:
        stages.begun()


def _has_retry_info(error: grpc.aio.AioRpcError) -> bool:
    raw = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    return any(
        detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in status_pb2.Status.FromString(raw).details
    )


async def run(job: dict[str, Any]) -> dict[str, Any]:
    streams = job["http_streams"] + job["grpc_streams"]
    job["left"] = dict.fromkeys(Stages.NAMES, streams)
    http, rpc = Tally(), Tally()
    sent = asyncio.Semaphore(_CONNECTIONS_AT_ONCE)
    async with _channel(job) as channel:
        stub = chat_service_pb2_grpc.ChatServiceStub(channel)
        await channel.channel_ready()
        began = time.monotonic()
        async with asyncio.TaskGroup() as streams:
            for number in range(job["grpc_streams"]):
                streams.create_task(grpc_stream(job, number, stub, rpc))
            for number in range(job["http_streams"]):
                streams.create_task(http_stream(job, number, sent, http))
    return {"seconds": round(time.monotonic() - began, 3), "http": vars(http), "grpc": vars(rpc)}


def _channel(job: dict[str, Any]) -> grpc.aio.Channel:
    if not job.get("ca"):
        return grpc.aio.insecure_channel(job["grpc"])
    return grpc.aio.secure_channel(job["grpc"], grpc.ssl_channel_credentials(Path(job["ca"]).read_bytes()))


def say(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        say(runner.run(run(json.load(sys.stdin))))
