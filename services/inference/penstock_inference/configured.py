"""The models that the configuration describes, as the domain knows them."""

from __future__ import annotations

from dataclasses import replace

from penstock_common.llm.types import Candidate
from penstock_inference.adapters.providers.upstream_settings import ModelSettings, TimeoutSettings, UpstreamSettings
from penstock_inference.domain.catalogue import WHOLE_PER_FIRST_TOKEN, Capability, Catalogue, Model, Timeouts
from penstock_inference.settings import Settings


def catalogue_from(settings: Settings) -> Catalogue:
    """Return the catalogue that the settings describe."""
    return Catalogue(_model(upstream, model) for upstream in settings.upstreams for model in upstream.models)


def _model(upstream: UpstreamSettings, settings: ModelSettings) -> Model:
    capabilities = frozenset(Capability(name) for name in settings.capabilities)
    return Model(
        candidate=Candidate(upstream=upstream.name, model=settings.name),
        context_window_tokens=settings.context_window,
        capabilities=capabilities,
        prices=settings.price.unit_prices(),
        tier_prices={name: price.unit_prices() for name, price in settings.service_tiers.items()},
        timeouts=timeouts_from(upstream.timeouts, reasoning=Capability.REASONING in capabilities),
        whole_answers=upstream.asks_whole(settings),
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
