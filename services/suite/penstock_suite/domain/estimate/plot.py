"""An estimate as a drawing: a bar for each line, with the range that it has."""

from __future__ import annotations

from xml.sax.saxutils import escape

from penstock_suite.domain.estimate.projection import Estimate, Figure

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW = 760, 130, 150, 50, 34


def estimate_svg(found: Estimate, title: str) -> str:
    """Return an SVG of dollars by line, and of all of it."""
    rows = [*[(item.name, item.usd) for item in found.items], ("all of it", found.total_usd)]
    height = _TOP + _ROW * len(rows) + 20
    most = max(figure.p90 for _, figure in rows) or 1.0
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
            f'font-size="13"><rect width="{_WIDTH}" height="{height}" fill="white"/>'
        ),
        f'<text x="20" y="28" font-size="15">{escape(title)}</text>',
    ]
    for at, (name, figure) in enumerate(rows):
        parts += _row(name, figure, most, _TOP + at * _ROW)
    return "\n".join([*parts, "</svg>\n"])


def _row(name: str, figure: Figure, most: float, y: int) -> list[str]:
    def x(value: float) -> float:
        return _LEFT + max(0.0, value) / most * (_WIDTH - _LEFT - _RIGHT)

    middle = y + 9
    return [
        f'<text x="{_LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
        f'<rect x="{_LEFT}" y="{y}" width="{x(figure.value) - _LEFT:.1f}" height="18" fill="#2471a3"/>',
        f'<line x1="{x(figure.p10):.1f}" x2="{x(figure.p90):.1f}" y1="{middle}" y2="{middle}" stroke="black"/>',
        f'<text x="{x(figure.p90) + 8:.1f}" y="{y + 14}">${figure.value:,.2f}</text>',
    ]
