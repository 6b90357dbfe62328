"""What one look-up costs, by how it ends, with many entries of one tenant; cache, embedding and engine on one core."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import machine
import msgspec
import numpy as np
from semantic_questions import questions

from penstock_common.configuration import Configuration
from penstock_common.contract.cache import (
    Deletion,
    EntryFilter,
    LookupRequest,
    LookupResponse,
    Meaning,
    Scope,
    StoreRequest,
    probe_of,
)
from penstock_common.contract.cache import meaning_of as meaning_in
from penstock_common.contract.wire.cache import LOOKUP, STORE
from penstock_common.contract.wire.cache_entries import DELETE_ENTRIES
from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationInput,
    Message,
    Role,
    SamplingParams,
    Started,
    Text,
    TextDelta,
    Usage,
)
from penstock_common.rpc.client import Channel
from penstock_suite.app.wiring import Wiring
from penstock_suite.domain import requests

_TENANT, _EMPTY = "bench", "bench-empty"
_AT_ONCE = 128
_PATIENCE_SECONDS = 120.0
_REAL = 250
_POLITE = ("Hello! {}", "hi, {} please", "{} Thanks!")
_MOCK = Candidate(upstream="mock", model="bench")


class Cost(NamedTuple):
    """Of one kind of look-up: wall time and CPU of all processes."""

    p50_ms: float
    p99_ms: float
    cpu_ms: float
    lookups: int


def asked(text: str) -> GenerationInput:
    """Return a request of one turn."""
    turn = Message(role=Role.USER, parts=(Text(text=text),))
    return GenerationInput(model="bench", messages=(turn,), sampling=SamplingParams(temperature=0.0))


def answer(text: str) -> tuple[GenerationEvent, ...]:
    """Return an answer's events."""
    return (
        Started(generation_id="bench", answered_by=_MOCK),
        TextDelta(text=text),
        Usage(input_tokens=40, output_tokens=60),
        Finished(reason=FinishReason.STOP, answered_by=_MOCK),
    )


class Bench:
    """A cache, and what it is asked."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def look(self, text: str, tenant: str = _TENANT) -> LookupResponse:
        """Look a text up."""
        request = asked(text)
        probe = probe_of(request)
        meaning = meaning_in(request)
        lookup = LookupRequest(scope=Scope(tenant, "bench"), probe=_with(probe, meaning))
        return await self._channel.call(LOOKUP, lookup, timeout=30)

    async def keep(self, text: str, vector: bytes = b"", vector_model: str = "") -> None:
        """Keep an answer, by a vector where one is given."""
        request = asked(text)
        meaning = meaning_in(request)
        assert meaning is not None
        meaning = Meaning(meaning.text, meaning.fingerprint, "", vector, vector_model)
        told = StoreRequest(
            scope=Scope(_TENANT, "bench"), probe=_with(probe_of(request), meaning), events=answer(f"About: {text}")
        )
        refusal = await self._channel.call(STORE, told, timeout=30)
        assert not refusal, refusal

    async def kept(self) -> int:
        """Return how many entries there are."""
        counted = Deletion(EntryFilter(Scope(_TENANT, "")), dry_run=True)
        return await self._channel.call(DELETE_ENTRIES, counted, timeout=30)

    async def fill(self, entries: int) -> None:
        """Keep real questions, and among them random directions up to so many entries."""
        known = questions(_REAL)
        for text, *_ in known:
            await self.keep(text)
        await self._until(_REAL)
        label = (await self.look("Anything that a model has to see")).vector_model
        chance = np.random.default_rng(7)
        for begin in range(_REAL, entries, _AT_ONCE):
            numbers = range(begin, min(begin + _AT_ONCE, entries))
            vectors = chance.standard_normal((len(numbers), 384)).astype("float32")
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            async with asyncio.TaskGroup() as keeping:
                for number, vector in zip(numbers, vectors, strict=True):
                    keeping.create_task(self.keep(f"Filling {number}", vector.tobytes(), label))
            await self._until(numbers.stop)

    async def _until(self, entries: int) -> None:
        last = time.monotonic() + _PATIENCE_SECONDS
        while await self.kept() < entries:
            if time.monotonic() > last:
                raise RuntimeError(f"{await self.kept()} of {entries} entries are kept")
            await asyncio.sleep(0.01)

    async def cost(
        self, texts: Iterable[str], counts: Callable[[LookupResponse], bool], tenant: str = _TENANT
    ) -> tuple[Cost, int]:
        """Return what look-ups of these texts cost of which ``counts`` holds, and of how many it does not."""
        took: list[float] = []
        others = 0
        cpu = _cpu_seconds()
        for text in texts:
            began = time.perf_counter()
            found = await self.look(text, tenant)
            seconds = time.perf_counter() - began
            if counts(found):
                took.append(seconds)
            else:
                others += 1
        spent = (_cpu_seconds() - cpu) / max(len(took) + others, 1)
        took.sort()
        if not took:
            raise RuntimeError("no look-up ended as it was to")
        p99 = took[min(int(0.99 * len(took)), len(took) - 1)]
        return Cost(_ms(statistics.median(took)), _ms(p99), _ms(spent), len(took)), others


def _with(probe: Any, meaning: Meaning | None) -> Any:
    return msgspec.structs.replace(probe, meaning=meaning)


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 3)


def _cpu_seconds() -> float:
    return sum(map(machine.cpu_seconds, machine.tree(os.getpid())))


@asynccontextmanager
async def _cache(mode: str, qdrant: dict[str, Any], entries: int, folder: Path) -> AsyncGenerator[Bench]:
    folder.mkdir(parents=True)
    secret = folder / "secret"
    secret.write_bytes(os.urandom(32))
    document: dict[str, Any] = {
        "cache": {"mode": mode, "memory_entries": 2 * entries},
        "secrets": {"cache_key_file": str(secret)},
        "embedding": {"cache_dir": str(folder.parent / "models")},
        "sql": f"sqlite:///{folder}/penstock.db",
    }
    places: dict[str, None] = {requests.Role.CACHE: None}
    if mode == "semantic":
        document["qdrant"] = qdrant or {"path": str(folder / "vectors")}
        document["cache"]["semantic"] = {
            "timeout": "2s",
            "max_entries": 2 * entries,
            "max_entries_of_a_tenant": 2 * entries,
        }
        places[requests.Role.EMBEDDING] = None
    async with AsyncExitStack() as stack:
        wiring = Wiring(Configuration(document), places, stack)
        yield Bench(await wiring.channel(requests.Role.CACHE))


def _unknown(marks: Iterable[int]) -> Iterable[str]:
    """Yield texts that nobody has asked, each another."""
    return (f"Please explain chapter {mark} of the handbook on steam engines" for mark in marks)


async def measured(engine: str, qdrant: dict[str, Any], options: Any, folder: Path) -> list[dict[str, Any]]:
    """Return a row for each end that a look-up may take, with what the same takes where the cache is exact."""
    marks = count()
    # Of a kind that the guard serves cold: how a look-up ends is given here, and what it costs is asked.
    reworded = [form.format(wordings[0]) for wordings in questions(_REAL) for form in _POLITE]
    stored = [wordings[0] for wordings in questions(_REAL)]
    lookups: int = options.lookups
    async with _cache("exact", {}, options.entries, folder / f"{engine}-exact") as bench:
        for text in stored:
            await bench.keep(text)
        exact_hit, _ = await bench.cost(_repeated(stored, lookups), lambda found: found.hit is not None)
        exact_miss, _ = await bench.cost(_unknown(_next(marks, lookups)), lambda found: found.hit is None)
    async with _cache("semantic", qdrant, options.entries, folder / engine) as bench:
        await bench.fill(options.entries)
        hit, refused = await bench.cost(
            reworded[:lookups], lambda found: found.hit is not None and found.hit.by_meaning
        )
        rows = [_row(engine, "semantic hit, embedding included", hit, None) | {"refused": refused}]
        early, _ = await bench.cost(_unknown(_next(marks, lookups)), lambda found: not found.vector, _EMPTY)
        rows.append(_row(engine, "miss that needs no model", early, exact_miss))
        needs, _ = await bench.cost(
            _unknown(_next(marks, lookups)), lambda found: bool(found.vector) and found.hit is None
        )
        rows.append(_row(engine, "miss that needs the model", needs, exact_miss))
        again, _ = await bench.cost(_repeated(stored, lookups), lambda found: found.hit is not None)
        rows.append(_row(engine, "exact hit", again, exact_hit))
    return rows


def _repeated(texts: Sequence[str], times: int) -> Iterable[str]:
    return (texts[number % len(texts)] for number in range(times))


def _next(marks: Iterable[int], times: int) -> list[int]:
    iterator = iter(marks)
    return [next(iterator) for _ in range(times)]


def _row(engine: str, end: str, cost: Cost, exact: Cost | None) -> dict[str, Any]:
    more = {} if exact is None else {"cpu_ms_more_than_exact": round(cost.cpu_ms - exact.cpu_ms, 3)}
    return {"engine": engine, "end": end, **cost._asdict(), **more}
