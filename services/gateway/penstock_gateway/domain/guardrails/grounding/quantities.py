"""Numbers that a text states: values with their units, ranges, clock times and dates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from penstock_gateway.domain.guardrails.grounding.text import Word
from penstock_gateway.domain.guardrails.grounding.vocabulary import (
    FRACTIONS,
    MONTHS,
    NUMBERS,
    ORDINALS,
    SCALES,
    UNITS,
)

_YEARS = range(1900, 2200)
_NEAR = 1e-3
_NOUNS = 3
_MONTH_DAYS = 31
_TEN = 10
_YEAR_DIGITS = 4
_GROUP_DIGITS = 3
_TENS = range(20, 100)
_NUMBERED = frozenset(
    [
        "version",
        "edition",
        "release",
        "api",
        "schema",
        "level",
        "zone",
        "rule",
        "page",
        "chapter",
        "section",
        "paragraph",
        "table",
        "type",
        "class",
        "grade",
        "step",
        "room",
        "pier",
        "plot",
        "item",
        "article",
        "clause",
        "form",
        "policy",
        "protocol",
        "generation",
        "model",
        "series",
        "part",
        "phase",
        "line",
        "lines",
        "track",
        "gate",
        "hall",
        "floor",
        "group",
    ]
)


class Quantity(NamedTuple):
    """A number: its size in the dimension's base unit (or as written), the dimension, the noun it counts, and its place.

    Dimensions beside those of units: ``clock`` in minutes, ``date`` (month * 100 + day), ``year``, ``ordinal``; empty: none.
    """

    size: float
    dimension: str
    noun: str
    at: int
    end: int
    value: float


def is_same(one: Quantity, other: Quantity) -> bool:
    """Return whether two say the same; one without a unit is the same as one of its written value with any."""
    if one.dimension == other.dimension:
        return math.isclose(one.size, other.size, rel_tol=_NEAR, abs_tol=1e-9)
    kinds = {one.dimension, other.dimension}
    if kinds == {"share", "percent"}:
        sizes = sorted((one.size, other.size))
        return math.isclose(sizes[0] * 100, sizes[1], rel_tol=_NEAR)
    if "label" in kinds and not kinds <= {"label", "", "ordinal"}:
        return False
    return bool(kinds & _LOOSE) and math.isclose(one.value, other.value, rel_tol=1e-9, abs_tol=1e-12)


_LOOSE = frozenset(["", "ordinal", "year", "label"])


def quantities_of(words: Sequence[Word]) -> list[Quantity]:
    """Return the numbers in order."""
    reader = _Reader(words)
    at = 0
    while at < len(words):
        text = words[at].text
        at = reader.read(at) if text[0].isdigit() or text[0] == "-" or text in _COUNTING else at + 1
    return reader.found


_COUNTING = frozenset(["noon", "midday", "midnight", "half", "halves", *NUMBERS, *ORDINALS])


class _Reader:
    def __init__(self, words: Sequence[Word]) -> None:
        self._words = words
        self.found: list[Quantity] = []

    def _text(self, at: int) -> str:
        return self._words[at].text if 0 <= at < len(self._words) else ""

    def read(self, at: int) -> int:
        """Read what stands there; return where to go on."""
        text = self._text(at)
        if ":" in text:
            hours, _, minutes = text.partition(":")
            self._add(int(hours) * 60 + int(minutes), "clock", at, at + 1, value=int(hours) + int(minutes) / 100)
            return at + 1
        if text in ("noon", "midday"):
            self._add(720, "clock", at, at + 1)
            return at + 1
        if text == "midnight":
            self._add(0, "clock", at, at + 1)
            return at + 1
        if text in ("half", "halves"):
            return self._half(at)
        if text in ORDINALS and text not in ("first", "second"):
            return self._ordinal(at, ORDINALS[text])
        value = _value(text)
        if value is None or (text in ("one", "single") and self._text(at + 1) not in UNITS):
            return at + 1
        if text[0].isdigit() and self._is_label(at):
            self._add(value, "label", at, at + 1)
            return at + 1
        return self._quantity(at, value)

    def _half(self, at: int) -> int:
        end = at + 2 if self._text(at + 1) in ("a", "an", "of", "the") else at + 1
        unit = UNITS.get(self._text(end))
        if unit is not None and self._text(at + 1) != "of":
            self._add(0.5 * unit[1], unit[0], at, end + 1, value=0.5)
            return end + 1
        self._add(0.5, "share", at, at + 1)
        return at + 1

    def _ordinal(self, at: int, value: float) -> int:
        self._add(value, "ordinal", at, at + 1)
        return at + 1

    def _is_label(self, at: int) -> bool:
        """Return whether the number belongs to a name, as in "version 4" and "Borea 18"."""
        if at == 0 or self._text(at + 1) in UNITS or self._text(at + 1) in SCALES:
            return False
        before = self._words[at - 1]
        if self._words[at].start - before.start > len(before.text) + 1:
            return False
        return before.text in _NUMBERED or (before.is_name and before.text not in MONTHS and before.text not in UNITS)

    def _quantity(self, at: int, value: float) -> int:
        end = at + 1
        if not self._text(at)[0].isdigit():
            following = NUMBERS.get(self._text(end), 0)
            if value in _TENS and value % _TEN == 0 and 0 < following < _TEN:
                value, end = value + following, end + 1
        fraction = FRACTIONS.get(self._text(end).rstrip("s")) if value < _TEN else None
        if fraction and self._text(end) not in UNITS and self._text(at).isalpha():
            self._add(value * fraction, "share", at, end + 1)
            return end + 1
        while self._text(end) in SCALES:
            value, end = value * SCALES[self._text(end)], end + 1
        if self._text(end) in ("st", "nd", "rd", "th"):
            end += 1
        if self._is_date(at, end, value) is not None:
            month, end = self._is_date(at, end, value) or ("", end)
            self._add(_month_number(month) * 100 + value, "date", at, end, value=value)
            return end
        return self._measured(at, end, value)

    def _measured(self, at: int, end: int, value: float) -> int:
        if self._text(end) == "per" and self._text(end + 1).startswith("cent"):
            self._add(value, "percent", at, end + 2)
            return end + 2
        if self._text(end) == "°":
            end += 1
            is_celsius = self._text(end) in ("c", "f")
            self._add(value, "degrees", at, end + is_celsius)
            return end + is_celsius
        skip = 1 if self._text(end) in ("working", "calendar", "full", "paid", "business", "whole", "more") else 0
        unit = (
            UNITS.get(self._text(end + skip)) if self._text(end + skip) not in ("in", "second") or skip == 0 else None
        )
        if unit is not None and self._text(end + skip) != "cent":
            self._add(value * unit[1], unit[0], at, end + skip + 1, value=value)
            return end + skip + 1
        before = (
            UNITS.get(self._text(at - 1)) if self._text(at - 1) in ("€", "$", "£", "eur", "usd", "gbp", "chf") else None
        )
        if before:
            self._add(value * before[1], before[0], at, end, value=value)
        elif value in _YEARS and value == int(value) and len(self._text(at)) == _YEAR_DIGITS:
            self._add(value, "year", at, end)
        else:
            self._add(value, "", at, end)
        return end

    def _is_date(self, at: int, end: int, value: float) -> tuple[str, int] | None:
        """Return the month and where the date ends, where the number is a day of one."""
        if not 1 <= value <= _MONTH_DAYS or value != int(value):
            return None
        following = end + 1 if self._text(end) == "of" else end
        if self._is_month(following):
            return MONTHS[self._text(following)], following + 1
        if self._is_month(at - 1) and self._text(at).isdigit():
            return MONTHS[self._text(at - 1)], end
        return None

    def _is_month(self, at: int) -> bool:
        text = self._text(at)
        return text in MONTHS and (
            text not in ("may", "march") or self._words[at].is_name or self._words[at].weight >= 0
        )

    def _add(self, size: float, dimension: str, at: int, end: int, *, value: float | None = None) -> None:
        noun = next((word.stem for word in self._words[end : end + _NOUNS] if word.weight > 0), "")
        if self._text(end) in ("and", "to", "or", "in", "for", "of") and dimension:
            noun = ""
        self.found.append(Quantity(float(size), dimension, noun, at, end, float(size if value is None else value)))


_MONTH_ORDER = list(dict.fromkeys(MONTHS.values()))


def _month_number(month: str) -> int:
    return _MONTH_ORDER.index(month) + 1


def _value(text: str) -> float | None:
    if text in NUMBERS:
        return NUMBERS[text]
    if not text or not (text[0].isdigit() or (text[0] == "-" and text[1:2].isdigit())):
        return None
    return _decimal(text)


def _decimal(text: str) -> float | None:
    """Read 1,000.5 and 1,5 alike: a mark before three digits parts thousands, if it is a comma or stands twice."""
    marks = [sign for sign in text if sign in ".,"]
    if not marks:
        return float(text) if text.lstrip("-").isdigit() else None
    head, _, tail = text.rpartition(marks[-1])
    digits = head.replace(".", "").replace(",", "")
    if not digits.lstrip("-").isdigit() or not tail.isdigit():
        return None
    is_thousands = (
        len(tail) == _GROUP_DIGITS and len(set(marks)) == 1 and (marks[-1] == "," or len(marks) > 1) and digits != "0"
    )
    return float(digits + tail) if is_thousands else float(f"{digits}.{tail}")
