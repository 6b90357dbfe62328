"""An upstream that speaks OpenAI's chat completions, as the configuration describes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any, ClassVar, Literal, Self, cast

from pydantic import field_validator, model_validator

from penstock_common.addresses import BaseUrl
from penstock_common.configuration import Duration, Secret
from penstock_common.faults import refuse
from penstock_inference.adapters.providers.openai.dialect import DIALECTS, Dialect
from penstock_inference.adapters.providers.upstream_settings import ModelSettings, UpstreamSettings
from penstock_inference.domain.catalogue import WholeAnswers

_FINGERPRINT_CHARACTERS = 8


class OpenAISettings(UpstreamSettings):
    """OpenAI itself, and servers that speak its format with differences."""

    example: ClassVar[str] = "https://api.openai.com/v1"

    base_url: BaseUrl = ""
    """Ends before ``/chat/completions``, such as https://api.openai.com/v1."""
    base_urls: list[BaseUrl] = []
    """Replicas of one server, in the place of ``base_url``: requests go to those that are well, and of these to the one with
    less to wait for."""
    api_keys: list[Secret] = []
    """Several keys, in the place of ``api_key``; a key that is refused is left out, with an alarm, until it works again."""
    keys_share_quota: bool = True
    """Whether a rate limit that one of ``api_keys`` meets holds for all of them; false for keys of different accounts."""
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
    api: Literal["auto", "chat", "responses"] | None = None
    """`openai` only: by which of its two interfaces it is asked. Not said, or `auto`: by chat completions, and by Responses where
    the model takes tools only there, or the history holds what only Responses take back."""
    reasoning_summary: Literal["auto", "concise", "detailed"] | None = None
    """`openai` only: the form in which Responses are asked to sum up their reasoning. Not said: none is asked for."""
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
    def _of_responses(self) -> Self:
        if not self.has_responses:
            refuse(
                ((name,), f"it is for OpenAI's own interfaces, and the provider is '{self.provider}'")
                for name in ("api", "reasoning_summary")
                if getattr(self, name) not in (None, "auto", "chat")
            )
        return self

    @model_validator(mode="after")
    def _addressed(self) -> Self:
        if self.base_url and self.base_urls:
            refuse([(("base_urls",), "there is 'base_url', too; one of the two says where the upstream is")])
        if self.api_key.get_secret_value() and self.api_keys:
            refuse([(("api_keys",), "there is 'api_key', too; one of the two says what the upstream is asked with")])
        places = [(url, key.get_secret_value()) for url in self._urls() for key in self._keys()]
        if len(set(places)) < len(places):
            refuse([(("base_urls",), "an address, or a key, is there twice")])
        if not self._urls():
            refuse([(("base_url",), f"the upstream '{self.name}' needs one, such as {self.example}")])
        if self.grpc:
            refuse([(("grpc",), f"the upstream '{self.name}' has 'base_url'; only Triton has 'grpc'")])
        return self

    def _urls(self) -> list[BaseUrl]:
        return self.base_urls or ([self.base_url] if self.base_url else [])

    def _keys(self) -> list[Secret]:
        return self.api_keys or [self.api_key]

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

    @property
    def quotas(self) -> Literal["one", "by key"]:
        """Return whether all keys share one quota."""
        return "one" if self.keys_share_quota else "by key"

    def endpoints(self) -> Sequence[tuple[str, Self]]:
        """Return each address with each key; names are the address, and the beginning of the key's digest."""
        return [
            (
                _name(url, key.get_secret_value()),
                self.model_copy(update={"base_url": url, "base_urls": [], "api_key": key, "api_keys": []}),
            )
            for url in self._urls()
            for key in self._keys()
        ]

    def dialect(self) -> Dialect:
        """Return how the server differs from others that speak the format."""
        return DIALECTS[self.provider]

    def asks_whole(self, model: ModelSettings) -> WholeAnswers:
        """Return whether the model is asked for a whole answer where the caller does not stream."""
        if self.whole_answers is None:
            return WholeAnswers.NEVER if "reasoning" in model.capabilities else WholeAnswers.ALONE
        return WholeAnswers.ALWAYS if self.whole_answers == "whole" else WholeAnswers.NEVER


def _name(url: str, key: str) -> str:
    place = url.partition("://")[2].rstrip("/")
    return f"{place}#{sha256(key.encode()).hexdigest()[:_FINGERPRINT_CHARACTERS]}" if key else place
