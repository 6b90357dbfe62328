"""Throughput of concurrent single-text Embed calls, over that of one call with the same texts.

    .venv/bin/python bench/embedding.py --output bench/results/embedding.json

Both alternate every half second, so that a busy machine slows both; the ratio is that of the times of all rounds. Over the
in-process channel, and over a socket of the loopback, where the callers are a process of their own, as a gateway is.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import onnxruntime

from penstock_common.contract.embedding import EmbedRequest
from penstock_common.contract.wire.embedding import EMBED
from penstock_common.rpc.channel import SocketChannel, open_channel
from penstock_common.rpc.client import Channel
from penstock_common.rpc.in_process import InProcessChannel
from penstock_common.rpc.server import listening
from penstock_common.rpc.server_interceptors import FinalFailures, IncomingScope
from penstock_common.service import Service
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


async def one_batch(channel: Channel, inputs: list[str]) -> float:
    """Return the texts per second of one call."""
    began = time.perf_counter()
    response = await channel.call(EMBED, EmbedRequest(model="", texts=inputs), timeout=120)
    assert len(response.vectors) == len(inputs)
    return len(inputs) / (time.perf_counter() - began)


async def single_calls(channel: Channel, inputs: list[str], callers: int) -> float:
    """Return the texts per second of callers that ask for one text after another."""
    waiting = iter(inputs)

    async def caller() -> None:
        for text in waiting:
            await channel.call(EMBED, EmbedRequest(model="", texts=[text]), timeout=120)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    return len(inputs) / (time.perf_counter() - began)


async def compare(channel: Channel, inputs: list[str], callers: int, rounds: int) -> dict[str, Any]:
    """Return the rates over all rounds, and theirs one by one as ratios."""
    await one_batch(channel, inputs[:64])
    pairs = [(await single_calls(channel, inputs, callers), await one_batch(channel, inputs)) for _ in range(rounds)]
    singles, batch = (statistics.harmonic_mean(rates) for rates in zip(*pairs, strict=True))
    return {
        "single_texts_per_second": round(singles, 1),
        "batch_texts_per_second": round(batch, 1),
        "ratio": round(singles / batch, 3),
        "ratios": sorted(round(single / one, 3) for single, one in pairs),
    }


async def measure(channel: Channel, transport: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row per kind of text and number of callers."""
    rows: list[dict[str, Any]] = []
    for mixed, callers in itertools.product((False, True), options.callers):
        compared = await compare(channel, texts(options.texts, mixed=mixed), callers, options.rounds)
        lengths = "mixed" if mixed else "short"
        rows.append({"transport": transport, "lengths": lengths, "callers": callers, **compared})
        shown = {name: value for name, value in rows[-1].items() if name != "ratios"}
        print(json.dumps(shown), file=sys.stderr, flush=True)
    return rows


async def measure_in_process(service: Service, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the rows of the channel of `penstock up`."""
    return await measure(InProcessChannel(service.handlers), "in_process", options)


async def measure_over_socket(service: Service, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the rows of callers in a process of their own."""
    numbers = ["--texts", str(options.texts), "--rounds", str(options.rounds)]
    numbers += ["--callers", *map(str, options.callers)]
    async with listening("127.0.0.1:0", [service], [FinalFailures(), IncomingScope()]) as listener:
        await listener.set_serving(serving=True)
        target = f"127.0.0.1:{listener.port}"
        asking = await asyncio.create_subprocess_exec(
            sys.executable, __file__, "--ask", target, *numbers, stdout=asyncio.subprocess.PIPE
        )
        written, _ = await asking.communicate()
    return json.loads(written)


async def ask(options: argparse.Namespace) -> None:
    """Write the rows of a service at an address to standard output."""
    async with open_channel(options.ask) as channel:
        print(json.dumps(await measure(SocketChannel(channel), "socket", options)))


async def main(options: argparse.Namespace) -> None:
    """Measure, print, and write the file."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.model_validate({"embedding": {"cache_dir": folder}})
        async with build(settings) as service:
            rows = await measure_in_process(service, options) + await measure_over_socket(service, options)
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
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--callers", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    asyncio.run(ask(chosen) if chosen.ask else main(chosen))
