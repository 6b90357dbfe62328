"""Whether a series of samples rises: by its slope, and by whether the rise could be chance."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

Series = Sequence[tuple[float, float]]
"""Seconds and values, in order of time."""

_MOST_POINTS = 240
"""Pairs are compared, so that more are gathered into so many medians."""
_SURE = 3.0
"""Standard deviations: a series without a trend is called rising once in 700 times."""


@dataclass(frozen=True)
class Trend:
    """What a series comes to."""

    first: float
    """Median of its first tenth."""
    last: float
    """Median of its last tenth."""
    growth: float
    """Over the whole of it, by its slope."""
    per_hour: float
    sure: bool
    """Whether its rise or fall is more than chance."""

    def rises(self, tolerance: float) -> bool:
        """Whether it rises, by more than may be."""
        return self.sure and self.growth > tolerance


def trend(series: Series) -> Trend:
    """Return where a series goes: the slope of Theil and Sen (the median of those between all pairs), the test of Mann and Kendall.

    Both look at order and not at size, so that a spike, a restart of the cache or one large body are no trend.
    """
    points = _gathered(series)
    slopes = [(b - a) / (t - s) for (s, a), (t, b) in itertools.combinations(points, 2) if t > s]
    slope = median(slopes) if slopes else 0.0
    tenth = max(len(points) // 10, 1)
    values = [value for _, value in points]
    return Trend(
        first=median(values[:tenth]) if values else 0.0,
        last=median(values[-tenth:]) if values else 0.0,
        growth=slope * (points[-1][0] - points[0][0]) if points else 0.0,
        per_hour=slope * 3600,
        sure=abs(_score(values)) > _SURE,
    )


def _gathered(series: Series) -> list[tuple[float, float]]:
    size = -(-len(series) // _MOST_POINTS) or 1
    parts = [series[start : start + size] for start in range(0, len(series), size)]
    return [(median(at for at, _ in part), median(value for _, value in part)) for part in parts]


def _score(values: Sequence[float]) -> float:
    """Return Mann and Kendall's Z, with the correction for equal values."""
    count = len(values)
    rises = sum((b > a) - (b < a) for a, b in itertools.combinations(values, 2))
    equal = Counter(values).values()
    variance = (count * (count - 1) * (2 * count + 5) - sum(n * (n - 1) * (2 * n + 5) for n in equal)) / 18
    return (rises - math.copysign(1, rises)) / math.sqrt(variance) if rises and variance else 0.0
