"""A text in pieces that the classifier reads one by one: an attack is a sentence or two, however long the text around it."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

# In characters: some 60 words. A text shorter than the first is one piece.
_WHOLE, _PIECE, _PARAGRAPH = 620, 420, 100
# A reader that is given more looks at the beginning and the end.
MOST_PIECES = 64
_BORDER = re.compile(r"\n+|(?<=[.!?])\s+|(?<=[。！？])")


class Piece(NamedTuple):
    """A part of a text, and where it stands."""

    text: str
    start: int
    end: int


def pieces(text: str) -> list[Piece]:
    """Return the text in pieces of whole sentences that overlap by one."""
    if len(text) <= _WHOLE:
        return [Piece(text, 0, len(text))]
    found: list[Piece] = []
    sentences = _sentences(text)
    first = 0
    while first < len(sentences):
        start = sentences[first][0]
        last = first
        while last + 1 < len(sentences) and sentences[last + 1][1] - start <= _PIECE:
            if text.startswith("\n\n", sentences[last + 1][0] - 2) and sentences[last][1] - start >= _PARAGRAPH:
                break
            last += 1
        end = sentences[last][1]
        found.append(Piece(text[start:end], start, end))
        if last + 1 >= len(sentences):
            break
        is_new = text.startswith("\n\n", sentences[last][1] - 2)
        first = last if last > first and not is_new else last + 1
    if len(found) > MOST_PIECES:
        found = found[: MOST_PIECES // 2] + found[-MOST_PIECES // 2 :]
    return found


def _sentences(text: str) -> list[tuple[int, int]]:
    cuts = [0, *(one.end() for one in _BORDER.finditer(text)), len(text)]
    found: list[tuple[int, int]] = []
    for start, end in pairwise(cuts):
        found += [(at, min(end, at + _PIECE)) for at in range(start, end, _PIECE)]
    return found
