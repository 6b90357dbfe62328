"""The trade-off of a threshold as a drawing: what is served of the right pairs, against what is false of the hits."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from penstock_suite.domain.cache_evaluation import Evaluation, Point

_WIDTH, _HEIGHT = 720, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 40, 60


def trade_off_svg(found: Evaluation, title: str) -> str:
    """Return an SVG of the guard's curve, the one of a threshold on the cosine alone, and where the cache stands."""
    most = max(_false(point) for point in (*found.curve, *found.baseline, _own(found)))
    top = min(1.0, max(0.1, round(most + 0.05, 1)))
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
            f'font-size="13"><rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>'
        ),
        f'<text x="{_LEFT}" y="24" font-size="15">{escape(title)}</text>',
        *_axes(top),
        _line([point for point in found.baseline if point.false_of_hits_ratio is not None], top, "#c0392b"),
        _line([point for point in found.curve if point.false_of_hits_ratio is not None], top, "#2471a3"),
    ]
    x, y = _place(_own(found), top)
    parts += [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="#2471a3"/>',
        _legend(0, "#2471a3", "the guard, over its score"),
        _legend(1, "#c0392b", "a threshold on the cosine alone"),
        f'<text x="{x + 8:.1f}" y="{y - 8:.1f}">as configured</text></svg>\n',
    ]
    return "\n".join(parts)


def _own(found: Evaluation) -> Point:
    return Point(0.0, found.served_true_ratio or 0.0, found.false_of_hits_ratio)


def _false(point: Point) -> float:
    return point.false_of_hits_ratio or 0.0


def _place(point: Point, top: float) -> tuple[float, float]:
    x = _LEFT + point.served_true_ratio * (_WIDTH - _LEFT - _RIGHT)
    return x, _HEIGHT - _BOTTOM - min(1.0, _false(point) / top) * (_HEIGHT - _TOP - _BOTTOM)


def _line(points: Sequence[Point], top: float, colour: str) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in (_place(point, top) for point in points))
    return f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{places}"/>'


def _axes(top: float) -> list[str]:
    parts: list[str] = []
    for step in range(6):
        x, y = _place(Point(0, step / 5, step / 5 * top), top)
        parts += [
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" stroke="#ddd"/>',
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>',
            f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{step * 20} %</text>',
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{step / 5 * top:.0%}</text>',
        ]
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{_HEIGHT - 16}" text-anchor="middle">served, of the pairs with the same answer</text>'
    )
    parts.append(
        f'<text transform="translate(18 {_HEIGHT / 2}) rotate(-90)" text-anchor="middle">false, of all hits</text>'
    )
    return parts


def _legend(row: int, colour: str, text: str) -> str:
    y = _TOP + 16 + row * 20
    return (
        f'<line x1="{_LEFT + 12}" x2="{_LEFT + 40}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"/>'
        f'<text x="{_LEFT + 48}" y="{y + 4}">{text}</text>'
    )
