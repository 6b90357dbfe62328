"""The providers that this version has, by the names that the configuration uses. A new one is a folder and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import ValidatorFunctionWrapHandler, WrapValidator, field_validator

from penstock_inference.adapters.providers.anthropic.settings import AnthropicSettings
from penstock_inference.adapters.providers.deepseek.settings import DeepSeekSettings
from penstock_inference.adapters.providers.openai.settings import OpenAISettings
from penstock_inference.adapters.providers.provider import ModelsOfUpstream, OpenUpstream, Provider
from penstock_inference.adapters.providers.triton.settings import TritonSettings
from penstock_inference.adapters.providers.upstream_settings import UpstreamSettings

if TYPE_CHECKING:
    # Read with the settings, where nobody asks a provider yet.
    from penstock_common.http.client import HttpClient


def _open_anthropic(settings: AnthropicSettings, client: HttpClient) -> AbstractAsyncContextManager[OpenUpstream]:
    from penstock_inference.adapters.providers.anthropic.build import open_upstream

    return open_upstream(settings, client)


def _open_openai(settings: OpenAISettings, client: HttpClient) -> AbstractAsyncContextManager[OpenUpstream]:
    from penstock_inference.adapters.providers.openai.build import open_upstream

    return open_upstream(settings, client)


def _open_triton(settings: TritonSettings, client: HttpClient) -> AbstractAsyncContextManager[OpenUpstream]:
    from penstock_inference.adapters.providers.triton.build import open_upstream

    return open_upstream(settings, client)


def _open_models_of_triton(settings: TritonSettings) -> AbstractAsyncContextManager[ModelsOfUpstream]:
    from penstock_inference.adapters.providers.triton.build import open_models

    return open_models(settings)


_OPENAI = Provider(OpenAISettings, _open_openai)

PROVIDERS: Mapping[str, Provider] = {
    "openai": _OPENAI,
    "openai_compatible": _OPENAI,
    "vllm": _OPENAI,
    "ollama": _OPENAI,
    "anthropic": Provider(AnthropicSettings, _open_anthropic),
    "deepseek": Provider(DeepSeekSettings, _open_openai),
    "triton": Provider(TritonSettings, _open_triton, _open_models_of_triton),
}
NOT_YET = ("azure_openai",)


class _OfNoProvider(UpstreamSettings, extra="ignore"):
    """Says what is wrong with a provider that is none."""

    @field_validator("provider")
    @classmethod
    def _servable(cls, value: str) -> str:
        if value in NOT_YET:
            raise ValueError(f"this version cannot serve the provider '{value}' yet; it serves {', '.join(PROVIDERS)}")
        raise ValueError(f"unknown provider '{value}'; known are {', '.join((*PROVIDERS, *NOT_YET))}")


def _by_provider(value: Any, handler: ValidatorFunctionWrapHandler) -> UpstreamSettings:
    if isinstance(value, UpstreamSettings):
        return value
    if not isinstance(value, Mapping):
        return cast("UpstreamSettings", handler(value))
    provider = PROVIDERS.get(str(cast("Mapping[str, Any]", value).get("provider")))
    return (_OfNoProvider if provider is None else provider.settings).model_validate(value)


AnyUpstreamSettings = Annotated[
    OpenAISettings | AnthropicSettings | DeepSeekSettings | TritonSettings, WrapValidator(_by_provider)
]
"""One entry of ``upstreams``: read as its provider's."""
