"""An upstream that speaks OpenAI's chat completions, as the configuration describes it."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, Self

from pydantic import field_validator, model_validator

from penstock_common.configuration import Duration
from penstock_common.faults import refuse
from penstock_inference.adapters.providers.http.settings import HttpUpstreamSettings
from penstock_inference.adapters.providers.openai.dialect import DIALECTS, Dialect

_WITH_BATCHES = ("openai", "openai_compatible")


class OpenAISettings(HttpUpstreamSettings):
    """OpenAI itself, and servers that speak its format with differences."""

    hand_back_extras: bool | None = None
    """Whether an assistant's earlier turn is sent with what the answer carried beside its text: reasoning, thought
    signatures. Not said: yes, but not to ``openai``, which refuses fields that it does not know. A server that refuses
    them is asked without."""
    manners_remembered: Duration = timedelta(minutes=10)
    """How long it is believed of a model that it refuses ``stream``, ``stream_options`` or such, once it did."""
    api: Literal["auto", "chat", "responses"] | None = None
    """`openai` only: by which of its two interfaces it is asked. Not said, or `auto`: by chat completions, and by Responses where
    the model takes tools only there, or the history holds what only Responses take back."""
    reasoning_summary: Literal["auto", "concise", "detailed"] | None = None
    """`openai` only: the form in which Responses are asked to sum up their reasoning. Not said: none is asked for."""

    rerank: Literal["jina", "cohere", "voyage", "tei"] = "jina"
    """How models with the capability `rerank` are asked at `/rerank` behind ``base_url``: as Jina, vLLM and most others are, as
    Cohere's v2, as Voyage, or as Hugging Face's Text Embeddings Inference."""

    batches: bool = False
    """`openai` and `openai_compatible` only: its `/batches` may be handed the lines of batches that
    [allow it](batches.md#batches-of-providers), of models that have a price in ``service_tiers.batch``."""

    @field_validator("manners_remembered")
    @classmethod
    def _not_in_the_past(cls, value: timedelta) -> timedelta:
        if value < timedelta():
            raise ValueError("it must not be negative; 0s remembers nothing")
        return value

    @model_validator(mode="after")
    def _of_responses(self) -> Self:
        if not self.has_responses:
            refuse(
                ((name,), f"it is for OpenAI's own interfaces, and the provider is '{self.provider}'")
                for name in ("api", "reasoning_summary")
                if getattr(self, name) not in (None, "auto", "chat")
            )
        return self

    @model_validator(mode="after")
    def _of_batches(self) -> Self:
        if self.batches and (self.provider not in _WITH_BATCHES or self.interface == "responses"):
            refuse([(("batches",), f"it is for chat completions of {' and '.join(_WITH_BATCHES)}")])
        return self

    @property
    def has_responses(self) -> bool:
        """Return whether it can be asked by the Responses API."""
        return self.provider == "openai"

    @property
    def interface(self) -> Literal["auto", "chat", "responses"]:
        """Return by which interface it is asked; ``auto``: as each call needs."""
        return (self.api or "auto") if self.has_responses else "chat"

    @property
    def takes_reasoning(self) -> bool:
        """Return whether it is to be handed back what it gave beside its calls: extras, or what Responses encrypted."""
        return bool(self.hand_back_extras) or self.interface != "chat"

    def dialect(self) -> Dialect:
        """Return how the server differs from others that speak the format."""
        return DIALECTS[self.provider]
