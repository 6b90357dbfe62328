"""XLSX: a page with a table for each sheet that is shown. Values are as they were last reckoned."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from penstock_embedding.adapters.parsing.formats.office.package import Package
from penstock_embedding.adapters.parsing.formats.office.xml import Attributes, Item
from penstock_embedding.adapters.parsing.formats.source import Source
from penstock_embedding.adapters.parsing.formats.tables import table_text
from penstock_embedding.domain.documents.draft import Draft
from penstock_embedding.domain.documents.parsed import DocumentRefused

_MAIN = "xl/workbook.xml"
_STRINGS = "xl/sharedStrings.xml"
_STYLES = "xl/styles.xml"
_COLUMN = re.compile(r"[A-Z]{1,4}")
_DATE_IDS = frozenset((*range(14, 18), 22))
_DATE_CODE = re.compile(r"[yd]", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.')
_FIRST_DAY = datetime(1899, 12, 30)  # noqa: DTZ001 - sheets know no zones
_MOST_DAYS = 2_958_466
_CHARACTERS_PER_CELL = 3


def read(source: Source, draft: Draft) -> None:
    """Write it into the draft."""
    package = Package(source.content, draft)
    draft.title = package.title()
    strings = _strings(package)
    dates = _date_styles(package)
    for title, name in _sheets(package):
        draft.begin_page()
        draft.heading(title, 1)
        sheet = _Sheet(draft, strings, dates)
        for item in package.elements(name):
            sheet.take(item)
        draft.add("table", table_text(sheet.rows))


def _sheets(package: Package) -> Iterator[tuple[str, str]]:
    relations = package.relations(_MAIN)
    for item in package.elements(_MAIN):
        if item.kind == "start" and item.name == "sheet" and item.attributes.get("state", "visible") == "visible":
            _, target = relations.get(item.attributes.get("r:id", ""), ("", "xl/worksheets/missing.xml"))
            yield item.attributes.get("name", ""), target


def _strings(package: Package) -> Sequence[str]:
    if _STRINGS not in package:
        return ()
    strings: list[str] = []
    words: list[str] = []
    is_said = False
    for item in package.elements(_STRINGS):
        if item.kind == "text":
            if is_said:
                words.append(item.name)
        elif item.name == "t":
            is_said = item.kind == "start"
        elif item.name == "si" and item.kind == "end":
            strings.append("".join(words))
            words = []
    return strings


def _date_styles(package: Package) -> frozenset[str]:
    """Return the styles, by their numbers, in which a number is a date."""
    if _STYLES not in package:
        return frozenset()
    codes: dict[str, str] = {}
    formats: list[str] = []
    is_within = False
    for kind, name, attributes in package.elements(_STYLES):
        if name == "cellXfs":
            is_within = kind == "start"
        elif kind == "start" and name == "numFmt":
            codes[attributes.get("numFmtId", "")] = _QUOTED.sub("", attributes.get("formatCode", ""))
        elif kind == "start" and name == "xf" and is_within:
            formats.append(attributes.get("numFmtId", ""))
    return frozenset(str(index) for index, number in enumerate(formats) if _is_date(number, codes))


def _is_date(number: str, codes: dict[str, str]) -> bool:
    if number in codes:
        return _DATE_CODE.search(codes[number]) is not None
    return number.isdecimal() and int(number) in _DATE_IDS


class _Sheet:
    def __init__(self, draft: Draft, strings: Sequence[str], dates: frozenset[str]) -> None:
        self._draft = draft
        self._strings = strings
        self._dates = dates
        self._cell: Attributes = {}
        self._words: list[str] = []
        self._is_said = False
        self._cells = 0
        self.rows: list[list[str]] = []

    def take(self, item: Item) -> None:
        """Take what comes next."""
        if item.kind == "text":
            if self._is_said:
                self._words.append(item.name)
        elif item.name in {"v", "t"}:
            self._is_said = item.kind == "start"
        elif item.name == "row" and item.kind == "start":
            self._begin_row()
        elif item.name == "c" and item.kind == "start":
            self._cell, self._words = item.attributes, []
        elif item.name == "c" and self.rows:
            self._add("".join(self._words))

    def _begin_row(self) -> None:
        if len(self.rows) == self._draft.limits.rows:
            self._refuse(f"A sheet has more than {self._draft.limits.rows} rows. Split it.")
        self.rows.append([])

    def _add(self, text: str) -> None:
        if not text:
            return
        row = self.rows[-1]
        column = self._column(default=len(row))
        if column >= self._draft.limits.columns:
            self._refuse(f"A sheet has more than {self._draft.limits.columns} columns.")
        missing = column + 1 - len(row)
        if missing > 0:
            row.extend([""] * missing)
            self._cells += missing
        if self._cells * _CHARACTERS_PER_CELL > self._draft.limits.output_characters:
            self._refuse("A sheet has too many cells. Split it.")
        row[column] = self._value(text)

    def _column(self, default: int) -> int:
        if (letters := _COLUMN.match(self._cell.get("r", ""))) is None:
            return default
        number = 0
        for letter in letters[0]:
            number = number * 26 + ord(letter) - ord("A") + 1
        return number - 1

    def _value(self, text: str) -> str:
        kind = self._cell.get("t", "n")
        if kind == "s":
            if not text.isdecimal() or int(text) >= len(self._strings):
                raise DocumentRefused("broken", "A cell refers to a text that is not there.", self._draft.place)
            return self._strings[int(text)]
        if kind == "b":
            return "TRUE" if text == "1" else "FALSE"
        return _date(text) if kind == "n" and self._cell.get("s") in self._dates else text

    def _refuse(self, message: str) -> None:
        raise DocumentRefused("too_large", message, self._draft.place)


def _date(text: str) -> str:
    try:
        days = float(text)
    except ValueError:
        return text
    if not 0 <= days < _MOST_DAYS:
        return text
    moment = _FIRST_DAY + timedelta(seconds=round(days * 86_400))
    return f"{moment:%Y-%m-%d}" if days == int(days) else f"{moment:%Y-%m-%d %H:%M}"
