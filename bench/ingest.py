"""A folder of mixed files is taken in, its process killed again and again, and compared with a run that nobody disturbed.

    python bench/ingest.py [--files 1000] [--kills 10] [--seed 1]

Prints JSON: documents and chunks a second, seconds, the most memory of the process and its readers, and whether each
chunk is there once, as without the kills, with a point in the vector store for each and none besides. The embedding model,
the parsers, SQLite and Qdrant Edge are the real ones. While the process is killed and goes on, it is asked for documents
at random, each alone and by meaning: what is found is as much as where nobody was killed, or none. Anything else counts as half.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from penstock_common.background import running
from penstock_common.contract import knowledge_calls as calls
from penstock_common.contract.knowledge import (
    Attribute,
    AttributeValue,
    Comparison,
    Filter,
    IndexVersion,
    SearchOptions,
)
from penstock_common.contract.wire import knowledge as methods
from penstock_common.errors import DeadlineExceeded, ServiceUnavailable
from penstock_common.points.opening import open_points
from penstock_common.rpc.in_process import InProcessChannel
from penstock_common.sections import Qdrant
from penstock_embedding.adapters.chunk_vectors import collection_of
from penstock_embedding.app import build
from penstock_embedding.domain.knowledge.ports import IndexRef
from penstock_embedding.settings import Settings

TENANT, BASE = "bench", "files"
_WORDS = [
    "invoice",
    "leave",
    "travel",
    "server",
    "restart",
    "policy",
    "region",
    "manager",
    "contract",
    "delivery",
    "payment",
    "notice",
    "warranty",
    "kitchen",
    "train",
    "budget",
    "release",
    "database",
    "backup",
    "security",
    "customer",
    "language",
    "chapter",
    "table",
    "vector",
    "answer",
    "question",
    "document",
]
_MOST_FOUND = 50
"""Chunks that a search may return; documents with more are not asked for."""
_PATIENT_SECONDS = 3600.0
_LONGEST_DELAY = 0.3
"""From the document at which a process is to be killed until it is."""


def main() -> None:
    """Compare a run that is killed with one that is not, or be one of their processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child is not None:
        asyncio.run(take_in(given.child))
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(compared(Path(folder), given.files, given.kills, given.seed), indent=2))


def compared(folder: Path, files: int, kills: int, seed: int) -> dict[str, Any]:
    """Return what both runs came to."""
    dice = random.Random(seed)
    write_files(folder / "files", files, dice)
    at = sorted(dice.sample(range(1, files), kills))
    whole = lives(folder, "whole", [], dice)
    (folder / "counts").write_text(json.dumps(whole["at_rest"]))
    killed = lives(folder, "killed", at, dice)
    return {
        "files": files,
        "killed_at_documents": at,
        "undisturbed": {name: whole[name] for name in ("documents", "failed", "chunks", "seconds", "megabytes")},
        "documents_per_second": round(whole["documents"] / whole["seconds"], 1),
        "chunks_per_second": round(whole["chunks"] / whole["seconds"], 1),
        "killed": {name: killed[name] for name in ("documents", "failed", "chunks", "lives", "seconds_of_all_lives")},
        "points": {"undisturbed": whole["points"], "killed": killed["points"]},
        "looks": killed["looks"],
        "less_at_rest": whole["less_at_rest"],
        "every_chunk_once": killed["most_of_one_chunk"] == 1,
        "as_undisturbed": killed["digest"] == whole["digest"],
    }


def lives(folder: Path, name: str, kills: list[int], dice: random.Random) -> dict[str, Any]:
    """Return the last words of the process that comes to the end, after those that were killed at so many documents."""
    own = folder / name
    own.mkdir()
    (own / "key").write_bytes(b"k" * 32)
    began, looks, number, left = time.monotonic(), Counter[str](), 0, [*kills]
    while True:
        number += 1
        command = [sys.executable, __file__, "--child", str(own)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                told = json.loads(line)
                looks.update(told.get("looks", {}))
                if "digest" in told:
                    seconds = round(time.monotonic() - began, 1)
                    return {**told, "lives": number, "looks": dict(looks), "seconds_of_all_lives": seconds}
                if left and told["done"] >= left[0]:
                    left.pop(0)
                    time.sleep(dice.uniform(0, _LONGEST_DELAY))
                    process.send_signal(signal.SIGKILL)
                    print(f"killed at {told['done']} documents", file=sys.stderr)
                    break
        if process.returncode != -signal.SIGKILL:
            raise SystemExit(f"the process ended by itself with {process.returncode}")


async def take_in(own: Path) -> None:
    """Put the files that were not acknowledged, tell how far it is, and at the end what there is."""
    began = time.monotonic()
    settings = Settings.model_validate(
        {
            "embedding": {"load": "on_first_use"},
            "sql": f"sqlite:///{own}/penstock.db",
            "secrets": {"knowledge_key_file": str(own / "key")},
            "knowledge": {"path": str(own / "vectors")},
        }
    )
    async with build(settings) as service:
        channel = InProcessChannel(service.handlers)
        await channel.call(methods.PUT_BASE, calls.PutBaseRequest(tenant=TENANT, id=BASE))
        looks, watched = Counter[str](), calls.WatchIngestRequest(TENANT, BASE)
        counts = own.parent / "counts"
        looking = looked(channel, json.loads(counts.read_text()), looks) if counts.exists() else asyncio.sleep(0)
        async with running(looking):
            await put(channel, own)
            async for told in channel.stream(methods.WATCH_INGEST, watched, timeout=_PATIENT_SECONDS):
                print(json.dumps({"done": told.progress.documents_done, "looks": dict(looks)}), flush=True)
                looks.clear()
        chunks, failed = await everything(channel)
        counts_now = Counter(document for document, _ in chunks.elements())
        at_rest = await found_at_rest(channel, counts_now)
        index = (await channel.call(methods.LIST_INDEXES, calls.ListIndexesRequest(TENANT, BASE))).indexes[0]
    used = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    told = {
        "documents": len(counts_now),
        "failed": failed,
        "chunks": len(chunks),
        "most_of_one_chunk": max(chunks.values()),
        "points": await points_of(own / "vectors", index),
        "at_rest": at_rest,
        "less_at_rest": sum(found < counts_now[name] for name, found in at_rest.items()),
        "digest": hashlib.sha256(json.dumps(sorted(chunks.elements())).encode()).hexdigest(),
        "seconds": round(time.monotonic() - began, 1),
        "megabytes": used // 1024,
    }
    print(json.dumps(told), flush=True)


async def put(channel: InProcessChannel, own: Path) -> None:
    """Put the files that were not acknowledged."""
    acknowledged = own / "acknowledged"
    start = int(acknowledged.read_text()) if acknowledged.exists() else 0
    for number, path in enumerate(sorted((own.parent / "files").iterdir())):
        if number >= start:
            request = calls.PutDocumentRequest(
                tenant=TENANT,
                base=BASE,
                id=path.name,
                filename=path.name,
                content=path.read_bytes(),
                attributes=(Attribute(name="file", value=AttributeValue(text=path.name)),),
            )
            await channel.call(methods.PUT_DOCUMENT, request)
            acknowledged.write_text(str(number + 1))


async def looked(channel: InProcessChannel, counts: dict[str, int], looks: Counter[str]) -> None:
    """Search for single documents, for ever; count those of which nothing, all or something else is found."""
    dice, names = random.Random(len(counts)), list(counts)
    while True:
        name = dice.choice(names)
        try:
            found = await found_of(channel, name, dice.choice(_WORDS))
        except (ServiceUnavailable, DeadlineExceeded):
            # Whoever is killed, and begins again, and everybody else on the machine.
            looks["unanswered"] += 1
        else:
            kind = "whole" if found == counts[name] else "half" if found else "none"
            looks[kind] += 1
            if kind == "half":
                print(f"{found} of {counts[name]} chunks of {name}", file=sys.stderr, flush=True)
        await asyncio.sleep(0.05)


async def found_of(channel: InProcessChannel, name: str, word: str) -> int:
    """Return how many chunks a search by meaning finds of one document; -1 if it finds any of another."""
    only = Filter(comparison=Comparison(attribute="file", operator="eq", values=(AttributeValue(text=name),)))
    options = SearchOptions(mode="dense", limit=_MOST_FOUND, filter=only)
    request = calls.SearchRequest(tenant=TENANT, bases=[BASE], query=word, options=options)
    hits = (await channel.call(methods.SEARCH, request)).result.hits
    return len({hit.chunk.id for hit in hits}) if {hit.chunk.document for hit in hits} <= {name} else -1


async def found_at_rest(channel: InProcessChannel, counts: Mapping[str, int]) -> dict[str, int]:
    """Return what is found of the documents that have no more chunks than a search may find.

    It may be less than there is: of two chunks that have most of their text in common one is shown.
    """
    names = [name for name, count in counts.items() if count <= _MOST_FOUND]
    return {name: await found_of(channel, name, _WORDS[0]) for name in names}


async def points_of(folder: Path, index: IndexVersion) -> int:
    """Return how many points the vector store has; nobody else may have it open."""
    ref = IndexRef(TENANT, BASE, index.number, index.spec, index.model_revision, index.dimension, 0, 0, 0)
    async with open_points(Qdrant(path=folder)) as engine:
        return await engine.points(collection_of(ref)).size()


async def everything(channel: InProcessChannel) -> tuple[Counter[tuple[str, str]], int]:
    """Return the chunks of all documents, and how many documents failed."""
    chunks: Counter[tuple[str, str]] = Counter()
    failed, after = 0, ""
    while True:
        listing = calls.ListDocumentsRequest(TENANT, BASE, page_size=100, page_token=after)
        page = await channel.call(methods.LIST_DOCUMENTS, listing)
        for document in page.documents:
            failed += document.state == "failed"
            token = ""
            while document.state == "ready":
                asked = calls.ListChunksRequest(TENANT, BASE, document.id, page_size=100, page_token=token)
                some = await channel.call(methods.LIST_CHUNKS, asked)
                chunks.update((document.id, chunk.id) for chunk in some.chunks)
                token = some.next_page_token
                if not token:
                    break
        after = page.next_page_token
        if not after:
            return chunks, failed


def write_files(folder: Path, count: int, dice: random.Random) -> None:
    """Write files of several kinds and sizes, one in fifty of them broken."""
    folder.mkdir()
    kinds = (_markdown, _html, _csv, _json_lines, _python, _text)
    for number in range(count):
        if number % 50 == 49:
            (folder / f"{number:05}.pdf").write_bytes(b"%PDF-1.7\n" + dice.randbytes(500))
            continue
        suffix, text = kinds[number % len(kinds)](number, dice)
        (folder / f"{number:05}.{suffix}").write_text(text, encoding="utf-8")


def _sentences(dice: random.Random, count: int) -> Iterator[str]:
    for _ in range(count):
        yield " ".join(dice.choices(_WORDS, k=dice.randint(5, 14))).capitalize() + "."


def _markdown(number: int, dice: random.Random) -> tuple[str, str]:
    parts = [
        f"## Part {part}\n\n{' '.join(_sentences(dice, dice.randint(2, 12)))}\n" for part in range(dice.randint(1, 6))
    ]
    return "md", f"# Handbook {number}\n\n" + "\n".join(parts)


def _html(number: int, dice: random.Random) -> tuple[str, str]:
    return "html", f"<html><body><h1>Page {number}</h1>" + "".join(
        f"<p>{s}</p>" for s in _sentences(dice, 12)
    ) + "</body></html>"


def _csv(number: int, dice: random.Random) -> tuple[str, str]:
    rows = (f"{row},{dice.choice(_WORDS)},{dice.randint(1, 999)}" for row in range(dice.randint(5, 60)))
    return "csv", f"id,product {number},price\n" + "\n".join(rows) + "\n"


def _json_lines(number: int, dice: random.Random) -> tuple[str, str]:
    rows = (
        json.dumps({"id": f"{number}-{row}", "text": sentence}) for row, sentence in enumerate(_sentences(dice, 15))
    )
    return "jsonl", "\n".join(rows) + "\n"


def _python(number: int, dice: random.Random) -> tuple[str, str]:
    names = dice.sample(_WORDS, 6)
    return "py", "\n\n".join(
        f'def {name}_{number}(value):\n    """{name}"""\n    return value + {number}' for name in names
    ) + "\n"


def _text(number: int, dice: random.Random) -> tuple[str, str]:
    return "txt", f"Note {number}\n\n" + "\n\n".join(_sentences(dice, dice.randint(1, 40))) + "\n"


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
