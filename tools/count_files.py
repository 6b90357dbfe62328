"""Counts the files of ours that a unary cache miss enters, and how often it moves from one to another.

    python tools/count_files.py [--list] [--json]

Ours are the files under ``services/`` and ``libs/``. A file is entered where one of its functions is called, or one
of its coroutines or generators is entered or resumed; what files do when they are imported does not count. A move is
such a call whose direct caller stands in another file of ours; a call that comes from a library or from the loop is
none. Requests come one at a time, after others; a file counts if it is entered once for every twenty of them, so that
what is done for several together counts, such as writing their rows, and what is done by the clock does not: what is
entered in as long a time without requests is subtracted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from one_process import ROOT, UNARY, Suite, run_with_suite

REQUESTS = 100
WARM_UP_REQUESTS = 50
_TOGETHER = 20
_OURS = tuple(f"{ROOT / folder}/" for folder in ("services", "libs"))


class Trace:
    """What has been entered, and from where."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.entered: Counter[str] = Counter()
        self.moves: Counter[tuple[str, str]] = Counter()

    @property
    def files(self) -> list[str]:
        """The files that count."""
        return [file for file, entries in self.entered.items() if entries >= REQUESTS / _TOGETHER]

    @contextmanager
    def watching(self) -> Generator[None]:
        """Count the calls of this thread while the context is open."""
        sys.setprofile(self._on_event)
        try:
            yield
        finally:
            sys.setprofile(None)

    def _on_event(self, frame: FrameType, event: str, _argument: object) -> None:
        if event != "call":
            return
        file = frame.f_code.co_filename
        if not file.startswith(_OURS):
            return
        self.entered[file] += 1
        caller = frame.f_back.f_code.co_filename if frame.f_back else ""
        if caller != file and caller.startswith(_OURS):
            self.moves[caller, file] += 1


def main() -> int:
    """Print the count of files and of moves; with ``--list`` each file and each move."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="name the files and the moves")
    parser.add_argument("--json", action="store_true", help="print both counts as one JSON object")
    arguments = parser.parse_args()
    trace = run_with_suite(_traced)
    files = trace.files
    moves = sum(trace.moves.values()) / REQUESTS
    if arguments.json:
        print(json.dumps({"files": len(files), "moves": round(moves, 1)}))
        return 0
    print(f"a unary miss enters {len(files)} files and moves {moves:.0f} times between them")
    if arguments.list:
        _show(trace, files)
    return 0


async def _traced(suite: Suite) -> Trace:
    await suite.ask(UNARY, WARM_UP_REQUESTS, 1)
    trace, idle = Trace(), Trace()
    began = time.monotonic()
    with trace.watching():
        await suite.ask(UNARY, REQUESTS, 1)
    with idle.watching():
        await asyncio.sleep(time.monotonic() - began)
    trace.entered.subtract(idle.entered)
    trace.moves.subtract(idle.moves)
    return trace


def _show(trace: Trace, files: list[str]) -> None:
    for file in sorted(files):
        print(f"{trace.entered[file] / REQUESTS:8.1f}  {_short(file)}")
    print()
    for (caller, file), number in trace.moves.most_common():
        if number >= REQUESTS / _TOGETHER:
            print(f"{number / REQUESTS:8.1f}  {_short(caller)} -> {_short(file)}")


def _short(file: str) -> str:
    return file.removeprefix(f"{ROOT}/")


if __name__ == "__main__":
    sys.exit(main())
