"""Texts as words are looked for in them: nothing invisible, one form for each letter, Latin letters for those that look so.

Each character is made plain by itself, or with the marks that stand on it, so a text in pieces reads as the whole does.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple, overload

from penstock_gateway.domain.guardrails.injection.folding import INVISIBLE, LOOKS_LATIN, compatible

# Marks that stand on a letter, or through it.
_MARKS = "\u0300-\u036f\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_MARKED = re.compile(f"[^{_MARKS}]?[{_MARKS}]+")
_UNSEEN = re.compile(f"{INVISIBLE.pattern}|[{_MARKS}]")
_STRANGE = re.compile(r"[^\x00-\x7f]+")
_TWO = re.compile("[\u00df\u1e9e]")
_LONGER = {"\u00df": "ss", "\u1e9e": "SS"}
_MOST_KNOWN = 8192

_Change = Callable[[re.Match[str]], str]


class Plain(NamedTuple):
    """A text as it is read; ``offsets[i]`` is where its character i came from."""

    text: str
    offsets: Sequence[int]

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Return where a piece of the text, which is not empty, stands in the text as it was given."""
        return self.offsets[start], self.offsets[end - 1] + 1


def plain(text: str) -> Plain | None:
    """Return the text made plain; None where it is so already. One whose characters all are costs a look."""
    if text.isascii():
        return None
    strange = [one for one in strange_in(text) if not _is_plain(one)]
    if not strange:
        return None
    if all(ord(one) in LOOKS_LATIN for one in strange):
        return Plain(_in_latin(text, strange), range(len(text)))
    if all(one in _LONGER or ord(one) in LOOKS_LATIN for one in strange):
        return _longer(_in_latin(text, strange))
    read = text
    read, offsets = _edited(text, list(range(len(text))), INVISIBLE, lambda _: "")
    read, offsets = _edited(read, offsets, _MARKED, _composed)
    read, offsets, _ = compatible(read, offsets)
    if any(one in read for one in _LONGER):
        offsets = [at for at, one in zip(offsets, read, strict=True) for _ in _LONGER.get(one, one)]
        read = read.translate(str.maketrans(_LONGER))
    return Plain(_in_latin(read, set(read)), offsets)


def strange_in(text: str) -> set[str]:
    """Return the characters of a text that are not of ASCII."""
    return set() if text.isascii() else set("".join(_STRANGE.findall(text)))


def _longer(text: str) -> Plain:
    """Return a text whose letters that stand for two are two: as ``plain`` does, where nothing else is to be done."""
    places = [one.start() for one in _TWO.finditer(text)]
    for one, two in _LONGER.items():
        text = text.replace(one, two)
    return Plain(text, _Offsets(len(text), [place + number for number, place in enumerate(places)]))


class _Offsets(Sequence[int]):
    """Where characters came from, of which two came from one at each of some ``places``; nobody asks for most of them."""

    def __init__(self, length: int, places: Sequence[int]) -> None:
        self._length, self._places = length, places

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[int]: ...
    def __getitem__(self, at: int | slice) -> int | Sequence[int]:
        """Return where a character came from."""
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(self._length))]
        return at - bisect_left(self._places, at)


@lru_cache(_MOST_KNOWN)
def _is_plain(one: str) -> bool:
    """Return whether a character, which is not of ASCII, reads as it is."""
    return not (
        _UNSEEN.match(one)
        or one in _LONGER
        or ord(one) in LOOKS_LATIN
        or (one >= "\u0100" and compatible(one, [0])[0] != one)
    )


def _in_latin(text: str, characters: Iterable[str]) -> str:
    for one in characters:
        if (latin := LOOKS_LATIN.get(ord(one))) is not None:
            text = text.replace(one, chr(latin))
    return text


def made_plain(text: str) -> str:
    """Return how a text reads."""
    read = plain(text)
    return text if read is None else read.text


def place_of(text: str, seen: int) -> int:
    """Return where the last ``seen`` characters begin that are seen; negative where there are fewer."""
    if text.isascii():
        return len(text) - seen
    at = len(text)
    while at and seen:
        at -= 1
        seen -= not _UNSEEN.match(text, at)
    return at - seen


def last_seen(text: str) -> str:
    """Return the last character that is seen; empty where none is."""
    return next((one for one in reversed(text) if not _UNSEEN.match(one)), "")


def _edited(text: str, offsets: list[int], what: re.Pattern[str], change: _Change) -> tuple[str, list[int]]:
    """Return a text with something else in the place of what a pattern finds, as long or shorter; and its offsets."""
    if not what.search(text):
        return text, offsets
    parts: list[str] = []
    kept: list[int] = []
    at = 0
    for one in what.finditer(text):
        new = change(one)
        parts += (text[at : one.start()], new)
        kept += offsets[at : one.start() + len(new)]
        at = one.end()
    return "".join([*parts, text[at:]]), kept + offsets[at:]


def _composed(one: re.Match[str]) -> str:
    """Return a letter with the marks that make another letter of it, and without all others."""
    first = unicodedata.normalize("NFC", one[0])[0]
    return "" if _UNSEEN.match(first) else first
