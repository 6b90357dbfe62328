"""Real stacks, started as a person starts them."""

import json
import os
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
END_TIMEOUT_SECONDS = 240.0

# One provider that is never asked, and no Triton: what the stack itself does is the same, and it starts sooner.
PROVIDER = """
listen: {http: 127.0.0.1:0, grpc: 127.0.0.1:0}
upstreams:
  - name: remote
    provider: openai_compatible
    base_url: http://127.0.0.1:9/v1
    models: [{name: m, context_window: 4096, price: {input: 1, output: 2}}]
models: [{name: fast, candidates: [remote/m]}]
tenants: [{name: demo, tier: {}}]
local: {demo_tenant: demo}
"""


def environment() -> dict[str, str]:
    """The packages of this checkout, installed or not, and nothing of the person who runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    return {**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "COLUMNS": "200"}


@pytest.fixture(scope="session")
def penstock() -> Any:
    """Run the command to its end, as `penstock(*arguments, text=standard_input, VARIABLE=value)`."""

    def run(*arguments: object, text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            _command(*arguments),
            env={**environment(), **variables},
            capture_output=True,
            text=True,
            timeout=END_TIMEOUT_SECONDS,
            input=text,
            check=False,
        )

    return run


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "penstock_suite", *map(str, arguments)]


class Stack:
    """A `penstock up --json` in a process of its own."""

    def __init__(self, *arguments: object, state: Path, **variables: str) -> None:
        self.state = state
        self.events: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            _command("up", "--json", "--state", state, *arguments),
            env={**environment(), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until(self, event: str) -> dict[str, Any]:
        """Return the next event of this kind."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == event:
                return self.events[-1]
        raise AssertionError(f"no {event}: {self.events}, {self._errors()}")

    @property
    def parts(self) -> dict[str, int]:
        """Pids of the running parts, by name."""
        record = json.loads((self.state / "run.json").read_text())
        return {part["name"]: part["pid"] for part in record["parts"]}

    def log(self, part: str) -> str:
        """What the part has said."""
        return (self.state / "logs" / f"{part}.log").read_text()

    def ledger(self) -> list[tuple[Any, ...]]:
        """Every row."""
        with closing(sqlite3.connect(self.state / "penstock.db")) as database:
            return database.execute("SELECT * FROM ledger").fetchall()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal; return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(END_TIMEOUT_SECONDS)

    def close(self) -> None:
        """End it however it is."""
        if self.process.poll() is None:
            self.end(signal.SIGKILL)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def _errors(self) -> str:
        return self.process.stderr.read() if self.process.stderr else ""


class Exits:
    """Holds processes that are not our children, and tells when they have ended."""

    def __init__(self, pids: list[int]) -> None:
        self._handles = {pid: os.pidfd_open(pid) for pid in pids}

    def wait(self) -> list[int]:
        """Return the pids that still run when the time is over."""
        running = []
        for pid, handle in self._handles.items():
            ended, _, _ = select.select([handle], [], [], END_TIMEOUT_SECONDS)
            os.close(handle)
            if not ended:
                running.append(pid)
        return running


@pytest.fixture
def exits() -> type[Exits]:
    """Watch processes that are not our children."""
    return Exits


@pytest.fixture(scope="session")
def made_once(penstock: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder that a first command has made."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "penstock.yaml").write_text(PROVIDER)
    told = penstock("keys", "list", "--config", folder / "penstock.yaml", "--state", folder / "state")
    assert told.returncode == 0, told.stderr
    return folder / "state"


@pytest.fixture
def state(made_once: Path, tmp_path: Path) -> Path:
    """A state folder of the test's own whose database has the schema, which takes a command longer than all it does."""
    return shutil.copytree(made_once, tmp_path / "state")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with a provider that is never asked."""
    path = tmp_path / "penstock.yaml"
    path.write_text(PROVIDER)
    return path


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Start stacks, ended with the test."""
    stacks: list[Stack] = []

    def start_one(*arguments: object, state: Path = tmp_path / "state", **variables: str) -> Stack:
        stacks.append(Stack(*arguments, state=state, **variables))
        return stacks[-1]

    yield start_one
    for stack in stacks:
        stack.close()


@pytest.fixture
def penstock_environment() -> dict[str, str]:
    """What the command finds in its environment."""
    return environment()


@pytest.fixture
def demo_start(start: Any) -> Any:
    """Start the packaged configuration on free ports."""
    _needs_triton()
    return lambda: start(PENSTOCK_LISTEN__HTTP="127.0.0.1:0", PENSTOCK_LISTEN__GRPC="127.0.0.1:0")


def _needs_triton() -> None:
    if not (ROOT / ".triton" / "backends").is_dir():
        pytest.skip("no Triton in .triton: run deploy/triton/install.sh .triton")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The packaged configuration, with the demonstration model on a real Triton."""
    _needs_triton()
    stack = Stack(
        state=tmp_path_factory.mktemp("demo"),
        PENSTOCK_LISTEN__HTTP="127.0.0.1:0",
        PENSTOCK_LISTEN__GRPC="127.0.0.1:0",
    )
    try:
        stack.until("ready")
        yield stack
        assert stack.end() == 0
    finally:
        stack.close()
