"""CPU per request and added latency of the one-process suite, beside the same upstream asked directly.

Run: python bench/overhead.py [--requests N] [--output FILE]

Starts a mock provider, then `penstock up` with a configuration of its own, each a process; the load comes from this
process. CPU is what the operating system has accounted to each process between the first and the last request.
Absolute figures depend on the machine: compare ratios within one run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

BENCH = Path(__file__).parent
KEY = "bench-key-bench-key"
WARM_UP_REQUESTS = 200
START_TIMEOUT_SECONDS = 60
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

CONFIGURATION = """
listen: {{http: '127.0.0.1:{http}', grpc: '127.0.0.1:{grpc}'}}
upstreams:
  - name: mock
    provider: openai_compatible
    base_url: http://127.0.0.1:{upstream}/v1
    api_key: sk-bench
    models: [{{name: bench, context_window: 128000, capabilities: [chat], price: {{input: 1, output: 2}}}}]
models: [{{name: bench, candidates: [mock/bench]}}]
tenants: [{{name: bench, tier: {{requests_per_minute: 100000000, concurrent_requests: 100000}}, keys: [{key}]}}]
telemetry: {{sample_ratio: 0.01}}
"""


@dataclass(frozen=True)
class Case:
    """What is asked, and how."""

    name: str
    prompt: str
    stream: bool = False
    same: bool = False
    """Ask the same thing every time, so that the cache answers."""


CASES = (
    Case("unary, cache miss", "short"),
    Case("stream of 100 tokens", "LONG", stream=True),
    Case("exact hit", "short", same=True),
)


@dataclass
class Figures:
    """One case through one door."""

    case: str
    door: str
    in_flight: int
    requests: int
    suite_cpu_us: float
    edge_cpu_us: float
    redis_cpu_us: float
    upstream_cpu_us: float
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    first_byte_p50_ms: float
    first_byte_p99_ms: float


def main() -> None:
    """Measure every case through every door."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000, help="per case, door and concurrency")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    results: list[Figures] = []
    with running_stack() as stack:
        doors = {"direct": stack.upstream_url, "gateway": stack.gateway_socket, "edge": stack.edge_url}
        for case in CASES:
            for in_flight in (16, 1):
                for door, target in doors.items():
                    if door == "direct" and case.same:
                        continue
                    results.append(measure(stack, case, door, target, in_flight, arguments.requests))
                    print_row(results[-1])
    if arguments.output:
        arguments.output.write_text(json.dumps(report(results), indent=1) + "\n")


@dataclass(frozen=True)
class Stack:
    """A running suite and its mock provider."""

    pids: dict[str, int]
    upstream_url: str
    gateway_socket: str
    edge_url: str


@contextlib.contextmanager
def running_stack() -> Iterator[Stack]:
    """Yield a stack that is ready; everything is stopped on exit."""
    upstream, http, grpc = free_ports(3)
    with tempfile.TemporaryDirectory(prefix="pbench-") as folder, contextlib.ExitStack() as stack:
        state = Path(folder) / "state"
        configuration = Path(folder) / "bench.yaml"
        configuration.write_text(CONFIGURATION.format(upstream=upstream, http=http, grpc=grpc, key=KEY))
        mock = stack.enter_context(process([sys.executable, str(BENCH / "mock_upstream.py"), str(upstream)]))
        penstock = Path(sys.executable).with_name("penstock")
        command = [str(penstock), "up", "--config", str(configuration), "--state", str(state), "--json"]
        suite = stack.enter_context(process(command, stdout=subprocess.PIPE, text=True))
        assert suite.stdout is not None
        pids = {"upstream": mock.pid, "suite": suite.pid}
        for line in suite.stdout:
            event = json.loads(line)
            if event.get("pid"):
                pids[event["part"]] = event["pid"]
            if event["event"] == "ready":
                break
        else:
            sys.exit("the stack did not start")
        gateway_socket = next(state.rglob("gateway.sock"))
        yield Stack(pids, f"http://127.0.0.1:{upstream}", str(gateway_socket), f"http://127.0.0.1:{http}")


@contextlib.contextmanager
def process(command: list[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Yield a child process; ask it to stop on exit."""
    child = subprocess.Popen(command, **options)
    try:
        yield child
    finally:
        child.terminate()
        child.wait(timeout=START_TIMEOUT_SECONDS)


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def measure(stack: Stack, case: Case, door: str, target: str, in_flight: int, requests: int) -> Figures:
    """Return the figures of one case."""
    uvloop.run(load(case, target, in_flight, WARM_UP_REQUESTS))
    before = {name: cpu_seconds(pid) for name, pid in stack.pids.items()}
    began = time.perf_counter()
    latencies, first_bytes = uvloop.run(load(case, target, in_flight, requests))
    took = time.perf_counter() - began
    cpu = {name: (cpu_seconds(pid) - before[name]) / requests * 1e6 for name, pid in stack.pids.items()}
    return Figures(
        case=case.name,
        door=door,
        in_flight=in_flight,
        requests=requests,
        suite_cpu_us=round(cpu["suite"], 1),
        edge_cpu_us=round(cpu.get("edge", 0.0), 1),
        redis_cpu_us=round(cpu.get("redis", 0.0), 1),
        upstream_cpu_us=round(cpu["upstream"], 1),
        requests_per_second=round(requests / took, 1),
        p50_ms=percentile(latencies, 50),
        p99_ms=percentile(latencies, 99),
        first_byte_p50_ms=percentile(first_bytes, 50),
        first_byte_p99_ms=percentile(first_bytes, 99),
    )


_serial = iter(range(10**9))


async def load(case: Case, target: str, in_flight: int, requests: int) -> tuple[list[float], list[float]]:
    """Send the requests and return seconds to the last and to the first byte of each."""
    is_socket = target.startswith("/")
    connector = aiohttp.UnixConnector(path=target, limit=0) if is_socket else aiohttp.TCPConnector(limit=0)
    url = ("http://gateway" if is_socket else target) + "/v1/chat/completions"
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    left = iter(range(requests))
    latencies: list[float] = []
    first_bytes: list[float] = []

    async def worker(session: aiohttp.ClientSession) -> None:
        for _ in left:
            prompt = case.prompt if case.same else f"{case.prompt} {next(_serial)}"
            body = {"model": "bench", "stream": case.stream, "messages": [{"role": "user", "content": prompt}]}
            began = time.perf_counter()
            async with session.post(url, json=body, headers=headers) as response:
                await response.content.readany()
                first_bytes.append(time.perf_counter() - began)
                rest = await response.read()
                if response.status != 200:
                    sys.exit(f"{response.status}: {rest!r}")
            latencies.append(time.perf_counter() - began)

    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(worker(session) for _ in range(in_flight)))
    return latencies, first_bytes


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def percentile(seconds: list[float], percent: int) -> float:
    """Return a percentile in milliseconds."""
    return round(statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1] * 1e3, 3)


def print_row(figures: Figures) -> None:
    """Print one line for people."""
    print(
        f"{figures.case:22} {figures.door:8} {figures.in_flight:3} in flight:"
        f" suite {figures.suite_cpu_us:7.0f} us  edge {figures.edge_cpu_us:6.0f} us  redis {figures.redis_cpu_us:5.0f} us"
        f"  {figures.requests_per_second:7.0f}/s  p50 {figures.p50_ms:7.2f} ms  p99 {figures.p99_ms:7.2f} ms"
        f"  first byte p50 {figures.first_byte_p50_ms:6.2f} ms",
        flush=True,
    )


def report(results: list[Figures]) -> dict[str, Any]:
    """Return the figures with what is needed to read them later."""
    packages = ("penstock-suite", "grpcio", "uvicorn", "aiohttp", "msgspec", "uvloop", "redis", "sqlalchemy")
    return {
        "machine": {"cores": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version()},
        "load_average": os.getloadavg(),
        "versions": {name: version(name) for name in packages},
        "figures": [asdict(each) for each in results],
    }


if __name__ == "__main__":
    main()
