"""Slow streams by the thousand: is one lost, what does each hold, how late are tokens, how long does the loop stand.

    python bench/slow_streams.py [--only NAME] [--streams N] [--tokens N] [--seconds S] [--output FILE]

Each load has a stack of its own: one process over gRPC alone and over its HTTP socket alone, then one and six processes
(certificates both ways) with half of the streams over gRPC and half through the edge. Over gRPC a hundred are on a
connection; over HTTP each has its own, so there are as many as descriptors allow. All are open before the first gets a
token; then each gets one every so many seconds, which says when it was written.

Memory is what the processes have gained since they had answered a hundred short requests, at its most, over the streams.
A gap is the time between two tokens of a stream as its reader sees it, less what the provider had made it; what is added
is its 99th percentile, less that of streams which ask the provider directly, over HTTP. The loop's stall, of one process, is
how long a request that needs nothing (an unknown path) waits for its answer; the next goes out 20 ms later. The CPU of a
token is that of all processes from when all are open until all have ended, over the tokens, and so has their ends in it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

import msgspec
from checkouts import commit_of
from grpc_streams import GrpcJob, Tally
from load_client import Job, Outcome
from machine import cpu_seconds, description, label, resident_bytes, tree
from programs import BENCH, CHECKOUT, Door, Running, Upstream, load_client, mock_upstream
from rounds import tell
from shapes import EDGE, GRPC, HERE, ONE_PROCESS, SIX_PROCESSES, SOCKET, configuration, running
from turns import UNARY

_PER_CONNECTION = 100
_WARM_UP_REQUESTS = 100
_PROBE_SECONDS = 0.02
_LOOK_SECONDS = 0.2
_LEAST_KIB = 0.1
_ADDRESSES = 50
_PATIENCE_SECONDS = 300.0
"""A provider's silence, and so the longest that opening may take."""
_SPARE_DESCRIPTORS = 1000


class Load(msgspec.Struct, frozen=True):
    """So many streams of one stack, by the door that they come through."""

    name: str
    shape: str
    doors: dict[str, int]
    tokens: int
    seconds: float
    """Between two tokens of a stream."""
    begin_per_second: float = 0.0
    """Through each door; 0: all at once."""

    @property
    def streams(self) -> int:
        """How many there are in all."""
        return sum(self.doors.values())

    @property
    def upstream_options(self) -> list[str]:
        """What tells the mock of it."""
        said = {"tokens": self.tokens, "seconds": self.seconds, "together": self.streams}
        return [word for name, value in said.items() for word in (f"--slow-{name}", str(value))]

    def run(self, doors: Iterable[Door]) -> Tally:
        """Return what became of the streams, all doors at once."""
        asked = [(door, self.doors[door.name]) for door in doors if self.doors.get(door.name)]
        with ThreadPoolExecutor(len(asked)) as pool:
            found = list(pool.map(lambda each: self._through(*each), asked))
        return Tally(
            whole=sum(one.whole for one in found),
            lost=sum(one.lost for one in found),
            first_fault=next((one.first_fault for one in found if one.first_fault), ""),
            late_us=[late for one in found for late in one.late_us],
            gap_us=[gap for one in found for gap in one.gap_us],
        )

    def _through(self, door: Door, streams: int) -> Tally:
        within = _PATIENCE_SECONDS + (self.tokens + 1) * self.seconds
        way: dict[str, Any] = {
            "address": door.address,
            "headers": dict(door.headers),
            "tokens": self.tokens,
            "seconds": within,
            "begin_per_second": self.begin_per_second,
        }
        if door.name == GRPC:
            job = GrpcJob(**way, streams=streams, per_connection=_PER_CONNECTION, ca=door.ca)
            return msgspec.json.decode(_said("grpc_streams.py", job), type=Tally)
        # Once half of an edge's places are taken, one address may have an eighth of them.
        addresses = _ADDRESSES if door.name == EDGE else 1
        http = Job(**way, in_flight=streams, requests=streams, stream=True, kind="SLOW", addresses=addresses)
        outcome = msgspec.json.decode(_said("load_client.py", http), type=Outcome)
        return Tally(
            whole=outcome.requests,
            lost=streams - outcome.requests,
            first_fault=outcome.first_error,
            late_us=outcome.late_us,
            gap_us=outcome.gap_us,
        )


def _said(program: str, job: Job | GrpcJob) -> bytes:
    command = [sys.executable, str(BENCH / program)]
    return subprocess.run(command, input=msgspec.json.encode(job) + b"\n", stdout=subprocess.PIPE, check=True).stdout


class Watch:
    """Looks at processes, in a thread of its own, until the context ends: what they hold, how long a loop stands."""

    def __init__(self, pids: Sequence[int], address: str, is_open: Callable[[], bool]) -> None:
        """Take processes, a unix socket where a loop answers HTTP (empty: none), and what tells that every stream is open."""
        self.most_bytes = dict.fromkeys(pids, 0)
        self.most_together_bytes = 0
        self.while_opening_ms: list[float] = []
        self.while_open_ms: list[float] = []
        self.cpu_seconds_when_open: float | None = None
        self._pids = pids
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

    @property
    def cpu_seconds(self) -> float:
        """What the processes have used so far."""
        return sum(cpu_seconds(pid) for pid in self._pids)

    def _probe(self) -> None:
        if not self._address:
            while not self._is_over.wait(_LOOK_SECONDS):
                self._look()
            return
        with socket.socket(socket.AF_UNIX) as at, closing(HTTPConnection("localhost")) as connection:
            at.connect(self._address)
            connection.sock = at
            while not self._is_over.wait(_PROBE_SECONDS):
                began = time.perf_counter()
                connection.request("GET", "/")
                connection.getresponse().read()
                wait_ms = (time.perf_counter() - began) * 1e3
                (self.while_open_ms if self._is_open() else self.while_opening_ms).append(wait_ms)
                self._look()

    def _look(self) -> None:
        held = {pid: resident_bytes(pid) for pid in self._pids}
        self.most_together_bytes = max(self.most_together_bytes, sum(held.values()))
        for pid, here in held.items():
            self.most_bytes[pid] = max(self.most_bytes[pid], here)
        if self.cpu_seconds_when_open is None and self._is_open():
            self.cpu_seconds_when_open = self.cpu_seconds


def measured(load: Load) -> dict[str, Any]:
    """Return what became of the streams, and what they cost, in a stack of their own."""
    tell(f"{load.name}: {load.streams} streams")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pb-")))
        upstream = stack.enter_context(mock_upstream(*load.upstream_options))
        document = _patient(configuration(upstream.address), load.streams)
        suite = stack.enter_context(running(HERE, load.shape, document, folder / "suite", room=2 * load.streams))
        client = stack.enter_context(load_client())
        client.perform(_door(suite, EDGE), requests=_WARM_UP_REQUESTS, **UNARY.job(16))
        return {**msgspec.to_builtins(load), "load_average": os.getloadavg()[0], **_watched(load, suite, upstream)}


def _watched(load: Load, suite: Running, upstream: Upstream) -> dict[str, Any]:
    pids = tree(suite.pid)
    held = {pid: resident_bytes(pid) for pid in pids}
    probed = _door(suite, SOCKET).address if load.shape == ONE_PROCESS else ""
    with Watch(pids, probed, upstream.has_all_slow_streams) as watch:
        tally = load.run(suite.doors)
        used = watch.cpu_seconds - (watch.cpu_seconds_when_open or 0.0)
    return {
        "whole": tally.whole,
        "lost": tally.lost,
        "first_fault": tally.first_fault,
        "were_open_together": upstream.has_all_slow_streams(),
        "kib_each": _kib_each(watch.most_together_bytes - sum(held.values()), load),
        "kib_each_of": _by_label({pid: _kib_each(most - held[pid], load) for pid, most in watch.most_bytes.items()}),
        "cpu_us_of_a_token": round(used / load.streams / load.tokens * 1e6, 1),
        "gap_ms": _quantiles([gap / 1e3 for gap in tally.gap_us]),
        "token_late_ms": _quantiles([late / 1e3 for late in tally.late_us]),
        "stall_ms_while_opening": _quantiles(watch.while_opening_ms),
        "stall_ms_while_open": _quantiles(watch.while_open_ms),
    }


def direct(load: Load) -> dict[str, Any]:
    """Return how late tokens are where the provider itself is asked, by as many as have descriptors."""
    tell(f"directly: {load.streams} streams")
    with mock_upstream(*load.upstream_options) as upstream:
        (door,) = upstream.running.doors
        tally = load.run([door])
        late = _quantiles([late / 1e3 for late in tally.late_us])
        gap = _quantiles([gap / 1e3 for gap in tally.gap_us])
        return {**msgspec.to_builtins(load), "lost": tally.lost, "gap_ms": gap, "token_late_ms": late}


def _kib_each(gained: int, load: Load) -> float:
    return round(gained / 1024 / load.streams, 1)


def _by_label(figures: Mapping[int, float]) -> dict[str, float]:
    """Return what processes gained by what they are, without those that gained nothing to speak of."""
    return {label(pid): each for pid, each in figures.items() if each >= _LEAST_KIB}


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


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    ordered = sorted(values)
    ranks = {"p50": len(ordered) // 2, "p99": len(ordered) * 99 // 100, "most": len(ordered) - 1}
    return {name: round(ordered[rank], 1) for name, rank in ranks.items()}


def _most_over_http() -> int:
    """Return how many streams a process has descriptors for, one to the caller and one to the provider each."""
    return (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - _SPARE_DESCRIPTORS) // 2


def loads(streams: int, tokens: int, seconds: float) -> Iterator[Load]:
    """Yield what is measured beside the provider itself."""
    half = streams // 2
    yield Load("one process, gRPC", ONE_PROCESS, {GRPC: streams}, tokens, seconds)
    yield Load("one process, HTTP", ONE_PROCESS, {SOCKET: min(streams, _most_over_http())}, tokens, seconds)
    both = {GRPC: streams - half, EDGE: half}
    yield Load("one process, both", ONE_PROCESS, both, tokens, seconds)
    # Each stream over HTTP costs a handshake between edge and gateway. Of thousands at once the edge turns those away that would
    # have to wait for too long, as it should.
    yield Load("six processes, both", SIX_PROCESSES, both, tokens, seconds, begin_per_second=100)


def main() -> None:
    """Measure, print, and write."""
    # As by ^C: what was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("it was ended"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=10_000, help="of each load (default: %(default)s)")
    parser.add_argument("--only", default="", help="loads whose name has this in it")
    parser.add_argument("--tokens", type=int, default=8, help="of a stream (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=8.0, help="between two tokens (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    asked = [
        load for load in loads(arguments.streams, arguments.tokens, arguments.seconds) if arguments.only in load.name
    ]
    alone = direct(Load("directly", "provider", {"direct": arguments.streams}, arguments.tokens, arguments.seconds))
    found = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit_of(CHECKOUT),
        "machine": description(),
        "direct": alone,
        "loads": [_beside(alone, measured(load)) for load in asked],
    }
    print(json.dumps(found, indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n")


def _beside(alone: dict[str, Any], figures: dict[str, Any]) -> dict[str, Any]:
    added = figures["gap_ms"].get("p99", 0.0) - alone["gap_ms"].get("p99", 0.0)
    return {**figures, "gap_p99_added_ms": round(added, 1)}


if __name__ == "__main__":
    main()
