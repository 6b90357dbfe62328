"""A text made plain for rules: digits and marks of any script as ASCII, without what is not seen; places stay known."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

# What is not seen: soft hyphen, zero width, directions, joiners, byte order mark, tags.
_UNSEEN = "\xad\u034f\u061c\u115f\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f"
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


def _ranges(characters: Sequence[str]) -> str:
    """Return a set of a regular expression's for characters in order, with runs as ranges."""
    parts: list[str] = []
    start = last = ord(characters[0])
    for point in [*map(ord, characters[1:]), -1]:
        if point != last + 1:
            parts.append(f"{re.escape(chr(start))}-{re.escape(chr(last))}")
            start = point
        last = point
    return "".join(parts)


class _Plain:
    """The characters that are replaced or left out, put together once, by who first asks."""

    @cached_property
    def table(self) -> dict[str, str]:
        return _digits() | {chr(point): chr(point - 0xFEE0) for point in range(0xFF01, 0xFF5F)}

    @cached_property
    def odd(self) -> re.Pattern[str]:
        known = _ranges(sorted(self.table))
        return re.compile(f"[{_UNSEEN}{_SPACES}{_DASHES}{_SINGLE}{_DOUBLE}{_IDEOGRAPHIC}{known}]")

    def of(self, match: re.Match[str]) -> str:
        character = match[0]
        if (plain := self.table.get(character)) is not None:
            return plain
        return next((plain for pattern, plain in _MARKS if pattern.match(character)), "")


_MARKS = tuple(
    (re.compile(f"[{characters}]"), plain)
    for characters, plain in ((_SPACES, " "), (_DASHES, "-"), (_SINGLE, "'"), (_DOUBLE, '"'), (_IDEOGRAPHIC, "."))
)
_PLAIN = _Plain()
_DIGITS = re.compile(r"[0-9]+")
_SHORT = 16


class Word(NamedTuple):
    """A run of at least 16 characters without white space."""

    text: str
    start: int


class Scanned:
    """A text as rules read it. Every place in ``text`` has one in the original: ``span`` says which."""

    def __init__(self, original: str) -> None:
        self.text = original
        self._places: list[int] | None = None
        if not original.isascii() and _PLAIN.odd.search(original):
            self._make_plain(original)

    def _make_plain(self, original: str) -> None:
        plain = _PLAIN.odd.sub(_PLAIN.of, original)
        if len(plain) != len(original):
            left_out = {match.start() for match in _PLAIN.odd.finditer(original) if not _PLAIN.of(match)}
            self._places = [place for place in range(len(original)) if place not in left_out]
        self.text = plain

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where in the original that is."""
        if self._places is None:
            return start, end
        return self._places[start], self._places[end - 1] + 1

    @cached_property
    def lower(self) -> str:
        """The text in small letters, of the same length."""
        lowered = self.text.lower()
        if len(lowered) == len(self.text):
            return lowered
        return "".join(each if len(each.lower()) != 1 else each.lower() for each in self.text)

    @cached_property
    def runs(self) -> list[tuple[int, int]]:
        """Where digits stand side by side."""
        return [match.span() for match in _DIGITS.finditer(self.text)]

    @cached_property
    def long_words(self) -> list[Word]:
        """The words of 16 characters and more."""
        found: list[Word] = []
        place = 0
        for word in self.text.split():
            if len(word) >= _SHORT:
                place = self.text.index(word, place)
                found.append(Word(word, place))
                place += len(word)
        return found

    def before(self, place: int, length: int) -> str:
        """Return the small letters before a place, of its line and of the line above."""
        return self.lower[max(0, place - length) : place]

    def behind(self, place: int, length: int) -> str:
        """Return the small letters behind a place."""
        return self.lower[place : place + length]
