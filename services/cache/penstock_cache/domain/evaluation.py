"""What a guard is worth, from pairs that it judged: served share, false hits, by kind, over thresholds, with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

# The normal distribution's quantile for intervals that hold the truth in 95 of 100 cases.
QUANTILE = 1.959964


class JudgedPair(NamedTuple):
    """A labelled pair and what was said of it; ``similarity`` is the cosine, ``score`` and ``is_vetoed`` the guard's."""

    kind: str
    is_same: bool
    score: float
    is_vetoed: bool
    similarity: float


class Interval(NamedTuple):
    """A 95 % interval of a share (Wilson 1927)."""

    low: float
    high: float


class Figures(NamedTuple):
    """Shares at one threshold; a share of nothing is None, never 0."""

    pairs: int
    hits: int
    served_true_ratio: float | None
    served_true_interval: Interval | None
    false_of_hits_ratio: float | None
    false_of_hits_interval: Interval | None
    served_false_ratio: float | None
    served_false_interval: Interval | None


class Point(NamedTuple):
    """The figures at a threshold."""

    threshold: float
    figures: Figures


Serves = Callable[[JudgedPair], bool]


def guarded(threshold: float) -> Serves:
    """Return the rule of the guard: nothing that is vetoed, and what scores at least the threshold."""
    return lambda pair: not pair.is_vetoed and pair.score >= threshold


def bare(threshold: float) -> Serves:
    """Return the rule of a cache that looks at the cosine alone."""
    return lambda pair: pair.similarity >= threshold


def figures_of(pairs: Sequence[JudgedPair], serves: Serves) -> Figures:
    """Return the figures of all pairs together."""
    true, false = [pair for pair in pairs if pair.is_same], [pair for pair in pairs if not pair.is_same]
    served_true, served_false = sum(map(serves, true)), sum(map(serves, false))
    hits = served_true + served_false
    return Figures(
        pairs=len(pairs),
        hits=hits,
        served_true_ratio=_ratio(served_true, len(true)),
        served_true_interval=wilson(served_true, len(true)),
        false_of_hits_ratio=_ratio(served_false, hits),
        false_of_hits_interval=wilson(served_false, hits),
        served_false_ratio=_ratio(served_false, len(false)),
        served_false_interval=wilson(served_false, len(false)),
    )


def by_kind(pairs: Sequence[JudgedPair], serves: Serves) -> dict[str, Figures]:
    """Return the figures of each kind, in alphabetical order."""
    kinds = sorted({pair.kind for pair in pairs})
    return {kind: figures_of([pair for pair in pairs if pair.kind == kind], serves) for kind in kinds}


def trade_off(pairs: Sequence[JudgedPair], rule: Callable[[float], Serves], steps: int = 50) -> list[Point]:
    """Return the figures at evenly spaced thresholds from 0 to 1."""
    return [Point(step / steps, figures_of(pairs, rule(step / steps))) for step in range(steps + 1)]


def wilson(successes: int, trials: int) -> Interval | None:
    """Return the interval of a share; None without trials."""
    if not trials:
        return None
    share, squared = successes / trials, QUANTILE**2
    middle = (share + squared / (2 * trials)) / (1 + squared / trials)
    half = QUANTILE * math.sqrt(share * (1 - share) / trials + squared / (4 * trials**2)) / (1 + squared / trials)
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
