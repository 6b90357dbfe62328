"""The quality of search modes as a drawing: a bar for each mode, a group for each model with its splitter."""

from __future__ import annotations

from xml.sax.saxutils import escape

from penstock_suite.domain.retrieval_evaluation import RetrievalEvaluation

_COLOURS = {"dense": "#7f8c8d", "sparse": "#b9770e", "hybrid": "#2471a3", "hybrid+rerank": "#1e8449"}
_HEIGHT, _LEFT, _TOP, _BOTTOM, _BAR, _GAP = 420, 60, 60, 60, 46, 40


def quality_svg(found: RetrievalEvaluation, title: str) -> str:
    """Return an SVG of nDCG@10 with its 95 % interval."""
    parts: list[str] = []
    x = float(_LEFT + _GAP)
    for run in found.runs:
        begin = x
        for mode, quality in run.modes.items():
            interval = quality.intervals["ndcg@10"]
            middle, top = x + _BAR / 2, _y(quality.ndcg_10)
            parts += [
                f'<rect x="{x:.0f}" y="{top:.1f}" width="{_BAR - 8}" height="{_y(0) - top:.1f}" fill="{_COLOURS[mode]}"/>',
                (
                    f'<line x1="{middle - 4:.0f}" x2="{middle - 4:.0f}" y1="{_y(interval.low):.1f}" '
                    f'y2="{_y(interval.high):.1f}" stroke="black"/>'
                ),
                f'<text x="{x:.0f}" y="{_y(0) - 6:.1f}" fill="white">{quality.ndcg_10:.3f}</text>',
            ]
            x += _BAR
        parts.append(f'<text x="{begin:.0f}" y="{_HEIGHT - 30}">{escape(run.model)}</text>')
        parts.append(f'<text x="{begin:.0f}" y="{_HEIGHT - 14}">{escape(run.splitter)}</text>')
        x += _GAP
    width = max(int(x), 480)
    legend = [
        (
            f'<rect x="{_LEFT + at * 110}" y="34" width="10" height="10" fill="{colour}"/>'
            f'<text x="{_LEFT + 14 + at * 110}" y="43">{escape(mode)}</text>'
        )
        for at, (mode, colour) in enumerate(_COLOURS.items())
    ]
    scale = [
        (
            f'<line x1="{_LEFT}" x2="{width - 10}" y1="{_y(step / 5):.1f}" y2="{_y(step / 5):.1f}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 30}" y="{_y(step / 5) + 4:.1f}">{step / 5:.1f}</text>'
        )
        for step in range(6)
    ]
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" font-family="sans-serif" '
                f'font-size="12"><rect width="{width}" height="{_HEIGHT}" fill="white"/>'
            ),
            f'<text x="{_LEFT}" y="22" font-size="15">{escape(title)}: nDCG@10</text>',
            *legend,
            *scale,
            *parts,
            "</svg>\n",
        ]
    )


def _y(value: float) -> float:
    return _TOP + (1 - value) * (_HEIGHT - _TOP - _BOTTOM)
