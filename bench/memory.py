"""What a folder of 2 GB takes of memory while it is taken in: the stack and the command, or reading and cutting alone.

    .venv/bin/python bench/memory.py FOLDER [--gigabytes 2] [--minutes 8]
    .venv/bin/python bench/memory.py FOLDER --cut [--minutes 30]

The folder is filled if it is not there: texts, Markdown and tables of 0.2 to 2 MB, every twentieth of 10 to 15 MB, which is
nearly the most that is read. Either `penstock up` and `penstock ingest` take it in, for so many minutes (embedding all of it
takes hours); or it is read by the sandboxed parser and cut with the model's tokenizer, and nothing is kept. Prints JSON:
resident memory of each kind of process but for files that are mapped, MiB, in tenths of the time, and the most.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from penstock_common.contract.knowledge import Splitter
from penstock_embedding.adapters.model_files import ModelSource, find_tokenizer
from penstock_embedding.adapters.parsing.parser import SandboxedParser
from penstock_embedding.adapters.word_counter import WordCounter
from penstock_embedding.domain.chunking.chunker import StructureChunker
from penstock_embedding.domain.documents.limits import ParsingLimits
from penstock_embedding.domain.documents.parsed import DocumentRefused

ROOT = Path(__file__).parent.parent
MEGABYTE = 1_000_000
LOOK_SECONDS = 0.5
KINDS = {
    "penstock_common.points.edge.host": "vector store",
    "penstock_common.points.edge.indexing": "indexing",
    "penstock_embedding.adapters.parsing.worker": "readers",
    "ingest": "command",
}


def write_folder(folder: Path, size: int) -> None:
    """Fill it with files of three kinds."""
    folder.mkdir(parents=True)
    dice, written, number = random.Random(7), 0, 0
    words = (ROOT / "docs/requests.md").read_text().split()
    kinds = {"txt": _sentence, "md": _section, "csv": _row}
    parts = {
        suffix: ["".join(line(words, dice) for _ in range(800)) for _ in range(30)] for suffix, line in kinds.items()
    }
    while written < size:
        suffix = list(kinds)[number % 3]
        most = MEGABYTE * (dice.uniform(10, 15) if number % 20 == 19 else dice.uniform(0.2, 2))
        with (folder / f"{number:05}.{suffix}").open("w") as file:
            while file.tell() < most:
                file.write(f"{number}{dice.randrange(10**9)},1,a,2\n" + dice.choice(parts[suffix]))
            written += file.tell()
        number += 1


def _sentence(words: list[str], dice: random.Random) -> str:
    return " ".join(dice.choices(words, k=14)) + f" {dice.randrange(10**9)}.\n\n"


def _section(words: list[str], dice: random.Random) -> str:
    return f"## {' '.join(dice.choices(words, k=3))}\n\n" + _sentence(words, dice) * 3


def _row(words: list[str], dice: random.Random) -> str:
    return f"{dice.randrange(10**9)},{dice.random():.6f},{dice.choice(words).strip(',')},{dice.randrange(10**6)}\n"


class Watch(threading.Thread):
    """Looks at the memory of this process's descendants, by kind, until it is told to end."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.looks: list[dict[str, float]] = []
        self._ended = threading.Event()

    def run(self) -> None:
        """Look."""
        while not self._ended.wait(LOOK_SECONDS):
            look: dict[str, float] = {}
            for kind, resident in _resident(os.getpid()):
                look[kind] = look.get(kind, 0.0) + resident
            self.looks.append({**look, "all": sum(look.values())})

    def figures(self) -> dict[str, Any]:
        """End, and return the most of each tenth of the time, and of all of it."""
        self._ended.set()
        kinds = sorted({kind for look in self.looks for kind in look})
        tenth = max(1, len(self.looks) // 10)
        return {
            kind: {
                "most": round(max(look.get(kind, 0.0) for look in self.looks)),
                "tenths": [
                    round(max(look.get(kind, 0.0) for look in self.looks[start : start + tenth]))
                    for start in range(0, len(self.looks), tenth)
                ],
            }
            for kind in kinds
        }


def _resident(root: int) -> Iterator[tuple[str, float]]:
    """Yield the kind and the own resident memory, MiB, of a process and of its descendants."""
    family = {root: "this"}
    entries = sorted((path for path in Path("/proc").iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
    for entry in entries:
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes().decode().split("\0")
            status = (entry / "status").read_text()
        except OSError:
            continue
        number = int(entry.name)
        if number != root and parent not in family:
            continue
        if number != root:
            family[number] = next((kind for part, kind in KINDS.items() if part in command), "services")
        for line in status.splitlines():
            if line.startswith("RssAnon"):
                yield family[number], int(line.split()[1]) / 1024


async def cut_all(folder: Path, minutes: float, told: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Read and cut every file, two at a time, as the service does, as far as the time allows."""
    counter = WordCounter(find_tokenizer(ModelSource("all-MiniLM-L6-v2")).tokenizer, 256)
    chunker, began = StructureChunker(), time.monotonic()
    done: dict[str, float] = {"files": 0, "refused": 0, "megabytes": 0, "pieces": 0}
    waiting = iter(sorted(folder.iterdir()))

    async def worker(parser: SandboxedParser) -> None:
        for path in waiting:
            if time.monotonic() > began + 60 * minutes:
                return
            content = path.read_bytes()
            try:
                parsed = await parser.parse(content, filename=path.name)
                done["pieces"] += len(await asyncio.to_thread(chunker.cut, parsed, Splitter(), counter))
            except DocumentRefused as refused:
                done["refused"] += 1
                done[refused.reason] = done.get(refused.reason, 0) + 1
            done["files"] += 1
            done["megabytes"] += len(content) / MEGABYTE
            told(done)

    async with SandboxedParser.open(ParsingLimits()) as parser, asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(worker(parser))
    return {**done, "seconds": round(time.monotonic() - began, 1)}


def take_in(folder: Path, minutes: float) -> dict[str, Any]:
    """Take the folder in by a stack of its own for so long, and return how far it came."""
    penstock = str(Path(sys.executable).parent / "penstock")
    with tempfile.TemporaryDirectory() as state:
        command = [penstock, "up", "--without-triton", "--state", state]
        up = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            create = [penstock, "knowledge", "create", "folder", "--tenant", "demo", "--state", state]
            while subprocess.run(create, capture_output=True, check=False).returncode:
                if up.poll() is not None:
                    raise SystemExit("the stack did not start")
                time.sleep(2)
            command = [penstock, "ingest", str(folder), "--base", "folder", "--tenant", "demo", "--state", state]
            with subprocess.Popen(command, stdout=subprocess.DEVNULL) as ingest:
                try:
                    ingest.wait(60 * minutes)
                except subprocess.TimeoutExpired:
                    ingest.terminate()
            show = [penstock, "knowledge", "show", "folder", "--tenant", "demo", "--state", state, "--json"]
            return {"shown": subprocess.run(show, capture_output=True, text=True, check=False).stdout}
        finally:
            up.terminate()
            up.wait()


if __name__ == "__main__":
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("folder", type=Path)
    given.add_argument("--gigabytes", type=float, default=2.0)
    given.add_argument("--minutes", type=float, default=8.0)
    given.add_argument("--cut", action="store_true")
    options = given.parse_args()
    if not options.folder.exists():
        write_folder(options.folder, int(options.gigabytes * 1000 * MEGABYTE))
    # A provider's, which nobody asks.
    os.environ["OPENAI_API_KEY"] = "unused"
    watch = Watch()
    watch.start()
    if options.cut:
        came = asyncio.run(
            cut_all(options.folder, options.minutes, lambda done: print(dict(done), file=sys.stderr, flush=True))
        )
    else:
        came = take_in(options.folder, options.minutes)
    print(json.dumps({"load_average": os.getloadavg()[1], **came, "resident_mib": watch.figures()}, indent=1))
