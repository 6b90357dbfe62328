"""What a splitter makes of a text, and what it counts with."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from penstock_common.contract.knowledge import Splitter
from penstock_embedding.domain.documents.parsed import Parsed

MOST_PATH_BYTES = 160
"""Of a title or heading where it stands before a text. Whatever the tokenizer, it has not more tokens than bytes."""
_LEFT_OUT = "…"


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


class Measured(NamedTuple):
    """A text's words, each with the blanks after it, and what they cost.

    Word ``i`` is ``text[starts[i]:starts[i + 1]]``, with ``sums[i]`` tokens before
    it; both have one item more than there are words.
    """

    starts: array[int]
    sums: array[int]
    doubtful: Sequence[int]
    """Where words begin that may cost more in other company, in their order."""

    def word_at(self, place: int) -> int:
        """Return the number of the word that a place is in."""
        # Before the first one there are only blanks.
        return max(0, bisect_right(self.starts, place) - 1)

    def tokens(self, start: int, end: int) -> int:
        """Return the tokens of all words that are in a span, or partly so."""
        return self.sums[bisect_left(self.starts, end)] - self.sums[self.word_at(start)]

    def is_doubtful(self, start: int, end: int) -> bool:
        """Return whether a word of the span is."""
        if not self.doubtful:
            return False
        found = bisect_left(self.doubtful, self.starts[self.word_at(start)])
        return found < len(self.doubtful) and self.doubtful[found] < end


class TokenCounter(Protocol):
    """A model's own tokenizer. Its methods block, and may be called in any thread."""

    @property
    def window_tokens(self) -> int:
        """The most that is embedded of one text, special tokens included; 0 where unknown."""
        ...

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text as a passage, its prefix and special tokens included, without truncation."""
        ...

    def measure(self, text: str) -> Measured:
        """Return the words of a text and their tokens, without those that each passage has besides."""
        ...


class Chunker(Protocol):
    """Cuts documents. Its methods block for as long as that takes."""

    def sentences(self, parsed: Parsed, splitter: Splitter) -> Sequence[str]:
        """Return what is to be compared by meaning before the document is cut; nothing where the splitter compares nothing."""
        ...

    def cut(
        self, parsed: Parsed, splitter: Splitter, counter: TokenCounter, changes: Sequence[float] = ()
    ) -> list[Piece]:
        """Return pieces that cover all but blank text, in their order.

        ``changes`` is by how much each of ``sentences`` but the first differs in meaning from the one before it.

        Raises:
            InvalidRequest: if the splitter asks for what the model's window does not hold.
        """
        ...


def embedded_text(title: str, piece: Piece, text: str) -> str:
    """Return what is embedded, and counted, for a piece: the document's title and its headings stand before its text.

    Near-duplicates of a document, such as versions and regions, often differ there alone.
    """
    return passage_head(title, piece.headings) + text


def passage_head(title: str, headings: Sequence[str]) -> str:
    """Return what stands before a piece's text; empty where it has neither title nor headings."""
    shown: list[str] = []
    for part in (shortened(title), *headings):
        # A title is often the first heading, too.
        if part and (not shown or part != shown[-1]):
            shown.append(part)
    return f"{' > '.join(shown)}\n" if shown else ""


def shortened(heading: str) -> str:
    """Return a title or heading on one line, as long as one may be that stands before a text."""
    line = " ".join(heading.split())
    if len(line) * 4 <= MOST_PATH_BYTES or len(line.encode()) <= MOST_PATH_BYTES:
        return line
    return line.encode()[: MOST_PATH_BYTES - len(_LEFT_OUT.encode())].decode(errors="ignore") + _LEFT_OUT
