"""A picture of figures as SVG: a line for each name, a dot for each series, along a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

_COLOURS = ("#0969da", "#8250df", "#bf5700", "#1a7f37")
_GREY = "#6e7781"
"""Readable on white and on black."""
_WIDTH, _LEFT, _RIGHT, _TOP, _LINE = 860, 230, 30, 64, 24


@dataclass(frozen=True)
class Picture:
    """What is drawn."""

    title: str
    names: Sequence[str]
    series: Mapping[str, Sequence[float | None]]
    """By what they are of; one figure for each name, or none."""

    @property
    def decades(self) -> tuple[int, int]:
        """The powers of ten between which all figures lie."""
        values = [value for each in self.series.values() for value in each if value]
        low = math.floor(math.log10(min(values)))
        return low, max(low + 1, math.ceil(math.log10(max(values))))

    def x(self, value: float) -> float:
        """Return where a figure is drawn."""
        low, high = self.decades
        return _LEFT + (math.log10(value) - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)


def dots(picture: Picture) -> str:
    """Return the picture as an SVG document."""
    height = _TOP + _LINE * len(picture.names) + 30
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        f'font-family="sans-serif" font-size="12" fill="{_GREY}">'
    )
    parts = [head, *_legend(picture), *_scale(picture, height), *_lines(picture), "</svg>"]
    return "\n".join(parts) + "\n"


def _legend(picture: Picture) -> Iterator[str]:
    yield f'<text x="{_LEFT}" y="16" font-size="13">{escape(picture.title)}</text>'
    for number, (name, colour) in enumerate(zip(picture.series, _COLOURS, strict=False)):
        at = _LEFT + number * 165
        yield f'<circle cx="{at + 5}" cy="34" r="5" fill="{colour}"/><text x="{at + 15}" y="38">{escape(name)}</text>'


def _scale(picture: Picture, height: int) -> Iterator[str]:
    low, high = picture.decades
    for power in range(low, high + 1):
        at = picture.x(10**power)
        yield f'<line x1="{at:.1f}" y1="{_TOP - 10}" x2="{at:.1f}" y2="{height - 24}" stroke="{_GREY}" stroke-opacity="0.3"/>'
        yield f'<text x="{at:.1f}" y="{height - 8}" text-anchor="middle">{10**power:,}</text>'


def _lines(picture: Picture) -> Iterator[str]:
    for number, name in enumerate(picture.names):
        y = _TOP + number * _LINE + _LINE // 2
        yield f'<text x="{_LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(name)}</text>'
        for values, colour in zip(picture.series.values(), _COLOURS, strict=False):
            if value := values[number]:
                yield f'<circle cx="{picture.x(value):.1f}" cy="{y}" r="5" fill="{colour}" fill-opacity="0.85"/>'
