"""Cuts where the meaning of neighbouring sentences changes most."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, pstdev

from penstock_embedding.domain.chunking.markdown import blocks_of_markdown
from penstock_embedding.domain.chunking.outline import Outline, Span, outline_of_blocks
from penstock_embedding.domain.chunking.piece import Measured
from penstock_embedding.domain.chunking.sentences import SENTENCE_END
from penstock_embedding.domain.documents.parsed import Parsed

# Of a piece: what is smaller says too little alone.
_LEAST_SHARE = 8
# Changes that are so many standard deviations above the mean begin something new, though all would fit into one piece.
_NEW_TOPIC = 1.5
_LONG = 1024
"""Sentences that are looked through together: the work for a text grows with its length, and not with its square."""


def sentences_of(parsed: Parsed) -> list[str]:
    """Return the sentences of a text, and its tables and pieces of code as one each."""
    return [parsed.text[start:end] for start, end in _sentences(parsed.text, _outline(parsed))]


def outline_of_meaning(parsed: Parsed, measured: Measured, most: int, changes: Sequence[float]) -> Outline:
    """Return an outline whose bounds are changes of meaning, besides the headings that the text has.

    ``changes[i]`` is that from sentence ``i`` to the next one; ``most`` are the tokens of a piece.
    """
    outline = _outline(parsed)
    sentences = _sentences(parsed.text, outline)
    if not sentences[1:]:
        return outline
    sizes = [measured.tokens(start, end) for start, end in sentences]
    topics = _Topics(sizes, changes, most)
    starts = {sentences[index].start for index in topics.begins()}
    return outline._replace(bounds=sorted({*outline.bounds, *starts}))


def _outline(parsed: Parsed) -> Outline:
    markdown = parsed.media_type == "text/markdown"
    blocks = parsed.blocks or (blocks_of_markdown(parsed.text) if markdown else ())
    return outline_of_blocks(parsed._replace(blocks=blocks))


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
        waiting = self._windows()
        begins = [first for first, _ in waiting[1:]]
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

    def _windows(self) -> list[tuple[int, int]]:
        """Return the sentences in runs of ``_LONG`` at the most, each from a large change to the next."""
        windows: list[tuple[int, int]] = []
        first, end = 0, len(self._sums) - 1
        while end - first > _LONG:
            later = max(range(first + _LONG // 2, first + _LONG), key=lambda index: self._changes[index - 1])
            windows.append((first, later))
            first = later
        return [*windows, (first, end)]

    def _largest_change(self, first: int, end: int) -> int | None:
        """Return the sentence before which the meaning changes most, with enough on both sides; the first of equals."""
        least = self._most // _LEAST_SHARE
        places = [
            index
            for index in range(first + 1, end)
            if self._sums[index] - self._sums[first] >= least and self._sums[end] - self._sums[index] >= least
        ]
        return max(places, key=lambda index: self._changes[index - 1], default=None)
