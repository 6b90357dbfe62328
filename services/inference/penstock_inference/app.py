"""The inference service's composition root."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from penstock_common.http.client import HttpClient
from penstock_common.llm.types import Candidate
from penstock_common.service import Role, Service
from penstock_inference.adapters.providers.provider import ModelsOfUpstream
from penstock_inference.adapters.providers.registry import PROVIDERS
from penstock_inference.adapters.providers.upstream_settings import ModelSettings, TimeoutSettings, UpstreamSettings
from penstock_inference.adapters.telemetry import AttemptTelemetry
from penstock_inference.domain.attempt_loop import AttemptLoop
from penstock_inference.domain.catalogue import WHOLE_PER_FIRST_TOKEN, Capability, Catalogue, Model, Timeouts
from penstock_inference.domain.endpoint import Endpoint, Pool
from penstock_inference.domain.generation import GenerationParts, Pauses
from penstock_inference.domain.model_control import ModelAdministration
from penstock_inference.settings import Settings
from penstock_inference.surfaces.grpc.servicer import InferenceServicer


@asynccontextmanager
async def build(settings: Settings, pauses: Pauses | None = None) -> AsyncGenerator[Service, None]:
    """Yield the inference service, its connections open; ``pauses`` is for tests.

    Raises:
        ConfigurationError: if an upstream's address or a chat template cannot be used.
    """
    catalogue = catalogue_from(settings)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(HttpClient())
        opened = {
            upstream.name: await stack.enter_async_context(PROVIDERS[upstream.provider].open_upstream(upstream, client))
            for upstream in settings.upstreams
        }
        pools = {name: Pool((Endpoint(one.upstream),)) for name, one in opened.items()}
        models = {name: one.models for name, one in opened.items() if one.models is not None}
        telemetry = AttemptTelemetry()
        attempt_loop = AttemptLoop(GenerationParts(pools, catalogue, pauses or Pauses(), telemetry))
        servicer = InferenceServicer(attempt_loop, _administration(catalogue, models))
        yield Service("inference", servicer.handlers(), collectors=[telemetry])


@asynccontextmanager
async def open_models(settings: Settings) -> AsyncGenerator[ModelAdministration]:
    """Yield the models' administration alone, for a command that needs no more of the service."""
    async with AsyncExitStack() as stack:
        models = {
            upstream.name: await stack.enter_async_context(opening(upstream))
            for upstream in settings.upstreams
            if (opening := PROVIDERS[upstream.provider].open_models) is not None
        }
        yield _administration(catalogue_from(settings), models)


def _administration(catalogue: Catalogue, models: Mapping[str, ModelsOfUpstream]) -> ModelAdministration:
    tellers = {name: one.states for name, one in models.items()}
    controls = {name: one.control for name, one in models.items() if one.control is not None}
    return ModelAdministration(catalogue, tellers, controls)


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
        answers_whole=upstream.answers_whole(settings),
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


ROLE = Role(Settings, build)
