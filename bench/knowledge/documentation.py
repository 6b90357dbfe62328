"""Questions about Penstock's documentation to the real parts: taken in, searched, and answered with quotes alone.

    python bench/knowledge/documentation.py [--mode hybrid] [--json]

40 questions have an answer in the documentation, a span of it word by word; 10 are about something else, and 20 about Penstock
and nothing that stands there. A question is answered where a quote holds the span; quotes are cut at 900 characters together.
Exit code 1: fewer than 95 % are, or one about something else finds something with `hybrid_rerank`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import secrets
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from penstock_common.contract.knowledge import SearchMode, SearchOptions
from penstock_common.contract.knowledge_calls import SearchRequest, WatchIngestRequest
from penstock_common.contract.wire.knowledge import SEARCH, WATCH_INGEST
from penstock_common.rpc.in_process import InProcessChannel
from penstock_embedding.app import build
from penstock_embedding.settings import Settings
from penstock_gateway.domain.knowledge_use.extract import extract_of
from penstock_gateway.domain.knowledge_use.passages import all_of
from penstock_gateway.domain.knowledge_use.relevance import relevant
from penstock_gateway.domain.knowledge_use.use import NOT_SAID, KnowledgeUse, joined
from penstock_suite.adapters.knowledge_base import KnowledgeBaseOf
from penstock_suite.app.documentation import documentation

QUESTIONS = Path(__file__).parent / "questions.jsonl"
LEAST = 0.95
TENANT, BASE = "demo", "penstock-docs"


def plain(text: str) -> str:
    """Return a text without its marks, so that one which a reader has taken away makes no difference."""
    return " ".join(re.sub(r"[^a-z0-9.,%]+", " ", text.lower()).split())


async def judged(folder: Path, mode: SearchMode) -> dict[str, Any]:
    """Return what came of all questions."""
    (folder / "key").write_bytes(secrets.token_bytes(32))
    settings = Settings.model_validate(
        {
            "embedding": {"load": "on_first_use"},
            "sql": f"sqlite:///{folder}/penstock.db",
            "secrets": {"knowledge_key_file": str(folder / "key")},
            "knowledge": {"path": str(folder / "vectors")},
            "qdrant": {"timeout": "10s"},
        }
    )
    async with build(settings) as service:
        channel = InProcessChannel(service.handlers)
        began = time.monotonic()
        await KnowledgeBaseOf(channel, TENANT, BASE).hold("Documentation", documentation())
        async for _ in channel.stream(WATCH_INGEST, WatchIngestRequest(TENANT, BASE)):
            pass
        taken_in = time.monotonic() - began
        missed: list[str] = []
        found = 0
        refused: dict[str, list[bool]] = defaultdict(list)
        lengths: list[int] = []
        for line in QUESTIONS.read_text().splitlines():
            asked = json.loads(line)
            use = joined(KnowledgeUse(bases=(BASE,), options=SearchOptions(mode=mode)), NOT_SAID)
            request = SearchRequest(tenant=TENANT, bases=use.bases, query=asked["question"], options=use.options)
            result = (await channel.call(SEARCH, request)).result
            hits = relevant(result) if use.judges_relevance else result.hits
            answers = [plain(one) for one in asked.get("answers", ())]
            if not answers:
                refused[asked["kind"]].append(not hits)
                continue
            quotes = [one.passage.text for one in extract_of(all_of(hits), asked["question"]).cited]
            lengths.append(sum(map(len, quotes)))
            found += any(one in plain(hit.chunk.text) for hit in hits for one in answers)
            if not any(one in plain(quote) for quote in quotes for one in answers):
                missed.append(asked["question"])
    count = len(lengths)
    return {
        "mode": mode,
        "questions": count,
        "answered": (count - len(missed)) / count,
        "found": found / count,
        "characters": statistics.mean(lengths),
        "refused": {kind: statistics.mean(those) for kind, those in refused.items()},
        "seconds_to_take_in": round(taken_in, 1),
        "missed": missed,
    }


def main() -> int:
    """Judge, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", default="hybrid_rerank", choices=["hybrid", "dense", "sparse", "hybrid_rerank"])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = asyncio.run(judged(Path(folder), arguments.mode))
    print(json.dumps(outcome) if arguments.json else "\n".join(f"{name}: {value}" for name, value in outcome.items()))
    told = arguments.mode != "hybrid_rerank" or outcome["refused"]["elsewhere"] == 1
    return 0 if outcome["answered"] >= LEAST and told else 1


if __name__ == "__main__":
    sys.exit(main())
