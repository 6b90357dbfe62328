"""The words of a text that may be parts of names, with what stands around them."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind
from penstock_gateway.domain.guardrails.pii.wording import CLASSES

# Letters of scripts that have capitals; others write words together or have no capitals.
_LETTER = "A-Za-zÀ-ÖØ-öø-ɏ\u0370-\u03ff\u0400-\u052f\u1e00-\u1fff\u0300-\u036f"
_TOKEN = re.compile(rf"[{_LETTER}]+(?:[\-'][{_LETTER}]+)*")
_ENDS_SENTENCE = re.compile(r"[.!?:;]\s*[\"')\]]*\s*$|[\n\r>\-*•|]\s*[\"'(\[]*$|^\s*[\"'(\[]*$")
_SHAPES = (
    (re.compile(r"[^\W\d_]$"), "X"),
    (re.compile(r"[^\W\d_a-zà-öø-ÿ]+$"), "XX"),
)


class Token(NamedTuple):
    """A word with its place; ``blanked``: it lies in something that was found already."""

    text: str
    start: int
    end: int
    lower: str
    shape: str


def tokens_of(text: str, known: Sequence[Finding]) -> list[Token]:
    """Return the words in order; what was found already is passed over."""
    found: list[Token] = []
    taken = [(one.start, one.end) for one in known]
    place = 0
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        while place < len(taken) and taken[place][1] <= start:
            place += 1
        if place < len(taken) and taken[place][0] < end:
            continue
        word = match[0]
        if "'" in word:
            word, start, end = _bare(word, start, end)
        if word:
            found.append(Token(word, start, end, word.lower(), shape_of(word)))
    return found


_CONTRACTED = re.compile(r"(?:'(?:s|ll|d|ve|m|re)|n't)$", re.IGNORECASE)
_ELIDED = re.compile(
    r"(?:[LCJNSQMTlcjnsqmtd]|[Dd]all|[Dd]ell|[Aa]ll|[Nn]ell|[Ss]ull|[Uu]n|[Qq]u|[Ll]orsqu|[Pp]uisqu|[Jj]usqu|[Qq]uest)'(?=\w)"
)


def _bare(word: str, start: int, end: int) -> tuple[str, int, int]:
    """Return a word without what is contracted with it, and its place: ``Ann'll`` is Ann, ``l'ordre`` ordre."""
    if match := _CONTRACTED.search(word):
        word, end = word[: match.start()], start + match.start()
    if match := _ELIDED.match(word):
        word, start = word[match.end() :], start + match.end()
    return word, start, end


def shape_of(word: str) -> str:
    """Return how a word is written: X one capital, XX capitals, Xx, x, and mixed."""
    if not word[0].isupper():
        return "x" if word.islower() else "xX"
    if len(word) == 1:
        return "X"
    if word.isupper():
        return "XX"
    if word[1:].islower():
        return "Xx"
    return "X-x" if "-" in word or "'" in word else "XxX"


def begins_sentence(text: str, start: int) -> bool:
    """Return whether a word may have its capital for beginning a sentence or a line."""
    return bool(_ENDS_SENTENCE.search(text, max(0, start - 8), start))


def mark_before(text: str, start: int) -> str:
    """Return the sign before a word and its space; ``^`` at the beginning."""
    place = start - 1
    while place >= 0 and text[place] == " ":
        place -= 1
    return "^" if place < 0 else _sign(text[place])


def mark_behind(text: str, end: int) -> str:
    """Return the sign behind a word and a space; ``$`` at the end."""
    if text.startswith("'s", end):
        return "'s"
    place = end
    while place < len(text) and text[place] == " ":
        place += 1
    return "$" if place >= len(text) else _sign(text[place])


def _sign(sign: str) -> str:
    if sign.isdigit():
        return "0"
    return "a" if sign.isalpha() else sign


def class_of(lower: str) -> str:
    """Return the class of a word; empty for most."""
    return CLASSES.get(lower, "")


class Near:
    """What was found, in order and without overlaps, by what stands beside it."""

    def __init__(self, known: Sequence[Finding], reach: int = 4) -> None:
        self._known = known
        self._reach = reach
        self._starts = [one.start for one in known]
        self._ends = [one.end for one in known]

    def kinds(self, start: int, end: int) -> tuple[str, str]:
        """Return what was found right before and right behind; empty where nothing was."""
        at = bisect_right(self._ends, start) - 1
        before = self._known[at].kind.value if at >= 0 and start - self._ends[at] <= self._reach else ""
        at = bisect_left(self._starts, end)
        is_behind = at < len(self._starts) and self._starts[at] - end <= self._reach
        return before, self._known[at].kind.value if is_behind else ""


def mail_parts(text: str, known: Sequence[Finding]) -> frozenset[str]:
    """Return the parts of local parts of mail addresses, in small letters: they often say who writes."""
    parts: set[str] = set()
    for one in known:
        if one.kind is Kind.EMAIL:
            local = text[one.start : one.end].partition("@")[0].lower()
            parts.update(part for part in re.split(r"[^a-zà-ÿ]+", local) if len(part) > 2)
    return frozenset(parts)
