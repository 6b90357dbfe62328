"""What a context is made of: documents, and in them headings, sentences, items, rows, code.

A unit is a span of the text and stays verbatim or goes. Its heads are the units without which it says less: the
document's header, the headings above, the head of its table. Code is one unit, however long.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum

import msgspec

from penstock_gateway.domain.compression.documents import Document
from penstock_gateway.domain.compression.records import records_in


class Kind(Enum):
    """What a unit is; a ``HEAD`` stands for what follows it, a ``TAG`` for nothing."""

    HEAD = "head"
    TEXT = "text"
    CODE = "code"
    TAG = "tag"


class Unit(msgspec.Struct, gc=False):
    """A span of the text: of which document and block it is, and the indices of the units that it stands under."""

    start: int
    end: int
    kind: Kind
    document: int
    block: int
    heads: tuple[int, ...] = ()


_LINE = re.compile(r"[^\n]+")
_HTML = re.compile(r"</(?:p|li|tr|div|h[1-6]|ul|td|dd|table)>", re.IGNORECASE)
_HTML_END = re.compile(
    r"</(?:p|li|tr|div|h[1-6]|dd|title|ul|ol|dl|table|section|article|head|thead)>\s*", re.IGNORECASE
)
_FENCE = re.compile(r"\s*(```+|~~~+)")
_MARKDOWN_HEADING = re.compile(r"(#{1,6}) ")
_HTML_HEADING = re.compile(r"\s*(?:<[^>]+>\s*)*<h([1-6])\b", re.IGNORECASE)
_TITLE = re.compile(r"\s*(?:<[^>]+>\s*)*<(?:title|source|name|url)>", re.IGNORECASE)
_BOLD_HEADING = re.compile(r"\s*(?:\*\*[^*]+\*\*|__[^_]+__):?\s*$")
_UNDERLINE = re.compile(r"\s*(?:={3,}|-{3,})\s*$")
_TABLE_RULE_SIGNS = frozenset("|:- \t")
_ROW = re.compile(r"\s*(?:\||<tr\b)", re.IGNORECASE)
_ITEM = re.compile(r"\s*(?:[-*+•–] |\d{1,3}[.)] |[a-z][.)] |§+ ?\d|\(?[ivx]+\) |<li\b|<d[td]\b)", re.IGNORECASE)
_ENTRY = re.compile(
    r"\s*(?:\[?\d{2,4}[-/.:]\d|[\[{<]|[A-Z][^\s.!?]{0,30}(?: [^\s.!?]{1,30}){0,2}:\s|[a-z_.-]{1,30}:\s)"
)
_ONLY_TAGS = re.compile(r"\s*(?:<[^>]*>\s*)+$")
_CODE_LINE = re.compile(
    r".*[;{}\[\],(\\]\s*$|\s*(?:import|from|def|class|return|const|let|var|function|export|public|private|async|await|if|elif"
    r"|else|for|while|try|except|select|insert|update|delete|create|alter|set|begin|end|declare|where|order by|fi|done|do"
    r"|then|echo|sudo|package|func|type|struct|#include|use|fn|impl|pub)\b(?!.*[a-z]\.\s*$).*|\s*(?:--|//|/\*|\*/|#!|\* |@)"
    r".*|\s*\"[^\"]*\"\s*:.*|\s*[A-Za-z_][\w.-]*\s*=\s*\S.*",
    re.IGNORECASE,
)
_RECORD = re.compile(r"\s*\{.*\},?\s*")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)*\]]*\s+(?=[\"'“‘(*\[¿¡`<]*[A-Z0-9À-ÞА-Я§])|(?<=[。！？])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|no|nr|fig|eq|sec|dr|mr|mrs|ms|prof|st|inc|ltd|jr|sr|art|z\.b|d\.h|bzw|ca|p|pp|[a-z])"
    r"|\b\d{1,3}|§ ?\d+)\.$",
    re.IGNORECASE,
)
_LEAD_IN = re.compile(r".{1,120}:\s*$", re.DOTALL)
_WRAPPED = range(45, 121)
_CODE_SHARE = 0.6
_LEAST_CODE_LINES = 4
_TOP, _TITLE_LEVEL, _LOWEST = 0, 1, 7
_SHORT_HEADING = 80


def units_of(text: str, documents: Sequence[Document]) -> list[Unit]:
    """Return the units in order; what lies between them is white space."""
    units: list[Unit] = []
    for number, document in enumerate(documents):
        _Reader(text, number, document, units).read()
    return units


class _Line(msgspec.Struct, gc=False):
    start: int
    end: int
    text: str
    after_gap: bool


class _Reader:
    """Reads one document into units."""

    def __init__(self, text: str, number: int, document: Document, units: list[Unit]) -> None:
        self._text = text
        self._number = number
        self._document = document
        self._units = units
        self._headings: list[tuple[int, int]] = []  # level and index
        self._table: tuple[int, ...] = ()
        self._lead_in: tuple[int, ...] = ()
        self._term: tuple[int, ...] = ()
        self._block = 0

    def read(self) -> None:
        start, body, end = self._document
        if body > start:
            self._head(start, body, _TOP)
        lines = list(self._lines(body, end))
        if not lines:
            return
        records = records_in(self._text, lines[0].start, lines[-1].end)
        if records:
            self._records(lines[0].start, lines[-1].end, records)
            return
        if _is_code([line.text for line in lines]):
            self._add(lines[0].start, lines[-1].end, Kind.CODE)
            return
        at = 0
        while at < len(lines):
            at = self._next(lines, at)

    def _records(self, start: int, end: int, records: list[tuple[int, int]]) -> None:
        self._lead_in = (self._add(start, records[0][0], Kind.HEAD),) if start < records[0][0] else ()
        for record_start, record_end in records:
            self._block += 1
            self._add(record_start, record_end, Kind.TEXT)
        if records[-1][1] < end:
            self._add(records[-1][1], end, Kind.TAG)

    def _lines(self, start: int, end: int) -> Iterator[_Line]:
        is_html = _HTML.search(self._text, start, end) is not None
        last = start
        for match in _LINE.finditer(self._text, start, end):
            if not match.group().strip():
                continue
            for piece_start, piece_end in self._pieces(match.start(), match.end(), is_html=is_html):
                text = self._text[piece_start:piece_end]
                if not text.strip():
                    continue
                yield _Line(piece_start, piece_end, text, self._text.count("\n", last, piece_start) > 1)
                last = piece_end

    def _pieces(self, start: int, end: int, *, is_html: bool) -> Iterator[tuple[int, int]]:
        if is_html:
            for match in _HTML_END.finditer(self._text, start, end):
                yield start, match.end()
                start = match.end()
        yield start, end

    def _next(self, lines: list[_Line], at: int) -> int:
        """Read the block that begins at a line; return where the next one begins."""
        line = lines[at]
        if line.after_gap:
            self._table = self._lead_in = ()
        self._block += 1
        fence = _FENCE.match(line.text)
        if fence:
            return self._fenced(lines, at, fence.group(1))
        level = _heading_level(lines, at)
        if level:
            last = (
                at + 1 if at + 1 < len(lines) and _UNDERLINE.match(lines[at + 1].text) and level == _TITLE_LEVEL else at
            )
            self._head(line.start, lines[last].end, level)
            return last + 1
        if _ONLY_TAGS.match(line.text):
            self._add(line.start, line.end, Kind.TAG)
            return at + 1
        if _RECORD.fullmatch(line.text):
            self._add(line.start, line.end, Kind.TEXT)
            return at + 1
        if _ROW.match(line.text):
            return self._row(lines, at)
        if _ITEM.match(line.text):
            return self._item(lines, at)
        return self._paragraph(lines, at)

    def _fenced(self, lines: list[_Line], at: int, fence: str) -> int:
        last = at + 1
        while last < len(lines) and not lines[last].text.strip().startswith(fence):
            last += 1
        last = min(last, len(lines) - 1)
        self._add(lines[at].start, lines[last].end, Kind.CODE)
        return last + 1

    def _row(self, lines: list[_Line], at: int) -> int:
        line = lines[at]
        if at + 1 < len(lines) and _is_table_rule(lines[at + 1].text):
            self._table = (self._add(line.start, lines[at + 1].end, Kind.HEAD),)
            return at + 2
        if "<th" in line.text and "<td" not in line.text:
            self._table = (self._add(line.start, line.end, Kind.HEAD),)
            return at + 1
        last = at
        if "<tr" in line.text and "</tr" not in line.text:
            while last + 1 < len(lines) and "</tr" not in lines[last].text:
                last += 1
        self._add(line.start, lines[last].end, Kind.TEXT)
        return last + 1

    def _item(self, lines: list[_Line], at: int) -> int:
        """Read an item with the lines that go on with it."""
        line, last = lines[at], at
        indent = len(line.text) - len(line.text.lstrip())
        while last + 1 < len(lines) and not lines[last + 1].after_gap:
            following = lines[last + 1].text
            if len(following) - len(following.lstrip()) <= indent or _ITEM.match(following):
                break
            last += 1
        self._sentences(line.start, lines[last].end)
        return last + 1

    def _paragraph(self, lines: list[_Line], at: int) -> int:
        last = at
        while last + 1 < len(lines) and _goes_on(lines[last], lines[last + 1]):
            last += 1
        text = self._text[lines[at].start : lines[last].end]
        if _LEAD_IN.fullmatch(text) and last + 1 < len(lines) and not _heading_level(lines, last + 1):
            self._lead_in = ()
            self._lead_in = (self._add(lines[at].start, lines[last].end, Kind.HEAD),)
            if last + 1 < len(lines):
                lines[last + 1].after_gap = False
            return last + 1
        self._sentences(lines[at].start, lines[last].end)
        return last + 1

    def _sentences(self, start: int, end: int) -> None:
        begin = start
        for match in _SENTENCE_END.finditer(self._text, start, end):
            if not _ABBREVIATION.search(self._text, max(begin, match.start() - 8), match.start()):
                self._add(begin, match.end(), Kind.TEXT)
                begin = match.end()
        if begin < end:
            self._add(begin, end, Kind.TEXT)

    def _head(self, start: int, end: int, level: int) -> None:
        self._table = self._lead_in = ()
        while self._headings and self._headings[-1][0] >= level:
            self._headings.pop()
        self._headings.append((level, self._add(start, end, Kind.HEAD)))

    def _add(self, start: int, end: int, kind: Kind) -> int:
        while end > start and self._text[end - 1].isspace():
            end -= 1
        heads = tuple(index for _, index in self._headings)
        self._units.append(Unit(start, end, kind, self._number, self._block, heads + self._table + self._lead_in))
        return len(self._units) - 1


def _heading_level(lines: list[_Line], at: int) -> int:
    """Return how deep a heading the line is; 0 where it is none."""
    text = lines[at].text
    if match := _MARKDOWN_HEADING.match(text):
        return len(match.group(1))
    if match := _HTML_HEADING.match(text):
        return int(match.group(1))
    if _TITLE.match(text):
        return _TITLE_LEVEL
    if (
        at + 1 < len(lines)
        and _UNDERLINE.match(lines[at + 1].text)
        and not _ROW.match(text)
        and not lines[at + 1].after_gap
    ):
        return _TITLE_LEVEL
    if _BOLD_HEADING.match(text):
        return _LOWEST
    stripped = text.strip()
    if (
        at == 0
        and len(stripped) <= _SHORT_HEADING
        and not stripped.endswith((".", ";", ","))
        and not _ITEM.match(text)
        and not _ROW.match(text)
        and not _ONLY_TAGS.match(text)
    ):
        return _TITLE_LEVEL if len(lines) > 1 else 0
    return 0


def _is_table_rule(text: str) -> bool:
    # A regular expression would take the square of a long line of dashes.
    return "--" in text and _TABLE_RULE_SIGNS.issuperset(text)


def _goes_on(line: _Line, following: _Line) -> bool:
    """Return whether a line was only wrapped."""
    if (
        following.after_gap
        or len(line.text) not in _WRAPPED
        or line.text.rstrip().endswith((".", ":", ";", "!", "?", "|", ">"))
    ):
        return False
    return not any(begins.match(following.text) for begins in (_ITEM, _ROW, _ENTRY, _MARKDOWN_HEADING))


def _is_code(lines: list[str]) -> bool:
    if len(lines) < _LEAST_CODE_LINES or all(_RECORD.fullmatch(line) for line in lines):
        return False
    return sum(_CODE_LINE.fullmatch(line) is not None for line in lines) >= _CODE_SHARE * len(lines)
