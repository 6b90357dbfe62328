"""The words that the check knows, read from ``vocabulary.toml`` and from a lexicon distilled from WordNet 3.1.

WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved. Its licence stands in NOTICE beside this module.
"""

from __future__ import annotations

import gzip
import tomllib
from collections import defaultdict
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

_FOLDER = files("penstock_gateway.domain.guardrails.grounding")
_READ: dict[str, Any] = tomllib.loads((_FOLDER / "vocabulary.toml").read_text(encoding="utf-8"))
_LEAST_STEM = 3
_KNOWN_STEMS = 1 << 15


def _words(name: str) -> frozenset[str]:
    return frozenset(_READ[name].split())


def _values(name: str) -> dict[str, float]:
    return {word: float(value) for value, words in _READ[name].items() for word in words.split()}


SILENT = _words("silent")
LIGHT = _words("light")
NEGATIONS = _words("negations")
DENIALS = _words("denials")
UNIVERSALS = _words("universals")
HEDGES = _words("hedges")
DUTIES = _words("duties")
PERMISSIONS = _words("permissions")
CONDITIONS = _words("hard_conditions")
CAUSES = _words("hard_causes")
CURRENT = _words("current_words")
FORMER = _words("former_words")
STALE = _words("stale_marks")
STALE_PHRASES: tuple[str, ...] = tuple(_READ["stale_phrases"])
SUMS = _words("sums")
UPPERS = _words("uppers")
LOWERS = _words("lowers")
INDEFINITES = _words("indefinites")
SUPPOSING = _words("supposing")
SILENCES = _words("silences")
SILENT_SUBJECTS = _words("silent_subjects")
NUMBERS = _values("numbers")
ORDINALS = _values("ordinals")
SCALES = _values("scales")
FRACTIONS = _values("fractions")
UNITS = {
    word: (dimension, float(size))
    for dimension, sizes in _READ["units"].items()
    for size, words in sizes.items()
    for word in words.split()
}
"""A unit's dimension, and its size in the dimension's base."""
MONTHS = {word: month for month, words in _READ["months"].items() for word in words.split()}

_ENDINGS = (
    ("ational", "at"), ("ations", "at"), ("ation", "at"), ("ments", ""), ("ment", ""), ("iness", "y"), ("ness", ""), ("ities", ""),
    ("ity", ""), ("ances", ""), ("ance", ""), ("ences", ""), ("ence", ""), ("ively", ""), ("ingly", ""), ("edly", ""), ("ally", ""),
    ("ions", ""), ("ion", ""), ("ives", ""), ("ive", ""), ("ables", ""), ("able", ""), ("ings", ""), ("ing", ""), ("ies", "y"), ("ied", "y"),
    ("ors", ""), ("or", ""), ("ers", ""), ("er", ""), ("est", ""), ("ed", ""), ("ly", ""), ("als", ""), ("al", ""), ("es", ""), ("s", ""), ("e", ""),
)  # fmt: skip
_IRREGULAR = {
    "paid": "pay", "sent": "send", "kept": "keep", "held": "hold", "told": "tell", "sold": "sell", "bought": "buy", "built": "build",
    "left": "leave", "lost": "lose", "met": "meet", "spent": "spend", "taught": "teach", "thought": "think", "won": "win",
    "wrote": "write", "written": "write", "drove": "drive", "driven": "drive", "broke": "break", "broken": "break", "chosen": "choose",
    "chose": "choose", "fell": "fall", "fallen": "fall", "forgot": "forget", "forgotten": "forget", "froze": "freeze",
    "frozen": "freeze", "grew": "grow", "grown": "grow", "hidden": "hide", "rose": "rise", "risen": "rise", "shown": "show",
    "spoke": "speak", "spoken": "speak", "stolen": "steal", "worn": "wear", "withdrawn": "withdraw", "withdrew": "withdraw",
    "children": "child", "people": "person", "men": "man", "women": "woman", "feet": "foot", "teeth": "tooth", "mice": "mouse",
    "forbidden": "forbid", "forbade": "forbid", "led": "lead", "fed": "feed", "slept": "sleep", "died": "die", "dying": "die",
    "lent": "lend", "dealt": "deal", "dried": "dry", "tried": "try", "halves": "half", "shelves": "shelf", "knives": "knife",
    "begun": "begin", "began": "begin", "ran": "run", "swum": "swim", "sunk": "sink", "worse": "bad", "better": "good", "best": "good",
    "dangerous": "danger", "poisonous": "poison", "various": "vary", "length": "long", "height": "high", "width": "wide",
    "depth": "deep", "weight": "weigh", "heavier": "heavy", "cheaper": "cheap", "thawed": "thaw", "fired": "fire", "wiped": "wipe",
    "caught": "catch", "laid": "lay", "stood": "stand", "bound": "bind", "fought": "fight", "heard": "hear", "shot": "shoot",
    "ridden": "ride", "rode": "ride", "given": "give", "taken": "take", "eaten": "eat", "drunk": "drink", "flown": "fly",
}  # fmt: skip


@lru_cache(maxsize=_KNOWN_STEMS)
def stem_of(word: str) -> str:
    """Return a lower-case word's root, so that forms of one word meet."""
    word = _IRREGULAR.get(word, word)
    if len(word) <= _LEAST_STEM or not word.isalpha():
        return word
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) + len(instead) >= _LEAST_STEM:
            if ending == "s" and word[-2] in "su":
                continue
            word = word[: -len(ending)] + instead
            break
    if len(word) > _LEAST_STEM and word[-1] == word[-2] and word[-1] not in "sl":
        word = word[:-1]
    return word[:-1] + "i" if len(word) > _LEAST_STEM and word[-1] == "y" else word


@cache
def _lexicon() -> tuple[dict[str, frozenset[int]], dict[str, frozenset[str]]]:
    lines = gzip.decompress((_FOLDER / "lexicon.txt.gz").read_bytes()).decode().splitlines()
    same = ["s " + line for line in _READ["same"]["lines"].splitlines() if line.strip()]
    opposite = ["o " + pair.replace("/", " ") for pair in _READ["opposite"]["pairs"].split()]
    groups: defaultdict[str, set[int]] = defaultdict(set)
    opposites: defaultdict[str, set[str]] = defaultdict(set)
    for number, line in enumerate([*lines, *same, *opposite]):
        kind, *words = line.split()
        stems = {stem_of(word) for word in words}
        for stem in stems:
            if kind == "o":
                opposites[stem] |= stems - {stem}
            else:
                groups[stem].add(number)
    return (
        {stem: frozenset(numbers) for stem, numbers in groups.items()},
        {stem: frozenset(others) for stem, others in opposites.items()},
    )


_NO_GROUPS: frozenset[int] = frozenset()
_NO_WORDS: frozenset[str] = frozenset()


def meanings_of(stem: str) -> frozenset[int]:
    """Return the numbers of the groups that a stem is in; two stems with one in common may mean the same."""
    return _lexicon()[0].get(stem, _NO_GROUPS)


def opposites_of(stem: str) -> frozenset[str]:
    """Return the stems that say the opposite."""
    return _lexicon()[1].get(stem, _NO_WORDS)
