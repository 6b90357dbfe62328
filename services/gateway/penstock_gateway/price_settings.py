"""What models cost, as far as the history of prices keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import ConfigDict

from penstock_common.configuration import Section
from penstock_common.prices import Price, unit_prices_of
from penstock_gateway.domain.ledger.prices import Offer


class PricedModel(Section):
    """A model at an upstream, and what it costs."""

    model_config = ConfigDict(extra="ignore")

    name: str = ""
    price: Price | None = None
    service_tiers: dict[str, Price] = {}


class PricedUpstream(Section):
    """An upstream whose models cost something; its keys are nothing that a gateway holds."""

    model_config = ConfigDict(extra="ignore")

    name: str = ""
    models: list[PricedModel] = []


def offers_of(upstreams: Iterable[PricedUpstream]) -> list[Offer]:
    """Return every price that the configuration says."""
    return [offer for upstream in upstreams for model in upstream.models for offer in _offers(upstream.name, model)]


def _offers(upstream: str, model: PricedModel) -> Iterator[Offer]:
    tiers: dict[str, Price | None] = {"": model.price, **model.service_tiers}
    for tier, price in tiers.items():
        yield Offer(upstream, model.name, unit_prices_of(price), tier)
        for step, prices in price.unit_prices_above() if price is not None else ():
            yield Offer(upstream, model.name, prices, tier, step.above_input_tokens)
