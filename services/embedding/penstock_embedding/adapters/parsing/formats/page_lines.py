"""Lines drawn on pages as headings, paragraphs and lists: a PDF says where letters are, and how large, and no more."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median_low
from typing import NamedTuple

from penstock_embedding.domain.documents.draft import Draft

_HEADING_SIZE = 1.12
_HEADING_CHARACTERS = 150
_MOST_LEVELS = 6
_PARAGRAPH_GAP = 1.35
_FEWEST_REPEATS = 3
_REPEATING_PAGES = 0.4
_DIGITS = re.compile(r"\d+")
_BULLET = re.compile(r"[•▪◦‣●○■–]\s*")  # noqa: RUF001 - these are drawn
_LETTER = re.compile(r"[^\W\d_]")
_SPLIT_WORD = re.compile(r"(?<=[^\W\d_])-\n(?=[^\W\d_A-ZÀ-Þ])")

Matrix = Sequence[float]
_Edge = tuple[str, float]


class Line(NamedTuple):
    """What stands on one height."""

    text: str
    size: float
    height: float


class LineCollector:
    """Takes what a page draws, in its order."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._texts: list[str] = []
        self._size = 0.0
        self._height = 0.0

    def take(self, text: str, page: Matrix, line: Matrix, _font: object, size: float) -> None:
        """Take a piece, with where it is; a visitor of pypdf's."""
        first, *others = text.split("\n")
        self._add(first, page, line, size)
        for other in others:
            self.end_line()
            self._add(other, page, line, size)

    def end_line(self) -> None:
        """End the line."""
        if text := "".join(self._texts).strip():
            self.lines.append(Line(text, round(self._size, 1), self._height))
        self._texts = []

    def _add(self, text: str, page: Matrix, line: Matrix, size: float) -> None:
        if text and not self._texts:
            self._height = line[5] * page[3] + page[5]
            self._size = 0.0
        if text.strip():
            self._size = max(self._size, size * abs(line[3] * page[3]))
        if text:
            self._texts.append(text)


def write_pages(pages: Sequence[Sequence[Line]], draft: Draft) -> None:
    """Write pages into the draft: headings by their size, without what stands at the edge of many pages."""
    levels = _heading_levels(pages)
    edges = _running_edges(pages)
    for number, lines in enumerate(pages, 1):
        draft.place = f"page {number}"
        draft.begin_page()
        for level, text in _blocks(_without_edges(lines, edges), levels):
            if level:
                draft.heading(text, level)
            else:
                draft.add("list" if text.startswith("- ") else "paragraph", _SPLIT_WORD.sub("", text))


def _heading_levels(pages: Sequence[Sequence[Line]]) -> dict[float, int]:
    letters: Counter[float] = Counter()
    for line in (line for lines in pages for line in lines):
        letters[line.size] += len(line.text)
    if not letters:
        return {}
    body = letters.most_common(1)[0][0]
    larger = sorted((size for size in letters if size >= body * _HEADING_SIZE), reverse=True)
    return {size: min(index, _MOST_LEVELS) for index, size in enumerate(larger, 1)}


def _running_edges(pages: Sequence[Sequence[Line]]) -> set[_Edge]:
    """Return the first and last lines, with their numbers masked, that many pages have."""
    counts = Counter(edge for lines in pages if lines for edge in {_masked(lines[0]), _masked(lines[-1])})
    most = max(_FEWEST_REPEATS, len(pages) * _REPEATING_PAGES)
    return {edge for edge, count in counts.items() if count >= most}


def _without_edges(lines: Sequence[Line], edges: set[_Edge]) -> Sequence[Line]:
    start = 1 if lines and _masked(lines[0]) in edges else 0
    end = len(lines) - 1 if len(lines) > start and _masked(lines[-1]) in edges else len(lines)
    return lines[start:end]


def _masked(line: Line) -> _Edge:
    # A title on the first page is often what stands above all others, only larger.
    return _DIGITS.sub("#", line.text), line.size


def _blocks(lines: Sequence[Line], levels: dict[float, int]) -> Iterator[tuple[int, str]]:
    """Yield blocks with their level as headings, or 0."""
    gap = _usual_gap(lines)
    together: list[str] = []
    level = 0
    before: Line | None = None
    for line in lines:
        its_level = levels.get(line.size, 0) if _may_be_heading(line) else 0
        if before is not None and (its_level != level or _is_apart(before, line, gap, together[0])):
            yield level, "\n".join(together)
            together = []
        together.append(_BULLET.sub("- ", line.text, count=1) if _BULLET.match(line.text) else line.text)
        level, before = its_level, line
    if together:
        yield level, "\n".join(together)


def _usual_gap(lines: Sequence[Line]) -> float:
    gaps = [above.height - below.height for above, below in pairwise(lines) if above.size == below.size]
    return median_low([gap for gap in gaps if gap > 0] or [0.0])


def _may_be_heading(line: Line) -> bool:
    return len(line.text) <= _HEADING_CHARACTERS and _LETTER.search(line.text) is not None


def _is_apart(above: Line, below: Line, usual_gap: float, first: str) -> bool:
    if _BULLET.match(below.text):
        # Items belong together, however far apart.
        return not first.startswith("- ")
    gap = above.height - below.height
    return gap < 0 or gap > max(usual_gap, above.size) * _PARAGRAPH_GAP
