"""Who gets which variant: a function of the experiment's salt, the unit and the shares, alike in every process.

Each variant has a segment of the line from 0 to 1 and takes its share from the segment's start; control has the
gaps. So a share that grows takes units from control alone, and one that shrinks gives them back to it. What does not
fit into the own segment is taken from the ends of the gaps, in the variants' order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_POINTS = 2.0**64
_TINY = 1e-12


class Range(NamedTuple):
    """Points from ``start`` to before ``end`` are those of the variant of this number, counted without control."""

    start: float
    end: float
    variant: int


def point_of(salt: str, unit: Sequence[str]) -> float:
    """Return where a unit lies, from 0 to below 1; ``unit`` names it in parts, which cannot run into one another."""
    digest = hashlib.sha256(salt.encode())
    for part in unit:
        encoded = part.encode(errors="surrogatepass")
        digest.update(b"%d:" % len(encoded))
        digest.update(encoded)
    return (int.from_bytes(digest.digest()[:8]) >> 11 << 11) / _POINTS


def ranges_of(shares: Sequence[float]) -> tuple[Range, ...]:
    """Return the variants' ranges; ``shares`` are theirs without control's, and sum up to at most 1.

    Raises:
        ValueError: if they are more than the line has.
    """
    if sum(shares) > 1 + _TINY or min(shares, default=0.0) < 0:
        raise ValueError("shares are at least 0, and together at most 1")
    length = 1 / len(shares) if shares else 1.0
    own = [Range(at * length, at * length + min(share, length), at) for at, share in enumerate(shares)]
    gaps = [[one.end, (at + 1) * length] for at, one in enumerate(own)]
    over = [(at, share - length) for at, share in enumerate(shares) if share > length + _TINY]
    spilled = [part for at, wanted in over for part in _taken(gaps, at, wanted)]
    return tuple(sorted(one for one in (*own, *spilled) if one.end - one.start > _TINY))


def _taken(gaps: list[list[float]], index: int, wanted: float) -> Iterator[Range]:
    """Yield what a variant takes from the ends of the gaps, which get shorter by it."""
    for gap in gaps:
        taken = min(wanted, gap[1] - gap[0])
        if taken > _TINY:
            gap[1] -= taken
            wanted -= taken
            yield Range(gap[1], gap[1] + taken, index)


def index_at(ranges: Sequence[Range], point: float) -> int | None:
    """Return the index of the variant that has a point; None for control."""
    for start, end, index in ranges:
        if start <= point < end:
            return index
    return None
