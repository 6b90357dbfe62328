"""DeepSeek, as the configuration describes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import model_validator

from penstock_inference.adapters.providers.openai.dialect import Dialect
from penstock_inference.adapters.providers.openai.fields import OF_COMPATIBLE
from penstock_inference.adapters.providers.openai.settings import OpenAISettings

BASE_URL = "https://api.deepseek.com/v1"
# https://api-docs.deepseek.com: no penalties' tokens, no `n`; a turn that called tools comes back with its reasoning, or is
# refused; usage tells of its cache in `prompt_cache_hit_tokens`, which the reader of completions knows.
DIALECT = Dialect(
    choices=False,
    top_k=False,
    fields=OF_COMPATIBLE - {"logit_bias"},
    reasoned_turns=True,
)
"""How it differs from others that speak the format."""


class DeepSeekSettings(OpenAISettings):
    """DeepSeek; ``base_url`` need not be said."""

    @model_validator(mode="before")
    @classmethod
    def _at_home(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        said = cast("Mapping[str, Any]", data)
        return said if said.get("base_url") or said.get("base_urls") else {**said, "base_url": BASE_URL}

    def dialect(self) -> Dialect:
        """Return how it differs from others that speak the format."""
        return DIALECT
