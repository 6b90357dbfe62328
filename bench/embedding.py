"""Throughput of concurrent single-text Embed calls, over that of one call with the same texts.

    .venv/bin/python bench/embedding.py --output bench/results/embedding.json

Both run in this process and alternate, so that a busy machine slows both. Over the in-process channel and over a socket
of the loopback, where the callers share this process with the service.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import onnxruntime

from penstock.embedding.v1 import embedding_service_pb2 as pb
from penstock.embedding.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from penstock_common.rpc.channel import SuiteChannel
from penstock_common.rpc.in_process import InProcessChannel, InProcessServer
from penstock_common.service import Service
from penstock_common.testing.transports import SOCKET, channel_to
from penstock_embedding.app import build
from penstock_embedding.settings import Settings

_SUBJECTS = ("The gateway", "A cat on the sofa", "Our quarterly report", "Dr. Miller of Hamburg", "The SQL query")
_VERBS = ("refuses", "translates slowly and with many words", "costs less than", "was written by", "should not delete")
_OBJECTS = ("an expired key", "the river Elbe", "$1,250.50 in 2024", "every second token", "x = foo(bar[3])  # why?")


def texts(count: int, *, mixed: bool) -> list[str]:
    """Return sentences of 10 to 25 tokens; with ``mixed``, every fourth is five or ten times as long."""
    sentences = [" ".join(parts) for parts in itertools.product(_SUBJECTS, _VERBS, _OBJECTS)]
    endless = itertools.cycle(sentences)
    made: list[str] = []
    for number in range(count):
        pieces = (5 if number % 8 else 10) if mixed and number % 4 == 0 else 1
        made.append(f"{number}: " + " ".join(itertools.islice(endless, pieces)))
    return made


async def one_batch(stub: Any, inputs: list[str]) -> float:
    """Return the texts per second of one call."""
    began = time.perf_counter()
    response = await stub.Embed(pb.EmbedRequest(inputs=inputs), timeout=120)
    assert len(response.embeddings) == len(inputs)
    return len(inputs) / (time.perf_counter() - began)


async def single_calls(stub: Any, inputs: list[str], callers: int) -> float:
    """Return the texts per second of callers that ask for one text after another."""
    waiting = iter(inputs)

    async def caller() -> None:
        for text in waiting:
            await stub.Embed(pb.EmbedRequest(inputs=[text]), timeout=120)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    return len(inputs) / (time.perf_counter() - began)


async def compare(stub: Any, inputs: list[str], callers: int, rounds: int) -> dict[str, Any]:
    """Return medians, and the median of the rounds' ratios."""
    await one_batch(stub, inputs[:64])
    pairs = [(await single_calls(stub, inputs, callers), await one_batch(stub, inputs)) for _ in range(rounds)]
    ratios = [singles / batch for singles, batch in pairs]
    return {
        "single_texts_per_second": round(statistics.median(pair[0] for pair in pairs), 1),
        "batch_texts_per_second": round(statistics.median(pair[1] for pair in pairs), 1),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in sorted(ratios)],
    }


@asynccontextmanager
async def in_process_channel(service: Service) -> AsyncGenerator[SuiteChannel]:
    """Yield the channel of `penstock up`."""
    server = InProcessServer()
    service.register(server.registrar)
    yield SuiteChannel(InProcessChannel(server))


def socket_channel(service: Service) -> AbstractAsyncContextManager[SuiteChannel]:
    """Return the context of a channel over a socket of the loopback."""
    return channel_to(service, SOCKET)


async def measure(service: Service, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row per transport, kind of text and number of callers."""
    rows: list[dict[str, Any]] = []
    for transport, connect in (("in_process", in_process_channel), (SOCKET, socket_channel)):
        async with connect(service) as channel:
            stub: Any = EmbeddingServiceStub(channel)
            for mixed, callers in itertools.product((False, True), options.callers):
                compared = await compare(stub, texts(options.texts, mixed=mixed), callers, options.rounds)
                lengths = "mixed" if mixed else "short"
                rows.append({"transport": transport, "lengths": lengths, "callers": callers, **compared})
                print(json.dumps({name: value for name, value in rows[-1].items() if name != "ratios"}))
    return rows


async def main(options: argparse.Namespace) -> None:
    """Measure, print, and write the file."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.model_validate({"embedding": {"cache_dir": folder}})
        async with build(settings) as service:
            rows = await measure(service, options)
    result = {
        "machine": {
            "cores": os.cpu_count(),
            "load_average": [round(load, 2) for load in os.getloadavg()],
            "python": platform.python_version(),
        },
        "onnxruntime": onnxruntime.__version__,
        "texts": options.texts,
        "rows": rows,
    }
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=int, default=1024)
    parser.add_argument("--callers", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    asyncio.run(main(parser.parse_args()))
