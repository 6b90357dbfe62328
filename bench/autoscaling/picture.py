"""Rehearsals for people: a plot of text and rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from autoscaling.loads import CLASSES
from autoscaling.rehearsal import Moment, Summary

_BARS = " ▁▂▃▄▅▆▇█"
_COLUMNS = 72


def plot(moments: Sequence[Moment]) -> Iterator[str]:
    """Yield lines: load, replicas wanted and ready, time in the queue, and who was dropped, each against its own height."""
    size = -(-len(moments) // _COLUMNS)
    parts = [moments[at : at + size] for at in range(0, len(moments), size)]
    lines: list[tuple[str, list[float], str]] = [
        ("came, a second", [sum(sum(m.came) for m in part) / len(part) / 15 for part in parts], "{:.4g}"),
        ("replicas wanted", [max(m.wanted for m in part) for part in parts], "{:.0f}"),
        ("replicas ready", [max(m.ready for m in part) for part in parts], "{:.0f}"),
        ("queue, seconds", [max(m.wait_seconds for m in part) for part in parts], "{:.1f}"),
    ]
    for at, name in enumerate(CLASSES):
        lines.append((f"dropped {name}", [sum(m.dropped[at] for m in part) for part in parts], "{:.0f}"))
    for title, heights, form in lines:
        most = max(heights)
        yield f"  {title:18}{_bars(heights, most)} {form.format(most)} at most"
    minutes = f"{moments[-1].second / 60:.0f} min"
    yield f"  {'':18}0{minutes:>{max(len(parts) - 1, len(minutes))}}"


def _bars(heights: Sequence[float], most: float) -> str:
    if not most:
        return "·" * len(heights)
    # Whatever there is of something is seen.
    return "".join(_BARS[max(round(each / most * 8), 1 if each else 0)] for each in heights)


HEAD = (
    f"{'kind':18}{'load':10}{'by':6}{'critical':>10}{'default':>18}{'sheddable':>18}{'wait, s':>9}{'most':>6}{'last':>6}"
    f"{'changes':>9}{'turns':>7}{'pod h':>8}"
)
"""Over rows; of each class but the critical one, dropped and came."""


def row(kind: str, load: str, how: str, found: Summary) -> str:
    """Return one."""
    dropped = [f"{found.dropped[name]}/{found.came[name]}" for name in CLASSES]
    return (
        f"{kind:18}{load:10}{how:6}{found.dropped['critical']:>10}{dropped[1]:>18}{dropped[2]:>18}{found.worst_wait_seconds:>9}"
        f"{found.most:>6}{found.last:>6}{found.changes:>9}{found.turns:>7}{found.pod_hours:>8}"
    )
