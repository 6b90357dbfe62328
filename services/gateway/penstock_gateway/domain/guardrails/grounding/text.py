"""The words of a text as the check compares them: roots, how much each says, numbers with what they measure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from penstock_gateway.domain.guardrails.grounding.vocabulary import LIGHT, NUMBERS, SILENT, meanings_of, stem_of

_TOKEN = re.compile(
    r"(?P<clock>\d{1,2}:\d{2}(?!\d))"
    r"|(?P<number>(?<![\w.])-?\d+(?:[.,]\d+)*)"
    r"|(?P<code>(?=[A-Za-z]*\d|[A-Za-z]+-\d|\d+[A-Z])[A-Za-z0-9]+(?:[-.][A-Za-z0-9]*\d[A-Za-z0-9]*)*)"
    r"|(?P<word>[^\W\d_]+(?:'[^\W\d_]+)?)"
    r"|(?P<mark>[%°€$£])"
)
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_CONTRACTED = {
    "can't": ("can", "not"), "cannot": ("can", "not"), "won't": ("will", "not"), "shan't": ("shall", "not"),
    "ain't": ("is", "not"),
}  # fmt: skip
_QUOTES = str.maketrans(
    {
        "\u2019": "'",
        "\u2018": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2013": "-",
        "\u2014": "-",
        "\u2212": "-",
        "\u00a0": " ",
        "\u202f": " ",
    }
)

LIGHT_WEIGHT = 0.25
NUMBER_WEIGHT = 0.6
_SHORT = 3
_KNOWN_WORDS = 1 << 15


class Word(NamedTuple):
    """A word: as compared, its root, how much it says (0: grammar alone), and whether it is written like a name."""

    text: str
    stem: str
    weight: float
    is_name: bool
    meanings: frozenset[int]
    start: int


def tidy(text: str) -> str:
    """Return the text, character for character as long, with one form of quotes, dashes and blanks."""
    return text.translate(_QUOTES)


def words_of(text: str) -> list[Word]:
    """Return the words of a tidy text in order; names in code give their parts."""
    found: list[Word] = []
    for match in _TOKEN.finditer(text):
        kind, shown, start = match.lastgroup, match.group(), match.start()
        if kind == "word":
            _add_word(found, shown, text, start)
        elif kind == "code":
            code = shown.lower()
            found.append(Word(code, code, 1.0, True, frozenset(), start))
        else:
            found.append(Word(shown.lower(), shown.lower(), 0.0, False, frozenset(), start))
    return found


def _add_word(found: list[Word], shown: str, text: str, start: int) -> None:
    if shown.islower() and shown.isalpha():
        stem, weight, meanings = _reading(shown)
        found.append(Word(shown, stem, weight, False, meanings, start))
        return
    for part in _HUMP.split(shown):
        lower = part.lower()
        if "'" in lower:
            found.extend(_word(piece, start) for piece in _CONTRACTED.get(lower) or _expanded(lower))
        else:
            found.append(_word(lower, start, is_name=_is_name(part, text, start)))


def _is_name(shown: str, text: str, start: int) -> bool:
    return shown[0].isupper() and ((len(shown) > 1 and shown.isupper()) or not _is_start(text, start))


def _expanded(word: str) -> tuple[str, ...]:
    if word.endswith("n't"):
        return word[:-3], "not"
    return (word.partition("'")[0],)


def _word(text: str, start: int, *, is_name: bool = False) -> Word:
    stem, weight, meanings = _reading(text)
    return Word(text, stem, weight, is_name and weight == 1.0, meanings, start)


@lru_cache(maxsize=_KNOWN_WORDS)
def _reading(text: str) -> tuple[str, float, frozenset[int]]:
    if text in SILENT:
        return text, 0.0, frozenset()
    stem = stem_of(text)
    if text in NUMBERS:
        return stem, 0.0, frozenset()
    return stem, LIGHT_WEIGHT if text in LIGHT else 1.0, meanings_of(stem)


def _is_start(text: str, at: int) -> bool:
    """Return whether a sentence or an entry begins there, so that a capital says nothing."""
    before = text[max(0, at - _SHORT) : at].rstrip(" *_\"'(")
    return not before or before[-1] in ".!?:|>\n#-[;"
