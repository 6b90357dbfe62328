"""Where a context's documents begin: it says so itself, or its headings do, or it is cut into passages."""

from __future__ import annotations

import re
from bisect import bisect_right
from operator import itemgetter
from typing import NamedTuple

_MARKS = (
    re.compile(r"^\[[A-Za-z]?\d{1,4}\](?=\s|$).*$", re.MULTILINE),
    re.compile(
        r"^<(?P<word>document|doc|source|file|passage|chunk|result|article|page|context)\b[^>\n]*>.*$",
        re.MULTILINE | re.IGNORECASE,
    ),
    re.compile(
        r"^(?:#+ )?(?P<word>document|doc|source|file|passage|chunk|result|page|article|snippet)s?\b *#?\d*\s*[:.|—–-].*$",
        re.MULTILINE | re.IGNORECASE,
    ),
    re.compile(r"^(?P<rule>-{3,}|={3,}|\*{3,}|#{3,})[ \t]*[^\s=*#-].*$", re.MULTILINE),
)
"""Lines that introduce a document; where they have a ``word``, the first one's is that of all of them."""
_FALLBACKS = (
    re.compile(r"^# .+$", re.MULTILINE),
    re.compile(r"^<h1\b.*$", re.MULTILINE | re.IGNORECASE),
    re.compile(r"^## .+$", re.MULTILINE),
    re.compile(r"^<h2\b.*$", re.MULTILINE | re.IGNORECASE),
)
_FENCE = re.compile(r"^(?P<run>`{3,}|~{3,})(?P<rest>.*)$", re.MULTILINE)
_GAP = re.compile(r"\n[ \t]*\n")
_PASSAGE_SIGNS = 1200
_ENOUGH = 2


class Document(NamedTuple):
    """A document's span; up to ``body`` goes the line that introduces it, where the context has such lines."""

    start: int
    body: int
    end: int

    @property
    def is_introduced(self) -> bool:
        """Whether the context says itself that a document begins here."""
        return self.body > self.start


def documents_in(text: str) -> list[Document]:
    """Return the documents, which together are the whole text."""
    fences = _fences_in(text)
    for pattern in _MARKS:
        found = [match for match in pattern.finditer(text) if not _lies_in(fences, match.start())]
        marks = [match.span() for match in found if _word(match) == _word(found[0])]
        if len(marks) >= _ENOUGH or (marks and not text[: marks[0][0]].strip()):
            return _cut(text, marks)
    for pattern in _FALLBACKS:
        # A heading is of the document itself, and no line about it.
        starts = [match.start() for match in pattern.finditer(text) if not _lies_in(fences, match.start())]
        if len(starts) >= _ENOUGH:
            return _cut(text, [(start, start) for start in starts])
    return _passages(text, fences)


def introduction_of(text: str, at: int) -> str:
    """Return the line that introduces the document around a place; empty where the context has no such lines."""
    for document in documents_in(text):
        if document.start <= at < document.end:
            return text[document.start : document.body].strip()
    return ""


def _fences_in(text: str) -> list[tuple[int, int]]:
    """Return the spans of fenced code. A fence is closed by a line of as many of its signs, or more; an open one is none.

    Line by line, and not by one expression, which would look through all that follows for each that nobody closes.
    """
    lines = list(_FENCE.finditer(text))
    may_be_closed: list[bool] = []
    longest = {"`": 0, "~": 0}
    for line in reversed(lines):
        run = line["run"]
        may_be_closed.append(longest[run[0]] >= len(run))
        if not line["rest"].strip():
            longest[run[0]] = max(longest[run[0]], len(run))
    spans: list[tuple[int, int]] = []
    opening: re.Match[str] | None = None
    for line, is_closed in zip(lines, reversed(may_be_closed), strict=True):
        if opening is None:
            opening = line if is_closed else None
        elif not line["rest"].strip() and line["run"].startswith(opening["run"]):
            spans.append((opening.start(), line.end()))
            opening = None
    return spans


def _cut(text: str, marks: list[tuple[int, int]]) -> list[Document]:
    found = [Document(0, 0, marks[0][0])] if text[: marks[0][0]].strip() else []
    for (start, body), following in zip(marks, [*(mark[0] for mark in marks[1:]), len(text)], strict=True):
        found.append(Document(start, body, following))
    return found


def _passages(text: str, fences: list[tuple[int, int]]) -> list[Document]:
    """Cut what has no documents at empty lines, or at ends of lines where it has none of those."""
    gaps = [match.end() for match in _GAP.finditer(text)]
    if not gaps:
        gaps = [at + 1 for at, sign in enumerate(text) if sign == "\n"]
    found: list[Document] = []
    start = 0
    for gap in gaps:
        if gap - start >= _PASSAGE_SIGNS and gap < len(text) and not _lies_in(fences, gap):
            found.append(Document(start, start, gap))
            start = gap
    found.append(Document(start, start, len(text)))
    return found


def _word(mark: re.Match[str]) -> str:
    return (mark.groupdict().get("word") or "").lower()


def _lies_in(spans: list[tuple[int, int]], at: int) -> bool:
    before = bisect_right(spans, at, key=itemgetter(0))
    return before > 0 and at < spans[before - 1][1]
