"""Makes an upstream of Ollama's from its settings: by its own API, or by OpenAI's format."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from penstock_common.configuration import ConfigurationError
from penstock_common.http.client import HttpPools
from penstock_inference.adapters.providers.free_text import FreeTextUpstream
from penstock_inference.adapters.providers.ollama.client import OllamaUpstream
from penstock_inference.adapters.providers.ollama.request import Room
from penstock_inference.adapters.providers.ollama.settings import OllamaSettings
from penstock_inference.adapters.providers.openai.build import open_upstream as open_openai
from penstock_inference.adapters.providers.provider import OpenUpstream


@asynccontextmanager
async def open_upstream(settings: OllamaSettings, client: HttpPools) -> AsyncGenerator[OpenUpstream, None]:
    """Yield the upstream; its connections are the client's.

    Raises:
        ConfigurationError: if its address cannot be one.
    """
    if not settings.is_native:
        async with open_openai(settings, client) as upstream:
            yield upstream
        return
    room = Room(keep_alive=settings.keep_alive, passthrough=settings.passthrough)
    try:
        native = OllamaUpstream(
            client, settings.root_url, settings.api_key.get_secret_value(), room, settings.context_of_models()
        )
    except ValueError as error:
        raise ConfigurationError(f"'base_url' of the upstream '{settings.name}': {error}") from None
    yield OpenUpstream(FreeTextUpstream(native))
