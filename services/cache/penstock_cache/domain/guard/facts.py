"""What a text states that an answer depends on: numbers with their units, dates, names, and the small words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from penstock_cache.domain.guard.text import Word, announced, quotes_of, words_of
from penstock_cache.domain.guard.vocabulary import (
    AMBIGUOUS_NUMBERS,
    AUDIENCES,
    EACH,
    FORMATS,
    FREQUENCIES,
    LANGUAGES,
    MONTHS,
    NEGATIONS,
    NUMBER_WORDS,
    PERIODS,
    POINTERS,
    QUANTIFIERS,
    RELATIVE_TIMES,
    SCALES,
    SOURCE_PREPOSITIONS,
    TARGET_PREPOSITIONS,
    UNITS,
    WEEKDAYS,
)

_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)")
_CLOCK = re.compile(r"(\d{1,2})[:.](\d{2})")
_LETTERS = re.compile(r"\w+")
# Flags of commands, operators and pictures: words do not tell them.
_SIGN = re.compile(
    r"(?<![\w+-])[+-]{1,2}[A-Za-z][\w-]*|[<>=!]=|[<>^|&~]+|\*+|[\u2190-\u21ff\u2600-\u27bf\U0001f000-\U0001faff]"
)
# Numbers below zero, and factorials.
_MARKED = re.compile(r"(?<![\w.)+-])-\d[\d.,]*|\d!(?=\W|$)")
_DEGREES = {"c": "celsius", "f": "fahrenheit"}
# Groups are repeated within a look ahead, which gives nothing back: possessive ones are matched wrongly before Python 3.11.5
# (python/cpython#106052).
_FORMULA = re.compile(
    r"(?<![a-z0-9.])(?=[^\s]*[\d^=])[a-z0-9.]++(?=(?P<rest>(?:\s?[-+*/^=<>]\s?[a-z0-9.]++)+))(?P=rest)(?![a-z])"
)
_YEARS = range(1500, 2200)
_TO_LANGUAGE = frozenset(["in", "into", "to", "auf", "en", "sur", "ins", "nach", "zu", "em"])


class Number(NamedTuple):
    """A number as written, and what it measures: the size in its dimension's base unit."""

    value: float
    size: str
    dimension: str
    is_version: bool

    def __str__(self) -> str:
        return f"{self.value:g} {self.dimension}".rstrip()


def missing_numbers(numbers: Iterable[Number], among: Iterable[Number]) -> list[Number]:
    """Return those that are not among the others; "17" is among "17 years", and "14 days" among "2 weeks"."""
    others = list(among)
    return [number for number in numbers if not any(_is_equal(number, other) for other in others)]


def _is_equal(one: Number, other: Number) -> bool:
    if one.dimension == other.dimension:
        return one.size == other.size
    return one.value == other.value and not (one.dimension and other.dimension)


@dataclass(frozen=True)
class Facts:
    """The facts of one text; each set holds what people would read."""

    words: tuple[Word, ...]
    numbers: frozenset[Number]
    units: frozenset[tuple[str, str]]
    dates: frozenset[str]
    names: frozenset[str]
    codes: frozenset[str]
    negations: int
    quantifiers: frozenset[str]
    formats: frozenset[str]
    languages: frozenset[str]
    audiences: frozenset[str]
    sources: frozenset[str]
    targets: frozenset[str]
    stems: frozenset[str]
    joined: dict[str, tuple[int, int]]
    formulas: frozenset[str]
    counted: frozenset[tuple[float, str]]
    quotes: frozenset[str]
    line: str
    task: tuple[str, ...]
    told: str
    signs: frozenset[str]
    marked: frozenset[str]


@lru_cache(maxsize=512)
def facts_of(text: str) -> Facts:
    """Return the facts of a tidy text."""
    words = words_of(text)
    counted = _Quantities(words)
    texts = [word.text for word in words]
    task, told = announced(text)
    return Facts(
        words=words,
        numbers=frozenset(counted.numbers),
        units=frozenset(counted.units),
        dates=frozenset(counted.dates),
        names=frozenset(word.stem for word in words if word.is_name and word.is_content and not _is_dated(word.text)),
        codes=frozenset(word.text for word in words if _is_code(word)),
        negations=sum(text in NEGATIONS for text in texts)
        + sum(word.shown.lower().endswith("-free") for word in words),
        quantifiers=frozenset(QUANTIFIERS[text] for text in texts if text in QUANTIFIERS),
        formats=frozenset(FORMATS[text] for text in texts if text in FORMATS),
        languages=_asked_languages(texts),
        audiences=frozenset(AUDIENCES[text] for text in texts if text in AUDIENCES),
        sources=_after(words, SOURCE_PREPOSITIONS),
        targets=_after(words, TARGET_PREPOSITIONS),
        stems=frozenset(word.stem for word in words if word.is_content),
        joined=_joined(words),
        formulas=frozenset(re.sub(r"\s+", "", match.group()).rstrip(".") for match in _FORMULA.finditer(text.lower())),
        counted=frozenset(counted.counted),
        quotes=quotes_of(text),
        line=line_of(text),
        task=tuple(word.stem for word in words_of(task)),
        told=told,
        signs=frozenset(_SIGN.findall(text)),
        marked=frozenset(_MARKED.findall(text)),
    )


def line_of(text: str) -> str:
    """Return a text's words and numbers as one line, in which those of another are found whole."""
    return f" {' '.join(_LETTERS.findall(text.casefold()))} "


def _joined(words: Sequence[Word]) -> dict[str, tuple[int, int]]:
    """Return each run of up to three words written as one, with the places it spans: "power bank" is "powerbank"."""
    bare = ["".join(filter(str.isalnum, word.text)) for word in words]
    runs: dict[str, tuple[int, int]] = {}
    for length in (1, 2, 3):
        for at in range(len(bare) - length + 1):
            runs.setdefault("".join(bare[at : at + length]), (at, at + length))
    return runs


def _is_dated(text: str) -> bool:
    return text in MONTHS or text in WEEKDAYS or text in RELATIVE_TIMES


def _is_code(word: Word) -> bool:
    """Return whether it is written like a code or an acronym."""
    shown = word.shown
    letters = sum(character.isalpha() for character in shown)
    digits = sum(character.isdigit() for character in shown)
    return letters > 0 and (digits > 0 or (letters >= 2 and shown.isupper()))


def _asked_languages(texts: Sequence[str]) -> frozenset[str]:
    return frozenset(
        LANGUAGES[text]
        for before, text in zip(("", *texts), texts, strict=False)
        if text in LANGUAGES and before in _TO_LANGUAGE
    )


def _after(words: Sequence[Word], prepositions: frozenset[str]) -> frozenset[str]:
    """Return the stems of the content words that follow the prepositions at once, or after an article."""
    found = set()
    for at, word in enumerate(words):
        if word.text in prepositions:
            following = next((other for other in words[at + 1 : at + 3] if other.is_content), None)
            if following is not None:
                found.add(following.stem)
    return frozenset(found)


class _Quantities:
    """Reads numbers, and decides which are quantities, dates or versions."""

    def __init__(self, words: Sequence[Word]) -> None:
        self.numbers: list[Number] = []
        self.counted: list[tuple[float, str]] = []
        self.units: set[tuple[str, str]] = set()
        self.dates: set[str] = set()
        self._words = words
        at = 0
        while at < len(words):
            at = self._read(at)

    def _read(self, at: int) -> int:
        """Read what begins at a word; return where to go on."""
        word = self._words[at]
        if self._read_date_word(word.text, at):
            return at + 1
        value = _value(word.text)
        parts = word.text.split("/")
        if len(parts) > 1 and all(map(_DIGITS.fullmatch, parts)):
            self.numbers += [Number(_decimal(part), f"{_decimal(part):.9g}", "", is_version=False) for part in parts]
            return at + 1
        if value is None:
            self._read_unit(word)
            return at + 1
        if self._read_date(word.text, value, at):
            return at + 1
        return self._read_quantity(value, at)

    def _read_date_word(self, text: str, at: int) -> bool:
        if text in WEEKDAYS:
            self.dates.add(f"weekday {WEEKDAYS[text]}")
        elif text in MONTHS and (text not in {"mar", "mai", "sept"} or self._words[at].is_name):
            self.dates.add(f"month {MONTHS[text]}")
        elif text in RELATIVE_TIMES:
            self.dates.add(RELATIVE_TIMES[text])
        elif text in FREQUENCIES:
            self.dates.add(f"per {FREQUENCIES[text]}")
        elif text in PERIODS and self._text(at - 1) in EACH and self._is_frequency(at):
            self.dates.add(f"per {text}")
            self._read_unit(self._words[at])
        elif text in POINTERS and self._text(at + 1) in PERIODS:
            self.dates.add(POINTERS[text])
        else:
            return False
        return True

    def _is_frequency(self, at: int) -> bool:
        """Return whether "a day" says how often: after every, per, each; or after a number, once or twice."""
        before = self._text(at - 2)
        return self._text(at - 1) != "a" or before in {"once", "twice", "times"} or _value(before or "-") is not None

    def _read_unit(self, word: Word) -> None:
        unit = UNITS.get(word.text) or UNITS.get(word.stem)
        if unit is not None and (len(word.text) > 2 or not word.text.isalpha()):
            self.units.add((unit[0], f"{unit[1]:g}"))

    def _read_date(self, text: str, value: float, at: int) -> bool:
        following = self._text(at + 1)
        clock = _CLOCK.fullmatch(text)
        if following in {"am", "pm", "uhr", "o'clock"} or (clock and ":" in text):
            hour, minute = (int(clock[1]), int(clock[2])) if clock else (int(value), 0)
            hour = hour % 12 + 12 if following == "pm" else hour
            self.dates.add(f"{hour}:{minute:02}")
            return True
        is_year = text.isdigit() and len(text) == 4 and int(value) in _YEARS and self._unit(at + 1) is None
        if is_year:
            self.dates.add(text)
            return True
        if following in MONTHS or self._text(at - 1) in MONTHS or (following == "of" and self._text(at + 2) in MONTHS):
            self.dates.add(f"day {value:g}")
            return True
        return False

    def _is_version(self, at: int) -> bool:
        before = self._words[at - 1] if at else None
        return before is not None and (before.shown[0].isupper() or before.text in {"version", "v", "release"})

    def _read_quantity(self, value: float, at: int) -> int:
        end = at + 1
        while self._text(end) in SCALES:
            value *= SCALES[self._text(end)]
            end += 1
        following = self._text(end)
        if (
            20 <= value < 100
            and value % 10 == 0
            and NUMBER_WORDS.get(following, 99) < 10
            and not self._words[at].text.isdigit()
        ):
            value += NUMBER_WORDS[following]
            end += 1
        if self._text(end) in SCALES:
            value *= SCALES[self._text(end)]
            end += 1
        if self._text(end) == "°":
            end += 1
            unit = UNITS.get(_DEGREES.get(self._text(end), ""))
        else:
            unit = self._unit(end)
        before = UNITS.get(self._text(at - 1)) if at and not self._text(at - 1).isalpha() else None
        known = unit or before
        dimension, size = known or ("", 1.0)
        is_version = known is None and self._words[at].text[0].isdigit() and self._is_version(at)
        self.numbers.append(Number(value, f"{value * size:.3g}" if known else f"{value:.9g}", dimension, is_version))
        noun = next((word.stem for word in self._words[end : end + 2] if word.is_content), "")
        if unit is None and noun:
            self.counted.append((value, noun))
        return end + 1 if unit is not None else end

    def _unit(self, at: int) -> tuple[str, float] | None:
        if at >= len(self._words):
            return None
        word = self._words[at]
        if word.text in {"in", "an"}:
            return None
        if word.shown in {"C", "F"}:
            return UNITS[_DEGREES[word.text]]
        return UNITS.get(word.text) or UNITS.get(word.text.rstrip("s")) or UNITS.get(word.stem)

    def _text(self, at: int) -> str:
        return self._words[at].text if 0 <= at < len(self._words) else ""


def _value(text: str) -> float | None:
    ordinal = _ORDINAL.fullmatch(text)
    if ordinal:
        return float(ordinal[1])
    if text in NUMBER_WORDS and text not in AMBIGUOUS_NUMBERS:
        return NUMBER_WORDS[text]
    if not text[0].isdigit():
        return None
    clock = _CLOCK.fullmatch(text)
    if clock and ":" in text:
        return float(clock[1])
    if not _DIGITS.fullmatch(text):
        return None
    return _decimal(text)


def _decimal(text: str) -> float:
    """Read 1,000.5 and 1.000,5 and 1,5 alike: the last mark is the decimal one unless three digits follow it."""
    marks = [character for character in text if character in ".,"]
    if not marks:
        return float(text)
    head, _, tail = text.rpartition(marks[-1])
    digits = re.sub(r"[.,]", "", head)
    is_thousands = len(tail) == 3 and (marks[-1] == "," or len(marks) > 1) and len(set(marks)) == 1 and head != "0"
    return float(digits + tail) if is_thousands else float(f"{digits}.{tail}")
