"""What long requests cost: the whole of them, by the highest step that their input is above."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock_common.llm.types import UnitPrices, Usage


class PriceStep(msgspec.Struct, frozen=True):
    """The prices of requests of more than ``above_input_tokens``; what the provider remembered counts, or does not."""

    above_input_tokens: int
    prices: UnitPrices
    counts_cached: bool = True

    def holds(self, usage: Usage) -> bool:
        """Return whether it is what a request costs."""
        counted = usage.input_tokens - (0 if self.counts_cached else usage.cached_input_tokens)
        return counted > self.above_input_tokens


def prices_at(usage: Usage, prices: UnitPrices, steps: Sequence[PriceStep]) -> UnitPrices:
    """Return what a request costs; ``steps`` begin with the lowest, ``prices`` are those below them."""
    for step in reversed(steps):
        if step.holds(usage):
            return step.prices
    return prices
