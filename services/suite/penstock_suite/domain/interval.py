"""How sure a share that was counted is."""

from __future__ import annotations

import math

import msgspec

# Two-sided, 95 %.
_Z = 1.959963984540054


class Share(msgspec.Struct, frozen=True):
    """``hits`` of ``n``: their ratio with Wilson's 95 % interval, None where nothing was counted."""

    hits: int
    n: int
    ratio: float | None
    low: float | None
    high: float | None


def share(hits: int, n: int) -> Share:
    """Return the share of ``hits`` in ``n``, with the interval of E. B. Wilson (JASA 22, 1927)."""
    if not n:
        return Share(hits, n, None, None, None)
    ratio, square = hits / n, _Z * _Z
    middle = ratio + square / (2 * n)
    half = _Z * math.sqrt(ratio * (1 - ratio) / n + square / (4 * n * n))
    low, high = ((middle - half) / (1 + square / n), (middle + half) / (1 + square / n))
    return Share(hits, n, round(ratio, 6), round(max(0.0, low), 6), round(min(1.0, high), 6))
