"""Cue words of many languages, as look-ups: word, beginning of a word, pair of words, or piece of unspaced writing."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

# Written without spaces, or with endings that stick to the word: cues are found anywhere.
UNSPACED = frozenset({"zh", "ja", "ko"})
_UNSPACED_LETTER = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_SHORTEST_STEM = 3


class Lexicon(NamedTuple):
    """Cue words by how they are looked up; each leads to the numbers of what it says (see ``cues``)."""

    cues: tuple[str, ...]
    words: Mapping[str, tuple[int, ...]]
    stems: Mapping[str, tuple[tuple[str, tuple[int, ...]], ...]]
    """By their first three letters."""
    pairs: Mapping[str, tuple[int, ...]]
    firsts: frozenset[str]
    """Words that a pair begins with."""
    pieces: Mapping[str, tuple[int, ...]]
    piece_lengths: tuple[int, ...]

    def of_word(self, word: str) -> tuple[int, ...]:
        """Return what the word says."""
        found = self.words.get(word, ())
        for stem, cues in self.stems.get(word[:_SHORTEST_STEM], ()):
            if word.startswith(stem):
                found += cues
        return found


@cache
def lexicon() -> Lexicon:
    """Read the lexicon."""
    read = tomllib.loads((files("penstock_router.domain.classification") / "lexicon.toml").read_text(encoding="utf-8"))
    tables: dict[str, dict[str, set[int]]] = {kind: defaultdict(set) for kind in ("words", "stems", "pairs", "pieces")}
    for number, languages in enumerate(read.values()):
        for kind, cue in _sorted_out(languages):
            tables[kind][cue].add(number)
    frozen: dict[str, Any] = {
        kind: {cue: tuple(sorted(numbers)) for cue, numbers in table.items()} for kind, table in tables.items()
    }
    heads: dict[str, list[tuple[str, tuple[int, ...]]]] = defaultdict(list)
    for stem, cues in frozen.pop("stems").items():
        heads[stem[:_SHORTEST_STEM]].append((stem, cues))
    return Lexicon(
        stems={head: tuple(stems) for head, stems in heads.items()},
        cues=tuple(read),
        firsts=frozenset(pair.partition(" ")[0] for pair in frozen["pairs"]),
        piece_lengths=tuple(sorted({len(piece) for piece in frozen["pieces"]})),
        **frozen,
    )


def _sorted_out(languages: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for language, listed in languages.items():
        for cue in listed.lower().split():
            text = cue.strip("*").replace("_", " ").rstrip()
            if language in UNSPACED and _UNSPACED_LETTER.search(text):
                yield "pieces", text
            elif " " in text:
                yield "pairs", text
            elif cue.endswith("*") and len(text) >= _SHORTEST_STEM:
                yield "stems", text
            else:
                yield "words", text
