"""Whether two answers say the same: surely, surely not, or nobody can tell.

A pair that is taken for the same wrongly is served again and again, so doubt counts as doubt: of the rules for "same"
each must hold, and what only the vectors say is no proof.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections import Counter
from enum import Enum
from operator import mul

_SAME_COSINE = 0.9
_DIFFERENT_COSINE = 0.6
_SAME_SHARED_RATIO = 0.6
_SHORT_WORDS = 40
_A_FEW_WORDS = 6
_MOST_COMPARED_CHARACTERS = 16_384


class Sameness(Enum):
    """What a comparison says."""

    SAME = "same"
    DIFFERENT = "different"
    UNSURE = "unsure"


def compare_texts(one: str, other: str) -> Sameness | None:
    """Return what the texts alone tell; None where it takes their vectors, which is when nothing speaks against "same"."""
    first, second = _words(one), _words(other)
    if first == second:
        return Sameness.SAME
    if not first or not second or max(len(one), len(other)) > _MOST_COMPARED_CHARACTERS:
        return Sameness.UNSURE
    short = max(len(first), len(second)) <= _SHORT_WORDS
    against = Sameness.DIFFERENT if short else Sameness.UNSURE
    if _stance(first) != _stance(second) or _numbers(one) != _numbers(other):
        return against
    if _negations(first) != _negations(second) or _code(one) != _code(other):
        return Sameness.UNSURE
    if max(len(first), len(second)) <= _A_FEW_WORDS and not _content(one) & _content(other):
        return Sameness.DIFFERENT
    names, other_names = _names(one), _names(other)
    if names - set(second) and other_names - set(first):
        return against
    return None


def compare_vectors(one: str, other: str, cosine: float) -> Sameness:
    """Return what the vectors add to two texts that nothing speaks against."""
    if cosine < _DIFFERENT_COSINE:
        return Sameness.DIFFERENT
    first, second = _content(one), _content(other)
    smaller = min(first.total(), second.total())
    shared = (first & second).total()
    if cosine >= _SAME_COSINE and smaller and shared >= _SAME_SHARED_RATIO * smaller:
        return Sameness.SAME
    return Sameness.UNSURE


def cosine_of(one: array[float], other: array[float]) -> float:
    """Return the cosine of two unit vectors."""
    return sum(map(mul, one, other))


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'"))


def _numbers(text: str) -> Counter[str]:
    found = (number.replace(",", "").rstrip(".") for number in _NUMBER.findall(text))
    # A list's own numbers say nothing.
    return Counter(number for number in found if number)


def _names(text: str) -> set[str]:
    """Return words that are written large within a sentence, and acronyms."""
    return {word.casefold() for word in _NAME.findall(text)}


def _stance(words: list[str]) -> str:
    return words[0] if words[0] in _STANCES else ""


def _negations(words: list[str]) -> int:
    return sum(word in _NEGATIONS or word.endswith("n't") for word in words)


def _code(text: str) -> list[str]:
    return ["".join(block.split()) for block in _CODE.findall(text)]


def _content(text: str) -> Counter[str]:
    return Counter(word for word in _words(text) if len(word) > 3 or word.isdigit())  # noqa: PLR2004 - short ones are glue


_WORD = re.compile(r"[^\W_]+(?:['.,][^\W_]+)*")
_NUMBER = re.compile(r"(?<![\w.])(?!\d{1,2}[.)]\s)[-+]?\d[\d,]*(?:\.\d+)?")
_NAME = re.compile(r"(?<=[a-z,;:] )[A-Z][\w-]*|\b[A-Z]{2,}\b")
_CODE = re.compile(r"`{1,3}[^`]+`{1,3}")
_STANCES = frozenset(
    ["yes", "no", "ja", "nein", "oui", "non", "sí", "si", "não", "sim", "true", "false", "correct", "incorrect"]
)
_NEGATIONS = frozenset(
    [
        "not",
        "no",
        "never",
        "none",
        "cannot",
        "without",
        "nicht",
        "kein",
        "keine",
        "nie",
        "ohne",
        "ne",
        "pas",
        "jamais",
        "sans",
        "nunca",
        "sin",
        "não",
        "sem",
        "non",
        "mai",
    ]
)
