"""What a splitter makes of a text, and what it counts with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from penstock_common.contract.knowledge import Splitter
from penstock_embedding.domain.documents.parsed import Parsed


class Piece(NamedTuple):
    """``text[start:end]`` of a document, in code points."""

    start: int
    end: int
    headings: Sequence[str] = ()
    """Those above it, the outermost first."""
    page: int = 0
    """From 1; 0 where the format has none."""
    tokens: int = 0
    """With what stands before the text when it is embedded, special tokens included."""


class TokenCounter(Protocol):
    """A model's own tokenizer."""

    @property
    def window_tokens(self) -> int:
        """The most that is embedded of one text, special tokens included; 0 where unknown."""
        ...

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text, special ones included, without truncation. It may be called in any thread."""
        ...

    def ends(self, text: str) -> list[int]:
        """Return where each token of the text ends, in code points."""
        ...


class Chunker(Protocol):
    """Cuts documents."""

    def cut(self, parsed: Parsed, splitter: Splitter, counter: TokenCounter) -> list[Piece]:
        """Return pieces that cover all but blank text, in their order; blocks for as long as that takes.

        Raises:
            InvalidRequest: if the splitter asks for what the model's window does not hold.
        """
        ...


def embedded_text(title: str, piece: Piece, text: str) -> str:
    """Return what is embedded, and counted, for a piece: the document's title and its headings stand before its text.

    Near-duplicates of a document, such as versions and regions, often differ there alone.
    """
    path = [part for part in (title, *piece.headings) if part]
    # A title is often the first heading, too.
    shown = [part for index, part in enumerate(path) if index == 0 or part != path[index - 1]]
    return f"{' > '.join(shown)}\n{text}" if shown else text
