"""The quality of search modes as a drawing: a bar for each mode, a group for each model with its splitter."""

from __future__ import annotations

from xml.sax.saxutils import escape

from penstock_suite.domain.retrieval_evaluation import RetrievalEvaluation, Run

_COLOURS = {"dense": "#7f8c8d", "sparse": "#b9770e", "hybrid": "#2471a3", "hybrid+rerank": "#1e8449"}
_HEIGHT, _LEFT, _TOP, _BOTTOM, _BAR, _GAP = 420, 60, 60, 60, 46, 40


def quality_svg(found: RetrievalEvaluation, title: str) -> str:
    """Return an SVG of nDCG@10 with its 95 % interval."""
    parts: list[str] = []
    x = _LEFT + _GAP
    for run in found.runs:
        parts += _group(run, x)
        x += _BAR * len(run.modes) + _GAP
    width = max(x, 480)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{width}" height="{_HEIGHT}" fill="white"/>'
    )
    name = f'<text x="{_LEFT}" y="22" font-size="15">{escape(title)}: nDCG@10</text>'
    return "\n".join([head, name, *_legend(), *_scale(width), *parts, "</svg>\n"])


def _group(run: Run, x: int) -> list[str]:
    parts = [
        f'<text x="{x}" y="{_HEIGHT - 30}">{escape(run.model)}</text>',
        f'<text x="{x}" y="{_HEIGHT - 14}">{escape(run.splitter)}</text>',
    ]
    for mode, quality in run.modes.items():
        interval, top = quality.intervals["ndcg@10"], _y(quality.ndcg_10)
        middle = x + _BAR // 2 - 4
        parts += [
            f'<rect x="{x}" y="{top:.1f}" width="{_BAR - 8}" height="{_y(0) - top:.1f}" fill="{_COLOURS[mode]}"/>',
            f'<line x1="{middle}" x2="{middle}" y1="{_y(interval.low):.1f}" y2="{_y(interval.high):.1f}" stroke="black"/>',
            f'<text x="{x}" y="{_y(0) - 6:.1f}" fill="white">{quality.ndcg_10:.3f}</text>',
        ]
        x += _BAR
    return parts


def _legend() -> list[str]:
    return [
        (
            f'<rect x="{_LEFT + at * 110}" y="34" width="10" height="10" fill="{colour}"/>'
            f'<text x="{_LEFT + 14 + at * 110}" y="43">{escape(mode)}</text>'
        )
        for at, (mode, colour) in enumerate(_COLOURS.items())
    ]


def _scale(width: int) -> list[str]:
    return [
        (
            f'<line x1="{_LEFT}" x2="{width - 10}" y1="{_y(step / 5):.1f}" y2="{_y(step / 5):.1f}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 30}" y="{_y(step / 5) + 4:.1f}">{step / 5:.1f}</text>'
        )
        for step in range(6)
    ]


def _y(value: float) -> float:
    return _TOP + (1 - value) * (_HEIGHT - _TOP - _BOTTOM)
