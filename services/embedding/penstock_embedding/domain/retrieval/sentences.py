"""Where a text's sentences are: prose by its punctuation, tables, lists and code by lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_LINE = re.compile(r"[^\n]+")
_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s+[^\sa-z])|[。！？]+[」』”）]*")
# What ends with a full stop and goes on: initials, abbreviations, and the number of a list's item.
_GOES_ON = re.compile(
    r"(?:(?:^|[\s(])(?:[A-Za-z]|approx|incl|resp|etc|Dr|Mr|Mrs|Ms|St|No|Nr|Art|Abs|vs|ca|bzw)|^\s*\d{1,3})\.$"
)
_LOOK_BACK = 12
_LONGEST = 400


class Sentence(NamedTuple):
    """``text[start:end]``, in code points."""

    start: int
    end: int


def sentences_of(text: str) -> Iterator[Sentence]:
    """Yield the sentences of a text in their order, without the blanks around them; long ones in parts."""
    for line in _LINE.finditer(text):
        start = line.start()
        for end in _ends(text, line.start(), line.end()):
            yield from _parts(text, start, end)
            start = end
        yield from _parts(text, start, line.end())


def _ends(text: str, start: int, end: int) -> Iterator[int]:
    for match in _END.finditer(text, start, end):
        before = text[max(start, match.start() - _LOOK_BACK) : match.start() + 1]
        if match.group()[0] != "." or not _GOES_ON.search(before):
            yield match.end()


def _parts(text: str, start: int, end: int) -> Iterator[Sentence]:
    while start < end:
        stop = end if end - start <= _LONGEST else _break_before(text, start, start + _LONGEST)
        first, last = _trimmed(text, start, stop)
        if first < last:
            yield Sentence(first, last)
        start = stop


def _break_before(text: str, start: int, end: int) -> int:
    blank = text.rfind(" ", start + _LONGEST // 2, end)
    return blank if blank > 0 else end


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
