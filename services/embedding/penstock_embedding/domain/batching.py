"""Which texts run through the model together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchBounds:
    """Limits of one run: texts, and tokens with padding."""

    max_texts: int = 64
    max_padded_tokens: int = 512


def plan_batches(lengths: Sequence[int], bounds: BatchBounds) -> list[list[int]]:
    """Return batches of indices into ``lengths``, which are in tokens.

    Every index comes once. Texts of similar length go together, as every
    text costs as much as the longest of its batch. Shortest batches come
    first. A text longer than ``max_padded_tokens`` is a batch alone.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batches and _fits(len(batches[-1]) + 1, lengths[index], bounds):
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def _fits(texts: int, longest: int, bounds: BatchBounds) -> bool:
    return texts <= bounds.max_texts and texts * longest <= bounds.max_padded_tokens
