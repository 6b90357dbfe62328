"""What processes hold: descriptors, connections, memory; and whether they have let go of what they took."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import aiohttp
import msgspec
from machine import label, resident_bytes, tree

from chaos.replicas import Fleet

_ESTABLISHED = "01"
_IN_FLIGHT = re.compile(r"^penstock_requests_in_flight(?:\{[^}]*\})? (\S+)$", re.MULTILINE)
_MIB = 1024 * 1024


class Holdings(msgspec.Struct, frozen=True, kw_only=True):
    """Of all replicas together, by what a process is."""

    descriptors: dict[str, int]
    connections: dict[str, int]
    """TCP connections that stand, of both sides where both are ours."""
    mib: dict[str, float]
    """Resident memory of the process that has most of it."""
    in_flight: float
    """Requests that the gateways count as open."""


async def held(fleet: Fleet) -> Holdings:
    """Return what is held now."""
    descriptors, connections, mib = Counter[str](), Counter[str](), dict[str, float]()
    for replica in fleet.replicas:
        for pid in tree(replica.pid):
            name = "python" if pid == replica.pid else label(pid)
            files, sockets = _open_files(pid)
            descriptors[name] += files
            connections[name] += sockets
            mib[name] = max(mib.get(name, 0.0), round(resident_bytes(pid) / _MIB, 1))
    in_flight = sum([await _in_flight(replica.metrics) for replica in fleet.replicas])
    return Holdings(descriptors=dict(descriptors), connections=dict(connections), mib=mib, in_flight=in_flight)


async def settled(fleet: Fleet, before: Holdings, spare: int, seconds: float) -> Holdings:
    """Return what is held as soon as it is no more than before and ``spare`` descriptors of a kind; the last look else."""
    last = time.monotonic() + seconds
    while True:
        now = await held(fleet)
        if not excess(before, now, spare) or time.monotonic() > last:
            return now
        await asyncio.sleep(1)


def excess(before: Holdings, after: Holdings, spare: int) -> list[str]:
    """Return in words what is held of descriptors, connections and requests beyond what was."""
    found = [
        f"{name} has {count} {what}, before {then.get(name, 0)}"
        for what, then, now in (
            ("descriptors", before.descriptors, after.descriptors),
            ("connections", before.connections, after.connections),
        )
        for name, count in now.items()
        if count > then.get(name, 0) + spare
    ]
    return [*found, *([f"{after.in_flight:.0f} requests are in flight"] if after.in_flight else [])]


def _open_files(pid: int) -> tuple[int, int]:
    """Return how many descriptors a process has, and how many of them are TCP connections that stand."""
    names: Sequence[str] = ()
    with suppress(OSError):
        names = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    rows = [line.split() for table in ("tcp", "tcp6") for line in _lines(f"/proc/net/{table}")]
    standing = {f"socket:[{row[9]}]" for row in rows if row[3] == _ESTABLISHED}
    return len(names), sum(name in standing for name in names)


def _lines(path: str) -> list[str]:
    with suppress(OSError):
        return Path(path).read_text().splitlines()[1:]
    return []


async def _in_flight(metrics: str) -> float:
    async with aiohttp.ClientSession() as session, session.get(f"http://{metrics}/metrics") as response:
        return sum(float(found) for found in _IN_FLIGHT.findall(await response.text()))
