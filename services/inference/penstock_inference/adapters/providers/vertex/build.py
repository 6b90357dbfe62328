"""Makes an upstream of Vertex AI from its settings."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from penstock_common.configuration import ConfigurationError
from penstock_common.http.client import HttpPools
from penstock_inference.adapters.providers.anthropic.request import Options
from penstock_inference.adapters.providers.free_text import FreeTextUpstream
from penstock_inference.adapters.providers.gemini.manner import Manner
from penstock_inference.adapters.providers.http.access_token import AccessToken
from penstock_inference.adapters.providers.provider import OpenUpstream
from penstock_inference.adapters.providers.vertex.claude import ClaudeUpstream
from penstock_inference.adapters.providers.vertex.client import VertexUpstream
from penstock_inference.adapters.providers.vertex.credentials import GoogleCredentials
from penstock_inference.adapters.providers.vertex.settings import VertexSettings


@asynccontextmanager
async def open_upstream(settings: VertexSettings, client: HttpPools) -> AsyncGenerator[OpenUpstream, None]:
    """Yield the upstream; its connections are the client's.

    Raises:
        ConfigurationError: if its address cannot be one, or its file holds no credentials.
    """
    document = settings.credentials()
    if settings.credentials_file is not None and not document:
        raise ConfigurationError(f"'credentials_file' of the upstream '{settings.name}' cannot be read")
    try:
        token = AccessToken(GoogleCredentials(document).obtain)
    except ValueError as error:
        raise ConfigurationError(f"'credentials_file' of the upstream '{settings.name}': {error}") from None
    try:
        upstream = _upstream(settings, client, token)
    except ValueError as error:
        raise ConfigurationError(f"'base_url' of the upstream '{settings.name}': {error}") from None
    try:
        # Claude has them as functions by itself.
        yield OpenUpstream(upstream if isinstance(upstream, ClaudeUpstream) else FreeTextUpstream(upstream))
    finally:
        await token.aclose()


def _upstream(settings: VertexSettings, client: HttpPools, token: AccessToken) -> VertexUpstream | ClaudeUpstream:
    tiers = any(model.service_tiers for model in settings.models)
    if settings.publisher == "anthropic":
        options = Options(
            betas=tuple(settings.betas),
            default_max_tokens=settings.default_max_tokens,
            thinking_display=settings.thinking_display,
            passthrough=settings.passthrough,
            service_tiers=tiers,
        )
        return ClaudeUpstream(client, settings.location_url, token, options)
    manner = Manner(settings.safety, service_tiers=tiers, passthrough=settings.passthrough)
    return VertexUpstream(client, settings.location_url, token, manner)
