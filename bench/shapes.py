"""The suite in each of its shapes, started from a checkout as a user starts it."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from programs import CHECKOUT, DidNotStart, Door, Program, Running, program

_KEY = "bench-key-bench-key"
_READY_SECONDS = 90.0

ONE_PROCESS, WORKERS, SIX_PROCESSES, EMBEDDING = "one process", "--workers 2", "six processes", "with embedding"
SOCKET, EDGE, GRPC = "socket", "edge", "grpc"
SHAPES = (ONE_PROCESS, WORKERS, SIX_PROCESSES)


@dataclass(frozen=True)
class Side:
    """A checkout whose environment is set up, and what to call it."""

    name: str
    checkout: Path

    def command(self, shape: str) -> list[str]:
        """Return what takes the words of ``penstock up``."""
        programs = self.checkout / ".venv" / "bin"
        if shape == SIX_PROCESSES:
            return [str(programs / "python"), str(self.checkout / "tests" / "e2e" / "six_processes.py")]
        return [str(programs / "penstock")]


HERE = Side("here", CHECKOUT)


def configuration(upstream: str, shape: str = ONE_PROCESS) -> dict[str, Any]:
    """Return the configuration over the provider at host:port.

    A key, limits in Redis, ledger in SQLite, cache on, 1 % of traces sampled.
    """
    model = {"name": "bench", "context_window": 128_000, "capabilities": ["chat"], "price": {"input": 1, "output": 2}}
    tier = {"requests_per_minute": 100_000_000, "concurrent_requests": 100_000}
    provider = {"provider": "openai_compatible", "base_url": f"http://{upstream}/v1", "api_key": "sk-bench"}
    return {
        "listen": {"http": "127.0.0.1:0", "grpc": "127.0.0.1:0"},
        "upstreams": [{"name": "mock", "models": [model], **provider}],
        "models": [{"name": "bench", "candidates": ["mock/bench"]}],
        "tenants": [{"name": "bench", "tier": tier, "keys": [_KEY]}],
        "telemetry": {"sample_ratio": 0.01},
        **({"embedding": {}} if shape == EMBEDDING else {}),
    }


@contextmanager
def running(side: Side, shape: str, document: Mapping[str, Any], folder: Path, room: int = 0) -> Generator[Running]:
    """Yield the suite once it is ready. ``room`` is what each of six processes takes in hand at once; 0: its default.

    Raises:
        DidNotStart: if it is not.
    """
    folder.mkdir(parents=True)
    config, state = folder / "penstock.yaml", folder / "state"
    config.write_text(json.dumps(document))  # which is YAML, too
    command = [*side.command(shape), "up", "--config", str(config), "--state", str(state)]
    command += ["--room", str(room)] if shape == SIX_PROCESSES and room else []
    command += ["--json"]
    command += ["--workers", "2"] if shape == WORKERS else []
    with program(command, folder) as started:
        ready = started.wait_until(lambda: _ready(started), _READY_SECONDS)
        yield Running(side.name, started.process.pid, tuple(_doors(shape, ready, state)))


def _ready(started: Program) -> dict[str, Any] | None:
    for line in started.log.read_text().splitlines():
        if line.startswith("{"):
            event = json.loads(line)
            if event.get("event") == "failed":
                raise DidNotStart(event["message"])
            if event.get("event") == "ready":
                return event
    return None


def _doors(shape: str, ready: dict[str, Any], state: Path) -> Iterator[Door]:
    headers = {"Authorization": f"Bearer {_KEY}"}
    # Only here does one socket lead to all of the suite, and without certificates.
    if shape in {ONE_PROCESS, EMBEDDING}:
        yield from (Door(SOCKET, str(path), headers=headers) for path in state.rglob("gateway.sock"))
    yield Door(EDGE, ready["http"].partition("://")[2], headers=headers)
    yield Door(GRPC, ready["grpc"], headers=headers, ca=ready.get("ca", ""))
