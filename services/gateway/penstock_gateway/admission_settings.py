"""How requests are counted against limits, as the configuration says it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from penstock_common.configuration import Section
from penstock_gateway.domain.limits.needs import NeedTerms, Weights

Weight = Annotated[float, Field(ge=0, le=100)]
Share = Annotated[float, Field(gt=0, le=1)]


class TokenWeights(Section):
    """What tokens count for in limits of tokens; fractions of a request's sum are rounded up."""

    input: Weight = 1.0
    """What is asked and read anew."""
    cached_input: Weight = 1.0
    """What is asked and the provider remembers."""
    output: Weight = 1.0
    """What is answered, reasoning with it."""


class AdmissionSettings(Section):
    """What a request is taken to use before it is known, and what holds while Redis is away."""

    token_weights: TokenWeights = TokenWeights()
    output_quantile: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Of the lengths of a tenant's earlier answers of a model: what the next is taken to have."""
    first_output_tokens: Annotated[int, Field(gt=0)] = 1024
    """What an answer is taken to have while too little is known of earlier ones."""
    most_output_tokens: Annotated[int, Field(gt=0)] = 32_768
    """What an answer may have at most whose request says nothing of that, where it cannot be watched while it is written."""
    unknown_price: Literal["refuse", "allow"] = "refuse"
    """What becomes of requests that a budget binds, for models without a price: one of 0 is a price, too."""
    disclose: Literal["share", "amount"] = "share"
    """What a refused caller is told of a budget: which part of it is used, or how many dollars, too."""
    headroom_share: Share = 0.125
    """The part of what is left of a budget that one request may have beyond what it is expected to cost; it asks for more
    before it has used that."""
    without_redis: Literal["share", "open", "closed"] = "share"
    """What holds while Redis is away: each process' share of the limits, as it was last known; no limit; or no request."""
    budgets_without_redis: Literal["share", "closed"] = "share"
    """What holds for money then: as for the rest, or no request that costs any. A process that alone is cut off from Redis
    may spend its share of what was left of a budget while others spend it, too: `closed` never overruns, and serves less."""
    processes: Annotated[int, Field(ge=1, le=10_000)] = 1
    """At least so many gateways share limits while Redis is away; more where more were heard of. It is what a gateway
    that starts while Redis is away goes by."""

    @property
    def terms(self) -> NeedTerms:
        """How needs are estimated, as the domain knows it."""
        weights = self.token_weights
        return NeedTerms(
            weights=Weights(weights.input, weights.cached_input, weights.output),
            output_quantile=self.output_quantile,
            first_output_tokens=self.first_output_tokens,
            most_output_tokens=self.most_output_tokens,
            allows_unknown_prices=self.unknown_price == "allow",
            discloses_amounts=self.disclose == "amount",
        )
