"""An upstream that speaks OpenAI's chat completions, as the configuration describes it."""

from __future__ import annotations

from datetime import timedelta

from pydantic import field_validator

from penstock_common.configuration import Duration
from penstock_inference.adapters.providers.http.settings import HttpUpstreamSettings
from penstock_inference.adapters.providers.openai.dialect import DIALECTS, Dialect


class OpenAISettings(HttpUpstreamSettings):
    """OpenAI itself, and servers that speak its format with differences."""

    hand_back_extras: bool | None = None
    """Whether an assistant's earlier turn is sent with what the answer carried beside its text: reasoning, thought
    signatures. Not said: yes, but not to ``openai``, which refuses fields that it does not know. A server that refuses
    them is asked without."""
    manners_remembered: Duration = timedelta(minutes=10)
    """How long it is believed of a model that it refuses ``stream``, ``stream_options`` or such, once it did."""

    @property
    def takes_reasoning(self) -> bool:
        """Return whether it is to be handed back what it gave beside its calls."""
        return bool(self.hand_back_extras)

    @field_validator("manners_remembered")
    @classmethod
    def _not_in_the_past(cls, value: timedelta) -> timedelta:
        if value < timedelta():
            raise ValueError("it must not be negative; 0s remembers nothing")
        return value

    def dialect(self) -> Dialect:
        """Return how the server differs from others that speak the format."""
        return DIALECTS[self.provider]
