"""One short turn of asking, and what it cost; what is measured side by side takes turns."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from machine import busy_seconds, cpu_seconds, label, tree
from programs import Client, Door, Running, Upstream

TOKENS = 100
_SETTLE_SECONDS = 0.3
"""After the last answer; what is written afterwards belongs to the requests."""


@dataclass(frozen=True)
class Case:
    """What is asked, and how much of it at once."""

    name: str
    stream: bool = False
    """100 tokens, each a write of its own."""
    turns: int = 0
    """Of history before the question."""
    same: bool = False
    """The same every time: a cache can answer."""

    def job(self, in_flight: int) -> dict[str, Any]:
        """Return the fields of a job of the load client."""
        return {
            "in_flight": in_flight,
            "stream": self.stream,
            **({"kind": "LONG", "tokens": TOKENS} if self.stream else {}),
            "turns": self.turns,
            "same": self.same,
        }


UNARY = Case("unary")
HISTORY = Case("unary, 20 turns", turns=20)
STREAM = Case("stream of 100 tokens", stream=True)
HIT = Case("exact hit", same=True)
CASES = (UNARY, HISTORY, STREAM, HIT)
IN_FLIGHT = (16, 1)


@dataclass(frozen=True)
class Turn:
    """What so many requests cost."""

    requests: int
    errors: int
    first_error: str
    cpu_us: float
    """Of all processes, a request."""
    cpu_us_by_process: dict[str, float]
    requests_per_second: float
    whole_us: list[int]
    """Until the last byte, of each request."""
    first_us: list[int]
    others_cores: float
    """CPU that nothing here used: neither what was asked, nor the provider, nor the client."""
    load_average: float


@dataclass(frozen=True)
class Scene:
    """Who asks, and whom what is asked asks in turn."""

    client: Client
    upstream: Upstream

    def cpu_seconds(self) -> float:
        """Return the CPU that the provider has used."""
        return cpu_seconds(self.upstream.running.pid)


def take_turn(scene: Scene, asked: Running, door: Door, job: dict[str, Any], seconds: float) -> Turn:
    """Return what asking for so long cost."""
    before = {pid: cpu_seconds(pid) for pid in tree(asked.pid)}
    machine, upstream, began = busy_seconds(), scene.cpu_seconds(), time.perf_counter()
    outcome = scene.client.perform(door, seconds=seconds, **job)
    time.sleep(_SETTLE_SECONDS)
    used = {pid: max(0.0, cpu_seconds(pid) - before.get(pid, 0.0)) for pid in tree(asked.pid)}
    took = time.perf_counter() - began
    requests = max(1, outcome.requests)
    by_process: dict[str, float] = {}
    for pid, used_seconds in used.items():
        name = label(pid)
        by_process[name] = by_process.get(name, 0.0) + used_seconds / requests * 1e6
    ours = {**used, scene.upstream.running.pid: scene.cpu_seconds() - upstream}
    others = busy_seconds() - machine - sum(ours.values()) - outcome.cpu_seconds
    return Turn(
        requests=outcome.requests,
        errors=outcome.errors,
        first_error=outcome.first_error,
        cpu_us=round(sum(by_process.values()), 1),
        cpu_us_by_process={name: round(us, 1) for name, us in by_process.items()},
        requests_per_second=round(outcome.requests / outcome.seconds, 1),
        whole_us=outcome.whole_us,
        first_us=outcome.first_us,
        others_cores=round(max(0.0, others / took), 2),
        load_average=round(os.getloadavg()[0], 2),
    )
