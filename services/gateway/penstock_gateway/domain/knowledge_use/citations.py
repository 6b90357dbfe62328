"""What an answer cites: the numbers of passages in it, as ``[1]`` or ``[1, 3]``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from penstock_gateway.domain.knowledge_use.passages import Passage

# Code is quoted as it is, and an index in it cites nothing; nor does a link. A fence that is never closed runs to the end.
_MARK_OR_CODE = re.compile(
    r"(?P<fence>`{3,}).*?(?:(?P=fence)|\Z)"
    r"|(?P<ticks>`{1,2})(?!`)(?:(?!\n\n).)+?(?<!`)(?P=ticks)(?!`)"
    r"|\[(?P<numbers>\d{1,3}(?:\s?[,;]\s?\d{1,3}){0,15})\](?!\()",
    re.DOTALL,
)
_NUMBER = re.compile(r"\d+")


class Cited(NamedTuple):
    """A passage, and the place in the text at which it is cited."""

    passage: Passage
    place: int


def citations_in(text: str, passages: Sequence[Passage]) -> tuple[list[Cited], int]:
    """Return what a text cites, by place, and how many numbers in it no passage has."""
    by_number = {passage.number: passage for passage in passages}
    cited: list[Cited] = []
    unknown = 0
    for number, index in _numbers_in(text):
        passage = by_number.get(number)
        if passage is None:
            unknown += 1
        else:
            cited.append(Cited(passage, index))
    return cited, unknown


def _numbers_in(text: str) -> Iterator[tuple[int, int]]:
    for match in _MARK_OR_CODE.finditer(text):
        if match["numbers"] is not None:
            for number in dict.fromkeys(_NUMBER.findall(match["numbers"])):
                yield int(number), match.start()
