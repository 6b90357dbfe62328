"""PPTX: a page for each slide that is shown, with its title, texts, tables and notes."""

from __future__ import annotations

from collections.abc import Iterator

from penstock_embedding.adapters.parsing.formats.office.package import Package
from penstock_embedding.adapters.parsing.formats.office.xml import Attributes, Item
from penstock_embedding.adapters.parsing.formats.source import Source
from penstock_embedding.adapters.parsing.formats.tables import table_text
from penstock_embedding.domain.documents.draft import Draft

_MAIN = "ppt/presentation.xml"
_TITLES = frozenset({"title", "ctrTitle"})
_NOT_SAID = frozenset({"sldNum", "dt", "ftr", "hdr", "sldImg"})


def read(source: Source, draft: Draft) -> None:
    """Write it into the draft."""
    package = Package(source.content, draft)
    draft.title = package.title()
    for name in _slides(package):
        items = list(package.elements(name))
        if any(item.name == "sld" and item.attributes.get("show") in {"0", "false"} for item in items[:1]):
            continue
        draft.begin_page()
        _write(items, draft)
        for kind, notes in package.relations(name).values():
            if kind == "notesSlide" and notes in package:
                _write(list(package.elements(notes)), draft)


def _slides(package: Package) -> Iterator[str]:
    relations = package.relations(_MAIN)
    for item in package.elements(_MAIN):
        if item.kind == "start" and item.name == "sldId":
            _, target = relations.get(item.attributes.get("r:id", ""), ("", "ppt/slides/missing.xml"))
            yield target


def _write(items: list[Item], draft: Draft) -> None:
    writer = _Writer(draft)
    for item in items:
        writer.take(item)


class _Writer:
    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._placeholder = ""
        self._is_said = False
        self._words: list[str] = []
        self._paragraphs: list[str] = []
        self._rows: list[list[str]] = []

    def take(self, item: Item) -> None:
        """Take what comes next."""
        if item.kind == "text":
            if self._is_said:
                self._words.append(item.name)
        elif item.kind == "start":
            self._start(item.name, item.attributes)
        else:
            self._end(item.name)

    def _start(self, name: str, attributes: Attributes) -> None:
        match name:
            case "sp":
                self._placeholder, self._paragraphs = "", []
            case "ph":
                self._placeholder = attributes.get("type", "body")
            case "t":
                self._is_said = True
            case "br":
                self._words.append("\n")
            case "pPr":
                level = attributes.get("lvl", "0")
                self._words.append("  " * min(int(level), 8) if level.isdecimal() else "")
            case "tr":
                self._rows.append([])
            case _:
                pass

    def _end(self, name: str) -> None:
        match name:
            case "t":
                self._is_said = False
            case "p":
                if text := "".join(self._words).rstrip():
                    self._paragraphs.append(text)
                self._words = []
            case "tc" if self._rows:
                self._rows[-1].append(" ".join(self._paragraphs))
                self._paragraphs = []
            case "tbl":
                self._draft.add("table", table_text(self._rows))
                self._rows = []
            case "sp":
                self._write_shape()
            case _:
                pass

    def _write_shape(self) -> None:
        paragraphs, self._paragraphs = self._paragraphs, []
        if self._placeholder in _TITLES:
            self._draft.heading(" ".join(paragraphs), 1)
        elif self._placeholder not in _NOT_SAID:
            is_list = len(paragraphs) > 1
            lines = [_item(text) for text in paragraphs] if is_list else paragraphs
            self._draft.add("list" if is_list else "paragraph", "\n".join(lines))


def _item(text: str) -> str:
    words = text.lstrip(" ")
    return f"{' ' * (len(text) - len(words))}- {words}"
