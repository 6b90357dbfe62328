"""What matching by meaning costs: hits and misses by kind, with the real embedding model and the embedded vector store.

Usage: python bench/semantic_cache.py [ENTRIES] [ROUNDS]. One process, no sockets but the store's own; CPU is that of
this process, which holds the embedding model, and does not count the store's.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
import time
import uuid
from array import array
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from penstock_cache.app.exact import exact_cache_of, key_ring_of, shared_tier_of
from penstock_cache.app.meaning import Meaning, meaning_of
from penstock_cache.domain.cache import ResponseCache
from penstock_cache.domain.meaning.audience import group_for
from penstock_cache.domain.meaning.entry import Body, Card, sealed
from penstock_cache.settings import Settings
from penstock_common.contract.cache import LookupRequest, Probe, Scope, StoreRequest, probe_of
from penstock_common.contract.cache import meaning_of as meaning_of_request
from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    GenerationInput,
    Message,
    Role,
    Started,
    Text,
    TextDelta,
    Usage,
)
from penstock_common.points.store import Point
from penstock_common.rpc.in_process import InProcessChannel
from penstock_embedding.app import build as build_embedding
from penstock_embedding.settings import Settings as EmbeddingSettings

ENTRIES, ROUNDS = 100_000, 300
SCOPE = Scope("acme", "fast")
_BATCH = 500
_MODEL = Candidate(upstream="openai", model="gpt-4o-mini")
_EVENTS = (
    Started(generation_id="g", answered_by=_MODEL),
    TextDelta(text="It is done in the settings, under the second heading. " * 4),
    Usage(input_tokens=20, output_tokens=60),
    Finished(reason=FinishReason.STOP, answered_by=_MODEL, cost_nano_usd=9000),
)


def probe(text: str, *, system: str = "", by_meaning: bool = True) -> Probe:
    """Return what the gateway makes of a request."""
    turns = [Message(role=Role.SYSTEM, parts=(Text(text=system),))] if system else []
    request = GenerationInput(model="fast", messages=(*turns, Message(role=Role.USER, parts=(Text(text=text),))))
    plain = probe_of(request)
    return msgspec.structs.replace(plain, meaning=meaning_of_request(request)) if by_meaning else plain


def question(number: int) -> str:
    """Return one of many questions, each of its own words."""
    draw = random.Random(number)
    return f"How do I change the {draw.choice(_THINGS)} of the {draw.choice(_PLACES)} number {number} in the {draw.choice(_APPS)} app?"


_THINGS = ["colour", "size", "name", "owner", "region", "language", "font", "layout", "plan", "limit"]
_PLACES = ["project", "board", "report", "invoice", "folder", "channel", "chart", "list", "team", "page"]
_APPS = ["billing", "travel", "music", "banking", "gardening", "chess", "fitness", "cooking", "reading", "weather"]


async def fill(meaning: Meaning, entries: int) -> None:
    """Put entries of random vectors beside the real ones, all in the group that is searched."""
    world = meaning.world
    assert world.vectors.maker is not None
    maker = world.vectors.maker
    shelf = await world.library.shelf(SCOPE.tenant, maker)
    of_one = probe(question(0)).meaning
    assert of_one is not None
    group = group_for(shelf.keys, SCOPE.model, of_one).digest
    now = time.time()
    draw = random.Random(7)
    for begin in range(0, entries, _BATCH):
        points: list[Point] = []
        for number in range(begin, min(begin + _BATCH, entries)):
            vector = array("f", array("b", draw.randbytes(maker.dimension)))
            norm = sum(value * value for value in vector) ** 0.5
            entry_id = str(uuid.UUID(int=draw.getrandbits(128)))
            card = Card(
                root=entry_id, group=group, model="m" * 64, user="u" * 64, tags=(), origin="", is_private=0,
                is_confirmed=0, created_at=now, fresh_until=now + 86400, kept_until=now + 86400,
                body=sealed(shelf.keys, entry_id, Body(SCOPE.tenant, SCOPE.model, question(number), _EVENTS, (), "")),
            )  # fmt: skip
            points.append(
                Point(entry_id, shelf.keys.name, array("f", [value / norm for value in vector]), card.payload())
            )
        await shelf.points.put(points, timeout=300.0)


async def measured(cache: ResponseCache, requests: list[LookupRequest]) -> dict[str, Any]:
    """Return milliseconds of each look-up, and of this process's CPU, of the median and of the 99th per cent."""
    walls: list[float] = []
    hits = 0
    cpu_began = time.process_time()
    for request in requests:
        began = time.perf_counter()
        found = await cache.lookup(request)
        walls.append((time.perf_counter() - began) * 1000)
        hits += found.hit is not None
    cpu_ms = (time.process_time() - cpu_began) * 1000 / len(requests)
    walls.sort()
    return {
        "n": len(walls),
        "hits": hits,
        "p50_ms": round(walls[len(walls) // 2], 3),
        "p99_ms": round(walls[int(len(walls) * 0.99)], 3),
        "cpu_ms": round(cpu_ms, 3),
    }


def settings_of(folder: Path) -> Settings:
    """Return the cache's settings, with all that is kept in a folder."""
    key_file = folder / "key"
    key_file.write_bytes(os.urandom(32))
    return Settings.model_validate(
        {
            "secrets": {"cache_key_file": str(key_file)},
            "cache": {"mode": "semantic", "semantic": {"timeout": "10s", "max_entries_of_a_tenant": 10_000_000}},
            "qdrant": {"path": str(folder / "points"), "timeout": "60s", "write_timeout": "120s"},
        }
    )


async def run(entries: int, rounds: int) -> dict[str, Any]:
    """Return the figures."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = settings_of(folder)
        secret = (folder / "key").read_bytes()
        embedding = await stack.enter_async_context(build_embedding(EmbeddingSettings()))
        ring = key_ring_of(settings, secret, None)
        plain = exact_cache_of(settings, secret, shared_tier_of(settings, ring, None))
        exact = exact_cache_of(settings, secret, shared_tier_of(settings, ring, None))
        meaning = await meaning_of(settings, exact, ring, InProcessChannel(embedding.handlers), stack)
        while meaning.world.vectors.maker is None:
            await asyncio.sleep(0.05)
        for number in range(rounds):
            await meaning.cache.store(StoreRequest(SCOPE, probe(question(number)), _EVENTS))
            await asyncio.sleep(0.005)
        began = time.perf_counter()
        await fill(meaning, entries)
        filled = time.perf_counter() - began
        # An indexing engine finds nothing; once it is through, it answers.
        while (await meaning.cache.lookup(LookupRequest(SCOPE, probe("  " + question(0))))).hit is None:
            await asyncio.sleep(1)
        tier: dict[str, Any] = {"entries": entries, "filled_seconds": round(filled, 1)}
        misses = [LookupRequest(SCOPE, probe(f"What is {number}?", by_meaning=False)) for number in range(rounds)]
        tier["exact_miss"] = await measured(plain, misses)
        now = [LookupRequest(SCOPE, probe(f"What is the weather in {number} today?")) for number in range(rounds)]
        tier["miss_screened"] = await measured(meaning.cache, now)
        empty = [LookupRequest(SCOPE, probe(question(n), system=f"You are {n}.")) for n in range(rounds)]
        tier["miss_empty_group"] = await measured(meaning.cache, empty)
        tier["miss_embedded"] = await measured(
            meaning.cache, [LookupRequest(SCOPE, probe(f"Where does the river {n} spring?")) for n in range(rounds)]
        )
        tier["hit"] = await measured(
            meaning.cache, [LookupRequest(SCOPE, probe(f" {question(n)}")) for n in range(rounds)]
        )
        tier["exact_hit"] = await measured(
            meaning.cache, [LookupRequest(SCOPE, probe(question(n))) for n in range(rounds)]
        )
        return tier


def main() -> None:
    """Print one line of JSON."""
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS
    print(json.dumps(asyncio.run(run(entries, rounds))))


if __name__ == "__main__":
    main()
