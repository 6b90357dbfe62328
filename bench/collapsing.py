"""What collapsing equal texts, and gathering texts before a call, would gain in front of the embedding service.

    .venv/bin/python bench/collapsing.py [--texts 192] [--callers 64] [--rounds 6]

Callers ask for one text a call, in process. ``plain`` is what there is: the service batches what waits, without waiting for
more. ``collapsed``: who asks for a text that is being asked for takes that vector. ``gathered``: texts of so many
milliseconds go as one call. All take turns in each round, on the same texts, of which a share repeats others. Prints JSON: texts per
second over all rounds, and what a caller waits for a text, by share and way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from embedding import texts

from penstock_common.contract.embedding import EmbedRequest
from penstock_common.contract.wire.embedding import EMBED
from penstock_common.rpc.client import Channel
from penstock_common.rpc.in_process import InProcessChannel
from penstock_embedding.app import build
from penstock_embedding.settings import Settings

Embed = Callable[[str], Awaitable[Any]]
SHARES = (0.0, 0.5, 0.9)


def plain(channel: Channel) -> Embed:
    """Return what asks for each text."""

    async def embed(text: str) -> Any:
        return (await channel.call(EMBED, EmbedRequest(texts=(text,)), timeout=120)).vectors[0]

    return embed


def collapsed(channel: Channel) -> Embed:
    """Return what asks for a text once at a time."""
    ask, under_way = plain(channel), dict[str, asyncio.Future[Any]]()

    async def embed(text: str) -> Any:
        known = under_way.get(text)
        if known is None:
            known = under_way[text] = asyncio.ensure_future(ask(text))
            known.add_done_callback(lambda _: under_way.pop(text))
        return await asyncio.shield(known)

    return embed


def gathered(channel: Channel, seconds: float) -> Embed:
    """Return what waits for others to ask, and then asks for all."""
    waiting: list[tuple[str, asyncio.Future[Any]]] = []
    asking: set[asyncio.Task[None]] = set()

    async def ask() -> None:
        await asyncio.sleep(seconds)
        own, waiting[:] = [*waiting], []
        told = await channel.call(EMBED, EmbedRequest(texts=tuple(text for text, _ in own)), timeout=120)
        for (_, future), vector in zip(own, told.vectors, strict=True):
            future.set_result(vector)

    async def embed(text: str) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not waiting:
            task = asyncio.ensure_future(ask())
            asking.add(task)
            task.add_done_callback(asking.discard)
        waiting.append((text, future))
        return await future

    return embed


async def measured(embed: Embed, inputs: list[str], callers: int) -> tuple[float, list[float]]:
    """Return the texts per second, and what each has waited."""
    waiting, waits = iter(inputs), list[float]()

    async def caller() -> None:
        for text in waiting:
            began = time.perf_counter()
            await embed(text)
            waits.append(time.perf_counter() - began)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    return len(inputs) / (time.perf_counter() - began), waits


async def compared(channel: Channel, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each share and way."""
    ways = {
        "plain": plain(channel),
        "collapsed": collapsed(channel),
        "gathered 2 ms": gathered(channel, 0.002),
        "gathered 10 ms": gathered(channel, 0.01),
    }
    rows, chance = list[dict[str, Any]](), random.Random(1)
    await measured(ways["plain"], texts(64, mixed=False), 16)
    for share in SHARES:
        own = texts(options.texts, mixed=False)
        kept = own[: max(1, round(len(own) * (1 - share)))]
        inputs = [*kept, *chance.choices(kept, k=len(own) - len(kept))]
        chance.shuffle(inputs)
        found: dict[str, list[tuple[float, list[float]]]] = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name, embed in ways.items():
                found[name].append(await measured(embed, inputs, options.callers))
        for name, rounds in found.items():
            waits = sorted(wait for _, some in rounds for wait in some)
            rate = statistics.harmonic_mean([rate for rate, _ in rounds])
            wait_ms = round(1000 * waits[len(waits) // 2], 1)
            rows.append({"repeated": share, "way": name, "texts_per_second": round(rate, 1), "p50_ms": wait_ms})
    return rows


async def main(options: argparse.Namespace) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        async with build(Settings.model_validate({"embedding": {"cache_dir": folder}})) as service:
            rows = await compared(InProcessChannel(service.handlers), options)
    machine = {"cores": os.cpu_count(), "load_average": [round(load, 2) for load in os.getloadavg()]}
    print(json.dumps({"machine": machine, "callers": options.callers, "rows": rows}, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=192)
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=6)
    asyncio.run(main(parser.parse_args()))
