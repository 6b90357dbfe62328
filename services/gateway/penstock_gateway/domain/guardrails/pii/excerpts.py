"""A long text in excerpts of a bounded length, for what is too slow for a whole one: persons and postal addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from penstock_gateway.domain.guardrails.pii.finding import Finding, without_overlaps

LONGEST = 4_000
"""Characters of an excerpt: persons and addresses take 5 to 6 ms of one core for as many."""

OVERLAP = 400
"""Characters that two neighbours share at least, so that what lies across a border is whole in one of them."""

_BORDERS = ("\n\n", "\n", ". ", " ")


def excerpts(text: str, longest: int = LONGEST, overlap: int = OVERLAP) -> Iterator[tuple[int, int]]:
    """Yield from where to where the excerpts go; they end at paragraphs, lines, sentences or words where there are any."""
    start = 0
    while len(text) - start > longest:
        end = _border(text, start + longest // 2, start + longest)
        yield start, end
        start = _border(text, max(start + 1, end - 2 * overlap), end - overlap)
    yield start, len(text)


def _border(text: str, earliest: int, latest: int) -> int:
    """Return the last end of a paragraph between two places, or else of a line, a sentence or a word; the latest place where none is."""
    for mark in _BORDERS:
        if (at := text.rfind(mark, earliest, latest)) >= 0:
            return at + len(mark)
    return latest


def found_in_excerpts(find: Callable[[str], Sequence[Finding]], text: str) -> list[Finding]:
    """Return what is found in the excerpts of a text, in places of the text, without overlaps.

    What a rule sees only beyond an excerpt, such as a word at the beginning of a long text, it does not see.
    """
    return without_overlaps(
        one._replace(start=one.start + start, end=one.end + start)
        for start, end in excerpts(text)
        for one in find(text[start:end])
    )
