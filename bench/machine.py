"""What the operating system says of processes: CPU, memory, kinship; and of the machine they run on."""

from __future__ import annotations

import os
import platform
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_LISTENING = "0A"
_NAMES = {"redis-server": "redis", "penstock-edge": "edge"}


def tree(root: int) -> list[int]:
    """Return a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                children.setdefault(int(parent), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def label(pid: int) -> str:
    """Return what a process is: the role it serves, or its program's name."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        if "serve" in words[:-2] and "--config" in words:
            return words[words.index("serve") + 1]
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        return _NAMES.get(name, name)
    return "gone"


def cpu_seconds(pid: int) -> float:
    """Return the CPU that a process has used, to the nanosecond (clock_getcpuclockid(3)); 0 if it has ended."""
    with suppress(OSError):
        return time.clock_gettime((~pid << 3) | 2)
    return 0.0


def resident_bytes(pid: int) -> int:
    """Return the memory that a process holds; 0 if it has ended."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    return 0


def memory_mb(pids: list[int]) -> dict[str, float]:
    """Return resident memory in MB by what the processes are."""
    resident: dict[str, float] = {}
    for pid in pids:
        name = label(pid)
        resident[name] = round(resident.get(name, 0.0) + resident_bytes(pid) / 1e6, 1)
    return resident


def listening_ports(root: int) -> list[int]:
    """Return the TCP ports that a process or one of its descendants listens on."""
    held: set[str] = set()
    for pid in tree(root):
        with suppress(OSError):
            held |= {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [
        int(local.rpartition(":")[2], 16)
        for _, local, _, state, *rest in rows
        if state == _LISTENING and f"socket:[{rest[5]}]" in held
    ]


def busy_seconds() -> float:
    """Return the CPU that the whole machine has used."""
    fields = [int(each) / _TICKS_PER_SECOND for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _idle, _wait, interrupts, soft_interrupts = fields[:7]
    return user + nice + system + interrupts + soft_interrupts


def interpreter_ms() -> float:
    """Return what a fixed piece of interpreter work takes of CPU, to compare machines and moments by."""
    began = time.process_time()
    total = 0
    for number in range(1_000_000):
        total += number & 7
    return round((time.process_time() - began) * 1e3, 1)


def description() -> dict[str, Any]:
    """Return what is needed to read figures later."""
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "cores": os.cpu_count(),
        "processor": model[1] if model else "",
        "platform": platform.platform(),
        "python": platform.python_version(),
        "load_average": [round(each, 2) for each in os.getloadavg()],
        "interpreter_ms": interpreter_ms(),
    }
