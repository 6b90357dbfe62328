"""HTML: what a page shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import NamedTuple

from penstock_embedding.adapters.parsing.formats.source import Source
from penstock_embedding.adapters.parsing.formats.tables import table_text
from penstock_embedding.domain.documents.draft import Draft
from penstock_embedding.domain.documents.limits import ParsingLimits
from penstock_embedding.domain.documents.parsed import DocumentRefused

_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"]
)
_NOT_SHOWN = frozenset(
    [
        "script",
        "style",
        "template",
        "noscript",
        "iframe",
        "object",
        "svg",
        "math",
        "canvas",
        "audio",
        "video",
        "select",
        "datalist",
        "nav",
        "head",
    ]
)
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "caption",
        "center",
        "dd",
        "details",
        "dialog",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "html",
        "legend",
        "li",
        "main",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
_HEADINGS = frozenset(["h1", "h2", "h3", "h4", "h5", "h6"])
_LISTS = frozenset(("ul", "ol", "dl"))
_ITEMS = frozenset(("li", "dt"))
_CELLS = frozenset(("td", "th"))
# What a start tag ends without an end tag, and what keeps it from looking further up.
_ENDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "li": (frozenset(("li",)), _LISTS),
    "dt": (frozenset(("dt", "dd")), frozenset(("dl",))),
    "dd": (frozenset(("dt", "dd")), frozenset(("dl",))),
    "tr": (frozenset(("tr", "td", "th", "caption")), frozenset(("table",))),
    "td": (_CELLS, frozenset(("tr", "table"))),
    "th": (_CELLS, frozenset(("tr", "table"))),
    "tbody": (frozenset(("thead", "tbody", "tr", "td", "th")), frozenset(("table",))),
    "option": (frozenset(("option",)), frozenset(("select",))),
    "body": (frozenset(("head",)), frozenset()),
}
_HIDDEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|font-size\s*:\s*0(?![.\d]*[1-9])|opacity\s*:\s*0(?![.\d]*[1-9])",
    re.IGNORECASE,
)


class _Open(NamedTuple):
    tag: str
    is_hiding: bool


def read(source: Source, draft: Draft) -> None:
    """Write it into the draft."""
    read_html(source.text, draft)


def read_html(text: str, draft: Draft) -> None:
    """Write a page into the draft."""
    reader = HtmlReader(draft)
    reader.feed(text)
    reader.close()


def visible_text(html: str, limits: ParsingLimits) -> str:
    """Return the text of a fragment on one line, without what is hidden."""
    draft = Draft(limits)
    read_html(html, draft)
    return "" if draft.is_empty else draft.finish("").text


class HtmlReader(HTMLParser):
    """Writes into a draft what is shown. It may be fed fragments, with other text written between them."""

    def __init__(self, draft: Draft) -> None:
        super().__init__(convert_charrefs=True)
        self._draft = draft
        self._open: list[_Open] = []
        self._hiding = 0
        self._lines: list[list[str]] = [[]]
        self._list_depth = 0
        self._items: list[str] = []
        self._is_item_new = False
        self._is_item_joined = False
        self._table_depth = 0
        self._rows: list[list[str]] = []
        self._is_in_cell = False

    @property
    def is_hiding(self) -> bool:
        """Whether what comes next is within something hidden."""
        return self._hiding > 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element, and close those that it ends."""
        self._end_implied(tag)
        if tag in _VOID:
            if tag in {"br", "hr"} and not self._hiding:
                self._lines.append([])
            return
        if len(self._open) >= self._draft.limits.nesting:
            raise DocumentRefused(
                "bomb",
                f"Its elements are nested more than {self._draft.limits.nesting} deep. Save it as text.",
                self._draft.place or f"line {self.getpos()[0]}",
            )
        if tag == "html":
            self._draft.declared_language = (dict(attrs).get("lang") or "").strip()[:35]
        is_hiding = tag in _NOT_SHOWN or _is_hidden(attrs)
        self._open.append(_Open(tag, is_hiding))
        self._hiding += is_hiding
        if not self._hiding:
            self._enter(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element, which only a void one's slash would close."""
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """Close an element, and those within."""
        if any(element.tag == tag for element in self._open):
            while self._end_last() != tag:
                pass

    def handle_data(self, data: str) -> None:
        """Take text."""
        if self._open and self._open[-1].tag == "title":
            self._draft.title = self._draft.title or data.strip()
        elif not self._hiding:
            self._lines[-1].append(data)

    def flush(self) -> None:
        """Write the text so far as a block of its own."""
        if text := self._take_text():
            self._write(text)

    def close(self) -> None:
        """Write what is left, but a tag or a comment that never ended."""
        if self.rawdata.startswith("<"):
            self.rawdata = ""
        super().close()
        while self._open:
            self._end_last()
        self.flush()
        self._end_list()

    def _end_implied(self, tag: str) -> None:
        if tag in _BLOCKS and self._open and self._open[-1].tag == "p":
            self._end_last()
        ended, kept = _ENDS.get(tag, (frozenset[str](), frozenset[str]()))
        for index in range(len(self._open) - 1, -1, -1):
            if not ended or self._open[index].tag in kept:
                return
            if self._open[index].tag in ended:
                while len(self._open) > index:
                    self._end_last()

    def _end_last(self) -> str:
        tag, is_hiding = self._open.pop()
        if not self._hiding:
            self._leave(tag)
        self._hiding -= is_hiding
        return tag

    def _enter(self, tag: str) -> None:
        if tag in _BLOCKS:
            self.flush()
        if tag in _LISTS:
            self._list_depth += 1
        elif tag in _ITEMS:
            self._is_item_new = True
        elif tag == "dd":
            self._is_item_joined = bool(self._items)
        elif tag == "table":
            self._table_depth += 1
            if self._table_depth == 1:
                self._end_list()
        elif self._table_depth == 1:
            self._enter_in_table(tag)

    def _enter_in_table(self, tag: str) -> None:
        if tag == "tr":
            self._begin_row()
        elif tag in _CELLS:
            if not self._rows:
                self._begin_row()
            if len(self._rows[-1]) == self._draft.limits.columns:
                raise DocumentRefused("too_large", f"A table has more than {self._draft.limits.columns} columns.")
            self._rows[-1].append("")
            self._is_in_cell = True

    def _begin_row(self) -> None:
        if len(self._rows) == self._draft.limits.rows:
            raise DocumentRefused("too_large", f"A table has more than {self._draft.limits.rows} rows. Split it.")
        self._rows.append([])

    def _leave(self, tag: str) -> None:
        if tag in _HEADINGS and not (self._is_in_cell or self._list_depth):
            self._draft.heading(self._take_text(), int(tag[1]))
        elif tag == "pre" and not (self._is_in_cell or self._list_depth):
            self._draft.add("code", self._take_source())
        elif tag in _BLOCKS:
            self.flush()
        if tag in _LISTS:
            self._list_depth = max(0, self._list_depth - 1)
            if not self._list_depth:
                self._end_list()
        elif tag == "table":
            self._leave_table()
        elif tag in _CELLS and self._table_depth == 1:
            self._is_in_cell = False

    def _leave_table(self) -> None:
        self._table_depth -= 1
        if not self._table_depth:
            self._is_in_cell = False
            rows, self._rows = self._rows, []
            self._draft.add("table", table_text(rows))

    def _write(self, text: str) -> None:
        if self._is_in_cell:
            self._rows[-1][-1] = f"{self._rows[-1][-1]} {text}".strip()
        elif self._list_depth:
            self._write_item(text.replace("\n", " "))
        else:
            self._draft.add("paragraph", text)

    def _write_item(self, text: str) -> None:
        if self._is_item_joined and self._items:
            self._items[-1] = f"{self._items[-1]}: {text}"
        else:
            mark = "- " if self._is_item_new else "  "
            self._items.append(f"{'  ' * (self._list_depth - 1)}{mark}{text}")
        self._is_item_new = self._is_item_joined = False

    def _end_list(self) -> None:
        items, self._items = self._items, []
        self._draft.add("list", "\n".join(items))

    def _take_text(self) -> str:
        lines = self._take_lines()
        return "\n".join(line for parts in lines if (line := " ".join("".join(parts).split())))

    def _take_source(self) -> str:
        return "\n".join("".join(parts) for parts in self._take_lines())

    def _take_lines(self) -> Sequence[list[str]]:
        lines, self._lines = self._lines, [[]]
        return lines


def _is_hidden(attributes: Sequence[tuple[str, str | None]]) -> bool:
    for name, value in attributes:
        if name == "hidden" or (name == "aria-hidden" and (value or "").strip().lower() == "true"):
            return True
        if name == "style" and value and _HIDDEN_STYLE.search(value):
            return True
    return False
