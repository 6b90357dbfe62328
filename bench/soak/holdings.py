"""What each process of a stack holds, look by look: memory, descriptors, threads, and tasks of event loops."""

from __future__ import annotations

import math
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import msgspec
from machine import resident_bytes, tree

from soak.judge import Trend, trend

_MIB = 1024 * 1024
_TASKS = re.compile(r"^penstock_event_loop_tasks(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)
_WORKER = re.compile(r'worker="([^"]*)"')
_SETTLING_SECONDS = 180.0
"""Of each process: caches fill, pools open, the allocator finds its level."""
_LEAST_SECONDS = 180.0
"""Of what is judged; of a process that lived for less nothing is said."""
TOLERANCES = {"MiB": 4.0, "descriptors": 4.0, "threads": 2.0, "tasks": 6.0}
"""What may be more at the end than at the beginning."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that one process held."""

    process: str
    what: str
    seconds: float
    """For how long it was judged."""
    first: float
    last: float
    growth: float
    per_hour: float
    rises: bool


class Holdings:
    """Samples of all processes under a root, each by its number: one that takes another's place begins anew."""

    def __init__(self, root: int, metrics: str) -> None:
        """Take the process that all others descend from, and ``host:port`` where the stack shows its metrics."""
        self._root, self._metrics = root, metrics
        self._series: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        self._born: dict[str, float] = {}

    async def look(self, session: aiohttp.ClientSession, *, judged: bool = True) -> None:
        """Take a sample of everything; one that is not ``judged`` is told of by ``now`` alone."""
        now = time.monotonic() if judged else math.inf
        names = {pid: _name(pid, self._root) for pid in tree(self._root)}
        for pid, name in names.items():
            if name:
                process = f"{name} ({pid})"
                for what, value in _held(pid):
                    self._add(process, what, now, value)
        for name, tasks in (await self._tasks(session)).items():
            holder = next((f"{known} ({pid})" for pid, known in names.items() if known == name), "")
            if holder:
                self._add(holder, "tasks", now, tasks)

    def rows(self, settling: float = _SETTLING_SECONDS, least: float = _LEAST_SECONDS) -> Iterator[Row]:
        """Yield where everything went, of processes that lived long enough."""
        for (process, what), series in self._series.items():
            judged = [each for each in series if self._born[process] + settling <= each[0] < math.inf]
            seconds = judged[-1][0] - judged[0][0] if judged else 0.0
            if seconds >= least:
                yield _row(process, what, seconds, trend(judged))

    def now(self) -> dict[str, dict[str, float]]:
        """Return the last sample of each process that lives."""
        living = {f"({pid})" for pid in tree(self._root)}
        found: dict[str, dict[str, float]] = defaultdict(dict)
        for (process, what), series in self._series.items():
            if process.rpartition(" ")[2] in living:
                found[process][what] = round(series[-1][1], 1)
        return dict(found)

    def _add(self, process: str, what: str, now: float, value: float) -> None:
        self._born.setdefault(process, now)
        self._series[process, what].append((now, value))

    async def _tasks(self, session: aiohttp.ClientSession) -> dict[str, float]:
        with suppress(aiohttp.ClientError, TimeoutError):
            async with session.get(f"http://{self._metrics}/metrics") as response:
                text = await response.text()
            found = {}
            for labels, value in _TASKS.findall(text):
                worker = _WORKER.search(labels)
                found[worker[1] if worker else "penstock"] = float(value)
            return found
        return {}


def _row(process: str, what: str, seconds: float, found: Trend) -> Row:
    return Row(
        process=process,
        what=what,
        seconds=round(seconds),
        first=round(found.first, 1),
        last=round(found.last, 1),
        growth=round(found.growth, 2),
        per_hour=round(found.per_hour, 2),
        rises=found.rises(TOLERANCES[what]),
    )


def _held(pid: int) -> Iterator[tuple[str, float]]:
    with suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        threads = re.search(r"^Threads:\s+(\d+)", status, re.MULTILINE)
        yield "MiB", resident_bytes(pid) / _MIB
        yield "descriptors", float(len(list(Path(f"/proc/{pid}/fd").iterdir())))
        yield "threads", float(threads[1]) if threads else 0.0


def _name(pid: int, root: int) -> str:
    """Return what a process is called: its role, the worker that it is, or its program."""
    if pid == root:
        return "penstock"
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        if words[0] == sys.executable or "python" in words[0]:
            plan = next((Path(word).stem for word in words if word.endswith(".json")), "")
            return plan or "python"
        return Path(words[0]).name
    return ""
