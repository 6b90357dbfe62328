"""What the processes of a stack hold while something happens: the most, looked at again and again."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

from machine import label, resident_bytes, tree

_LOOK_SECONDS = 0.02
_LOOKS_PER_PROPORTION = 10
"""A look at what is shared walks through all pages, while the process cannot map any."""
_PROPORTION = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


def proportional_bytes(pid: int) -> int:
    """Return a process's memory, shared pages by its share of them (PSS); 0 if it has ended."""
    with suppress(OSError):
        found = _PROPORTION.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0


class MemoryWatch:
    """Looks at every process of a tree, in a thread of its own, until the context ends."""

    def __init__(self, root: int) -> None:
        self.most: dict[str, int] = {}
        """Resident bytes at the most, by what a process is."""
        self.most_together = 0
        self.most_proportional = 0
        """The same of PSS, over all processes."""
        self._root = root
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look_again_and_again)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _look_again_and_again(self) -> None:
        pids = {pid: self._name(pid) for pid in tree(self._root)}
        looks = 0
        while True:
            self._look(pids)
            if looks % _LOOKS_PER_PROPORTION == 0:
                self.most_proportional = max(self.most_proportional, sum(map(proportional_bytes, pids)))
            looks += 1
            if self._is_over.wait(_LOOK_SECONDS):
                return

    def _name(self, pid: int) -> str:
        return "python" if pid == self._root else label(pid)

    def _look(self, pids: dict[int, str]) -> None:
        held = {pid: resident_bytes(pid) for pid in pids}
        self.most_together = max(self.most_together, sum(held.values()))
        for pid, size in held.items():
            self.most[pids[pid]] = max(self.most.get(pids[pid], 0), size)
