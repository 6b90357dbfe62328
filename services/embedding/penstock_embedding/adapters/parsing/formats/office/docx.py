"""DOCX: headings by their styles, paragraphs, lists, tables, notes. No macros, no templates, nothing deleted or hidden."""

from __future__ import annotations

import re
from collections.abc import Mapping

from penstock_embedding.adapters.parsing.formats.office.package import Package
from penstock_embedding.adapters.parsing.formats.office.xml import Attributes, Item
from penstock_embedding.adapters.parsing.formats.source import Source
from penstock_embedding.adapters.parsing.formats.tables import table_text
from penstock_embedding.domain.documents.draft import Draft
from penstock_embedding.domain.documents.parsed import DocumentRefused

_MAIN = "word/document.xml"
_NOTES = ("word/footnotes.xml", "word/endnotes.xml")
_HEADING = re.compile(r"heading ([1-9])$", re.IGNORECASE)
_LEFT_OUT = frozenset({"moveFrom", "Fallback", "del"})
_OFF = frozenset({"0", "false", "off", "none"})


def read(source: Source, draft: Draft) -> None:
    """Write it into the draft."""
    package = Package(source.content, draft)
    draft.title = package.title()
    styles = _styles(package)
    for name in (_main_part(package), *(note for note in _NOTES if note in package)):
        writer = _Writer(draft, styles)
        for item in package.elements(name):
            writer.take(item)
        writer.finish()


def _main_part(package: Package) -> str:
    main = [target for kind, target in package.relations("").values() if kind == "officeDocument"]
    return main[0] if main else _MAIN


def _styles(package: Package) -> Mapping[str, int]:
    """Return the level of each style of headings, and 0 for one of lists."""
    if "word/styles.xml" not in package:
        return {}
    levels: dict[str, int] = {}
    style = ""
    for _, name, attributes in (item for item in package.elements("word/styles.xml") if item.kind == "start"):
        value = attributes.get("val", "")
        if name == "style":
            style = attributes.get("styleId", "")
        elif name == "name" and (heading := _HEADING.match(value)):
            levels[style] = int(heading[1])
        elif name == "name" and value.lower() == "title":
            levels[style] = 1
        elif name == "name" and value.lower().startswith("list"):
            levels[style] = 0
        elif name == "outlineLvl" and value.isdecimal() and int(value) < 9:  # noqa: PLR2004 - that is body text
            levels.setdefault(style, int(value) + 1)
    return levels


class _Writer:
    def __init__(self, draft: Draft, styles: Mapping[str, int]) -> None:
        self._draft = draft
        self._styles = styles
        self._left_out = 0
        self._is_said = False
        self._is_run_hidden = False
        self._words: list[str] = []
        self._level: int | None = None
        self._indent = 0
        self._items: list[str] = []
        self._table_depth = 0
        self._rows: list[list[str]] = []

    def take(self, item: Item) -> None:
        """Take what comes next."""
        if item.kind == "text":
            if self._is_said and not self._left_out and not self._is_run_hidden:
                self._words.append(item.name)
        elif item.name in _LEFT_OUT:
            self._left_out += 1 if item.kind == "start" else -1
        elif item.kind == "start":
            self._start(item.name, item.attributes)
        else:
            self._end(item.name)

    def finish(self) -> None:
        """Write what is left."""
        self._end_list()

    def _start(self, name: str, attributes: Attributes) -> None:
        match name:
            case "t":
                self._is_said = True
            case "p":
                self._words, self._level, self._indent = [], None, 0
            case "r":
                self._is_run_hidden = False
            case "vanish":
                self._is_run_hidden = attributes.get("val", "") not in _OFF
            case "tab" | "br" | "cr":
                self._words.append("\t" if name == "tab" else "\n")
            case "tbl" | "tr" | "tc":
                self._start_in_table(name)
            case _:
                self._take_property(name, attributes.get("val", ""))

    def _take_property(self, name: str, value: str) -> None:
        if name == "pStyle" and value in self._styles:
            self._level = self._styles[value]
        elif name == "outlineLvl" and value.isdecimal():
            self._level = int(value) + 1
        elif name == "numPr" and not self._level:
            self._level = 0
        elif name == "ilvl" and value.isdecimal():
            self._indent = min(int(value), 8)

    def _start_in_table(self, name: str) -> None:
        if name == "tbl":
            self._table_depth += 1
            if self._table_depth == 1:
                self._end_list()
        elif self._table_depth == 1 and name == "tr":
            self._rows.append([])
            _check_size(len(self._rows), self._draft.limits.rows, "rows")
        elif self._table_depth == 1 and self._rows:
            self._rows[-1].append("")
            _check_size(len(self._rows[-1]), self._draft.limits.columns, "columns")

    def _end(self, name: str) -> None:
        if name == "t":
            self._is_said = False
        elif name == "p":
            self._write("".join(self._words).strip())
            self._words = []
        elif name == "tbl":
            self._table_depth -= 1
            if self._table_depth == 0:
                rows, self._rows = self._rows, []
                self._draft.add("table", table_text(rows))

    def _write(self, text: str) -> None:
        if not text:
            return
        if self._table_depth and self._rows and self._rows[-1]:
            self._rows[-1][-1] = f"{self._rows[-1][-1]} {text}".strip()
        elif self._level == 0:
            self._items.append(f"{'  ' * self._indent}- {text}")
        else:
            self._end_list()
            if self._level is None:
                self._draft.add("paragraph", text)
            else:
                self._draft.heading(text, self._level)

    def _end_list(self) -> None:
        items, self._items = self._items, []
        self._draft.add("list", "\n".join(items))


def _check_size(count: int, most: int, what: str) -> None:
    if count > most:
        raise DocumentRefused("too_large", f"A table has more than {most} {what}. Split it.", _MAIN)
