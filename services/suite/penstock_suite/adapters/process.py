"""A child process that is asked until it is ready, watched while it runs, and does not outlive us."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from penstock_suite.adapters import end_with_parent
from penstock_suite.domain.failure import SuiteFailure

Probe = Callable[[], Awaitable[bool]]

_POLL_SECONDS = 0.02
_KILLED_TIMEOUT_SECONDS = 5.0
_LAST_LINE_BYTES = 400
# A child gets what programs need to run, and never our secrets: provider keys live in our environment.
_INHERITED = ("PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")
_INHERITED_PREFIXES = ("LC_", "CUDA_", "NVIDIA_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program to run. ``title`` is what people call it."""

    name: str
    title: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    stop_timeout: timedelta = timedelta(seconds=10)
    """Time between SIGTERM and SIGKILL."""
    death_signal: signal.Signals = signal.SIGKILL
    """What it gets when we are gone without having stopped it."""
    keeps_log: bool = False
    """Whether to write on in the log of an earlier run."""


class ChildProcess:
    """A running child. What it prints goes to ``log_path``."""

    def __init__(self, command: Command, process: asyncio.subprocess.Process, log_path: Path) -> None:
        self._command = command
        self._process = process
        self._stopping = False
        self.log_path = log_path

    @property
    def name(self) -> str:
        """The part's short name."""
        return self._command.name

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its process group."""
        return self._process.pid

    async def wait_ready(self, probe: Probe, patience: timedelta) -> None:
        """Return when ``probe`` does.

        Raises:
            SuiteFailure: if the process ends before, or needs longer than ``patience``.
        """
        if await came_true(probe, patience, lambda: self._process.returncode is not None):
            return
        if self._process.returncode is not None:
            raise self._failure()
        raise SuiteFailure(
            f"{self._command.title} was not ready within {patience.total_seconds():.0f} s; see {self.log_path}"
        )

    async def watch(self, on_death: Callable[[SuiteFailure], None]) -> None:
        """Return when the process has ended; tell ``on_death`` unless we ended it."""
        await self._process.wait()
        if not self._stopping:
            on_death(self._failure())

    async def stop(self) -> None:
        """End it with SIGTERM, after its ``stop_timeout`` with SIGKILL, and its own children with it."""
        self._stopping = True
        self.ask()
        try:
            await asyncio.wait_for(self._process.wait(), self._command.stop_timeout.total_seconds())
        except TimeoutError:
            pass
        finally:
            self.kill()
        await asyncio.wait_for(self._process.wait(), _KILLED_TIMEOUT_SECONDS)

    def ask(self) -> None:
        """Send SIGTERM: a worker that drains already ends at once."""
        with suppress(ProcessLookupError):
            self._process.terminate()

    def hang_up(self) -> None:
        """Send SIGHUP: a worker takes over what its plan says now."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """End it and its children at once; the process may be gone already, and its group still live."""
        self._stopping = True
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _failure(self) -> SuiteFailure:
        code = self._process.returncode or 0
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        last = _last_line(self.log_path)
        said = f", its last words: {last}" if last else ""
        return SuiteFailure(f"{self._command.title} {how}{said} (log: {self.log_path})")


def _never() -> bool:
    return False


async def came_true(probe: Probe, patience: timedelta, is_hopeless: Callable[[], bool] = _never) -> bool:
    """Return whether ``probe`` was true within ``patience``; false at once when it is hopeless to go on."""
    end = time.monotonic() + patience.total_seconds()
    while not await probe():
        if is_hopeless() or time.monotonic() > end:
            return False
        # Nothing outside tells us when it is ready.
        await asyncio.sleep(_POLL_SECONDS)
    return True


@asynccontextmanager
async def running_child(
    command: Command, log_path: Path, on_death: Callable[[SuiteFailure], None]
) -> AsyncGenerator[ChildProcess]:
    """Yield the started process, stopped on exit; ``on_death`` hears of an end that nobody asked for."""
    with _open_log(log_path, keep=command.keeps_log) as log:
        process = await asyncio.create_subprocess_exec(
            *_ended_with_parent(command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**_inherited_environment(), **command.environment},
            # Ctrl-C in the terminal reaches us alone; we end our children in order.
            start_new_session=True,
        )
    child = ChildProcess(command, process, log_path)
    # No task group: it would wrap whatever ends the block into an exception group.
    watching = asyncio.create_task(child.watch(on_death), name=f"watch {command.name}")
    try:
        yield child
    finally:
        await child.stop()
        await watching


def _ended_with_parent(command: Command) -> tuple[str, ...]:
    # -I -S: neither the user's settings nor site packages, which would cost more than the rest of the start.
    wrapper = (sys.executable, "-I", "-S", str(Path(end_with_parent.__file__)))
    return (*wrapper, str(os.getpid()), str(int(command.death_signal)), *command.argv)


def _inherited_environment() -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }


def _open_log(path: Path, *, keep: bool) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if keep else os.O_TRUNC)
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def _last_line(path: Path) -> str:
    with suppress(OSError):
        lines = path.read_bytes()[-_LAST_LINE_BYTES:].decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else ""
    return ""
