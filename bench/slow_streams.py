"""Slow streams by the thousand through one process: is one lost, what does each hold, how long does the loop stand.

    python bench/slow_streams.py [--grpc N] [--http N] [--tokens N] [--seconds S] [--output FILE]

Over gRPC a hundred are on a connection; over HTTP each has its own, so there are as many as descriptors allow. All are
open before the first gets a token; then each gets one every so many seconds. Memory is what the process has gained
since it had answered a hundred short requests, at its most, over the streams. The loop's stall is how long a request
that needs nothing (an unknown path) waits for its answer; the next goes out 20 ms later. The CPU of a token is that of
the process from when all are open until all have ended, over the tokens, and so has their ends in it.
"""

from __future__ import annotations

import argparse
import json
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

import msgspec
from checkouts import commit_of
from grpc_streams import GrpcJob, Tally
from load_client import Job, Outcome
from machine import cpu_seconds, description, resident_bytes
from programs import BENCH, CHECKOUT, Door, Running, Upstream, load_client, mock_upstream
from rounds import tell
from shapes import GRPC, HERE, ONE_PROCESS, SOCKET, configuration, running
from turns import UNARY

_PER_CONNECTION = 100
_WARM_UP_REQUESTS = 100
_PROBE_SECONDS = 0.02
_PATIENCE_SECONDS = 300.0
"""A provider's silence, and so the longest that opening may take."""
_SPARE_DESCRIPTORS = 1000


class Load(msgspec.Struct, frozen=True):
    """So many streams through one door."""

    door: str
    streams: int
    tokens: int
    seconds: float
    """Between two tokens of a stream."""

    @property
    def upstream_options(self) -> list[str]:
        """What tells the mock of it."""
        said = {"tokens": self.tokens, "seconds": self.seconds, "together": self.streams}
        return [word for name, value in said.items() for word in (f"--slow-{name}", str(value))]

    def run(self, door: Door) -> dict[str, Any]:
        """Return what became of the streams."""
        within = _PATIENCE_SECONDS + (self.tokens + 1) * self.seconds
        way: dict[str, Any] = {
            "address": door.address,
            "headers": dict(door.headers),
            "tokens": self.tokens,
            "seconds": within,
        }
        if self.door == GRPC:
            job = GrpcJob(**way, streams=self.streams, per_connection=_PER_CONNECTION)
            tally = msgspec.json.decode(_said("grpc_streams.py", job), type=Tally)
            return {"whole": tally.whole, "lost": tally.lost, "first_fault": tally.first_fault}
        job = Job(**way, in_flight=self.streams, requests=self.streams, stream=True, kind="SLOW")
        outcome = msgspec.json.decode(_said("load_client.py", job), type=Outcome)
        lost = self.streams - outcome.requests
        return {"whole": outcome.requests, "lost": lost, "first_fault": outcome.first_error}


def _said(program: str, job: Job | GrpcJob) -> bytes:
    command = [sys.executable, str(BENCH / program)]
    return subprocess.run(command, input=msgspec.json.encode(job) + b"\n", stdout=subprocess.PIPE, check=True).stdout


class Watch:
    """Looks at a process, in a thread of its own, until the context ends: how long its loop stands, what it holds."""

    def __init__(self, pid: int, address: str, is_open: Callable[[], bool]) -> None:
        """Take the process, a unix socket where it answers HTTP, and what tells that every stream is open."""
        self.most_bytes = 0
        self.while_opening_ms: list[float] = []
        self.while_open_ms: list[float] = []
        self.cpu_seconds_when_open: float | None = None
        self._pid = pid
        self._address = address
        self._is_open = is_open
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._probe)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _probe(self) -> None:
        with socket.socket(socket.AF_UNIX) as at, closing(HTTPConnection("localhost")) as connection:
            at.connect(self._address)
            connection.sock = at
            while not self._is_over.wait(_PROBE_SECONDS):
                began = time.perf_counter()
                connection.request("GET", "/")
                connection.getresponse().read()
                self._note((time.perf_counter() - began) * 1e3)
                self.most_bytes = max(self.most_bytes, resident_bytes(self._pid))

    def _note(self, wait_ms: float) -> None:
        if not self._is_open():
            self.while_opening_ms.append(wait_ms)
            return
        self.while_open_ms.append(wait_ms)
        if self.cpu_seconds_when_open is None:
            self.cpu_seconds_when_open = cpu_seconds(self._pid)


def measured(load: Load) -> dict[str, Any]:
    """Return what became of the streams, and what they cost, in a stack of their own."""
    tell(f"{load.streams} streams over {load.door}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pb-")))
        upstream = stack.enter_context(mock_upstream(*load.upstream_options))
        document = _patient(configuration(upstream.address), load.streams)
        suite = stack.enter_context(running(HERE, ONE_PROCESS, document, folder / "suite"))
        client = stack.enter_context(load_client())
        client.perform(_door(suite, SOCKET), requests=_WARM_UP_REQUESTS, **UNARY.job(16))
        return {**msgspec.to_builtins(load), **_watched(load, suite, upstream)}


def _watched(load: Load, suite: Running, upstream: Upstream) -> dict[str, Any]:
    held = resident_bytes(suite.pid)
    with Watch(suite.pid, _door(suite, SOCKET).address, upstream.has_all_slow_streams) as watch:
        tally = load.run(_door(suite, load.door))
    used = cpu_seconds(suite.pid) - (watch.cpu_seconds_when_open or 0.0)
    return {
        **tally,
        "were_open_together": upstream.has_all_slow_streams(),
        "kib_each": round((watch.most_bytes - held) / 1024 / load.streams, 1),
        "cpu_us_of_a_token": round(used / load.streams / load.tokens * 1e6, 1),
        "stall_ms_while_opening": _stall(watch.while_opening_ms),
        "stall_ms_while_open": _stall(watch.while_open_ms),
    }


def _patient(document: dict[str, Any], streams: int) -> dict[str, Any]:
    """Return a configuration with room for all, and in which nobody is too late."""
    patience = f"{_PATIENCE_SECONDS:.0f}s"
    (upstream,) = document["upstreams"]
    timeouts = {"connect": "60s", "headers": patience, "first_token": patience, "idle": patience}
    gateway = {
        "max_in_flight": 2 * streams,
        "redis_timeout": "10s",
        "cache_lookup_timeout": "10s",
        "router_timeout": "60s",
    }
    return {**document, "upstreams": [{**upstream, "timeouts": timeouts}], "gateway": gateway}


def _door(suite: Running, name: str) -> Door:
    return next(door for door in suite.doors if door.name == name)


def _stall(waits_ms: Sequence[float]) -> dict[str, float]:
    if not waits_ms:
        return {}
    ordered = sorted(waits_ms)
    ranks = {"p50": len(ordered) // 2, "p99": len(ordered) * 99 // 100, "most": len(ordered) - 1}
    return {name: round(ordered[rank], 1) for name, rank in ranks.items()}


def _most_over_http() -> int:
    """Return how many streams a process has descriptors for, one to the caller and one to the provider each."""
    return (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - _SPARE_DESCRIPTORS) // 2


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grpc", type=int, default=10_000, help="streams; default: %(default)s, 0: leave it out")
    parser.add_argument("--http", type=int, help="streams; default: 10000, or what descriptors allow; 0: leave it out")
    parser.add_argument("--tokens", type=int, default=8, help="of a stream (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=8.0, help="between two tokens (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    http = min(10_000, _most_over_http()) if arguments.http is None else arguments.http
    loads = [
        Load(door, streams, arguments.tokens, arguments.seconds)
        for door, streams in ((GRPC, arguments.grpc), (SOCKET, http))
    ]
    found = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit_of(CHECKOUT),
        "machine": description(),
        "loads": [measured(load) for load in loads if load.streams],
    }
    print(json.dumps(found["loads"], indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
