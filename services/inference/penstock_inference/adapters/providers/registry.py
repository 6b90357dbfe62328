"""The providers that this version has, by the names that the configuration uses. A new one is a folder and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import ValidatorFunctionWrapHandler, WrapValidator, field_validator

from penstock_inference.adapters.providers.anthropic.settings import AnthropicSettings
from penstock_inference.adapters.providers.azure_openai.settings import AzureOpenAISettings
from penstock_inference.adapters.providers.bedrock.settings import BedrockSettings
from penstock_inference.adapters.providers.deepseek.settings import DeepSeekSettings
from penstock_inference.adapters.providers.gemini.settings import GeminiSettings
from penstock_inference.adapters.providers.ollama.settings import OllamaSettings
from penstock_inference.adapters.providers.openai.settings import OpenAISettings
from penstock_inference.adapters.providers.provider import ModelsOfUpstream, OpenUpstream, Provider
from penstock_inference.adapters.providers.triton.settings import TritonSettings
from penstock_inference.adapters.providers.upstream_settings import UpstreamSettings
from penstock_inference.adapters.providers.vertex.settings import VertexSettings
from penstock_inference.adapters.providers.vllm.settings import VllmSettings

if TYPE_CHECKING:
    # Read with the settings, where nobody asks a provider yet.
    from penstock_common.http.client import HttpPools


def _open_anthropic(settings: AnthropicSettings, client: HttpPools) -> AbstractAsyncContextManager[OpenUpstream]:
    from penstock_inference.adapters.providers.anthropic.build import open_upstream

    return open_upstream(settings, client)


def _open_gemini(settings: GeminiSettings, client: HttpPools) -> AbstractAsyncContextManager[OpenUpstream]:
    from penstock_inference.adapters.providers.gemini.build import open_upstream

    return open_upstream(settings, client)


def _open_openai(settings: OpenAISettings, client: HttpPools) -> AbstractAsyncContextManager[OpenUpstream]:
    from penstock_inference.adapters.providers.openai.build import open_upstream

    return open_upstream(settings, client)


def _open_bedrock(settings: BedrockSettings, client: HttpPools) -> AbstractAsyncContextManager[OpenUpstream]:
    from penstock_inference.adapters.providers.bedrock.build import open_upstream

    return open_upstream(settings, client)


def _open_azure_openai(settings: AzureOpenAISettings, client: HttpPools) -> AbstractAsyncContextManager[OpenUpstream]:
    from penstock_inference.adapters.providers.azure_openai.build import open_upstream

    return open_upstream(settings, client)


def _open_ollama(settings: OllamaSettings, client: HttpPools) -> AbstractAsyncContextManager[OpenUpstream]:
    from penstock_inference.adapters.providers.ollama.build import open_upstream

    return open_upstream(settings, client)


def _open_triton(settings: TritonSettings, client: HttpPools) -> AbstractAsyncContextManager[OpenUpstream]:
    from penstock_inference.adapters.providers.triton.build import open_upstream

    return open_upstream(settings, client)


def _open_models_of_triton(settings: TritonSettings) -> AbstractAsyncContextManager[ModelsOfUpstream]:
    from penstock_inference.adapters.providers.triton.build import open_models

    return open_models(settings)


def _open_vertex(settings: VertexSettings, client: HttpPools) -> AbstractAsyncContextManager[OpenUpstream]:
    from penstock_inference.adapters.providers.vertex.build import open_upstream

    return open_upstream(settings, client)


_OPENAI = Provider(OpenAISettings, _open_openai)

PROVIDERS: Mapping[str, Provider] = {
    "openai": _OPENAI,
    "openai_compatible": _OPENAI,
    "vllm": Provider(VllmSettings, _open_openai),
    "ollama": Provider(OllamaSettings, _open_ollama),
    "anthropic": Provider(AnthropicSettings, _open_anthropic),
    "azure_openai": Provider(AzureOpenAISettings, _open_azure_openai),
    "bedrock": Provider(BedrockSettings, _open_bedrock),
    "gemini": Provider(GeminiSettings, _open_gemini),
    "vertex": Provider(VertexSettings, _open_vertex),
    "deepseek": Provider(DeepSeekSettings, _open_openai),
    "triton": Provider(TritonSettings, _open_triton, _open_models_of_triton),
}


class _OfNoProvider(UpstreamSettings, extra="ignore"):
    """Says what is wrong with a provider that is none."""

    @field_validator("provider")
    @classmethod
    def _servable(cls, value: str) -> str:
        raise ValueError(f"unknown provider '{value}'; known are {', '.join(PROVIDERS)}")


def _by_provider(value: Any, handler: ValidatorFunctionWrapHandler) -> UpstreamSettings:
    if isinstance(value, UpstreamSettings):
        return value
    if not isinstance(value, Mapping):
        return cast("UpstreamSettings", handler(value))
    provider = PROVIDERS.get(str(cast("Mapping[str, Any]", value).get("provider")))
    return (_OfNoProvider if provider is None else provider.settings).model_validate(value)


AnyUpstreamSettings = Annotated[
    OpenAISettings
    | AnthropicSettings
    | AzureOpenAISettings
    | BedrockSettings
    | DeepSeekSettings
    | GeminiSettings
    | OllamaSettings
    | VertexSettings
    | VllmSettings
    | TritonSettings,
    WrapValidator(_by_provider),
]
"""One entry of ``upstreams``: read as its provider's."""
