"""An upstream that speaks OpenAI's chat completions, as the configuration describes it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal, Self, cast

from pydantic import field_validator, model_validator

from penstock_common.addresses import BaseUrl
from penstock_common.configuration import Duration
from penstock_common.faults import refuse
from penstock_inference.adapters.providers.upstream_settings import ModelSettings, UpstreamSettings
from penstock_inference.domain.catalogue import WholeAnswers


class OpenAISettings(UpstreamSettings):
    """OpenAI itself, and servers that speak its format with differences."""

    base_url: BaseUrl = ""
    """Ends before ``/chat/completions``, such as https://api.openai.com/v1."""
    whole_answers: Literal["whole", "stream"] | None = None
    """What is asked of the upstream for a caller who does not stream: the answer in one piece (``timeouts.whole`` bounds
    it), or a stream, put together here, which costs half as much again of CPU and lets ``first_token`` and ``idle`` see a
    stall. Not said: ``whole`` where no other candidate is left, else ``stream``, so that a silence is seen in time; and
    ``stream`` for models with ``reasoning``, which take minutes."""
    hand_back_extras: bool | None = None
    """Whether an assistant's earlier turn is sent with what the answer carried beside its text: reasoning, thought
    signatures. Not said: yes, but not to ``openai``, which refuses fields that it does not know. A server that refuses
    them is asked without."""
    manners_remembered: Duration = timedelta(minutes=10)
    """How long it is believed of a model that it refuses ``stream``, ``stream_options`` or such, once it did."""
    grpc: str = ""
    """Not for these; empty is as not said."""
    model_control: None = None
    """Not for these."""

    @model_validator(mode="before")
    @classmethod
    def _without_model_control(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and cast("Mapping[str, Any]", data).get("model_control") is not None:
            refuse([(("model_control",), "it is 'model_control', which only Triton has")])
        return data

    @field_validator("manners_remembered")
    @classmethod
    def _not_in_the_past(cls, value: timedelta) -> timedelta:
        if value < timedelta():
            raise ValueError("it must not be negative; 0s remembers nothing")
        return value

    @model_validator(mode="after")
    def _addressed(self) -> Self:
        if not self.base_url:
            refuse([(("base_url",), f"the upstream '{self.name}' needs one, such as https://api.openai.com/v1")])
        if self.grpc:
            refuse([(("grpc",), f"the upstream '{self.name}' has 'base_url'; only Triton has 'grpc'")])
        return self

    def asks_whole(self, model: ModelSettings) -> WholeAnswers:
        """Return whether the model is asked for a whole answer where the caller does not stream."""
        if self.whole_answers is None:
            return WholeAnswers.NEVER if "reasoning" in model.capabilities else WholeAnswers.ALONE
        return WholeAnswers.ALWAYS if self.whole_answers == "whole" else WholeAnswers.NEVER
