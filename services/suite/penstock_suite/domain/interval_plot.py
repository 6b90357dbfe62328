"""Intervals as bars of plain text, on one scale about nothing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

_LEAST_BAR = 20
_MOST_BAR = 60
_GAP = 2


class Bar(msgspec.Struct, frozen=True):
    """An estimate with its interval, and what is written before and behind it."""

    label: str
    estimate: float
    low: float
    high: float
    text: str


def interval_lines(bars: Sequence[Bar], width: int) -> list[str]:
    """Return a line for each bar, ``[--o--]`` beside a ``|`` at 0, of ``width`` columns where the texts leave room."""
    if not bars:
        return []
    labels, texts = max(len(bar.label) for bar in bars), max(len(bar.text) for bar in bars)
    half = min(_MOST_BAR, max(_LEAST_BAR, width - labels - texts - 2 * _GAP)) // 2
    most = max(max(abs(bar.low), abs(bar.high)) for bar in bars) or 1.0
    return [
        f"{bar.label:<{labels}}{' ' * _GAP}{_drawn(bar, most, half)}{' ' * _GAP}{bar.text}".rstrip() for bar in bars
    ]


def _drawn(bar: Bar, most: float, half: int) -> str:
    def column(value: float) -> int:
        return half + round(value / most * half)

    cells = [" "] * (2 * half + 1)
    low, high = column(bar.low), column(bar.high)
    cells[low : high + 1] = "-" * (high + 1 - low)
    cells[half] = "|"
    if low < high:
        cells[low], cells[high] = "[", "]"
    cells[column(bar.estimate)] = "o"
    return "".join(cells)
