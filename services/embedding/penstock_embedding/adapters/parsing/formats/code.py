"""Source code and configuration: one block, as it is."""

from __future__ import annotations

import re

from penstock_embedding.adapters.parsing.formats.source import Source
from penstock_embedding.domain.documents.draft import Draft

_LOOKED_AT = 4_000
_COMMENT_LINE = re.compile(r"(?:#|//|--|;|%)+[!*]?\s*(.*)")
_COMMENT_START = re.compile(r"(?:/\*+|<!--|\"\"\"|''')\s*")
_COMMENT_END = re.compile(r"\s*(?:\*+/|-->|\"\"\"|''').*")
_NOT_A_TITLE = re.compile(r"!|[-=*#_\s]*$|-\*-|vim?:|eslint|pylint|noqa|copyright|spdx|license|@", re.IGNORECASE)


def read(source: Source, draft: Draft) -> None:
    """Write it into the draft; its first comment is its title."""
    draft.title = _first_comment(source.text[:_LOOKED_AT])
    draft.add("code", source.text)


def _first_comment(beginning: str) -> str:
    is_within = False
    for line in beginning.split("\n"):
        text = line.strip()
        if not text:
            continue
        if not is_within and (start := _COMMENT_START.match(text)):
            is_within = True
            text = text[start.end() :]
        elif not is_within:
            if (comment := _COMMENT_LINE.match(line)) is None:
                return ""
            text = comment[1] if not line.startswith("#!") else ""
        title = _COMMENT_END.sub("", text).removeprefix("*").strip()
        if not _NOT_A_TITLE.match(title):
            return title
    return ""
