"""An answer that no model has written: the sentences of what was found that answer best, word by word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from penstock_gateway.domain.compression.documents import Document
from penstock_gateway.domain.compression.scoring import scores_of, words_by_unit
from penstock_gateway.domain.compression.units import Kind, Unit, units_of
from penstock_gateway.domain.compression.words import words_of
from penstock_gateway.domain.knowledge_use.citations import Cited
from penstock_gateway.domain.knowledge_use.passages import Passage

MOST_QUOTES = 3
MOST_CHARACTERS = 900
"""Of all quotes together."""
_QUOTE_CHARACTERS = 400
"""A quote takes in its neighbours up to so many."""
_RANK_WEIGHT = 0.6
_LEAST_OF_BEST = 0.5


class Extract(NamedTuple):
    """The text, and what it cites."""

    text: str
    cited: tuple[Cited, ...]


def extract_of(passages: Sequence[Passage], question: str) -> Extract:
    """Return the best quotes, the best first, each with its passage's number behind it; the same for the same."""
    pieces: list[str] = []
    cited: list[Cited] = []
    length = 0
    for quote in _quotes(passages, question):
        if cited:
            length += 2
        shown = f"{quote.text} [{quote.number}]"
        pieces.append(shown)
        cited.append(Cited(quote, length + len(quote.text) + 1))
        length += len(shown)
    return Extract("\n\n".join(pieces), tuple(cited))


class _Joined(NamedTuple):
    """All passages as one text, as the units of a context are made of it."""

    text: str
    documents: list[Document]
    bodies: list[int]


def _quotes(passages: Sequence[Passage], question: str) -> list[Passage]:
    joined = _joined(passages)
    units = units_of(joined.text, joined.documents)
    scores = scores_of(units, words_by_unit(joined.text, units), words_of(question))
    ranked = [
        score + _RANK_WEIGHT * (1 - unit.document / len(passages)) for unit, score in zip(units, scores, strict=True)
    ]
    best = sorted(
        (at for at, unit in enumerate(units) if unit.kind in (Kind.TEXT, Kind.CODE)), key=lambda at: (-ranked[at], at)
    )
    quotes: list[Passage] = []
    taken: set[int] = set()
    left = MOST_CHARACTERS
    for at in best:
        if len(quotes) == MOST_QUOTES or left <= 0 or ranked[at] < _LEAST_OF_BEST * ranked[best[0]]:
            break
        if at in taken:
            continue
        first, last = _around(at, units, taken, min(left, _QUOTE_CHARACTERS))
        taken.update(range(first, last + 1))
        start = units[first].start
        quote = _cut(passages, joined, units[at].document, start, min(units[last].end, start + left))
        quotes.append(quote)
        left -= len(quote.text)
    return quotes


def _around(at: int, units: Sequence[Unit], taken: set[int], most: int) -> tuple[int, int]:
    """Return the first and the last unit of a quote: what follows in the same block, then what stands before."""
    first = last = at

    def may_join(other: int) -> bool:
        if not 0 <= other < len(units) or other in taken:
            return False
        unit = units[other]
        is_near = unit.document == units[at].document and unit.block == units[at].block
        start, end = min(units[first].start, unit.start), max(units[last].end, unit.end)
        return is_near and unit.kind is not Kind.HEAD and end - start <= most

    while may_join(last + 1):
        last += 1
    while may_join(first - 1):
        first -= 1
    return first, last


def _joined(passages: Sequence[Passage]) -> _Joined:
    text = ""
    documents: list[Document] = []
    bodies: list[int] = []
    for passage in passages:
        start = len(text)
        head = " > ".join((passage.hit.title, *passage.hit.chunk.headings)).replace("\n", " ")
        text += f"{head}\n" if head.strip() else ""
        body = len(text)
        text += f"{passage.text}\n\n"
        documents.append(Document(start, body, len(text)))
        bodies.append(body)
    return _Joined(text, documents, bodies)


def _cut(passages: Sequence[Passage], joined: _Joined, document: int, start: int, end: int) -> Passage:
    passage, body = passages[document], joined.bodies[document]
    text = joined.text[start:end]
    spared = len(text) - len(text.lstrip())
    text = text.strip()
    begins = passage.start + start - body + spared
    return msgspec.structs.replace(passage, text=text, start=begins, end=begins + len(text))
