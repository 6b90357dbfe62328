"""Whether units come in the shares that were set: if not, something else than chance decides who is counted.

The test of Lindon and Malek ("Anytime-valid inference for multinomial count data", 2022): the ratio of a Dirichlet
mixture's likelihood to that of the shares is a martingale, so it may be looked at at any time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

MISMATCH_PROBABILITY = 0.001
"""Below this, shares are not what they were set to be."""
# How much the mixture expects shares near the set ones: mismatches of a few percent are found soonest.
_CONCENTRATION = 1000.0
_MOST_EXPONENT = 700.0


def mismatch_probability(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return a p-value that holds at every look; ``counts`` are units of each variant, ``shares`` sum up to 1."""
    seen = [(count, share) for count, share in zip(counts, shares, strict=True) if share > 0]
    if sum(counts) > sum(count for count, _ in seen):
        # Somebody has what nobody should.
        return 0.0
    total = sum(counts)
    log_ratio = math.lgamma(_CONCENTRATION) - math.lgamma(_CONCENTRATION + total)
    for count, share in seen:
        weight = _CONCENTRATION * share
        log_ratio += math.lgamma(weight + count) - math.lgamma(weight) - count * math.log(share)
    return math.exp(-min(max(log_ratio, 0.0), _MOST_EXPONENT))
