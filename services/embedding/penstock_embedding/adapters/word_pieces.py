"""How many pieces WordPiece makes of words, without making them: what a tokenizer also says of each takes most of its time.

Pieces are found as WordPiece does, the longest first. Which lengths there are is looked up by a piece's first two letters,
so that most looks find something; numbers are looked up by four digits at once, all numbers of a text together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]

_HEAD = 2
# Digits that are looked at together; the eleventh stands for what is none.
_DIGITS = 4
_NO_DIGIT = 10
_BASE = 11


class WordPieces:
    """A vocabulary, in which pieces that go on with a word have ``continuing`` before them."""

    def __init__(self, vocabulary: Iterable[str], continuing: str, *, lowercase: bool) -> None:
        kept = list(vocabulary)
        self._lowercase = lowercase
        self._first = _Pieces(piece for piece in kept if not piece.startswith(continuing))
        self._further = _Pieces(piece.removeprefix(continuing) for piece in kept if piece.startswith(continuing))

    @property
    def knows_numbers(self) -> bool:
        """Whether ``of_numbers`` may be asked."""
        return self._first.digits is not None and self._further.digits is not None

    def of(self, word: str) -> int:
        """Return the pieces of a word of ASCII letters and digits; 1 if it cannot be made of pieces."""
        word = word.lower() if self._lowercase else word
        pieces, place, count = self._first, 0, 0
        while place < len(word):
            end = place + pieces.longest.get(word[place : place + _HEAD], 1)
            while word[place:end] not in pieces.known:
                end -= 1
                if end == place:
                    return 1
            pieces, place, count = self._further, end, count + 1
        return count

    def of_numbers(self, codes: Numbers, starts: Numbers, ends: Numbers) -> Numbers:
        """Return the pieces of words of ASCII digits, int64; ``codes`` are the text's characters."""
        digits = _digits_of(codes)
        counts = np.zeros(len(starts), np.int64)
        left, places, longest = np.arange(len(starts)), starts, self._first.digits
        while len(left):
            assert longest is not None
            places = places + longest[_keys(digits, places)]
            counts[left] += 1
            goes_on = places < ends[left]
            left, places, longest = left[goes_on], places[goes_on], self._further.digits
        return counts


class _Pieces:
    """``longest`` is the length of the longest piece with the first letters, ``digits`` that at the beginning of digits."""

    def __init__(self, pieces: Iterable[str]) -> None:
        self.known = frozenset(pieces)
        self.longest: dict[str, int] = {}
        for piece in self.known:
            head = piece[:_HEAD]
            self.longest[head] = max(self.longest.get(head, 1), len(piece))
        self.digits = _longest_of_digits([piece for piece in self.known if piece.isascii() and piece.isdigit()])


def _longest_of_digits(pieces: Sequence[str]) -> Numbers | None:
    """Return the length of the longest piece by the digits that a place begins with; None if that does not say it."""
    if sum(len(piece) == 1 for piece in pieces) < _NO_DIGIT or max(map(len, pieces)) > _DIGITS:
        return None
    longest = np.zeros((_BASE,) * _DIGITS, np.uint8)
    for piece in sorted(pieces, key=len):
        longest[tuple(map(int, piece))] = len(piece)
    return longest.ravel()


def _digits_of(codes: Numbers) -> Numbers:
    """Return the digit of each character, ``_NO_DIGIT`` for others and for some behind the end."""
    digits = np.full(len(codes) + _DIGITS - 1, _NO_DIGIT, np.uint16)
    # What is below wraps around and is no digit either.
    np.minimum(codes - np.uint32(ord("0")), _NO_DIGIT, out=digits[: len(codes)], casting="unsafe")
    return digits


def _keys(digits: Numbers, places: Numbers) -> Numbers:
    """Return which digits follow each place, as indexes into what ``_longest_of_digits`` returns."""
    keys = digits[places]
    for further in range(1, _DIGITS):
        keys = keys * np.uint16(_BASE) + digits[places + further]
    return keys
