"""What is known of a text before it is cut: where it may not be, where it had better be, and what is above each place."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from penstock_embedding.domain.chunking.piece import shortened
from penstock_embedding.domain.documents.parsed import Block, Parsed

Headings = tuple[str, ...]


class Span(NamedTuple):
    """``text[start:end]``."""

    start: int
    end: int


class Mark(NamedTuple):
    """From ``place`` on pieces begin under these headings."""

    place: int
    headings: Headings


class Outline(NamedTuple):
    """All of it in the order of the text."""

    bounds: Sequence[int] = ()
    """No piece reaches across one."""
    whole: Sequence[Span] = ()
    """Tables and code: not cut where they fit, else at their lines, without overlap."""
    places: Sequence[int] = ()
    """As good to cut at as a blank line."""
    marks: Sequence[Mark] = ()

    def headings_at(self, place: int) -> Headings:
        """Return what is above a piece that begins there."""
        index = bisect_right(self.marks, place, key=_place_of)
        return self.marks[index - 1].headings if index else ()


def outline_of_blocks(parsed: Parsed) -> Outline:
    """Return the outline of a text whose parts the reader knows."""
    text = parsed.text
    bounds: list[int] = []
    whole: list[Span] = []
    places: list[int] = []
    marks: list[Mark] = [Mark(0, ())]
    open_headings: list[tuple[int, str]] = []
    ended = 0
    for block in parsed.blocks:
        if block.kind == "heading":
            open_headings = [heading for heading in open_headings if heading[0] < block.level]
            marks.append(Mark(block.start, _titles(open_headings)))
            # Headings without a text between them stay together.
            if text[ended : block.start].strip() or not bounds:
                bounds.append(block.start)
            open_headings.append((block.level, _title(text[block.start : block.end])))
            marks.append(Mark(block.end, _titles(open_headings)))
            ended = block.end
        elif block.kind in ("table", "code"):
            whole.append(Span(block.start, block.end))
            if block.kind == "table":
                marks.extend(_marks_of_table(text, block, _titles(open_headings)))
        else:
            places.append(block.start)
    return Outline(bounds, whole, places, marks)


def outline_of_table(text: str) -> Outline:
    """Return the outline of rows whose first one is the head of all."""
    table = Block("table", len(text) - len(text.lstrip()), len(text))
    places = _rows(text) if '"' in text else []
    return Outline((), (Span(table.start, table.end),), places, _marks_of_table(text, table, ()))


def _marks_of_table(text: str, block: Block, above: Headings) -> list[Mark]:
    body = _end_of_row(text, block.start)
    head = shortened(text[block.start : min(body, block.end)])
    second_row = _end_of_row(text, body)
    # Markdown draws a line below the head of a table.
    if not text[body:second_row].strip("-:| \t\r\n"):
        body = second_row
    if not head or body >= block.end:
        return []
    return [Mark(body, (*above, head)), Mark(block.end, above)]


def _rows(text: str) -> list[int]:
    """Return where rows begin; a line break in quotation marks does not end one."""
    starts: list[int] = []
    quoted = False
    place = 0
    for line in text.splitlines(keepends=True):
        if not quoted:
            starts.append(place)
        quoted ^= bool(line.count('"') % 2)
        place += len(line)
    return starts


def _end_of_row(text: str, start: int) -> int:
    return text.find("\n", start) + 1 or len(text)


def _title(heading: str) -> str:
    """Return a heading without Markdown's signs before, after and below it."""
    text = heading.strip()
    first, _, last = text.rpartition("\n")
    if first and not last.strip("=- \t\r"):
        text = first
    return shortened(text.strip("#"))


def _titles(open_headings: Sequence[tuple[int, str]]) -> Headings:
    return tuple([title for _, title in open_headings if title])


def _place_of(mark: Mark) -> int:
    return mark.place
