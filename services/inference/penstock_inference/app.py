"""The inference service's composition root."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import aiohttp
import grpc

from penstock_common.configuration import ConfigurationError
from penstock_common.llm.types import Candidate
from penstock_common.service import Service
from penstock_inference.adapters.providers.openai.client import OpenAIUpstream, http_session
from penstock_inference.adapters.providers.openai.request import DIALECTS
from penstock_inference.adapters.providers.triton.client import TritonUpstream, triton_channel
from penstock_inference.adapters.providers.triton.control import TritonModelControl
from penstock_inference.adapters.providers.triton.request import CHATML, ChatTemplate, TritonModel
from penstock_inference.domain.attempt_loop import AttemptLoop, Pauses
from penstock_inference.domain.catalogue import Capability, Catalogue, Model, Timeouts
from penstock_inference.domain.model_control import ModelAdministration
from penstock_inference.domain.upstream import Upstream
from penstock_inference.settings import ModelSettings, Settings, TimeoutSettings, UpstreamSettings
from penstock_inference.surfaces.grpc.servicer import InferenceServicer


@asynccontextmanager
async def build(settings: Settings, pauses: Pauses | None = None) -> AsyncGenerator[Service, None]:
    """Yield the inference service, its connections open; ``pauses`` is for tests.

    Raises:
        ConfigurationError: if a chat template cannot be used.
    """
    catalogue = catalogue_from(settings)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(http_session())
        channels = await _triton_channels(settings, stack)
        upstreams = {
            upstream.name: _upstream(upstream, session, channels.get(upstream.name)) for upstream in settings.upstreams
        }
        models = _administration(settings, catalogue, channels)
        servicer = InferenceServicer(AttemptLoop(upstreams, catalogue, pauses), models)
        yield Service("inference", servicer.handlers())


@asynccontextmanager
async def open_models(settings: Settings) -> AsyncGenerator[ModelAdministration]:
    """Yield the models' administration alone, for a command that needs no more of the service."""
    async with AsyncExitStack() as stack:
        channels = await _triton_channels(settings, stack)
        yield _administration(settings, catalogue_from(settings), channels)


async def _triton_channels(settings: Settings, stack: AsyncExitStack) -> dict[str, grpc.aio.Channel]:
    return {
        upstream.name: await stack.enter_async_context(triton_channel(upstream.grpc))
        for upstream in settings.upstreams
        if upstream.provider == "triton"
    }


def _administration(
    settings: Settings, catalogue: Catalogue, channels: Mapping[str, grpc.aio.Channel]
) -> ModelAdministration:
    controls = {
        upstream.name: TritonModelControl(channels[upstream.name], upstream.model_control.key.get_secret_value())
        for upstream in settings.upstreams
        if upstream.model_control is not None
    }
    # Any Triton tells which models are ready; unless it keeps that from strangers, too.
    tellers = {name: controls.get(name) or TritonModelControl(channel) for name, channel in channels.items()}
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
        timeouts=timeouts_from(upstream.timeouts, reasoning=Capability.REASONING in capabilities),
    )


def timeouts_from(settings: TimeoutSettings, *, reasoning: bool) -> Timeouts:
    """Return the timers: what the settings say, else the defaults of the model's kind."""
    defaults = Timeouts.of_reasoning_models() if reasoning else Timeouts()
    said = {name: value for name in type(settings).model_fields if (value := getattr(settings, name)) is not None}
    if "first_token" in said:
        said.setdefault("headers", said["first_token"])
    return replace(defaults, **said)


def _upstream(settings: UpstreamSettings, session: aiohttp.ClientSession, triton: grpc.aio.Channel | None) -> Upstream:
    if triton is not None:
        return TritonUpstream(triton, {model.name: _triton_model(model) for model in settings.models})
    dialect = replace(DIALECTS[settings.provider], passthrough=settings.passthrough)
    return OpenAIUpstream(session, settings.base_url, settings.api_key.get_secret_value(), dialect)


def _triton_model(settings: ModelSettings) -> TritonModel:
    try:
        source = settings.chat_template.read_text(encoding="utf-8") if settings.chat_template else CHATML
        return TritonModel(ChatTemplate(source), settings.context_window)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the chat template of the model '{settings.name}': {error}") from None
