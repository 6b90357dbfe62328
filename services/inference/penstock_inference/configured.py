"""The models that the configuration describes, as the domain knows them."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from penstock_common.datasheet.sheet import Facts
from penstock_common.llm.types import NANO_USD_PER_USD, Candidate, UnitPrices
from penstock_common.prices import Price, unit_prices_of
from penstock_inference.adapters.providers.upstream_settings import ModelSettings, TimeoutSettings, UpstreamSettings
from penstock_inference.domain.catalogue import WHOLE_PER_FIRST_TOKEN, Capability, Catalogue, Model, Timeouts
from penstock_inference.domain.model_facts import UNKNOWN_MODEL, ModelFacts
from penstock_inference.domain.price_steps import PriceStep
from penstock_inference.settings import Settings

_PRICED_SEARCH_UNITS = 1000


def catalogue_from(settings: Settings) -> Catalogue:
    """Return the catalogue that the settings describe."""
    return Catalogue(_model(upstream, model) for upstream in settings.upstreams for model in upstream.models)


def _model(upstream: UpstreamSettings, settings: ModelSettings) -> Model:
    capabilities = frozenset(Capability(name) for name in settings.capabilities)
    tiers = settings.service_tiers
    steps = {name: _steps(price) for name, price in (("", settings.price), *tiers.items()) if price and price.steps}
    return Model(
        candidate=Candidate(upstream=upstream.name, model=settings.name),
        context_window_tokens=settings.context_window,
        capabilities=capabilities,
        prices=_prices(settings),
        tier_prices={name: price.unit_prices() for name, price in tiers.items()},
        price_steps=steps,
        timeouts=timeouts_from(upstream.timeouts, reasoning=Capability.REASONING in capabilities),
        whole_answers=upstream.asks_whole(settings),
        facts=_facts(settings.facts, capabilities),
        search_unit_nano_usd=_search_unit_nano_usd(settings),
        provider=upstream.provider,
    )


def _prices(settings: ModelSettings) -> UnitPrices:
    """Return what tokens cost: nothing where searches are billed in their place."""
    searches_alone = settings.price is None and settings.search_price is not None
    return UnitPrices() if searches_alone else unit_prices_of(settings.price)


def _search_unit_nano_usd(settings: ModelSettings) -> int:
    price = settings.search_price
    return 0 if price is None else int((price * NANO_USD_PER_USD / _PRICED_SEARCH_UNITS).to_integral_value())


def _steps(price: Price) -> tuple[PriceStep, ...]:
    return tuple(
        PriceStep(step.above_input_tokens, prices, step.counts_cached) for step, prices in price.unit_prices_above()
    )


def _facts(settings: Facts, capabilities: frozenset[Capability]) -> ModelFacts:
    """Return the facts; what is a capability, too, is said there alone."""
    told = settings.model_dump(exclude_none=True)
    facts = msgspec.convert(told, ModelFacts) if told else UNKNOWN_MODEL
    return msgspec.structs.replace(
        facts, prefill=Capability.PREFILL in capabilities, json_schema=Capability.JSON_SCHEMA in capabilities
    )


def timeouts_from(settings: TimeoutSettings, *, reasoning: bool) -> Timeouts:
    """Return the timers: what the settings say, else the defaults of the model's kind."""
    defaults = Timeouts.of_reasoning_models() if reasoning else Timeouts()
    said = {name: value for name in type(settings).model_fields if (value := getattr(settings, name)) is not None}
    if "first_token" in said:
        said.setdefault("headers", said["first_token"])
        said.setdefault("whole", said["first_token"] * WHOLE_PER_FIRST_TOKEN)
        said.setdefault("first_token_with_others", said["first_token"])
    if "idle" in said:
        said.setdefault("idle_with_others", said["idle"])
    return replace(defaults, **said)
