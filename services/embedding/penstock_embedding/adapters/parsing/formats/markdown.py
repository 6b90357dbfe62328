"""Markdown: its blocks, with their source as their text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from penstock_embedding.adapters.parsing.formats.html import HtmlReader, visible_text
from penstock_embedding.adapters.parsing.formats.source import Source
from penstock_embedding.domain.documents.draft import Draft
from penstock_embedding.domain.documents.parsed import BlockKind

_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*(.+)$", re.MULTILINE | re.IGNORECASE)
_FRONT_TAGS = re.compile(r"^tags:[ \t]*(.*(?:\n[ \t]*-[ \t]+.*)*)", re.MULTILINE | re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_HIDING = re.compile(r"<(?:script|style|template)\b|<[a-z][^>]*\s(?:hidden|aria-hidden|style)\b", re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
_EMPHASIS = re.compile(r"[*`]+")
_BLOCKS: dict[str, BlockKind] = {
    "paragraph_open": "paragraph",
    "blockquote_open": "paragraph",
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "table_open": "table",
}
_HEADING = "heading_open"


def read(source: Source, draft: Draft) -> None:
    """Write it into the draft."""
    text = _without_front_matter(source.text, draft)
    lines = text.split("\n")
    html = HtmlReader(draft)
    tokens = _blocks_of(text)
    for index, token in enumerate(tokens):
        if token.level == 0 and token.map:
            draft.place = f"line {token.map[0] + 1}"
            if token.type == "html_block":
                html.feed(token.content)
                html.flush()
            elif not html.is_hiding:
                _write(index, tokens, lines, draft)
    html.close()
    draft.place = ""


def _blocks_of(text: str) -> Sequence[Token]:
    parser = MarkdownIt("commonmark").enable("table")
    # Source is kept, so what is within a line needs no reading.
    parser.core.ruler.disable(["inline", "text_join"])
    return parser.parse(text)


def _write(index: int, tokens: Sequence[Token], lines: Sequence[str], draft: Draft) -> None:
    token = tokens[index]
    if token.type == _HEADING:
        draft.heading(_plain(_visible(tokens[index + 1].content, draft)), int(token.tag[1:]))
    elif token.type in {"fence", "code_block"}:
        draft.add("code", token.content)
    elif token.type in _BLOCKS:
        assert token.map is not None
        start, end = token.map
        draft.add(_BLOCKS[token.type], _visible("\n".join(lines[start:end]), draft))


def _visible(markdown: str, draft: Draft) -> str:
    """Return it without comments, and without elements that a page would hide."""
    if "<" not in markdown:
        return markdown
    shown = _COMMENT.sub("", markdown)
    return visible_text(shown, draft.limits) if _HIDING.search(shown) else shown


def _plain(heading: str) -> str:
    return _EMPHASIS.sub("", _LINK.sub(r"\1", heading))


def _without_front_matter(text: str, draft: Draft) -> str:
    """Return the text after it; its title and its tags alone are taken over."""
    if (front := _FRONT_MATTER.match(text)) is None:
        return text
    if title := _FRONT_TITLE.search(front[1]):
        draft.title = title[1].strip().strip("\"'")
    if tags := _FRONT_TAGS.search(front[1]):
        words = [word.strip(" \t\"'[]") for word in re.split(r"[,\n]|^[ \t]*-[ \t]+", tags[1], flags=re.MULTILINE)]
        if named := [word.removeprefix("- ") for word in words if word]:
            draft.add("paragraph", f"Tags: {', '.join(named)}")
    return text[front.end() :]
