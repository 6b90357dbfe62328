"""How much memory this process has had."""

from __future__ import annotations

import os
import pathlib
import re
import resource
import sys

_PEAK = re.compile(rb"VmHWM:\s+(\d+) kB")
_STATUS_BYTES = 8192


class PeakMemory:
    """Made before a process gives up its files: Linux tells it in one, and nowhere else without what its parent had."""

    def __init__(self) -> None:
        status = "/proc/self/status"
        self._status = os.open(status, os.O_RDONLY) if pathlib.Path(status).exists() else None

    def bytes_so_far(self) -> int:
        """Return the most that this process has ever had."""
        if self._status is not None and (found := _PEAK.search(os.pread(self._status, _STATUS_BYTES, 0))):
            return int(found[1]) * 1024
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
