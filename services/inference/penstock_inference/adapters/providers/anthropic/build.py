"""Makes an upstream of Anthropic's format from its settings."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from penstock_common.configuration import ConfigurationError
from penstock_common.http.client import HttpPools
from penstock_inference.adapters.providers.anthropic.client import AnthropicUpstream
from penstock_inference.adapters.providers.anthropic.request import Options
from penstock_inference.adapters.providers.anthropic.settings import AnthropicSettings
from penstock_inference.adapters.providers.provider import OpenUpstream


@asynccontextmanager
async def open_upstream(settings: AnthropicSettings, client: HttpPools) -> AsyncGenerator[OpenUpstream, None]:
    """Yield the upstream; its connections are the client's.

    Raises:
        ConfigurationError: if its address cannot be one.
    """
    options = Options(
        api_version=settings.api_version,
        betas=tuple(settings.betas),
        default_max_tokens=settings.default_max_tokens,
        thinking_display=settings.thinking_display,
        passthrough=settings.passthrough,
        service_tiers=any(model.service_tiers for model in settings.models),
    )
    credentials = settings.auth, settings.api_key.get_secret_value()
    try:
        upstream = AnthropicUpstream(client, settings.base_url, credentials, options)
    except ValueError as error:
        raise ConfigurationError(f"'base_url' of the upstream '{settings.name}': {error}") from None
    yield OpenUpstream(upstream)
