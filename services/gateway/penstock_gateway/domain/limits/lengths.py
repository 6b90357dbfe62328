"""How long answers are, by what a tenant's earlier answers of a model were."""

from __future__ import annotations

import math
from collections import OrderedDict

import msgspec

LEAST_SAMPLES = 20
"""While fewer answers are known of a tenant and a model, what they tell is not believed."""
LEAST_TOKENS = 64
"""What any answer is taken to have: a flood of short ones does not make the next ones look free."""
MOST_SKETCHES = 4096
"""Of tenants and models; who was not heard of for longest is forgotten first."""

_STEPS_PER_DOUBLING = 4
# Older answers count half of it as soon as so many newer ones are known.
_HALVED_AT = 256


class _Sketch(msgspec.Struct):
    """Counts of lengths, by steps of 19 %; the total is their sum."""

    counts: dict[int, float] = msgspec.field(default_factory=dict[int, float])
    total: float = 0.0
    seen: int = 0


class Lengths:
    """A decaying sketch of quantiles for each tenant and public model; as exact as 19 % upwards.

    ``quantile`` is in (0, 1), ``first`` in tokens: what an answer is taken to have while too little is known.
    """

    def __init__(self, quantile: float, first: int) -> None:
        self._quantile = quantile
        self._first = first
        self._sketches: OrderedDict[tuple[str, str], _Sketch] = OrderedDict()

    def note(self, tenant: str, model: str, tokens: int) -> None:
        """Take in one answer's length."""
        key = (tenant, model)
        sketch = self._sketches.get(key)
        if sketch is None:
            sketch = self._sketches[key] = _Sketch()
            if len(self._sketches) > MOST_SKETCHES:
                self._sketches.popitem(last=False)
        self._sketches.move_to_end(key)
        step = math.ceil(math.log2(max(1, tokens)) * _STEPS_PER_DOUBLING)
        sketch.counts[step] = sketch.counts.get(step, 0.0) + 1.0
        sketch.total += 1.0
        sketch.seen += 1
        if sketch.total >= _HALVED_AT:
            sketch.counts = {step: count / 2 for step, count in sketch.counts.items() if count > 0.1}  # noqa: PLR2004 - next to nothing
            sketch.total = sum(sketch.counts.values())

    def expected(self, tenant: str, model: str) -> int:
        """Return what the next answer is taken to have, in tokens."""
        sketch = self._sketches.get((tenant, model))
        if sketch is None or sketch.seen < LEAST_SAMPLES:
            return self._first
        wanted, step = self._quantile * sketch.total, 0
        for step in sorted(sketch.counts):
            wanted -= sketch.counts[step]
            if wanted <= 0:
                break
        return max(LEAST_TOKENS, math.ceil(2 ** (step / _STEPS_PER_DOUBLING)))
