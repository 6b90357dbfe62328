"""A text as the detector reads it: folded, in pieces, and with what lies beneath it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from penstock_gateway.domain.guardrails.injection.cues import lowered
from penstock_gateway.domain.guardrails.injection.decoding import View, views
from penstock_gateway.domain.guardrails.injection.features import Seen, Undone, seen
from penstock_gateway.domain.guardrails.injection.finding import Surface
from penstock_gateway.domain.guardrails.injection.folding import Folded, folded
from penstock_gateway.domain.guardrails.injection.lexicon import Hit, lexicon
from penstock_gateway.domain.guardrails.injection.windows import pieces


class Part(NamedTuple):
    """A piece to be judged: as it is read, where it stands in the text as given, and what was undone to read it."""

    text: str
    start: int
    end: int
    undone: str
    offset: int = 0
    """Where it stands in the text made plain; of no meaning where something was undone."""
    is_whole: bool = True
    """Whether it is all of the text, or what was undone."""
    invisible: int = 0
    disguised: int = 0
    hits: list[Hit] | None = None
    """The lexicon's, where they are known."""

    def seen(self, surface: Surface) -> Seen:
        """Return its features."""
        undone = Undone(self.undone, self.invisible, self.disguised)
        return seen(self.text, surface, undone, is_whole=self.is_whole, hits=self.hits)


class Reading(NamedTuple):
    """The text made plain, what lies beneath it, and all pieces to be judged."""

    plain: Folded
    beneath: list[View]
    parts: list[Part]


def read(text: str) -> Reading:
    """Return the text as it is read."""
    plain = folded(text)
    beneath = views(plain.text)
    return Reading(plain, beneath, [*_parts(plain), *_under(plain, beneath)])


def _parts(plain: Folded) -> Iterator[Part]:
    all_pieces = pieces(plain.text)
    known: list[list[Hit] | None] = [None]
    if len(all_pieces) > 1:
        known = lexicon().hits_of_pieces(lowered(plain.text), [(piece.start, piece.end) for piece in all_pieces])
    for piece, hits in zip(all_pieces, known, strict=True):
        start, end = plain.origin(piece.start, piece.end)
        invisible, disguised = (plain.invisible, plain.disguised) if _touched(plain, start, end) else (0, 0)
        yield Part(piece.text, start, end, "", piece.start, len(all_pieces) == 1, invisible, disguised, hits)
    for start, end, said in plain.hidden:
        yield Part(said, start, end, "tags")


def _touched(plain: Folded, start: int, end: int) -> bool:
    return plain.offsets is not None and (bool(plain.invisible) or bool(plain.disguised)) and end > start


def _under(plain: Folded, beneath: list[View]) -> Iterator[Part]:
    for view in beneath:
        start, end = plain.origin(view.start, view.end)
        for piece in pieces(view.text):
            # Of a long text, what was undone; the rest is judged as it is.
            if len(view.text) == len(piece.text) or view.decoded[:40] in piece.text:
                yield Part(piece.text, start, end, view.name)
