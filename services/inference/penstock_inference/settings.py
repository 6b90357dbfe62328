"""What the inference service reads of the configuration: upstreams and their models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from penstock_common.configuration import Duration, Secret, Section
from penstock_common.sections import Price

Capability = Literal["chat", "tools", "json_schema", "vision", "prefill", "embeddings", "reasoning"]

OPENAI_PROVIDERS = ("openai", "openai_compatible", "vllm", "ollama")
_NOT_YET = ("azure_openai", "anthropic")
_PROVIDERS = (*OPENAI_PROVIDERS, "triton")


class TimeoutSettings(Section):
    """The timers of one attempt; what is not said has the default of the model's kind."""

    connect: Duration | None = None
    headers: Duration | None = None
    """Defaults to ``first_token``."""
    first_token: Duration | None = None
    """30 s; 300 s for models with ``reasoning``, whose thoughts count as content."""
    idle: Duration | None = None
    """Between content events; pings do not count."""
    total: Duration | None = None

    @model_validator(mode="after")
    def _positive(self) -> TimeoutSettings:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value is not None and value.total_seconds() <= 0:
                raise ValueError(f"'{name}' must be longer than nothing")
        return self


class LimitSettings(Section):
    """The provider's own limits. Accepted and not enforced yet: a 429 fails over or waits."""

    requests_per_minute: Annotated[int, Field(gt=0)] | None = None
    tokens_per_minute: Annotated[int, Field(gt=0)] | None = None
    concurrent_requests: Annotated[int, Field(gt=0)] | None = None


class ModelSettings(Section):
    """A model at an upstream; ``name`` is the upstream's own."""

    name: Annotated[str, Field(min_length=1)]
    context_window: Annotated[int, Field(gt=0)]
    """Tokens, question and answer together."""
    capabilities: list[Capability] = ["chat"]
    price: Price = Price()
    chat_template: Path | None = None
    """Triton only: a Jinja file by Hugging Face's convention. Default: ChatML."""


class ModelControlSettings(Section):
    """Loading and unloading models of a Triton that runs with ``--model-control-mode=explicit``."""

    key: Secret = Secret("")
    """What its ``--grpc-restricted-protocol=model-repository,…:penstock-control=KEY`` says; empty: it asks for none."""


class UpstreamSettings(Section):
    """Whom we call, and what they serve."""

    name: Annotated[str, Field(min_length=1, pattern=r"^[^/\s]+$")]
    provider: str
    base_url: str = ""
    """Ends before ``/chat/completions``, such as https://api.openai.com/v1. Not for Triton."""
    grpc: str = ""
    """host:port. Triton only."""
    api_key: Secret = Secret("")
    region: str = ""
    model_control: ModelControlSettings | None = None
    """Triton only. Without it, its models cannot be loaded and unloaded from here."""
    passthrough: bool = False
    """Takes top-level request fields that Penstock does not know."""
    timeouts: TimeoutSettings = TimeoutSettings()
    limits: LimitSettings = LimitSettings()
    models: Annotated[list[ModelSettings], Field(min_length=1)]

    @field_validator("provider")
    @classmethod
    def _servable(cls, value: str) -> str:
        if value in _NOT_YET:
            raise ValueError(f"this version cannot serve the provider '{value}' yet; it serves {', '.join(_PROVIDERS)}")
        if value not in _PROVIDERS:
            raise ValueError(f"unknown provider '{value}'; known are {', '.join((*_PROVIDERS, *_NOT_YET))}")
        return value

    @model_validator(mode="after")
    def _addressed(self) -> UpstreamSettings:
        if self.provider == "triton":
            if not self.grpc or self.base_url:
                raise ValueError(f"the upstream '{self.name}' needs 'grpc' (host:port), and no 'base_url'")
        elif not self.base_url.startswith(("http://", "https://")) or self.grpc:
            raise ValueError(f"the upstream '{self.name}' needs 'base_url' (http:// or https://), and no 'grpc'")
        if self.model_control is not None and self.provider != "triton":
            raise ValueError(f"the upstream '{self.name}' has 'model_control', which only Triton has")
        names = [model.name for model in self.models]
        if len(set(names)) < len(names):
            raise ValueError(f"the upstream '{self.name}' has a model twice")
        return self


class Settings(Section):
    """The inference service's sections."""

    upstreams: list[UpstreamSettings] = []

    @model_validator(mode="after")
    def _distinct(self) -> Settings:
        names = [upstream.name for upstream in self.upstreams]
        if len(set(names)) < len(names):
            raise ValueError("two upstreams have the same name")
        return self
