"""Cuts where the meaning of neighbouring sentences changes most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from operator import mul
from statistics import fmean, pstdev

from penstock_embedding.domain.chunking.markdown import blocks_of_markdown
from penstock_embedding.domain.chunking.outline import Outline, Span, outline_of_blocks
from penstock_embedding.domain.chunking.piece import Measured
from penstock_embedding.domain.chunking.sentences import SENTENCE_END
from penstock_embedding.domain.documents.parsed import Parsed

SentenceVectors = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""Returns one unit vector per sentence; it blocks."""

# Of a piece: what is smaller says too little alone.
_LEAST_SHARE = 8
# Changes that are so many standard deviations above the mean begin something new, though all would fit into one piece.
_NEW_TOPIC = 1.5


def outline_of_meaning(parsed: Parsed, measured: Measured, most: int, vectors: SentenceVectors) -> Outline:
    """Return an outline whose bounds are changes of meaning, besides the headings that the text has."""
    markdown = parsed.media_type == "text/markdown"
    blocks = parsed.blocks or (blocks_of_markdown(parsed.text) if markdown else ())
    outline = outline_of_blocks(parsed._replace(blocks=blocks))
    sentences = _sentences(parsed.text, outline)
    if not sentences[1:]:
        return outline
    made = vectors([parsed.text[start:end] for start, end in sentences])
    changes = [1 - sum(map(mul, one, other)) for one, other in pairwise(made)]
    sizes = [measured.tokens(start, end) for start, end in sentences]
    topics = _Topics(sizes, changes, most)
    starts = {sentences[index].start for index in topics.begins()}
    return outline._replace(bounds=sorted({*outline.bounds, *starts}))


def _sentences(text: str, outline: Outline) -> list[Span]:
    """Return what is compared: sentences, and tables and code as one each."""
    spans: list[Span] = []
    place = 0
    for kept in (*outline.whole, Span(len(text), len(text))):
        while place < kept.start:
            found = SENTENCE_END.search(text, place, kept.start)
            end = found.end() if found is not None else kept.start
            if text[place:end].strip():
                spans.append(Span(place, end))
            place = end
        if kept.end > kept.start:
            spans.append(kept)
        place = kept.end
    return spans


class _Topics:
    """Runs of sentences. ``changes[i]`` is that from sentence ``i`` to the next one, sizes are in tokens."""

    def __init__(self, sizes: Sequence[int], changes: Sequence[float], most: int) -> None:
        self._changes = changes
        self._most = most
        self._sums = [0]
        for size in sizes:
            self._sums.append(self._sums[-1] + size)
        self._new_topic = fmean(changes) + _NEW_TOPIC * pstdev(changes)

    def begins(self) -> list[int]:
        """Return the sentences that begin a run, but for the first."""
        begins: list[int] = []
        waiting = [(0, len(self._sums) - 1)]
        while waiting:
            first, end = waiting.pop()
            middle = self._largest_change(first, end)
            if middle is None:
                continue
            too_long = self._sums[end] - self._sums[first] > self._most
            if too_long or self._changes[middle - 1] > self._new_topic:
                begins.append(middle)
                waiting += [(first, middle), (middle, end)]
        return sorted(begins)

    def _largest_change(self, first: int, end: int) -> int | None:
        """Return the sentence before which the meaning changes most, with enough on both sides; the first of equals."""
        least = self._most // _LEAST_SHARE
        places = [
            index
            for index in range(first + 1, end)
            if self._sums[index] - self._sums[first] >= least and self._sums[end] - self._sums[index] >= least
        ]
        return max(places, key=lambda index: self._changes[index - 1], default=None)
