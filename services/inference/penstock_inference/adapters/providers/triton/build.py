"""Makes an upstream, and the administration of its models, from a Triton's settings."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import grpc

from penstock_common.configuration import ConfigurationError
from penstock_common.http.client import HttpPools
from penstock_inference.adapters.providers.provider import ModelsOfUpstream, OpenUpstream
from penstock_inference.adapters.providers.triton.client import TritonUpstream, triton_channel
from penstock_inference.adapters.providers.triton.control import TritonModelControl
from penstock_inference.adapters.providers.triton.request import CHATML, ChatTemplate, TritonModel
from penstock_inference.adapters.providers.triton.settings import TritonSettings
from penstock_inference.adapters.providers.upstream_settings import ModelSettings


@asynccontextmanager
async def open_upstream(settings: TritonSettings, _: HttpPools) -> AsyncGenerator[OpenUpstream, None]:
    """Yield the upstream and its models' administration, on one channel.

    Raises:
        ConfigurationError: if a chat template cannot be used.
    """
    models = {model.name: _model(model) for model in settings.models}
    async with triton_channel(settings.grpc) as channel:
        yield OpenUpstream(TritonUpstream(channel, models), _models(settings, channel))


@asynccontextmanager
async def open_models(settings: TritonSettings) -> AsyncGenerator[ModelsOfUpstream, None]:
    """Yield the models' administration alone."""
    async with triton_channel(settings.grpc) as channel:
        yield _models(settings, channel)


def _models(settings: TritonSettings, channel: grpc.aio.Channel) -> ModelsOfUpstream:
    if settings.model_control is None:
        # Any Triton tells which models are ready; unless it keeps that from strangers, too.
        return ModelsOfUpstream(TritonModelControl(channel))
    control = TritonModelControl(channel, settings.model_control.key.get_secret_value())
    return ModelsOfUpstream(control, control)


def _model(settings: ModelSettings) -> TritonModel:
    try:
        source = settings.chat_template.read_text(encoding="utf-8") if settings.chat_template else CHATML
        return TritonModel(ChatTemplate(source), settings.context_window)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the chat template of the model '{settings.name}': {error}") from None
