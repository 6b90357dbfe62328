"""The programs around a measurement, each a process: the mock provider, the client, and what is measured."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec
from load_client import Job, Outcome

BENCH = Path(__file__).resolve().parent
CHECKOUT = BENCH.parent
CACHE = CHECKOUT / ".bench"
"""Other checkouts and peers; nothing in it is ours, and it may be removed at any time."""
CHAT = "/v1/chat/completions"
_STOP_SECONDS = 45.0


class DidNotStart(Exception):
    """A program ended, or did not answer, where it should have come up; the message has its last words."""


@dataclass(frozen=True)
class Door:
    """A way to ask something that runs."""

    name: str
    address: str
    """``host:port`` or the path of a unix socket."""
    path: str = CHAT
    headers: Mapping[str, str] = field(default_factory=dict)
    model: str = "bench"
    done: bool = True
    """Its streams end in [DONE]."""
    ca: str = ""
    """The authority of a port with TLS that is asked over gRPC."""


@dataclass(frozen=True)
class Running:
    """Something that runs and can be asked."""

    name: str
    pid: int
    doors: tuple[Door, ...]


class Client:
    """The load client; one job at a time."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._serial = 0

    def perform(self, door: Door, **job: Any) -> Outcome:
        """Return how a job went; its fields are those of ``load_client.Job`` that the door does not say."""
        self._serial += 1
        way = {name: value for name, value in asdict(door).items() if name not in {"name", "ca"}}
        line = msgspec.json.encode(Job(**way, salt=f"{os.getpid()}-{self._serial}", **job))
        stdin, stdout = _pipes(self._process)
        stdin.write(line + b"\n")
        stdin.flush()
        return msgspec.json.decode(stdout.readline(), type=Outcome)


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


@contextmanager
def load_client() -> Generator[Client]:
    """Yield a client."""
    with _piped(str(BENCH / "load_client.py")) as process:
        yield Client(process)


class Upstream:
    """The provider that everything here asks."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._said = _pipes(process)[1]
        self.address = f"127.0.0.1:{int(self._said.readline())}"
        self.running = Running("mock", process.pid, (Door("direct", self.address),))

    def has_all_slow_streams(self) -> bool:
        """Whether as many as it was told of are open at once, or have been."""
        return bool(select.select([self._said], [], [], 0)[0])


@contextmanager
def mock_upstream(*options: str) -> Generator[Upstream]:
    """Yield a provider."""
    with _piped(str(BENCH / "mock_upstream.py"), "0", *options) as process:
        yield Upstream(process)


@contextmanager
def _piped(*arguments: str) -> Generator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def program(command: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> Generator[Program]:
    """Yield a process in a folder and a process group of its own, its words in ``log`` there; all of it ends on exit."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        yield Program(process, folder / "log")
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@dataclass(frozen=True)
class Program:
    """A running program, and where its words go."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait_until(self, found: Callable[[], Any], seconds: float) -> Any:
        """Return what ``found`` gives as soon as that is something.

        Raises:
            DidNotStart: if the program ends before, or the time.
        """
        last = time.monotonic() + seconds
        while time.monotonic() < last and self.process.poll() is None:
            if value := found():
                return value
            time.sleep(0.1)
        said = self.log.read_text()[-600:].replace(str(self.log.parent), ".").replace(str(CHECKOUT), ".")
        raise DidNotStart(f"it did not come up within {seconds:.0f} s; its last words: {said.strip() or 'none'}")
