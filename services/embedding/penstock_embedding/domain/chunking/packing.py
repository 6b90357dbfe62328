"""Fills pieces as far as the window allows, and cuts where it does least harm.

The text is measured once. A piece's farthest end is then found by bisection,
and the best place to cut by looking back from there: so the whole takes time
in proportion to the text, however it is made.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

from penstock_embedding.domain.chunking.outline import Headings, Outline, Span
from penstock_embedding.domain.chunking.piece import Measured
from penstock_embedding.domain.chunking.sentences import CLOSING_SIGNS, SENTENCE_END

# Shares of a piece that are filled at the least before a cut of the kind.
_PARAGRAPH_FROM = 0.25
_LINE_FROM = 0.5
# Of one piece: there are words of which a tokenizer makes one token, however long they are, and blanks.
_CHARACTERS_PER_TOKEN = 16

_NOT_BLANK = re.compile(r"\S")


class Cut(NamedTuple):
    """``text[start:end]`` under its headings. ``tokens`` are those of the text alone; 0 where they have to be counted."""

    start: int
    end: int
    headings: Headings
    tokens: int


class Packer:
    """Cuts one text. ``room`` says how many tokens a piece's text may have under its headings."""

    def __init__(
        self, text: str, measured: Measured, outline: Outline, room: Callable[[Headings], int], overlap: int
    ) -> None:
        self._text = text
        self._measured = measured
        self._outline = outline
        self._mark_places = [mark.place for mark in outline.marks]
        self._room = room
        self._overlap = overlap

    def cuts(self) -> Iterator[Cut]:
        """Yield pieces that are not blank; together they cover what is not blank."""
        bounds = [0, *self._outline.bounds, len(self._text)]
        for start, end in pairwise(bounds):
            if start < end:
                yield from self._cuts_between(start, end)

    def _cuts_between(self, place: int, bound: int) -> Iterator[Cut]:
        covered = place
        while (found := _NOT_BLANK.search(self._text, place, bound)) is not None:
            start = found.start()
            headings = self._headings_at(start)
            room = self._room(headings)
            end = self._end(start, bound, room, max(start, covered))
            last = start + len(self._text[start:end].rstrip())
            if last <= covered:
                # What is repeated leaves too little room for what comes next.
                place = covered
                continue
            yield Cut(start, last, headings, self._certain_tokens(start, last, room))
            covered = end
            place = self._repeated_from(start, end, room) if end < bound else bound

    def _headings_at(self, place: int) -> Headings:
        index = bisect_right(self._mark_places, place)
        return self._outline.marks[index - 1].headings if index else ()

    def _certain_tokens(self, start: int, end: int, room: int) -> int:
        """Return a span's tokens, 0 where they are not certain."""
        text, (starts, sums, _) = self._text, self._measured
        if self._measured.is_doubtful(start, end):
            return 0
        first = self._measured.word_at(start)
        after = bisect_left(starts, end, first)
        # What is left of a word may be other tokens than it was of the whole one.
        if text[starts[first] : start].strip() or text[end : starts[after]].strip():
            return 0
        tokens = sums[after] - sums[first]
        return tokens if tokens <= room else 0

    def _end(self, start: int, bound: int, room: int, covered: int) -> int:
        """Return where a piece ends that begins at ``start`` and is to reach beyond ``covered``."""
        starts, sums, _ = self._measured
        word = self._measured.word_at(start)
        # A word has a token at the least, but for the few of which nothing is left.
        near = min(word + 2 + room, len(sums))
        enough = sums[word] + room
        farthest = bisect_right(sums, enough, word + 1, near if sums[near - 1] > enough else len(sums)) - 1
        if starts[farthest] - start > room * _CHARACTERS_PER_TOKEN:
            farthest = bisect_right(starts, start + room * _CHARACTERS_PER_TOKEN, word + 1, farthest) - 1
        # One word at the least, though it may be too long: that is seen to where tokens are counted.
        end = starts[max(word + 1, farthest)]
        return bound if end >= bound else self._best(start, end, covered, room)

    def _best(self, start: int, end: int, covered: int, room: int) -> int:
        kept = self._kept_around(end)
        if kept is None:
            found = self._last_break(start, end, covered)
            inside = self._kept_around(found)
            return inside.end if inside is not None else found
        fits = self._measured.tokens(kept.start, kept.end) <= room
        if kept.start > covered and (fits or kept.start - start > (end - start) * _PARAGRAPH_FROM):
            return kept.start
        if fits and start < kept.start:
            # Without what is repeated it has room.
            return covered
        return self._last_line(start, end, max(covered, kept.start))

    def _last_line(self, start: int, end: int, covered: int) -> int:
        """Return the last place within a table or code: a row or statement is cut only where it is too long itself."""
        found = self._last_place(covered, end) or self._after("\n", covered, end)
        return found or self._after(" ", max(covered, (start + end) // 2), end) or end

    def _last_break(self, start: int, end: int, covered: int) -> int:
        paragraph = max(covered, start + int((end - start) * _PARAGRAPH_FROM))
        found = max(self._last_place(paragraph, end), self._after("\n\n", paragraph, end))
        if found:
            return found
        from_here = max(covered, start + int((end - start) * _LINE_FROM))
        line = self._after("\n", from_here, end)
        # In the midst of a sentence a line ends only because it was full.
        if line and self._text[line - 2] in CLOSING_SIGNS:
            return line
        sentence = 0
        for match in SENTENCE_END.finditer(self._text, from_here, end):
            sentence = match.end()
        if sentence > covered:
            return sentence
        return line or self._after(" ", from_here, end) or end

    def _last_place(self, after: int, end: int) -> int:
        places = self._outline.places
        index = bisect_right(places, end) - 1
        return places[index] if index >= 0 and places[index] > after else 0

    def _after(self, separator: str, after: int, end: int) -> int:
        """Return where the last separator ends that does so between ``after`` and ``end``; 0 for none."""
        found = self._text.rfind(separator, after, end)
        return found + len(separator) if found >= 0 and found + len(separator) > after else 0

    def _repeated_from(self, start: int, end: int, room: int) -> int:
        """Return where the next piece begins so that it repeats the end of this one, at a sentence or a word."""
        allowed = min(self._overlap, room // 2)
        if not allowed or self._kept_around(end - 1) is not None or self._kept_around(end) is not None:
            return end
        starts, sums, _ = self._measured
        earliest = starts[bisect_left(sums, sums[bisect_left(starts, end)] - allowed)]
        if earliest <= start:
            return end
        kept = self._kept_around(earliest)
        if kept is not None:
            earliest = kept.end
        sentence = SENTENCE_END.search(self._text, max(earliest - 2, start), end)
        if sentence is not None and earliest <= sentence.end() < end:
            return sentence.end()
        return self._next("\n", earliest, end) or self._next(" ", earliest, end) or min(earliest, end)

    def _next(self, separator: str, place: int, end: int) -> int:
        found = self._text.find(separator, place - 1, end) + 1
        return found if found < end else 0

    def _kept_around(self, place: int) -> Span | None:
        """Return the table or code in the midst of which a place is."""
        whole = self._outline.whole
        if not whole:
            return None
        index = bisect_left(whole, (place, 0)) - 1
        return whole[index] if index >= 0 and place < whole[index].end else None
