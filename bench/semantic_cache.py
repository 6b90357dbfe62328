"""What the semantic cache spares, and what it costs.

    python bench/semantic_cache.py [--requests N] [--entries N] [--quick] [--only traffic|lookups] [--qdrant URL] [--publish]

Traffic: 2,000 questions in four wordings each, asked by Zipf, over an upstream that answers by a script, takes its time
and bills; the same requests with the cache off, exact and semantic. The script knows which questions mean the same.

Look-ups: what one takes by how it ends, with many entries of one tenant, on one core. Qdrant Edge; and Qdrant's server:
that at URL, else one that plays it over the embedded engine, in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import machine
import semantic_lookups
import semantic_traffic
from checkouts import commit_of

RESULTS = Path(__file__).parent / "results" / "semantic_cache.json"
README = Path(__file__).parent / "README.md"
HEADING = "## The semantic cache"
_NEXT = "## Embedding"
_SERVER = """
import asyncio, sys
from pathlib import Path
from penstock_faults.qdrant.server import QdrantServer

async def main():
    async with QdrantServer(Path(sys.argv[1])) as server:
        print(server.url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@contextmanager
def _server(url: str, folder: Path) -> Generator[str]:
    """Yield the address of a Qdrant server."""
    if url:
        yield url
        return
    with subprocess.Popen([sys.executable, "-c", _SERVER, str(folder)], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def _lookups(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    cores = os.sched_getaffinity(0)
    # Children inherit it, and so does the server that plays Qdrant.
    os.sched_setaffinity(0, {min(cores)})
    try:
        rows = asyncio.run(semantic_lookups.measured("Edge", {}, options, folder))
        with _server(options.qdrant, folder / "server-vectors") as url:
            name = "server" if options.qdrant else "played server"
            qdrant = {"url": url, "timeout": "2s"}
            rows += asyncio.run(semantic_lookups.measured(name, qdrant, options, folder))
    finally:
        os.sched_setaffinity(0, cores)
    return rows


def _traffic(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    rows = asyncio.run(semantic_traffic.asked_of_all(options.questions, options.requests, options, folder))
    return semantic_traffic.against_none(rows)


def tables(found: dict[str, Any]) -> Iterator[str]:
    """Yield both tables, in Markdown."""
    if rows := found.get("traffic"):
        yield from _table(
            ("cache", "upstream calls", "fewer", "p50, ms", "lower", "p95, ms", "exact hits", "semantic hits", "false hits"),
            [
                (
                    row["mode"], f"{row['upstream_calls']:,}", f"{row['fewer_upstream_calls']:.0%}", f"{row['p50_ms']:.1f}",
                    f"{row['lower_p50']:.0%}", f"{row['p95_ms']:.1f}", f"{row['hits'].get('exact', 0):,}",
                    f"{row['hits'].get('semantic', 0):,}", str(row["false_hits"]),
                )
                for row in rows
            ],
        )  # fmt: skip
        yield ""
    if rows := found.get("lookups"):
        yield from _table(
            ("engine", "look-up that ends as", "p50, ms", "p99, ms", "CPU, ms", "more than exact, ms"),
            [
                (
                    row["engine"], row["end"], f"{row['p50_ms']:.2f}", f"{row['p99_ms']:.2f}", f"{row['cpu_ms']:.2f}",
                    f"{row['cpu_ms_more_than_exact']:.2f}" if "cpu_ms_more_than_exact" in row else "",
                )
                for row in rows
            ],
        )  # fmt: skip


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _section(found: dict[str, Any]) -> Iterator[str]:
    traffic, load = found["of_traffic"], found["machine"]["load_average"][0]
    yield HEADING
    yield ""
    yield f"`make bench-cache`, commit {found['commit']}, {found['began'][:10]}, {found['machine']['cores']} cores, load average {load}:"
    yield f"{traffic['requests']:,} requests for {traffic['questions']:,} questions in 4 wordings each, by Zipf, {traffic['in_flight']} in"
    yield f"flight; the upstream takes {traffic['upstream_seconds'] * 1e3:.0f} ms by the median. A false hit is an answer to another question, by the"
    yield f"script's own truth. Look-ups: {found['of_lookups']['entries']:,} entries of one tenant; cache, embedding and engine on one core, so"
    yield "the CPU is that of all three. All figures: [results/semantic_cache.json](results/semantic_cache.json)."
    yield ""
    yield from tables(found)


def publish(found: dict[str, Any]) -> None:
    """Write the figures, and the section of README.md that shows them."""
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    text = re.sub(rf"{re.escape(HEADING)}\n.*?(?=^## )", "", README.read_text(), flags=re.DOTALL | re.MULTILINE)
    before, at, after = text.partition(_NEXT)
    README.write_text(before + "\n".join(_section(found)).rstrip() + "\n\n" + at + after)


def main() -> None:
    """Measure, print, and keep it where it is published."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--questions", type=int, default=2_000)
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--upstream-seconds", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--lookups", type=int, default=700)
    parser.add_argument("--qdrant", default="", metavar="URL")
    parser.add_argument("--only", choices=("traffic", "lookups"))
    parser.add_argument("--quick", action="store_true", help="2,000 requests, 2,000 entries, 200 look-ups")
    parser.add_argument("--publish", action="store_true", help=f"write {RESULTS.name} and README.md")
    options = parser.parse_args()
    if options.quick:
        options.requests, options.entries, options.lookups = 2_000, 2_000, 200
    found: dict[str, Any] = {
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit_of(Path(__file__).parents[1]),
        "machine": machine.description(),
        "of_traffic": {
            name: getattr(options, name) for name in ("requests", "questions", "in_flight", "upstream_seconds", "seed")
        },
        "of_lookups": {name: getattr(options, name) for name in ("entries", "lookups")},
    }
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        folder = Path(name)
        if options.only != "lookups":
            found["traffic"] = _traffic(options, folder)
        if options.only != "traffic":
            found["lookups"] = _lookups(options, folder)
    print("\n".join(tables(found)))
    if options.publish:
        publish(found)


if __name__ == "__main__":
    main()
