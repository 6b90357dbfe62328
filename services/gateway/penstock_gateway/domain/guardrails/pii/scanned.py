"""A text made plain for rules: digits and marks of any script as ASCII, without what is not seen; places stay known."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

# What is not seen: soft hyphen, zero width, directions, joiners, byte order mark, tags.
_UNSEEN = (
    "\xad\u034f\u061c\u115f\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f"
)
_SPACES = "\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
_DASHES = "\u2010-\u2015\u2212\ufe58\ufe63"
_SINGLE = "\u2018\u2019\u201b\u02bc\u2032"
_DOUBLE = "\u201c-\u201f\xab\xbb"
_IDEOGRAPHIC = "\u3002"
# Behind it Unicode 16 has no decimal digits.
_LAST_DIGIT = 0x1FBF9


def _digits() -> dict[str, str]:
    """Return the decimal digits of all scripts but ASCII's, by what they are in ASCII."""
    found: dict[str, str] = {}
    for point in range(0x80, _LAST_DIGIT + 1):
        value = unicodedata.digit(chr(point), None) if unicodedata.category(chr(point)) == "Nd" else None
        if value is not None:
            found[chr(point)] = str(value)
    return found


def _expanded(characters: str) -> list[str]:
    """Return the characters of a set as a regular expression has it, its ranges written out."""
    found: list[str] = []
    for one, last in re.findall(r"(.)(?:-(.))?", characters, re.DOTALL):
        found += map(chr, range(ord(one), ord(last or one) + 1))
    return found


class _Plain:
    """What stands for characters that are replaced, nothing for those that are left out; put together once, by who first asks."""

    @cached_property
    def table(self) -> dict[str, str]:
        found = {one: plain for characters, plain in _MARKS for one in _expanded(characters)}
        found |= _digits() | {chr(point): chr(point - 0xFEE0) for point in range(0xFF01, 0xFF5F)}
        return dict.fromkeys(_expanded(_UNSEEN), "") | found

    @cached_property
    def odd(self) -> frozenset[str]:
        return frozenset(self.table)


_MARKS = ((_SPACES, " "), (_DASHES, "-"), (_SINGLE, "'"), (_DOUBLE, '"'), (_IDEOGRAPHIC, "."))
_PLAIN = _Plain()
_STRANGE = re.compile(r"[^\x00-\x7f]+")
_IS_DIGIT = bytes(ord("x") if chr(byte).isdigit() else ord(" ") for byte in range(128)) + b" " * 128
_IS_NO_SPACE = bytes(ord(" ") if chr(byte).isspace() else ord("x") for byte in range(128)) + b"x" * 128
_SMALL_LETTERS = bytes(
    ord(chr(byte).lower()) if chr(byte).isalpha() and ord(chr(byte).lower()) < 256 else ord(" ") for byte in range(256)
)
_SHORT = 16
# Characters between digits of one number, and the digits of the shortest one.
_CLOSE = 3
_FEWEST = 7


def _stretches(mask: bytes, least: bytes) -> list[tuple[int, int]]:
    """Return where the mask has at least so many ``x`` side by side."""
    found: list[tuple[int, int]] = []
    start = mask.find(least)
    while start >= 0:
        end = mask.find(b" ", start)
        if end < 0:
            end = len(mask)
        found.append((start, end))
        start = mask.find(least, end)
    return found


class Word(NamedTuple):
    """A run of at least 16 characters without white space."""

    text: str
    start: int


class Scanned:
    """A text as rules read it. Every place in ``text`` has one in the original: ``span`` says which."""

    def __init__(self, original: str) -> None:
        self.text = original
        self._places: list[int] | None = None
        if not original.isascii():
            self._make_plain(original)

    def _make_plain(self, original: str) -> None:
        odd = _PLAIN.odd.intersection("".join(_STRANGE.findall(original)))
        for one in odd:
            self.text = self.text.replace(one, _PLAIN.table[one])
        if len(self.text) != len(original):
            left_out = {one for one in odd if not _PLAIN.table[one]}
            self._places = [place for place, one in enumerate(original) if one not in left_out]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where in the original that is."""
        if self._places is None:
            return start, end
        return self._places[start], self._places[end - 1] + 1

    def has(self, words: frozenset[str], stems: Sequence[str] = ()) -> bool:
        """Return whether one of the words is in the text, or a stem where the text is not ASCII alone."""
        if not words.isdisjoint(self.words):
            return True
        return not self.is_ascii and any([stem in self.lower for stem in stems])

    def places(self, words: frozenset[str], stems: Sequence[str] = ()) -> list[int]:
        """Return where those words and stems stand; words of one or two letters are abbreviations, with their full stop."""
        found: list[int] = []
        shortened = [one + "." if len(one) <= 2 and one.isascii() else one for one in words & self.words]
        for one in (*shortened, *(() if self.is_ascii else stems)):
            at = self.lower.find(one)
            while at >= 0:
                found.append(at)
                at = self.lower.find(one, at + 1)
        return found

    @cached_property
    def is_ascii(self) -> bool:
        """Whether it has ASCII alone."""
        return self.text.isascii()

    @cached_property
    def lower(self) -> str:
        """The text in small letters, of the same length."""
        lowered = self.text.lower()
        if len(lowered) == len(self.text):
            return lowered
        return "".join(each if len(each.lower()) != 1 else each.lower() for each in self.text)

    @cached_property
    def _bytes(self) -> bytes:
        """The text with ``?`` for each character beyond Latin-1: bytes are looked through many times faster."""
        return self.text.encode("latin-1", "replace")

    @cached_property
    def words(self) -> frozenset[str]:
        """The words in small letters; of letters beyond Latin-1 none."""
        return frozenset(self._bytes.translate(_SMALL_LETTERS).decode("latin-1").split())

    @cached_property
    def runs(self) -> list[tuple[int, int]]:
        """Where digits stand side by side."""
        return _stretches(self._bytes.translate(_IS_DIGIT), b"x")

    @cached_property
    def clusters(self) -> list[tuple[int, int]]:
        """Which runs of digits, first and last, stand close together and have seven digits and more."""
        found: list[tuple[int, int]] = []
        first = digits = 0
        last_end = -9
        for place, (start, end) in enumerate(self.runs):
            if start - last_end > _CLOSE:
                if digits >= _FEWEST:
                    found.append((first, place - 1))
                first, digits = place, 0
            digits += end - start
            last_end = end
        if digits >= _FEWEST:
            found.append((first, len(self.runs) - 1))
        return found

    @cached_property
    def long_words(self) -> list[Word]:
        """The words of 16 characters and more."""
        spans = _stretches(self._bytes.translate(_IS_NO_SPACE), b"x" * _SHORT)
        return [Word(self.text[start:end], start) for start, end in spans]

    def before(self, place: int, length: int) -> str:
        """Return the small letters before a place, of its line and of the line above."""
        return self.lower[max(0, place - length) : place]

    def behind(self, place: int, length: int) -> str:
        """Return the small letters behind a place."""
        return self.lower[place : place + length]
