"""The blocks of a Markdown text that matter where it is cut: headings, fenced code and tables."""

from __future__ import annotations

import re

from penstock_embedding.domain.documents.parsed import Block

# Possessive, so that no line takes more than one pass.
_SIGNS = re.compile(
    r"^[ ]{0,3}+(?:"
    r"(?P<hashes>\#{1,6}+)(?=[ \t\r\n]|\Z)"
    r"|(?P<fence>`{3,}+|~{3,}+)"
    r"|(?P<underline>=++|-++)[ \t\r]*+$"
    r"|(?P<columns>(?=[-:| \t]*?\|)(?=[:| \t]*+-)[-:| \t]++)\r?$"
    r")",
    re.MULTILINE | re.VERBOSE,
)
_BLANK_LINE = re.compile(r"^[ \t\r]*+$", re.MULTILINE)
_FRONT_MATTER = re.compile(r"---[ \t\r]*+\n")
_FRONT_MATTER_END = re.compile(r"^(?:---|\.\.\.)[ \t\r]*+$", re.MULTILINE)


def blocks_of_markdown(text: str) -> list[Block]:
    """Return headings, code and tables in their order; what is none of these is left out."""
    blocks: list[Block] = []
    place = _front_matter(text, blocks)
    while (sign := _SIGNS.search(text, place)) is not None:
        block = _block_at(text, sign, blocks[-1].end if blocks else 0)
        if block is not None:
            blocks.append(block)
        place = max(sign.end(), block.end if block is not None else 0)
        if place >= len(text):
            break
        # The next line: in this one no other sign can begin.
        place = _line_end(text, place - 1 if text[place - 1] == "\n" else place)
    return blocks


def _front_matter(text: str, blocks: list[Block]) -> int:
    if (opening := _FRONT_MATTER.match(text)) is None:
        return 0
    closing = _FRONT_MATTER_END.search(text, opening.end())
    if closing is None:
        return 0
    blocks.append(Block("code", 0, closing.end()))
    return closing.end()


def _block_at(text: str, sign: re.Match[str], before: int) -> Block | None:
    start = sign.start()
    if (hashes := sign["hashes"]) is not None:
        return Block("heading", start, _line_end(text, start), len(hashes))
    if (fence := sign["fence"]) is not None:
        return _code(text, sign, fence)
    previous = _line_start(text, start - 1) if start else start
    if previous < before or not text[previous:start].strip():
        return None
    if sign["underline"] is not None:
        level = 1 if sign["underline"][0] == "=" else 2
        return Block("heading", previous, sign.end(), level)
    if "|" not in text[previous:start]:
        return None
    blank = _BLANK_LINE.search(text, _line_end(text, start))
    return Block("table", previous, blank.start() if blank is not None else len(text))


def _code(text: str, opening: re.Match[str], fence: str) -> Block | None:
    first_line = _line_end(text, opening.end())
    if fence[0] == "`" and "`" in text[opening.end() : first_line]:
        return None
    closing = _closing_of(fence[0], len(fence)).search(text, first_line)
    return Block("code", opening.start(), closing.end() if closing is not None else len(text))


def _closing_of(character: str, length: int) -> re.Pattern[str]:
    return re.compile(rf"^ {{0,3}}+{character}{{{length},}}+[ \t\r]*+$", re.MULTILINE)


def _line_start(text: str, place: int) -> int:
    return text.rfind("\n", 0, place) + 1


def _line_end(text: str, place: int) -> int:
    """Return where the next line begins."""
    return text.find("\n", place) + 1 or len(text)
