"""What a request would be billed at if it always went to the best model: what routing is measured by."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_common.llm.types import UnitPrices
from penstock_router.domain.catalogue import UpstreamModel
from penstock_router.domain.figures import of_task


def best_prices(entries: Sequence[UpstreamModel], task: str, input_tokens: int) -> UnitPrices | None:
    """Return the prices of the best of the ``entries``; None where they are not known.

    The best is of the highest configured quality at the task, among equals the dearest by its output; where no quality is
    configured, the dearest of all whose price is known.
    """
    billed = [(of_task(entry.quality, task), entry.prices_of(input_tokens)) for entry in entries]
    rated = [(quality, prices) for quality, prices in billed if quality is not None]
    candidates = rated or [(0.0, prices) for _, prices in billed if not prices.is_unknown]
    if not candidates:
        return None
    _, prices = max(candidates, key=_worth)
    return None if prices.is_unknown else prices


def _worth(rated: tuple[float, UnitPrices]) -> tuple[float, int]:
    quality, prices = rated
    return quality, prices.output_nano_usd
