"""Makes an upstream of OpenAI's format from its settings."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

from penstock_common.configuration import ConfigurationError
from penstock_common.http.client import HttpClient
from penstock_inference.adapters.providers.openai.client import OpenAIUpstream
from penstock_inference.adapters.providers.openai.settings import OpenAISettings
from penstock_inference.adapters.providers.provider import OpenUpstream


@asynccontextmanager
async def open_upstream(settings: OpenAISettings, client: HttpClient) -> AsyncGenerator[OpenUpstream, None]:
    """Yield the upstream; its connections are the client's.

    Raises:
        ConfigurationError: if its address cannot be one.
    """
    tiers = any(model.service_tiers for model in settings.models)
    dialect = replace(settings.dialect(), passthrough=settings.passthrough, service_tiers=tiers)
    if settings.hand_back_extras is not None:
        dialect = replace(dialect, extras=settings.hand_back_extras)
    try:
        upstream = OpenAIUpstream(
            client, settings.base_url, settings.api_key.get_secret_value(), dialect, settings.manners_remembered
        )
    except ValueError as error:
        raise ConfigurationError(f"'base_url' of the upstream '{settings.name}': {error}") from None
    try:
        yield OpenUpstream(upstream)
    finally:
        await client.give_back(upstream.pool)
