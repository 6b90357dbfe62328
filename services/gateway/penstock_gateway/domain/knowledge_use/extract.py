"""An answer that no model has written: the sentences of what was found that answer best, word by word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from penstock_gateway.domain.compression.documents import Document
from penstock_gateway.domain.compression.scoring import scores_of, words_by_unit
from penstock_gateway.domain.compression.units import Kind, units_of
from penstock_gateway.domain.compression.words import words_of
from penstock_gateway.domain.knowledge_use.citations import Cited
from penstock_gateway.domain.knowledge_use.passages import Passage

MOST_QUOTES = 3
MOST_OF_A_PASSAGE = 1
MOST_CHARACTERS = 900
"""Of all quotes together."""
_QUOTE_CHARACTERS = 400
"""A quote takes in so much of its paragraph."""
_RANK_WEIGHT = 0.6
"""What the first passage has ahead of the last, where a sentence's words give it 2 at most."""
_LEAST_OF_BEST = 0.5
# An item of a list, a row of a table.
_BEGINS = re.compile(r"[-*+•]\s|\d{1,3}[.)]\s|\|")


class Extract(NamedTuple):
    """The text, and what it cites."""

    text: str
    cited: tuple[Cited, ...]


def extract_of(passages: Sequence[Passage], question: str) -> Extract:
    """Return the best quotes, the best first, each with its passage's number behind it; the same for the same."""
    pieces: list[str] = []
    cited: list[Cited] = []
    length = 0
    for quote in _Quotes(passages).best(question):
        shown = f"{quote.text} [{quote.number}]\n\n"
        pieces.append(shown)
        cited.append(Cited(quote, length + len(quote.text) + 1))
        length += len(shown)
    return Extract("".join(pieces).rstrip(), tuple(cited))


class _Quotes:
    """All passages as one text, and what may be quoted of them."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages
        self._bodies: list[int] = []
        self._text = ""
        documents = [self._add(passage) for passage in passages]
        self._units = units_of(self._text, documents)
        self._taken: set[int] = set()

    def best(self, question: str) -> list[Passage]:
        """Return the passages cut to what answers best."""
        ranked = self._ranked(question)
        order = sorted(self._to_choose_from(), key=lambda at: (-ranked[at], at))
        quotes: list[Passage] = []
        left = MOST_CHARACTERS
        for at in order:
            if len(quotes) == MOST_QUOTES or left <= 0 or ranked[at] < _LEAST_OF_BEST * ranked[order[0]]:
                break
            if at not in self._taken and self._is_new(at, quotes):
                quotes.append(self._quote(at, left))
                left -= len(quotes[-1].text)
        return quotes

    def _to_choose_from(self) -> list[int]:
        """Return what says something by itself: a heading does so where there is nothing else."""
        found = [at for at in range(len(self._units)) if self._may_quote(at)]
        return [at for at in found if self._units[at].kind is not Kind.HEAD] or found

    def _is_new(self, at: int, quotes: Sequence[Passage]) -> bool:
        number = self._passages[self._units[at].document].number
        return sum(quote.number == number for quote in quotes) < MOST_OF_A_PASSAGE

    def _add(self, passage: Passage) -> Document:
        start = len(self._text)
        head = " > ".join((passage.hit.title, *passage.hit.chunk.headings)).replace("\n", " ").strip()
        self._text += f"{head}\n" if head else ""
        self._bodies.append(len(self._text))
        self._text += f"{passage.text}\n\n"
        return Document(start, self._bodies[-1], len(self._text))

    def _ranked(self, question: str) -> list[float]:
        units = self._units
        scores = scores_of(units, words_by_unit(self._text, units), words_of(question))
        last = max(1, len(self._passages) - 1)
        return [score + _RANK_WEIGHT * (1 - unit.document / last) for unit, score in zip(units, scores, strict=True)]

    def _may_quote(self, at: int) -> bool:
        unit = self._units[at]
        return unit.start >= self._bodies[unit.document] and unit.kind is not Kind.TAG

    def _quote(self, at: int, left: int) -> Passage:
        first, last = self._paragraph(at, min(left, _QUOTE_CHARACTERS))
        self._taken.update(range(first, last + 1))
        start, end = self._units[first].start, self._units[last].end
        document = self._units[at].document
        passage, text = self._passages[document], self._text[start : min(end, start + left)]
        spared = len(text) - len(text.lstrip())
        text = text.strip()
        begins = passage.start + start - self._bodies[document] + spared
        return msgspec.structs.replace(passage, text=text, start=begins, end=begins + len(text))

    def _paragraph(self, at: int, most: int) -> tuple[int, int]:
        """Return the first and the last unit of a quote around one: as much of the paragraph as there is room for."""
        first = last = at
        while True:
            if self._joins(first - 1, first) and self._length(first - 1, last) <= most:
                first -= 1
            elif self._joins(last, last + 1) and self._length(first, last + 1) <= most:
                last += 1
            else:
                return first, last

    def _length(self, first: int, last: int) -> int:
        return self._units[last].end - self._units[first].start

    def _joins(self, one: int, other: int) -> bool:
        if one < 0 or other == len(self._units) or {one, other} & self._taken or not self._may_quote(one):
            return False
        before, after = self._units[one], self._units[other]
        is_same = before.document == after.document and self._text.count("\n", before.end, after.start) <= 1
        return is_same and not _BEGINS.match(self._text, after.start)
