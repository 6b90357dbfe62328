"""Plain text: paragraphs between blank lines, and what stands alone as a heading does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from penstock_embedding.adapters.parsing.formats.source import Source
from penstock_embedding.domain.documents.draft import Draft

_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
_LIST_ITEM = re.compile(r"\s*(?:[-*•–]|\d{1,3}[.)])\s+\S")  # noqa: RUF001 - that dash is meant
_LABEL = re.compile(r"[^\W\d_][\w ]{0,30}: ")
_TITLE_CHARACTERS = 120
_HEADING_CHARACTERS = 80
_SENTENCE_ENDS = (".", ",", ";", ":", "!", "?", "。", "、", "…")


def read(source: Source, draft: Draft) -> None:
    """Write its text into the draft; its first line may be its title."""
    first, *others = _BLANK_LINES.split(source.text.strip("\n"), maxsplit=1)
    write_paragraphs("\n\n".join([_take_title(first, draft), *others]), draft)


def write_paragraphs(plain: str, draft: Draft) -> None:
    """Write a text into the draft, whose first line is no title."""
    paragraphs = [paragraph for paragraph in _BLANK_LINES.split(plain) if paragraph.strip()]
    for index, paragraph in enumerate(paragraphs):
        text = paragraph.strip("\n")
        if index and index + 1 < len(paragraphs) and _is_heading(text):
            draft.heading(text, 2)
        else:
            draft.add("list" if _is_list(text) else "paragraph", text)


def _take_title(text: str, draft: Draft) -> str:
    """Write the first line as a heading if it is one, and return what is left of its paragraph."""
    first, _, rest = text.partition("\n")
    first = first.strip()
    is_title = len(first) <= _TITLE_CHARACTERS and not _LIST_ITEM.match(first) and not first.endswith((",", ";"))
    if not is_title or (rest and not _is_verse(text.split("\n"))):
        return text
    draft.heading(first, 1)
    return rest


def _is_verse(lines: Sequence[str]) -> bool:
    """Whether a line ends on purpose: a label follows, or the next word would have had room."""
    width = max(map(len, lines))
    return any(map(_LABEL.match, lines[1:])) or any(
        len(line) + 1 + len(following.split(" ")[0]) <= width for line, following in pairwise(lines)
    )


def _is_heading(text: str) -> bool:
    is_short = len(text) <= _HEADING_CHARACTERS and "\n" not in text
    return is_short and not text.endswith(_SENTENCE_ENDS) and text[:1].isalnum() and not _LIST_ITEM.match(text)


def _is_list(text: str) -> bool:
    return all(_LIST_ITEM.match(line) or line.startswith((" ", "\t")) for line in text.split("\n"))
