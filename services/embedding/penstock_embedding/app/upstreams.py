"""From settings to whom the service asks: places in the order of preference, their prices, and how they stand in for each other."""

from __future__ import annotations

from collections.abc import Mapping

from penstock_common.llm.types import UnitPrices
from penstock_embedding.adapters.providers.formats import FORMATS
from penstock_embedding.adapters.providers.openai.client import ProviderModel
from penstock_embedding.adapters.providers.openai.upstream import ProviderPlace
from penstock_embedding.adapters.triton.place import TritonPlace
from penstock_embedding.domain.embedder import OWN_UPSTREAM, ModelOffer
from penstock_embedding.domain.upstream import FailoverPolicy
from penstock_embedding.settings import (
    EmbeddingSettings,
    ProviderSettings,
    ProviderStandby,
    TritonSettings,
    TritonStandby,
)


def upstreams_of(settings: EmbeddingSettings) -> tuple[ProviderStandby, ...] | tuple[TritonStandby, ...]:
    """Return the settings of all upstreams in the order of preference; none where the service runs the model itself."""
    if settings.provider is not None:
        return (settings.provider, *settings.provider.standbys)
    if settings.triton is not None:
        return (settings.triton, *settings.triton.standbys)
    return ()


def offer_of(settings: EmbeddingSettings, window_tokens: int) -> ModelOffer:
    """Return what callers may ask of the model, and at which prices."""
    usual = settings.price.unit_prices()
    prices: Mapping[str, UnitPrices] = {
        upstream.name: upstream.price.unit_prices() if upstream.price is not None else usual
        for upstream in upstreams_of(settings)
    }
    first = next(iter(prices), OWN_UPSTREAM)
    return ModelOffer(settings.min_dimensions, window_tokens, usual, first, prices)


def provider_model(settings: EmbeddingSettings, first: ProviderSettings) -> ProviderModel:
    """Return the providers that serve the model."""
    all_of_them = (first, *first.standbys)
    return ProviderModel(
        name=settings.model,
        places=tuple([_provider_place(settings.model, place) for place in all_of_them]),
        revision=first.revision,
        policy=FailoverPolicy(first.attempts, settings.dimensions),
        max_in_flight=first.max_in_flight,
        max_inputs=min(min(place.max_inputs, FORMATS[place.format].most_inputs) for place in all_of_them),
    )


def triton_places(settings: EmbeddingSettings, first: TritonSettings) -> tuple[TritonPlace, ...]:
    """Return the Tritons that serve the model."""
    standbys = [
        _triton_place(settings, first, standby, f"embedding.triton.standbys[{index}]")
        for index, standby in enumerate(first.standbys)
    ]
    return (_triton_place(settings, first, first, "embedding.triton"), *standbys)


def _provider_place(name: str, settings: ProviderStandby) -> ProviderPlace:
    return ProviderPlace(
        upstream=settings.name,
        model=settings.model or name,
        base_url=settings.base_url,
        api_key=settings.api_key.get_secret_value(),
        format=settings.format,
        connect_timeout=settings.connect_timeout,
        timeout=settings.timeout,
        timeout_with_others=min(settings.timeout, settings.timeout_with_others),
    )


def _triton_place(settings: EmbeddingSettings, first: TritonSettings, own: TritonStandby, key: str) -> TritonPlace:
    return TritonPlace(
        upstream=own.name,
        target=own.target,
        model=own.model or settings.model,
        version=own.version,
        timeout=own.timeout,
        timeout_with_others=min(own.timeout, own.timeout_with_others),
        key=key,
        patience=first.start_timeout if settings.load == "at_start" else None,
        most_texts=settings.max_batch,
    )
