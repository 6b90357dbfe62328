"""What an answer may rest on: passages, read into statements that stand under headings, keys and heads of tables.

A statement is a sentence, a row, an entry or a line of code, with the place where it stands. What it stands under counts as
said with it: the passage's title, the headings above, the keys of the object around.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from penstock_gateway.domain.compression.documents import documents_in
from penstock_gateway.domain.guardrails.grounding.text import tidy

_TAG = re.compile(
    r"<(?P<close>/?)(?P<name>[A-Za-z][A-Za-z0-9]*)\b[^<>]*>|<!--(?:(?!<!--).)*?-->|<!doctype[^<>]*>",
    re.IGNORECASE | re.DOTALL,
)
_BLOCKS = frozenset(
    [
        "p",
        "li",
        "tr",
        "div",
        "ul",
        "ol",
        "table",
        "section",
        "article",
        "dl",
        "dd",
        "title",
        "head",
        "body",
        "html",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "thead",
        "tbody",
    ]
)
_ENTITY = {"&amp;": "&    ", "&lt;": "<   ", "&gt;": ">   ", "&nbsp;": "      ", "&quot;": '"     '}
_HEADING = re.compile(r"\s*(#{1,6})\s+(.*)")
_BOLD_LEAD = re.compile(r"\s*(?:[-*+] |\d{1,3}[.)] )?(?:\*\*|__)([^*_\n]{1,60}?)[.:]?(?:\*\*|__)[.:]?\s+(?=\S)")
_RUN_IN = re.compile(r"\s*(?:\d{1,3}[.)] )?([A-Z][\w'-]*(?: [\w'-]+){0,3})\.\s+(?=[A-Z\"(\d])")
_RULE = re.compile(r"[\s|:=-]*")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')*\]]*\s+(?=[\"'(*\[`]*[A-Z0-9§])|(?<=[;])\s+|(?<=[\u3002\uff01\uff1f])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|no|nr|fig|dr|mr|mrs|ms|prof|st|inc|ltd|ca)|^\s*\d{1,3}|[:,(]\s*[A-Z])\.$"
)
_KEYED = re.compile(r"\s*(?:- )?[\"']?[\w.$/ -]{1,40}[\"']?\s*[:=]\s*[\[{]?\s*,?$")
_TITLE_LENGTH = 90
_HEAD_LINES = 5
_FEW_COLUMNS = 2
_HEADING_WORDS = 6
# Of keys that a line stands under, the nearest count.
_DEEPEST = 12
_HEADING_TAG = re.compile(r"h[1-6]")
_CODE_SIGNS = re.compile(
    r"[{};=]\s*$|^\s*[\"'][\w.-]+[\"']\s*:|^\s*(?:- )?[a-z_]+:(?:\s|$)|^\s*(?:def|class|return|if|for|const|export|import)\b|^\s*(?:--|//|\*|/\*)"
)


class Passage(NamedTuple):
    """Something retrieved: its title, empty where it has none, and its text."""

    title: str
    text: str
    start: int = 0


class Statement(msgspec.Struct, gc=False):
    """A statement: of which passage, which block of it, from where to where in the context, its text, and what it stands under."""

    passage: int
    block: int
    start: int
    end: int
    text: str
    heads: tuple[str, ...]


def passages_of(context: str) -> list[Passage]:
    """Return the passages of a context, which says where they begin; one, where it does not."""
    found = documents_in(context)
    if not any(one.is_introduced for one in found):
        return [Passage("", context, 0)]
    passages: list[Passage] = []
    for one in found:
        title = context[one.start : one.body].strip()
        if context[one.start : one.end].strip():
            passages.append(Passage(title, context[one.body : one.end], one.body))
    return passages


def statements_of(passages: Sequence[Passage]) -> list[Statement]:
    """Return the statements in order."""
    found: list[Statement] = []
    for number, passage in enumerate(passages):
        _Reader(number, passage, found).read()
    return found


def head_of(passage: Passage) -> str:
    """Return what a passage says of itself: its title or first heading, and of its first lines those that tell its standing."""
    lines = [line.strip() for line in _plain(tidy(passage.text)).splitlines() if line.strip()][:_HEAD_LINES]
    told = [
        line[: _TITLE_LENGTH * 2]
        for at, line in enumerate(lines)
        if _STANDING.search(line) or (at == 0 and (not passage.title or line.startswith("#")))
    ]
    return "\n".join([_NUMBERED.sub("", passage.title), *told])


_STANDING = re.compile(
    r"\b(?:status|valid|in force|support|edition|version|deprecated|replaced|superseded|withdrawn|signed|no longer|since|until)\b",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"^\s*\[\w{1,5}\]\s*")


def _plain(text: str) -> str:
    """Return the text with tags replaced by as many signs that say where blocks and cells end."""
    if "</" not in text and "<!" not in text:
        return text
    text = re.sub(r"\n(?=[^<\n]*[a-z])", " ", text) if text.count("<p") > text.count("\n\n") else text
    for entity, sign in _ENTITY.items():
        text = text.replace(entity, sign)
    return _TAG.sub(_as_blank, text)


def _as_blank(match: re.Match[str]) -> str:
    name, width = (match["name"] or "").lower(), len(match.group())
    if match["close"]:
        if name in ("td", "th"):
            return "|".ljust(width)
        if name == "dt":
            return ":".ljust(width)
        if name in _BLOCKS:
            return "\n".rjust(width)
        return " " * width
    if _HEADING_TAG.fullmatch(name):
        return ("#" * min(int(name[1]), 3) + " ").rjust(width)[-width:]
    if name == "title":
        return "# ".rjust(width)
    if name == "br":
        return "\n".rjust(width)
    return " " * width


class _Line(NamedTuple):
    start: int
    text: str
    after_gap: bool


class _Reader:
    """Reads one passage."""

    def __init__(self, number: int, passage: Passage, found: list[Statement]) -> None:
        self._number = number
        self._passage = passage
        self._found = found
        self._headings: list[tuple[int, str]] = [(0, passage.title)] if passage.title else []
        self._parents: list[tuple[int, str]] = []
        self._table = ""
        self._block = 0

    def read(self) -> None:
        lines = list(_lines(_plain(tidy(self._passage.text))))
        is_code = bool(lines) and sum(bool(_CODE_SIGNS.search(line.text)) for line in lines) * 2 > len(lines)
        for at, line in enumerate(lines):
            following = lines[at + 1].text if at + 1 < len(lines) else ""
            if line.after_gap:
                self._block += 1
                self._table = ""
            self._line(line, following, is_first=at == 0, is_code=is_code)

    def _line(self, line: _Line, following: str, *, is_first: bool, is_code: bool) -> None:
        stripped = line.text.strip()
        heading = _HEADING.match(line.text)
        if heading and not (is_code and not is_first):
            self._head(len(heading[1]), heading[2])
            self._add(line.start, line.text)
        elif (
            is_first
            and len(stripped) <= _TITLE_LENGTH
            and not stripped.endswith((".", ",", ";", "{"))
            and "|" not in stripped
        ):
            self._head(1, stripped)
            self._add(line.start, line.text)
        elif stripped.startswith("|") or " | " in stripped or stripped.endswith("|"):
            self._row(line, following)
        elif is_code:
            self._code(line)
        elif _is_heading(stripped, following):
            self._head(4, stripped)
            self._add(line.start, line.text)
        else:
            self._sentences(line)

    def _head(self, level: int, text: str) -> None:
        self._block += 1
        self._table = ""
        self._parents = []
        while self._headings and self._headings[-1][0] >= level:
            self._headings.pop()
        self._headings.append((level, text))

    def _row(self, line: _Line, following: str) -> None:
        if _RULE.fullmatch(line.text):
            return
        if "-" in following and _RULE.fullmatch(following):
            self._table = line.text
            return
        cells, names = _cells(line.text), _cells(self._table)
        if len(names) > _FEW_COLUMNS and len(cells) == len(names):
            for name, cell in zip(names[1:], cells[1:], strict=True):
                self._add(line.start, f"{cells[0]} | {name}: {cell}", end=line.start + len(line.text))
        else:
            self._add(line.start, line.text, self._table)

    def _code(self, line: _Line) -> None:
        """Read a line of code or of a record, under the keys of the lines that are indented less."""
        if not re.search(r"\w", line.text):
            return
        indent = len(line.text) - len(line.text.lstrip())
        while self._parents and self._parents[-1][0] >= indent:
            self._parents.pop()
        under = tuple(text for _, text in self._parents[-_DEEPEST:])
        is_item = line.text.lstrip().startswith("- ")
        self._add(line.start, line.text, *under)
        if _KEYED.match(line.text) or line.text.rstrip().endswith(("{", "(", ":", "[")) or is_item:
            self._parents.append((indent, line.text))

    def _sentences(self, line: _Line) -> None:
        lead = _BOLD_LEAD.match(line.text) or _RUN_IN.match(line.text)
        heads = (lead[1],) if lead else ()
        begin = 0
        for match in _SENTENCE_END.finditer(line.text):
            if not _ABBREVIATION.search(line.text[max(begin, match.start() - 8) : match.start()]):
                self._add(line.start + begin, line.text[begin : match.end()], *heads)
                begin = match.end()
        if begin < len(line.text):
            self._add(line.start + begin, line.text[begin:], *heads)

    def _add(self, start: int, text: str, *heads: str, end: int | None = None) -> None:
        if not text.strip():
            return
        left = len(text) - len(text.lstrip())
        start += left + self._passage.start
        text = text.strip()
        above = tuple(heading for _, heading in self._headings if heading != text)
        under = tuple(head for head in heads if head)
        stop = start + len(text) if end is None else end + self._passage.start
        self._found.append(Statement(self._number, self._block, start, stop, text, above + under))


def _lines(text: str) -> Iterator[_Line]:
    start, after_gap = 0, False
    for line in text.splitlines(keepends=True):
        if line.strip():
            yield _Line(start, line.rstrip("\n"), after_gap)
            after_gap = False
        else:
            after_gap = True
        start += len(line)


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")] if row else []


def _is_heading(text: str, following: str) -> bool:
    if len(text) > _TITLE_LENGTH // 2 or text.endswith((".", ",", ";", "!")) or not following:
        return False
    if text.startswith("**") and text.rstrip(":").endswith("**"):
        return True
    return text[0].isupper() and ":" not in text and not text[0].isdigit() and len(text.split()) <= _HEADING_WORDS
