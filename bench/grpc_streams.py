"""Opens slow streams over gRPC at once, in a process of its own, and says how many came whole.

Run: python bench/grpc_streams.py. Standard input has one job, standard output its tally.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import msgspec
import uvloop
from load_client import Lateness

from penstock.gateway.v1 import chat_service_pb2 as chat_pb
from penstock.llm.v1 import generation_pb2, message_pb2

_METHOD = "/penstock.gateway.v1.ChatService/StreamChat"


class GrpcJob(msgspec.Struct, frozen=True, kw_only=True):
    """What to open, and what must come."""

    address: str
    headers: dict[str, str]
    streams: int
    per_connection: int
    tokens: int
    seconds: float
    """In which all of them must end."""
    begin_per_second: float = 0.0
    """As of ``load_client.Job``."""
    ca: str = ""
    """The authority of a port with TLS; empty: it has none."""


class Tally(msgspec.Struct, kw_only=True):
    """What became of them."""

    whole: int = 0
    lost: int = 0
    first_fault: str = ""
    late_us: list[int] = []
    gap_us: list[int] = []
    """As of ``load_client.Outcome``."""

    def lose(self, fault: str) -> None:
        self.lost += 1
        self.first_fault = self.first_fault or fault


async def stream(call: Any, job: GrpcJob, serial: int, tally: Tally) -> None:
    """Read one stream to its end; as bytes, since to decode them would be this process's work and not the suite's."""
    turn = message_pb2.Message(role=message_pb2.ROLE_USER, parts=[message_pb2.ContentPart(text=f"SLOW {serial}")])
    request = chat_pb.StreamChatRequest(input=generation_pb2.GenerationInput(model="bench", messages=[turn]))
    tokens, lateness = 0, Lateness(tally.late_us, tally.gap_us)
    try:
        metadata = [(name.lower(), value) for name, value in job.headers.items()]
        async for message in call(request.SerializeToString(), metadata=metadata, timeout=job.seconds):
            lateness.look(message)
            tokens += message.count(b" token")
    except grpc.aio.AioRpcError as error:
        tally.lose(f"{error.code().name}: {error.details()}")
        return
    if tokens == job.tokens:
        tally.whole += 1
    else:
        tally.lose(f"{tokens} tokens")


def _channel(job: GrpcJob, options: list[tuple[str, int]]) -> grpc.aio.Channel:
    if not job.ca:
        return grpc.aio.insecure_channel(job.address, options=options)
    credentials = grpc.ssl_channel_credentials(Path(job.ca).read_bytes())
    return grpc.aio.secure_channel(job.address, credentials, options=options)


async def perform(job: GrpcJob) -> Tally:
    """Return what became of the streams."""
    tally = Tally(late_us=[], gap_us=[])
    # With a pool of its own each channel has a connection of its own.
    options = [("grpc.use_local_subchannel_pool", 1)]
    count = -(-job.streams // job.per_connection)
    channels = [_channel(job, options) for _ in range(count)]
    calls = itertools.cycle([channel.unary_stream(_METHOD) for channel in channels])
    async with asyncio.TaskGroup() as group:
        began = time.perf_counter()
        for serial, call in zip(range(job.streams), calls, strict=False):
            if job.begin_per_second:
                await asyncio.sleep(max(began + serial / job.begin_per_second - time.perf_counter(), 0))
            group.create_task(stream(call, job, serial, tally))
    for channel in channels:
        await channel.close()
    return tally


if __name__ == "__main__":
    outcome = uvloop.run(perform(msgspec.json.decode(sys.stdin.buffer.readline(), type=GrpcJob)))
    sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
    sys.stdout.buffer.flush()
