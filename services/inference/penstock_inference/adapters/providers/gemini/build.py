"""Makes an upstream of Gemini from its settings."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from penstock_common.configuration import ConfigurationError
from penstock_common.http.client import HttpPools
from penstock_inference.adapters.providers.free_text import FreeTextUpstream
from penstock_inference.adapters.providers.gemini.client import GeminiUpstream
from penstock_inference.adapters.providers.gemini.manner import Manner
from penstock_inference.adapters.providers.gemini.settings import GeminiSettings
from penstock_inference.adapters.providers.provider import OpenUpstream


@asynccontextmanager
async def open_upstream(settings: GeminiSettings, client: HttpPools) -> AsyncGenerator[OpenUpstream, None]:
    """Yield the upstream; its connections are the client's.

    Raises:
        ConfigurationError: if its address cannot be one.
    """
    tiers = any(model.service_tiers for model in settings.models)
    manner = Manner(settings.safety, service_tiers=tiers, passthrough=settings.passthrough)
    try:
        upstream = GeminiUpstream(client, settings.versioned_url, settings.api_key.get_secret_value(), manner)
    except ValueError as error:
        raise ConfigurationError(f"'base_url' of the upstream '{settings.name}': {error}") from None
    yield OpenUpstream(FreeTextUpstream(upstream))
