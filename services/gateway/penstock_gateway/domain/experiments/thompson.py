"""Thompson sampling: as many get a variant as it is likely to be the best, inside bounds."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from penstock_gateway.domain.experiments.confidence import Sums
from penstock_gateway.domain.experiments.definition import AdaptiveShares

DRAWS = 2000


def adapted_shares(
    arms: Sequence[Sums], bounds: AdaptiveShares, draws: random.Random, *, more_is_better: bool
) -> list[float]:
    """Return a share for each arm, control's first; equal ones while of some arm nothing is known."""
    variances = [arm.variance_of_mean for arm in arms]
    if not all(map(math.isfinite, variances)):
        return [1 / len(arms)] * len(arms)
    errors, sign = [math.sqrt(variance) for variance in variances], 1 if more_is_better else -1
    wins = [0] * len(arms)
    for _ in range(DRAWS):
        drawn = [sign * draws.gauss(arm.mean, error) for arm, error in zip(arms, errors, strict=True)]
        wins[drawn.index(max(drawn))] += 1
    return bounded([won / DRAWS for won in wins], bounds)


def bounded(shares: Sequence[float], bounds: AdaptiveShares) -> list[float]:
    """Return shares that lie within the bounds and sum up to 1, which the bounds allow, and differ least otherwise."""
    low, high = -1.0, 1.0
    for _ in range(60):
        shift = (low + high) / 2
        if sum(_clipped(share + shift, bounds) for share in shares) < 1:
            low = shift
        else:
            high = shift
    clipped = [_clipped(share + high, bounds) for share in shares]
    return [share / sum(clipped) for share in clipped]


def _clipped(share: float, bounds: AdaptiveShares) -> float:
    return min(max(share, bounds.least), bounds.most)
