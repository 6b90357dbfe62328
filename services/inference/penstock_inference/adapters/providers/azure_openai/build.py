"""Makes an upstream of a resource of Azure OpenAI from its settings."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from penstock_common.configuration import ConfigurationError
from penstock_common.http.client import HttpPools
from penstock_inference.adapters.providers.azure_openai.client import AzureChat, AzureResponses, Deployments
from penstock_inference.adapters.providers.azure_openai.entra import SCOPES, EntraCredential
from penstock_inference.adapters.providers.azure_openai.settings import AzureOpenAISettings
from penstock_inference.adapters.providers.http.access_token import AccessToken
from penstock_inference.adapters.providers.openai.build import asking_of, by_interface, dialect_of
from penstock_inference.adapters.providers.provider import OpenUpstream
from penstock_inference.domain.upstream import Upstream


@asynccontextmanager
async def open_upstream(settings: AzureOpenAISettings, client: HttpPools) -> AsyncGenerator[OpenUpstream, None]:
    """Yield the upstream; its connections are the client's.

    Raises:
        ConfigurationError: if its address cannot be one.
    """
    entra = EntraCredential(SCOPES[settings.form]) if settings.entra else None
    token = None if entra is None else AccessToken(entra.obtain)
    try:
        upstream = _upstream(settings, client, token)
    except ValueError as error:
        raise ConfigurationError(f"'base_url' of the upstream '{settings.name}': {error}") from None
    try:
        yield OpenUpstream(upstream)
    finally:
        if entra is not None and token is not None:
            await token.aclose()
            await entra.aclose()


def _upstream(settings: AzureOpenAISettings, client: HttpPools, token: AccessToken | None) -> Upstream:
    key = settings.api_key.get_secret_value()
    headers = {"api-key": key} if key else {}

    def chat(path: str, query: str = "") -> AzureChat:
        more: dict[str, Any] = {"own_headers": headers, "query": query}
        made = AzureChat(
            client, f"{_base(settings)}{path}", key, dialect_of(settings), settings.manners_remembered, **more
        )
        made.token = token
        return made

    if settings.form == "deployments":
        return Deployments(lambda path: chat(path, f"?api-version={settings.api_version}"))
    responses = AzureResponses(client, f"{_base(settings)}/openai/v1", key, asking_of(settings), headers)
    responses.token = token
    return by_interface(settings, chat("/openai/v1"), responses)


def _base(settings: AzureOpenAISettings) -> str:
    return settings.base_url.rstrip("/")
