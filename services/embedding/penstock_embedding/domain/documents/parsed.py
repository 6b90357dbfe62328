"""A document's text as it was read out of a file, and why one cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

BlockKind = Literal["heading", "paragraph", "list", "table", "code"]
Reason = Literal[
    "unsupported",
    "broken",
    "encrypted",
    "no_text",
    "too_large",
    "too_many_pages",
    "bomb",
    "forbidden_reference",
    "timeout",
    "out_of_memory",
    "crashed",
]


class Block(NamedTuple):
    """``text[start:end]`` of a document, in code points. Blocks do not overlap, and stand in their order."""

    kind: BlockKind
    start: int
    end: int
    level: int = 0
    """Of a heading, from 1."""


class Parsed(NamedTuple):
    """What was read. Offsets of all that is made of it are in ``text``, which is kept as it is."""

    text: str
    media_type: str
    """By the content, such as ``text/markdown``."""
    title: str = ""
    language: str = ""
    """BCP 47; empty where it cannot be told."""
    blocks: Sequence[Block] = ()
    """Empty for a text without structure."""
    pages: Sequence[int] = ()
    """Where each page, slide or sheet begins."""


class DocumentRefused(Exception):
    """The document cannot be taken in, now or later. The message is for its owner, and says what to do."""

    def __init__(self, reason: Reason, message: str, place: str = "") -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.message = message
        self.place = place
        """Such as ``page 3``; empty where there is none."""


class Parser(Protocol):
    """Reads documents, whatever they hold, without harm to the process."""

    async def parse(self, content: bytes, *, filename: str = "", media_type: str = "") -> Parsed:
        """Return the text.

        Raises:
            DocumentRefused: if there is none to be had.
            Overloaded: if too many wait already.
        """
        ...
