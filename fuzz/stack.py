"""The stack that is fuzzed: ``penstock up`` as a user starts it, a healthy provider, and two more edges in front."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cases import Door
from growth import Holding, census, holding, keys
from messages import SPARE_UPSTREAM
from surfaces import APP_KEY, NARROW_KEY, OPERATOR_KEY

from penstock_common.testing.certificates import CertificateFiles
from penstock_common.testing.ports import free_port

HERE = Path(__file__).resolve().parent
_START_SECONDS = 120.0
_STOP_SECONDS = 60.0
_NEVER = 1_000_000_000
_TROUBLE = (
    "Traceback",
    "unexpected_error",
    "unfinished_answer",
    "panic:",
    "goroutine ",
    "Task exception",
    "never awaited",
)
_MOST_TROUBLE = 5
_TRACEBACK_LINES = 40


@dataclass(frozen=True)
class Stack:
    """A stack that runs."""

    folder: Path
    addresses: dict[Door, str]
    pids: dict[str, int]
    """Of every process, by what it is."""

    @property
    def state(self) -> Path:
        """The folder of its state."""
        return self.folder / "state"

    def holdings(self) -> dict[str, Holding]:
        """Return what each process holds now."""
        counted = census(self.pids["penstock"], self.folder / "census.json")
        more = {"penstock": counted, "redis": keys(self.state / "sockets" / "redis.sock")}
        return {name: holding(pid, **more.get(name, {})) for name, pid in self.pids.items()}

    def is_alive(self) -> bool:
        """Return whether every process of it is there."""
        return all(_runs(pid) for pid in self.pids.values())

    def last_words(self) -> str:
        """Return what is gone, and the end of the log."""
        gone = [name for name, pid in self.pids.items() if not _runs(pid)]
        return f"✗ ended: {', '.join(gone)}\n{(self.folder / 'penstock.log').read_text()[-6000:]}"

    def answers(self) -> bool:
        """Return whether an honest request has its answer."""
        body = {"model": "fast", "messages": [{"role": "user", "content": "Are you well?"}]}
        head = {"authorization": f"Bearer {APP_KEY}", "content-type": "application/json"}
        url = f"http://{self.addresses['edge']}/v1/chat/completions"
        request = urllib.request.Request(url, json.dumps(body).encode(), head)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return "Let through." in answer.read().decode()

    def trouble(self) -> list[str]:
        """Return lines of its logs that tell of a defect, the first of each file."""
        found: list[str] = []
        for log in (*sorted((self.state / "logs").glob("*.log")), *sorted(self.folder.glob("*.log"))):
            lines = log.read_text(errors="replace").splitlines()
            bad = [at for at, line in enumerate(lines) if any(word in line for word in _TROUBLE)]
            # With a traceback of its own, grpcio tells of calls that their callers have left.
            ours = [at for at in bad if "src/python/grpcio" not in "".join(lines[at : at + 2])]
            found += [f"{log.name}: {_words_of(lines, at)}" for at in ours[:_MOST_TROUBLE]]
        return found


@contextmanager
def running(folder: Path) -> Generator[Stack]:
    """Yield a stack with everything of it in ``folder``; stopped on exit."""
    with ExitStack() as stack:
        provider = stack.enter_context(_program([sys.executable, str(HERE / "provider.py")], folder, "provider"))
        upstream = f"http://127.0.0.1:{int(_output(provider).readline())}/v1"
        config = folder / "penstock.yaml"
        config.write_text(json.dumps(_configuration(upstream)))
        command = [sys.executable, str(HERE / "watched.py"), "up", "--json", "--without-triton"]
        places = ["--config", str(config), "--state", str(folder / "state")]
        main = stack.enter_context(_program([*command, *places], folder, "penstock"))
        ready = _ready(main, folder)
        children = {_name_of(pid): pid for pid in _children_of(main.pid)}
        grpc, http = str(ready["grpc"]), str(ready["http"]).removeprefix("http://")
        hasty = stack.enter_context(_edge(folder, "hasty", "--header-timeout=500ms", "--body-timeout=500ms"))
        tls = CertificateFiles.make(folder)
        http2 = stack.enter_context(_edge(folder, "http2", f"--tls-cert={tls.cert}", f"--tls-key={tls.key}"))
        gateway = str(folder / "state" / "sockets" / "gateway.sock")
        addresses: dict[Door, str] = {
            "edge": http, "grpc": grpc, "gateway": gateway, "hasty": hasty[0], "http2": http2[0],
        }  # fmt: skip
        pids = {"penstock": main.pid, **children, "hasty edge": hasty[1].pid, "HTTP/2 edge": http2[1].pid}
        yield Stack(folder, addresses, pids)


def _configuration(upstream: str) -> dict[str, Any]:
    def model(name: str) -> dict[str, Any]:
        able = ["chat", "tools", "json_schema", "vision", "reasoning"]
        return {"name": name, "context_window": 32768, "capabilities": able, "price": {"input": 1, "output": 2}}

    unlimited = {"requests_per_minute": _NEVER, "concurrent_requests": _NEVER}
    # By names that no text hits that is made at random: operators may leave an upstream out.
    openai = {
        "name": "openai",
        "provider": "openai",
        "base_url": upstream,
        "api_key": "sk-upstream",
        "models": [model("m")],
    }
    compatible = {**openai, "name": "compatible", "provider": "openai_compatible"}
    return {
        "listen": {"http": f"127.0.0.1:{free_port()}", "grpc": f"127.0.0.1:{free_port()}"},
        "upstreams": [compatible, openai, {**openai, "name": SPARE_UPSTREAM}],
        "models": [
            {"name": "fast", "candidates": ["compatible/m"]},
            {"name": "a/b", "candidates": ["openai/m"]},
            {"name": "withheld", "candidates": ["compatible/m"]},
        ],
        "embedding": {
            "model": "vectors",
            "runtime": "provider",
            "provider": {"base_url": upstream, "api_key": "sk-upstream", "model": "v"},
        },
        "cache": {"mode": "exact", "redis_timeout": "2s"},
        # Whoever sends nothing but nonsense is refused before it is read: here, what comes after is what is tried.
        "gateway": {
            "refusals_per_minute": _NEVER,
            # Machines that are busy with this stall for longer than Redis or a database ever would.
            "redis_timeout": "2s",
            "cache_lookup_timeout": "5s",
            "router_timeout": "10s",
            "sql_statement_timeout": "60s",
            "sql_connect_timeout": "60s",
            "key_lookup_timeout": "60s",
            "key_stale": "10m",
        },
        "tenants": [
            {"name": "app", "tier": unlimited, "keys": [APP_KEY]},
            {"name": "narrow", "tier": unlimited, "keys": [NARROW_KEY], "models": ["fast"]},
        ],
        "operator": {"keys": [OPERATOR_KEY]},
        "telemetry": {"sample_ratio": 0},
    }


@contextmanager
def _program(command: Sequence[str], folder: Path, name: str) -> Generator[subprocess.Popen[bytes]]:
    """Yield a process whose errors go into a file of its name; ended on exit."""
    environment = {**os.environ, "PENSTOCK_CENSUS": str(folder / "census.json")}
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment, cwd=folder)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _output(process).close()


@contextmanager
def _edge(folder: Path, name: str, *more: str) -> Generator[tuple[str, subprocess.Popen[bytes]]]:
    """Yield an edge of its own settings, and where it listens."""
    state, port = folder / "state", free_port()
    command = [
        str(Path(sys.executable).with_name("penstock-edge")), f"--listen=127.0.0.1:{port}",
        f"--gateway-grpc=unix://{state}/sockets/gateway-grpc.sock", f"--gateway-http=unix://{state}/sockets/gateway.sock",
        f"--gateway-token-file={state}/edge-token", "--wrong-keys-per-second=0", *more,
    ]  # fmt: skip
    with _program(command, folder, name) as process:
        yield f"127.0.0.1:{port}", process


def _output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None, "it is a pipe"
    return process.stdout


def _ready(process: subprocess.Popen[bytes], folder: Path) -> dict[str, Any]:
    last = time.monotonic() + _START_SECONDS
    for line in _output(process):
        event = json.loads(line)
        if event.get("event") == "ready":
            return event
        if time.monotonic() > last:
            break
    raise RuntimeError(f"the stack did not start: {(folder / 'penstock.log').read_text()[-3000:]}")


def _children_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = [int(child) for child in children]
    return [each for child in found for each in (child, *_children_of(child))]


def _runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def _words_of(lines: list[str], at: int) -> str:
    """Return a line of a log, with what a traceback says after it."""
    last = at + _TRACEBACK_LINES if lines[at].startswith("Traceback") else at + 1
    return "\n".join(line[:600] for line in lines[at:last])


def _name_of(pid: int) -> str:
    name = Path(f"/proc/{pid}/comm").read_text().strip()
    return {"redis-server": "redis", "penstock-edge": "edge"}.get(name, name)
