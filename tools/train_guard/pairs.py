"""The data: labelled pairs, and the groups that must not be split between training and judgement."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pair:
    """A stored text, an asked one, whether the answer serves both, and where it comes from.

    ``source`` is development, direct, reworded or neighbour; ``groups`` are the folds that a fold's training
    must leave out if one of them is judged in it.
    """

    stored: str
    asked: str
    is_same: bool
    kind: str
    source: str
    groups: tuple[int, ...]


def read(folder: Path, folds: int) -> list[Pair]:
    """Return all pairs of the three files, each with its folds (0 … folds - 1)."""
    extra = _lines(folder / "semantic_pairs_extra.jsonl")
    seeds = _Seeds(extra)
    pairs = _development(_lines(folder / "semantic_pairs.jsonl"), folds)
    for row in extra:
        source = "direct" if row["direct"] else "reworded"
        pairs.append(_pair(row, source, (row["seed"] % folds,)))
    for row in _lines(folder / "semantic_pairs_neighbours.jsonl"):
        groups = {seeds.of(row["a"]) % folds, seeds.of(row["b"]) % folds}
        pairs.append(_pair(row, "neighbour", tuple(sorted(groups))))
    return pairs


def _development(rows: Sequence[dict], folds: int) -> list[Pair]:
    """Deal each kind's pairs out in turn; pairs that share a text go together."""
    fold_of: dict[str, int] = {}
    dealt: Counter[str] = Counter()
    pairs = []
    for row in rows:
        fold = fold_of.get(row["a"], fold_of.get(row["b"], dealt[row["kind"]] % folds))
        dealt[row["kind"]] += 1
        fold_of[row["a"]] = fold_of[row["b"]] = fold
        pairs.append(_pair(row, "development", (fold,)))
    return pairs


def _pair(row: dict, source: str, groups: tuple[int, ...]) -> Pair:
    return Pair(row["a"], row["b"], row["same_answer"], row["kind"], source, groups)


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class _Seeds:
    """Finds the seed of a text, also where typos or sentences were added to it."""

    def __init__(self, rows: Sequence[dict]) -> None:
        self._exact = {text: row["seed"] for row in rows for text in (row["a"], row["b"])}
        self._grams = [(_grams(text), seed) for text, seed in self._exact.items()]

    def of(self, text: str) -> int:
        if text in self._exact:
            return self._exact[text]
        grams = _grams(text)
        best = max(self._grams, key=lambda known: len(grams & known[0]) / (len(known[0]) + 0.1 * len(grams)))
        self._exact[text] = best[1]
        return best[1]


def _grams(text: str) -> frozenset[str]:
    plain = re.sub(r"\W+", " ", text.lower())
    return frozenset(plain[at : at + 3] for at in range(len(plain) - 2))
