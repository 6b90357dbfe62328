"""How fast documents are cut, with the model's own tokenizer, by splitter: MB of text a second of one processor.

    .venv/bin/python bench/chunking.py --json

Each text is cut by a counter that has seen nothing before (cold), then again (warm): words that stand in many documents are
tokenized once. ``tokenizer`` is what the tokenizer alone makes of the same text, whole; a splitter that tokenizes what it
tries is slower than that. Texts: this repository's documentation and sources, rows of numbers that never come twice, and
made-up words of twelve scripts, frequent as words are. Pieces are checked: none is beyond its bound.
"""

from __future__ import annotations

import os

# One processor is measured.
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import argparse
import gc
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from penstock_common.contract.knowledge import Splitter, SplitterKind
from penstock_embedding.adapters.model_files import ModelSource, find_tokenizer
from penstock_embedding.adapters.tokenization import read_tokenizer
from penstock_embedding.adapters.word_counter import WordCounter
from penstock_embedding.domain.chunking.chunker import StructureChunker
from penstock_embedding.domain.chunking.markdown import blocks_of_markdown
from penstock_embedding.domain.documents.parsed import Parsed

ROOT = Path(__file__).parent.parent
MODEL = "all-MiniLM-L6-v2"
WINDOW = 256
MOST = 4_000_000
ROUNDS = 3
# Where the letters of scripts begin, and how many follow.
SCRIPTS = [
    *((0x61, 26), (0xE0, 30), (0x3B1, 24), (0x430, 32), (0x5D0, 26), (0x627, 40), (0x905, 50), (0xE01, 46)),
    *((0x10D0, 33), (0xAC00, 400), (0x3042, 80), (0x4E00, 2000)),
]


def files(*patterns: str) -> str:
    """Return the repository's files together, in the order of their names."""
    found = sorted(path for pattern in patterns for path in ROOT.glob(pattern) if ".venv" not in path.parts)
    return "\n\n".join(path.read_text(errors="replace") for path in found)[:MOST]


def scripts() -> str:
    """Return made-up sentences of many scripts, whose words are as frequent as words are."""
    chance = random.Random(13)
    parts: list[str] = []
    for first, letters in SCRIPTS:
        word = [
            "".join(chr(first + chance.randrange(letters)) for _ in range(chance.randint(2, 9))) for _ in range(8000)
        ]
        for _ in range(150):
            ranks = [min(7999, int(chance.paretovariate(0.6))) for _ in range(chance.randint(20, 120))]
            sentences = [" ".join(word[rank] for rank in ranks[at : at + 12]) for at in range(0, len(ranks), 12)]
            parts.append(". ".join(sentences) + ".\n\n")
    chance.shuffle(parts)
    return "".join(parts)


def rows() -> str:
    """Return a table of numbers that never come twice."""
    chance = random.Random(17)
    lines = [f"{number},{chance.random():.6f},item {chance.randrange(999)},open\n" for number in range(60_000)]
    return "id,amount,name,state\n" + "".join(lines)


def texts() -> Iterator[tuple[SplitterKind, str, Parsed]]:
    """Yield splitters, what they are given, and it."""
    markdown, python = files("docs/**/*.md", "*.md"), files("libs/**/*.py", "services/**/*.py", "tools/**/*.py")
    yield "recursive", "documentation", Parsed(markdown, "text/plain", "A title")
    yield "recursive", "twelve scripts", Parsed(scripts(), "text/plain", "A title")
    yield "markdown", "documentation", Parsed(markdown, "text/markdown", "A title")
    yield "html", "documentation", Parsed(markdown, "text/html", "A title", blocks=blocks_of_markdown(markdown))
    yield "code", "Python", Parsed(python, "text/x-python", "A title")
    yield "table", "numbers", Parsed(rows(), "text/csv", "A title")


def seconds(work: Callable[[], object]) -> float:
    """Return what the work takes of a processor."""
    gc.collect()
    began = time.process_time()
    work()
    return time.process_time() - began


def measure(kind: SplitterKind, name: str, parsed: Parsed) -> dict[str, Any]:
    """Return the figures of a splitter and a text."""
    file = find_tokenizer(ModelSource(MODEL)).tokenizer
    tokenizer, chunker, splitter = read_tokenizer(file), StructureChunker(), Splitter(kind)
    megabytes = len(parsed.text.encode()) / 1e6
    cold, warm, counting, whole = [], [], [], []
    for _ in range(ROUNDS):
        counter = WordCounter(file, WINDOW)
        cold.append(seconds(lambda counter=counter: chunker.cut(parsed, splitter, counter)))
        warm.append(seconds(lambda counter=counter: chunker.cut(parsed, splitter, counter)))
        counting.append(seconds(lambda counter=counter: counter.measure(parsed.text)))
    whole.append(seconds(lambda: tokenizer.encode_batch_fast(parsed.text.split("\n"), add_special_tokens=False)))
    pieces = chunker.cut(parsed, splitter, WordCounter(file, WINDOW))
    assert max(piece.tokens for piece in pieces) <= 192
    return {
        "splitter": kind,
        "text": name,
        "megabytes": round(megabytes, 2),
        "pieces": len(pieces),
        "tokens_of_a_piece": round(statistics.fmean(piece.tokens for piece in pieces), 1),
        "cold_mb_per_s": round(megabytes / min(cold), 1),
        "warm_mb_per_s": round(megabytes / min(warm), 1),
        "without_counting_mb_per_s": round(megabytes / max(1e-9, min(warm) - min(counting)), 1),
        "counting_mb_per_s": round(megabytes / min(counting), 1),
        "tokenizer_mb_per_s": round(megabytes / min(whole), 1),
    }


def main() -> None:
    """Measure, and show what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print figures for programs")
    arguments = parser.parse_args()
    figures = [measure(*each) for each in texts()]
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return
    print(
        f"{'splitter':10} {'text':15} {'MB':>6} {'pieces':>7} {'tokens':>7} {'cold':>7} {'warm':>7} {'cut':>7} {'count':>7} {'tokenizer':>10}"
    )
    for row in figures:
        print(
            f"{row['splitter']:10} {row['text']:15} {row['megabytes']:6.2f} {row['pieces']:7} {row['tokens_of_a_piece']:7.1f} "
            f"{row['cold_mb_per_s']:7.1f} {row['warm_mb_per_s']:7.1f} {row['without_counting_mb_per_s']:7.1f} "
            f"{row['counting_mb_per_s']:7.1f} {row['tokenizer_mb_per_s']:10.1f}"
        )


if __name__ == "__main__":
    main()
