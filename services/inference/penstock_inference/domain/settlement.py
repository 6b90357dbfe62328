"""What a whole answer has cost, at the prices of the tier that it was asked for, or served at."""

from __future__ import annotations

from penstock_common.llm.types import Finished, UnitPrices, Usage, cost_nano_usd
from penstock_inference.domain.attempt import Attempt
from penstock_inference.domain.catalogue import Model
from penstock_inference.domain.generation import AttemptObserver
from penstock_inference.domain.tiers import prices_of


def asked_prices(model: Model, tier: str) -> UnitPrices:
    """Return what is billed while the upstream has not said at which tier it answers; ``tier`` was asked for."""
    return model.tier_prices.get(tier, model.prices)


def finished_of(attempt: Attempt, usage: Usage, tier: str, attempts: int, observer: AttemptObserver) -> Finished:
    """Return the end of an answer that this attempt gave, the last of so many; ``tier`` was asked for."""
    model, stopped = attempt.model, attempt.stopped
    assert stopped is not None, "the answer is whole"
    prices = model.prices
    if tier or stopped.service_tier:
        told = prices_of(model, tier, stopped.service_tier)
        if told is None:
            observer.unpriced(model.candidate, stopped.service_tier)
            told = asked_prices(model, tier)
        prices = told
    return Finished(
        reason=stopped.reason,
        answered_by=model.candidate,
        matched_stop=stopped.matched_stop,
        attempts=attempts,
        cost_nano_usd=cost_nano_usd(usage, prices),
        unit_prices=prices,
    )
