"""Blocks of private keys that come in pieces: where one begins, and how much of what follows belongs to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

BEGINS = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_ENDS = re.compile(r"-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_END = "-----END"
_LONGEST_END = 80
_WORD = re.compile(r"(?:\s|\\n)*(?P<word>\S+)")
# Lines of a key, and what may stand above them (RFC 1421).
_OF_A_KEY = re.compile(
    r"(?:[A-Za-z0-9+/=]|\\[nr])*[A-Za-z0-9+/=]{15,}(?:[A-Za-z0-9+/=]|\\[nr])*|[A-Za-z0-9+/]*=+|[A-Z][\w-]+:|\d,ENCRYPTED|[A-Z0-9-]+,[0-9A-F]{16,}|(?=\S*\d)(?=\S*[a-zA-Z])[A-Za-z0-9+/]{2,15}"
)


# Of a whole block, between its first line and its last.
_LONGEST = 12_000
# Of one that has no last line.
_LINES = re.compile(r"(?:(?:\\n|\s)+(?:[A-Za-z0-9+/=]{16,}|[A-Z][\w-]+: [^\n]*))*")


def blocks(text: str) -> Iterator[tuple[int, int]]:
    """Yield where blocks stand: to their last line, or as far as there are lines of a key."""
    place, end = 0, -1
    while begins := BEGINS.search(text, place):
        if end < begins.end() <= len(text):
            end = ends.end() if (ends := _ENDS.search(text, begins.end())) else len(text) + 1
        if end <= len(text) and end - begins.end() <= _LONGEST + _LONGEST_END:
            place = end
        else:
            lines = _LINES.match(text, begins.end())
            place = lines.end() if lines else begins.end()
        yield begins.start(), place


class Swallowed(NamedTuple):
    """How many characters at the beginning belong to the block, and whether it is over with them."""

    length: int
    is_over: bool


def swallowed(text: str, longest_word: int, *, is_last: bool) -> Swallowed:
    """Return how much of a text behind the beginning of a block belongs to it.

    A word that is not whole waits, unless it has ``longest_word`` characters or nothing follows (``is_last``). What is no line
    of a key ends the block where no other end stands.
    """
    place = 0
    while word := _WORD.match(text, place):
        if ends := _ENDS.match(text, word.start("word")):
            return Swallowed(ends.end(), is_over=True)
        is_whole = word.end() < len(text) or is_last
        is_endless = len(text) - place >= longest_word
        if (not is_whole and not is_endless) or _may_end(word["word"], len(text) - place, is_last=is_last):
            return Swallowed(place, is_over=False)
        if not _OF_A_KEY.fullmatch(word["word"]):
            return Swallowed(place, is_over=True)
        place = word.end()
    return Swallowed(place, is_over=False)


def _may_end(word: str, left: int, *, is_last: bool) -> bool:
    """Return whether the line that ends a key has come in part."""
    return not is_last and _END.startswith(word[: len(_END)]) and left < _LONGEST_END
