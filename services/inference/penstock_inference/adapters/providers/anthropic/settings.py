"""An upstream that speaks Anthropic's Messages API, as the configuration describes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from penstock_inference.adapters.providers.http.settings import HttpUpstreamSettings

Beta = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]


class AnthropicSettings(HttpUpstreamSettings):
    """Anthropic itself, Claude in Azure's Foundry, and servers that speak this format."""

    own_url: ClassVar[str] = "https://api.anthropic.com"

    auth: Literal["x-api-key", "bearer"] = "x-api-key"
    """The header in which the key goes: ``x-api-key``, or ``Authorization: Bearer``."""
    api_version: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] = "2023-06-01"
    """What is sent as ``anthropic-version``, where the model's datasheet says no other."""
    betas: list[Beta] = []
    """Values of ``anthropic-beta`` that every request is sent with, but for those that the model refuses."""
    default_max_tokens: Annotated[int, Field(gt=0)] = 8192
    """How long an answer may be where neither the caller nor the model's datasheet says it: the format has to be told, and
    refuses more than the model can write. Every Claude since 3.5 writes as much as this."""
    thinking_display: Literal["summarized", "omitted"] | None = "summarized"
    """What is shown of the thinking that a caller's ``reasoning_effort`` asks for. Not said (null): as the model does by
    itself, which of the newest is nothing."""

    def key_headers(self) -> Mapping[str, str] | None:
        """Return the headers that say who we are."""
        key = self._keys()[0].get_secret_value()
        return super().key_headers() if self.auth == "bearer" or not key else {"x-api-key": key}

    @property
    def takes_reasoning(self) -> bool:
        """Return whether it is to be handed back the thinking that it gave with calls."""
        return True
