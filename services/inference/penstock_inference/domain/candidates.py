"""Which of a plan's models this instance can ask."""

from __future__ import annotations

from penstock_common import errors
from penstock_common.llm.types import GenerationInput, Plan
from penstock_inference.domain.catalogue import Catalogue, Model
from penstock_inference.domain.tiers import AskedTier


def models_of(plan: Plan, catalogue: Catalogue, value: GenerationInput, tier: AskedTier | None = None) -> list[Model]:
    """Return the plan's models that this instance knows, in order, each once; at least one.

    Raises:
        InvalidRequest: if the plan is empty.
        NoHealthyUpstream: if this instance knows none of its candidates.
        UnsupportedParameter: if none of them has a price for the tier that is asked for.
    """
    if not plan.candidates:
        raise errors.InvalidRequest("A plan needs at least one candidate.", field="plan.candidates")
    known: list[Model] = []
    for candidate in plan.candidates:
        model = catalogue.find(candidate)
        if model is not None and model not in known:
            known.append(model)
    if not known:
        names = ", ".join(map(str, plan.candidates))
        raise errors.NoHealthyUpstream(f"This instance knows none of {names}.", model=value.model)
    return known if tier is None else _with_a_price_for(tier, known, value.model)


def _with_a_price_for(tier: AskedTier, models: list[Model], asked: str) -> list[Model]:
    priced = [model for model in models if tier.name in model.tier_prices]
    if not priced:
        choice = f"{tier.field}: {tier.name}" if tier.name else tier.field
        raise errors.UnsupportedParameter(
            f"'{choice}' changes what an answer costs, and no candidate of the model '{asked}' has a price for it "
            "('service_tiers' of the upstream's model). Leave it out.",
            parameter=tier.field,
        )
    return priced
