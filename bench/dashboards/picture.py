"""A dashboard as SVG, from its JSON and what Prometheus answered: a drawing of ours, as Grafana is not asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from dashboards.prometheus import Series

_COLUMN, _ROW, _GAP = 50, 30, 6
_COLOURS = ("#5794f2", "#73bf69", "#ff9830", "#f2495c", "#b877d9", "#fade2a", "#8ab8ff", "#96d98d")
_MOST_LEGENDS = 5
_BIG = {"stat": 26, "bargauge": 13}


def picture(title: str, panels: Sequence[Mapping[str, Any]], found: Mapping[int, list[Series]]) -> str:
    """Return the drawing; ``found`` are the series of each panel by its id."""
    height = max(_below(panel) for panel in panels) * _ROW + 50
    width = 24 * _COLUMN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="#111217"/>',
        f'<text x="12" y="28" font-size="20" fill="#ccccdc">{escape(title)}</text>',
    ]
    for panel in panels:
        parts += _panel(panel, found.get(panel["id"], []))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _below(panel: Mapping[str, Any]) -> int:
    return panel["gridPos"]["y"] + panel["gridPos"]["h"]


def _panel(panel: Mapping[str, Any], series: Sequence[Series]) -> list[str]:
    place = panel["gridPos"]
    left, top = place["x"] * _COLUMN + _GAP, place["y"] * _ROW + 44
    width, height = place["w"] * _COLUMN - 2 * _GAP, place["h"] * _ROW - _GAP
    title = escape(panel["title"])
    if panel["type"] == "row":
        return [f'<text x="{left}" y="{top + 20}" font-size="15" fill="#9fa7b3">{title}</text>']
    drawn = [
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="3" fill="#181b1f" stroke="#2f3037"/>',
        f'<text x="{left + 8}" y="{top + 18}" font-size="12" fill="#ccccdc">{title}</text>',
    ]
    unit = panel["fieldConfig"]["defaults"].get("unit", "")
    box = (left + 8, top + 28, width - 16, height - 36)
    if not series:
        return [*drawn, f'<text x="{left + 8}" y="{top + 44}" font-size="12" fill="#6e7681">No data</text>']
    if panel["type"] == "stat":
        return [*drawn, _text(box[0], box[1] + 44, _said(series[0][1][-1][1], unit), _BIG["stat"], "#73bf69")]
    if panel["type"] == "bargauge":
        return [*drawn, *_bars(series, box, unit)]
    return [*drawn, *_lines(series, box, unit)]


def _lines(series: Sequence[Series], box: tuple[float, float, float, float], unit: str) -> list[str]:
    left, top, width, height = box
    height -= 16 * min(len(series), _MOST_LEGENDS)
    times = [at for _, points in series for at, _ in points]
    values = [value for _, points in series for _, value in points]
    first, span = min(times), (max(times) - min(times)) or 1.0
    high = max([*values, 1e-12])
    drawn = [_text(left, top + 10, _said(high, unit), 10, "#6e7681")]
    for at, (labels, points) in enumerate(series):
        colour = _COLOURS[at % len(_COLOURS)]
        path = " ".join(
            f"{left + (moment - first) / span * width:.1f},{top + height - max(value, 0.0) / high * (height - 12):.1f}"
            for moment, value in points
        )
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        if at < _MOST_LEGENDS:
            told = f"{_named(labels)}: {_said(points[-1][1], unit)}"
            drawn.append(_text(left, top + height + 14 + 16 * at, told, 10, colour))
    return drawn


def _bars(series: Sequence[Series], box: tuple[float, float, float, float], unit: str) -> list[str]:
    left, top, width, _ = box
    high = max(points[-1][1] for _, points in series) or 1.0
    drawn: list[str] = []
    for at, (labels, points) in enumerate(sorted(series, key=lambda each: -each[1][-1][1])[: _MOST_LEGENDS + 1]):
        value = points[-1][1]
        y = top + 8 + at * 30
        long = max(value / high, 0.0) * width
        drawn.append(f'<rect x="{left}" y="{y + 4}" width="{long:.1f}" height="10" fill="#5794f2"/>')
        drawn.append(_text(left, y, f"{_named(labels)}: {_said(value, unit)}", 11, "#ccccdc"))
    return drawn


def _text(x: float, y: float, text: str, size: int, colour: str) -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}">{escape(text)}</text>'


def _named(labels: Mapping[str, str]) -> str:
    told = [
        value or "-" for name, value in sorted(labels.items()) if name not in {"__name__", "job", "instance", "role"}
    ]
    return " ".join(told) or "all"


def _said(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{value:.1%}"
    if unit == "s":
        return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"
    if unit == "currencyUSD":
        return f"${value:.4g}"
    return f"{value:,.3g}" + {"reqps": " req/s"}.get(unit, "")
