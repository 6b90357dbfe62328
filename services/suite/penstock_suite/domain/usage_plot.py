"""What was used as bars: of plain text beside a table, and as a drawing, over time or one below another."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from penstock_suite.domain.terminal import harmless
from penstock_suite.domain.usage import NANO, UsageLine, UsageRequest, names_of, usd
from penstock_suite.domain.usage_text import turn_text

_WIDTH, _HEIGHT = 860, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 220, 40, 60
_ROW = 26
_MOST_ROWS = 30
_MOST_SERIES = 8
_MOST_LABELS = 12
_LABEL = 34
_COLOURS = ("#2471a3", "#c0392b", "#1e8449", "#b9770e", "#7d3c98", "#148f77", "#a04000", "#5d6d7e", "#bdc3c7")
_EIGHTHS = " ▏▎▍▌▋▊▉"
_OTHERS = "others"


def bar(share: float, width: int = 20) -> str:
    """Return a bar of plain text for a share from 0 to 1."""
    whole, rest = divmod(round(max(0.0, min(1.0, share)) * width * 8), 8)
    return ("█" * whole + _EIGHTHS[rest]).rstrip()


def usage_svg(lines: Sequence[UsageLine], wanted: UsageRequest, title: str) -> str:
    """Return an SVG of costs: columns over time where there are turns, in them the groups that cost most; else bars."""
    if any(line.start is not None for line in lines):
        return _columns(lines, wanted, title)
    return _rows(lines, wanted, title)


def _name(line: UsageLine, wanted: UsageRequest) -> str:
    name = harmless(" / ".join(names_of(line, wanted.by))) or "all"
    return name if len(name) <= _LABEL else name[: _LABEL - 1] + "…"


def _rows(lines: Sequence[UsageLine], wanted: UsageRequest, title: str) -> str:
    shown = sorted(lines, key=lambda line: -line.sums.cost_nano_usd)[:_MOST_ROWS]
    left, most = 260, max([line.sums.cost_nano_usd for line in shown], default=0) or 1
    height = _TOP + _ROW * len(shown) + 20
    parts = _opened(height, title)
    for at, line in enumerate(shown):
        y, cost = _TOP + at * _ROW, line.sums.cost_nano_usd
        width = max(0.0, cost / most) * (_WIDTH - left - 120)
        parts += [
            f'<text x="{left - 8}" y="{y + 15}" text-anchor="end">{escape(_name(line, wanted))}</text>',
            f'<rect x="{left}" y="{y}" width="{width:.1f}" height="{_ROW - 8}" fill="{_COLOURS[0]}"/>',
            f'<text x="{left + width + 6:.1f}" y="{y + 15}">${usd(cost)}</text>',
        ]
    return "\n".join([*parts, "</svg>\n"])


def _columns(lines: Sequence[UsageLine], wanted: UsageRequest, title: str) -> str:
    series = _series(lines, wanted)
    starts = sorted({line.start for line in lines if line.start is not None})
    most = max(sum(max(0, costs.get(start, 0)) for costs in series.values()) for start in starts) or 1
    step = (_WIDTH - _LEFT - _RIGHT) / len(starts)
    parts = [*_opened(_HEIGHT, title), *_scale(most)]
    for at, start in enumerate(starts):
        x, y = _LEFT + at * step, float(_HEIGHT - _BOTTOM)
        for colour, costs in zip(_COLOURS, series.values(), strict=False):
            height = max(0, costs.get(start, 0)) / most * (_HEIGHT - _TOP - _BOTTOM)
            y -= height
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{step * 0.85:.1f}" height="{height:.1f}" fill="{colour}"/>'
            )
        if at % max(1, -(-len(starts) // _MOST_LABELS)) == 0:
            text = escape(turn_text(start, wanted.by, wanted.zone))
            parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 18}" font-size="10">{text}</text>')
    for at, (name, colour) in enumerate(zip(series, _COLOURS, strict=False)):
        x, y = _WIDTH - _RIGHT + 16, _TOP + at * 20
        parts += [
            f'<rect x="{x}" y="{y}" width="12" height="12" fill="{colour}"/>',
            f'<text x="{x + 18}" y="{y + 11}" font-size="11">{escape(name)}</text>',
        ]
    return "\n".join([*parts, "</svg>\n"])


def _series(lines: Sequence[UsageLine], wanted: UsageRequest) -> dict[str, dict[object, int]]:
    """Return the costs of each turn by group: the dearest groups, and all others as one."""
    totals: dict[str, int] = {}
    for line in lines:
        name = _name(line, wanted)
        totals[name] = totals.get(name, 0) + line.sums.cost_nano_usd
    dearest = sorted(totals, key=lambda name: -totals[name])[:_MOST_SERIES]
    found: dict[str, dict[object, int]] = {name: {} for name in dearest}
    for line in lines:
        name = _name(line, wanted)
        costs = found[name] if name in found else found.setdefault(_OTHERS, {})
        costs[line.start] = costs.get(line.start, 0) + line.sums.cost_nano_usd
    return found


def _opened(height: int, title: str) -> list[str]:
    return [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
            f'font-size="13"><rect width="{_WIDTH}" height="{height}" fill="white"/>'
        ),
        f'<text x="20" y="24" font-size="15">{escape(title)}</text>',
    ]


def _scale(most: int) -> list[str]:
    parts: list[str] = []
    for step in range(5):
        y = _HEIGHT - _BOTTOM - step / 4 * (_HEIGHT - _TOP - _BOTTOM)
        parts += [
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>',
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">${most * step / 4 / NANO:,.2f}</text>',
        ]
    return parts
