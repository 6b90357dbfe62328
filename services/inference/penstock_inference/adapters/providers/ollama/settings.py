"""An Ollama server, as the configuration describes it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from penstock_common.configuration import MAX_INT32
from penstock_inference.adapters.providers.openai.settings import OpenAISettings

_OPENAI_PATH = "/v1"


class OllamaSettings(OpenAISettings):
    """Your own server, or several of one model."""

    native_api: bool | None = None
    """Whether it is asked by its own ``/api/chat`` rather than by OpenAI's format. Not said: where ``num_ctx`` or
    ``keep_alive`` is said, which OpenAI's format has no words for. ``base_url`` may end with ``/v1`` either way."""
    num_ctx: Annotated[int, Field(gt=0, le=MAX_INT32)] | None = None
    """By its own API: the size of the context that the server makes room for. Not said: a model's ``context_window``."""
    keep_alive: Annotated[str, Field(pattern=r"^(-?\d+(ms|s|m|h)?)?$")] = ""
    """By its own API: how long a model stays in memory after a request, such as 30m; -1 for ever. Not said: as the server
    does."""

    @property
    def is_native(self) -> bool:
        """Whether it is asked by its own API."""
        if self.native_api is None:
            return self.num_ctx is not None or bool(self.keep_alive)
        return self.native_api

    @property
    def root_url(self) -> str:
        """Where its own API is."""
        return self.base_url.rstrip("/").removesuffix(_OPENAI_PATH)

    def context_of_models(self) -> dict[str, int]:
        """Return the size of the context that is asked for, by model."""
        return {model.name: self.num_ctx or model.context_window for model in self.models}

    def makings(self) -> tuple[object, ...]:
        """Return what it is made of; see the base. Its own API is told the windows of its models."""
        return (*super().makings(), *(self.context_of_models().items() if self.is_native else ()))
