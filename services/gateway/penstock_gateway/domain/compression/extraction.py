"""A context and a question, and the spans of the context that stay."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock_common.llm.estimate import estimated_tokens
from penstock_gateway.domain.compression.documents import documents_in
from penstock_gateway.domain.compression.scoring import WEIGHTS, Weights, scores_of, words_by_unit
from penstock_gateway.domain.compression.selection import selected, without_repeats
from penstock_gateway.domain.compression.units import Kind, Unit, units_of
from penstock_gateway.domain.compression.words import words_of

OMITTED = "[…]"
"""What stands where something was left out within a document."""
_LEAST_REPEATED = 8
_TOKENS_OF_A_GAP = 1
_PASSAGE_SIGNS = 200

Spans = tuple[tuple[int, int], ...]


class Reading(msgspec.Struct, frozen=True, gc=False):
    """A context, read once; ``costs`` are tokens, ``are_introduced`` says that it names its documents itself."""

    text: str
    units: list[Unit]
    words: list[list[str]]
    costs: list[int]
    are_introduced: bool


def read(text: str) -> Reading:
    """Return the context's units with their words."""
    documents = documents_in(text)
    units = units_of(text, documents)
    costs = [estimated_tokens(text[unit.start : unit.end]) + _TOKENS_OF_A_GAP for unit in units]
    return Reading(text, units, words_by_unit(text, units), costs, documents[-1].is_introduced)


def extract(
    reading: Reading,
    question: str,
    keep: float,
    nearness: Sequence[float] | None = None,
    weights: Weights = WEIGHTS,
) -> Spans | None:
    """Return what stays of a context for a question, ``keep`` of its tokens at most; None where nothing says what to keep.

    ``nearness``: of each document to the question, in meaning, as cosines.
    """
    scores = scores_of(reading.units, reading.words, words_of(question), nearness, weights)
    if not any(scores):
        return None
    lowered = without_repeats(_keys(reading), scores)
    stays = selected(reading.units, reading.costs, lowered, keep, are_introduced=reading.are_introduced)
    return tuple([(unit.start, unit.end) for unit, stay in zip(reading.units, stays, strict=True) if stay])


def without_duplicates(reading: Reading) -> Spans:
    """Return what stays of a context where each passage that it repeats word by word stands once, the first time."""
    seen: set[object] = set()
    repeated: set[int] = set()
    for index, key in enumerate(_keys(reading)):
        if key is not None and key in seen:
            repeated.add(index)
        seen.add(key)
    left = {unit.document for index, unit in enumerate(reading.units) if _says(unit) and index not in repeated}
    return tuple(
        [
            (unit.start, unit.end)
            for index, unit in enumerate(reading.units)
            if index not in repeated and unit.document in left
        ]
    )


def shortened(text: str, spans: Spans) -> str:
    """Return the spans of the text, verbatim and in order, with a mark in each gap within a document."""
    pieces: list[str] = []
    last_end = 0
    for start, end in spans:
        between = text[last_end:start]
        if not between.strip():
            pieces.append(between)
        elif pieces:
            line = "\n" if "\n" in between else " "
            pieces.append(f"{line}{OMITTED}{line}")
        pieces.append(text[start:end])
        last_end = end
    if pieces and text[last_end:].strip():
        pieces.append(f"\n{OMITTED}")
    else:
        pieces.append(text[last_end:])
    return "".join(pieces)


def _says(unit: Unit) -> bool:
    return unit.kind in (Kind.TEXT, Kind.CODE)


def _keys(reading: Reading) -> list[object]:
    """Return what equal units have in common; None for those that are short, or introduce others."""
    return [
        reading.text[unit.start : unit.end].strip() if _says(unit) and len(words) >= _LEAST_REPEATED else None
        for unit, words in zip(reading.units, reading.words, strict=True)
    ]


def passages_of(reading: Reading) -> list[str]:
    """Return what each document is about, in few words: what introduces it, its headings, the beginning of its text."""
    about: list[list[str]] = []
    sizes: list[int] = []
    for unit in reading.units:
        if unit.document == len(about):
            about.append([])
            sizes.append(0)
        if sizes[-1] < _PASSAGE_SIGNS and unit.kind is not Kind.TAG:
            piece = reading.text[unit.start : min(unit.end, unit.start + _PASSAGE_SIGNS)]
            about[-1].append(piece)
            sizes[-1] += len(piece)
    return ["\n".join(pieces) for pieces in about]
