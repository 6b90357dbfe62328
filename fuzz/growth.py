"""What the processes of a stack hold at one moment, and what has grown between two."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import redis

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_CENSUS_SECONDS = 60.0

MARGINS = {
    "memory_mib": 64.0,
    "descriptors": 32.0,
    "threads": 16.0,
    "tasks": 12.0,
    "objects": 60_000.0,
    "lasting_keys": 0.0,
}
"""How much more may be held at the end than after the beginning. Pools and bounded memories fill up; what grows with the
number of requests is beyond these after some thousands."""


@dataclass(frozen=True)
class Holding:
    """What one process holds; ``tasks`` and ``objects`` of Python's, ``keys`` and ``lasting_keys`` of Redis."""

    memory_mib: float
    descriptors: int
    threads: int
    tasks: int = 0
    objects: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    """Objects by their type, the most frequent ones: to find what grows."""
    keys: int = 0
    lasting_keys: int = 0
    """Those without an end of their life."""


def holding(pid: int, **more: Any) -> Holding:
    """Return what the operating system says of a process."""
    folder = Path(f"/proc/{pid}")
    pages = int((folder / "statm").read_text().split()[1])
    threads = (folder / "status").read_text().partition("Threads:")[2].split()[0]
    return Holding(
        round(pages * _PAGE_BYTES / 2**20, 1), sum(1 for _ in (folder / "fd").iterdir()), int(threads), **more
    )


def census(pid: int, file: Path) -> dict[str, Any]:
    """Return what a watched process (watched.py) counts in itself."""
    file.unlink(missing_ok=True)
    os.kill(pid, signal.SIGUSR2)
    last = time.monotonic() + _CENSUS_SECONDS
    while time.monotonic() < last:
        with suppress(FileNotFoundError):
            return json.loads(file.read_text())
        time.sleep(0.02)
    raise TimeoutError("the process did not count itself")


def keys(socket: Path) -> dict[str, int]:
    """Return how many keys a Redis has, and how many of them last for ever."""
    with redis.Redis(unix_socket_path=str(socket)) as client:
        names = list(client.scan_iter(count=1000))
        # A tenant's ring of keys, and the note that it was shredded, are one each for a tenant that an operator named.
        lasting = sum(client.ttl(name) == -1 for name in names if not name.endswith((b"cache:keys", b"cache:shredded")))
    return {"keys": len(names), "lasting_keys": lasting}


def grown(before: Mapping[str, Holding], after: Mapping[str, Holding]) -> list[str]:
    """Return what has grown by more than its margin, in words."""
    found: list[str] = []
    for name, then in before.items():
        first, last = asdict(then), asdict(after[name])
        for what, margin in MARGINS.items():
            if last[what] - first[what] > margin:
                found.append(f"{name}: {what} {first[what]} → {last[what]}, more than {margin:g} are too many")
    return found
