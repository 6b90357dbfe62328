"""Cuts documents into pieces that a model's window holds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from penstock_common.contract.knowledge import Splitter, SplitterKind
from penstock_common.errors import InvalidRequest
from penstock_embedding.domain.chunking.code import is_code, outline_of_code
from penstock_embedding.domain.chunking.markdown import blocks_of_markdown
from penstock_embedding.domain.chunking.outline import Headings, Outline, outline_of_blocks, outline_of_table
from penstock_embedding.domain.chunking.packing import Cut, Packer
from penstock_embedding.domain.chunking.piece import Measured, Piece, TokenCounter, embedded_text, passage_head
from penstock_embedding.domain.chunking.semantic import outline_of_meaning, sentences_of
from penstock_embedding.domain.documents.parsed import Parsed

DEFAULT_MAX_TOKENS = 192
LEAST_MAX_TOKENS = 32
_OVERLAP_SHARE = 8
# Of a piece's tokens, the most for what stands before its text; and the least for the text.
_HEAD_SHARE = 2
_LEAST_ROOM = 16

_MARKDOWN = frozenset({"text/markdown", "text/x-markdown"})
_TABLES = frozenset({"text/csv", "text/tab-separated-values"})


class Sizes(NamedTuple):
    """Of pieces, in tokens."""

    most: int
    overlap: int


def sizes_of(splitter: Splitter, window_tokens: int) -> Sizes:
    """Return what the splitter asks for.

    Raises:
        InvalidRequest: if it is too small to be of use, or more than the window of the model.
    """
    window = window_tokens or splitter.max_tokens or DEFAULT_MAX_TOKENS
    most = splitter.max_tokens or min(DEFAULT_MAX_TOKENS, window)
    if most > window:
        raise InvalidRequest(
            f"The model takes {window} tokens at once; pieces of {most} would lose their ends.",
            field="splitter.max_tokens",
        )
    if most < LEAST_MAX_TOKENS:
        raise InvalidRequest(f"Pieces have {LEAST_MAX_TOKENS} tokens at the least.", field="splitter.max_tokens")
    overlap = most // _OVERLAP_SHARE if splitter.overlap_tokens is None else splitter.overlap_tokens
    if overlap * 2 > most:
        raise InvalidRequest(
            f"At most half of a piece is repeated: {most // 2} tokens.", field="splitter.overlap_tokens"
        )
    return Sizes(most, overlap)


class StructureChunker:
    """A ``Chunker``. Of two documents that are the same it makes the same.

    Splitters of the field were measured: with a model's tokenizer
    semantic-text-splitter (Rust) cuts 0.1 MB/s, as it tokenizes what it tries,
    and knows neither headings nor tables of what is not Markdown; chonkie
    counts each of its parts. Here a text is measured once.
    """

    def sentences(self, parsed: Parsed, splitter: Splitter) -> Sequence[str]:
        """Return what the splitter ``semantic`` compares, as ``Chunker`` says."""
        return sentences_of(parsed) if splitter.kind == "semantic" else ()

    def cut(
        self, parsed: Parsed, splitter: Splitter, counter: TokenCounter, changes: Sequence[float] = ()
    ) -> list[Piece]:
        """Return pieces, as ``Chunker`` says."""
        sizes = sizes_of(splitter, counter.window_tokens)
        if not parsed.text.strip():
            return []
        document = _Document(parsed, counter, sizes)
        if splitter.kind == "semantic":
            return document.pieces(outline_of_meaning(parsed, document.measured, sizes.most, changes))
        kind = splitter.kind if splitter.kind not in ("", "auto") else _kind_of(parsed)
        return document.pieces(_OUTLINES[kind](parsed))


class _Document:
    """A text with its title, measured by one model."""

    def __init__(self, parsed: Parsed, counter: TokenCounter, sizes: Sizes) -> None:
        self._parsed = parsed
        self._counter = counter
        self.sizes = sizes
        self.measured: Measured = counter.measure(parsed.text)
        self._heads: dict[Headings, int] = {}
        self._shown: dict[Headings, Headings] = {}

    def pieces(self, outline: Outline) -> list[Piece]:
        self._measure_heads([(), *(mark.headings for mark in outline.marks)])
        packer = Packer(self._parsed.text, self.measured, outline, self._room, self.sizes.overlap)
        pieces: list[Piece] = []
        uncounted: list[int] = []
        for cut in packer.cuts():
            if not cut.tokens:
                uncounted.append(len(pieces))
            pieces.append(self._piece(cut))
        return self._counted(pieces, uncounted) if uncounted else pieces

    def _piece(self, cut: Cut) -> Piece:
        headings = self._shown[cut.headings]
        tokens = self._heads[headings] + cut.tokens if cut.tokens else 0
        return Piece(cut.start, cut.end, headings, self._page(cut.start), tokens)

    def _page(self, place: int) -> int:
        return bisect_right(self._parsed.pages, place)

    def _room(self, headings: Headings) -> int:
        shown = self._shown.get(headings)
        if shown is None:
            shown = self._shown[headings] = self._fitting(headings)
        return self.sizes.most - self._heads[shown]

    def _fitting(self, headings: Headings) -> Headings:
        """Return as many of the headings, from the inmost, as leave enough room for a text."""
        while self._head_tokens(headings) > self.sizes.most // _HEAD_SHARE and headings:
            headings = headings[1:]
        tokens = self._head_tokens(headings)
        if self.sizes.most - tokens < _LEAST_ROOM:
            raise InvalidRequest(
                f"The document's title alone takes {tokens} of {self.sizes.most} tokens; allow more, or shorten it.",
                field="splitter.max_tokens",
            )
        return headings

    def _measure_heads(self, all_headings: Iterable[Headings]) -> None:
        """Take in what stands before the texts of pieces, all of it at once: documents have many headings."""
        heads = {headings: passage_head(self._parsed.title, headings) for headings in all_headings}
        measured = self._counter.measure("".join(heads.values()))
        with_each = self._counter.count([""])[0]
        place = 0
        for headings, head in heads.items():
            end = place + len(head)
            if not measured.is_doubtful(place, end):
                self._heads[headings] = with_each + (measured.tokens(place, end) if head else 0)
            place = end

    def _head_tokens(self, headings: Headings) -> int:
        tokens = self._heads.get(headings)
        if tokens is None:
            tokens = self._heads[headings] = self._counter.count([passage_head(self._parsed.title, headings)])[0]
        return tokens

    def _counted(self, pieces: list[Piece], uncounted: Sequence[int]) -> list[Piece]:
        """Return the pieces with those tokens that had to be counted, none of them too long."""
        fitting = self._fitting_pieces([(index, pieces[index]) for index in uncounted])
        ordered: list[Piece] = []
        for index, piece in enumerate(pieces):
            for part in fitting.get(index, (piece,)):
                ordered.extend(self._after(ordered[-1], part) if ordered else (part,))
        return ordered

    def _after(self, before: Piece, piece: Piece) -> Sequence[Piece]:
        """Return what a piece adds to one before it that was cut in two; it may repeat too much of it."""
        if piece.start > before.start and piece.end > before.end:
            return (piece,)
        rest = self._parsed.text[before.end : piece.end]
        if not rest.strip():
            return ()
        start = piece.end - len(rest.lstrip())
        return self._fitting_pieces([(0, piece._replace(start=start, page=self._page(start)))])[0]

    def _fitting_pieces(self, waiting: list[tuple[int, Piece]]) -> dict[int, list[Piece]]:
        """Return what becomes of each piece: what is too long is halved until it fits."""
        fitting: dict[int, list[Piece]] = {index: [] for index, _ in waiting}
        while waiting:
            tokens = self._counter.count([self._embedded(piece) for _, piece in waiting])
            too_long: list[tuple[int, Piece]] = []
            for (index, piece), count in zip(waiting, tokens, strict=True):
                if count <= self.sizes.most or piece.end - piece.start == 1:
                    fitting[index].append(piece._replace(tokens=count))
                else:
                    too_long.extend((index, half) for half in self._halves(piece))
            waiting = too_long
        return {index: sorted(parts) for index, parts in fitting.items()}

    def _halves(self, piece: Piece) -> Iterator[Piece]:
        middle = (piece.start + piece.end) // 2
        blank = self._parsed.text.rfind(" ", piece.start + 1, middle + 1)
        middle = blank if blank > 0 else middle
        for start, end in ((piece.start, middle), (middle, piece.end)):
            part = self._parsed.text[start:end]
            if stripped := part.strip():
                begin = start + len(part) - len(part.lstrip())
                yield piece._replace(start=begin, end=begin + len(stripped), page=self._page(begin))

    def _embedded(self, piece: Piece) -> str:
        return embedded_text(self._parsed.title, piece, self._parsed.text[piece.start : piece.end])


def _kind_of(parsed: Parsed) -> SplitterKind:
    if parsed.media_type in _TABLES:
        return "table"
    if is_code(parsed.media_type):
        return "code"
    if parsed.media_type in _MARKDOWN:
        return "markdown"
    return "html" if parsed.blocks else "recursive"


def _recursive(_parsed: Parsed) -> Outline:
    return Outline()


def _markdown(parsed: Parsed) -> Outline:
    blocks = parsed.blocks or blocks_of_markdown(parsed.text)
    return outline_of_blocks(parsed._replace(blocks=blocks))


def _table(parsed: Parsed) -> Outline:
    return outline_of_blocks(parsed) if parsed.blocks else outline_of_table(parsed.text)


_OUTLINES: dict[SplitterKind, Callable[[Parsed], Outline]] = {
    "recursive": _recursive,
    "markdown": _markdown,
    "html": outline_of_blocks,
    "code": outline_of_code,
    "table": _table,
}
