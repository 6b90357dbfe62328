"""What the configuration says of any upstream over HTTP: where it is, its replicas, its keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, ClassVar, Literal, Self, cast

from pydantic import model_validator

from penstock_common.addresses import BaseUrl
from penstock_common.configuration import Secret
from penstock_common.faults import refuse
from penstock_inference.adapters.providers.upstream_settings import ModelSettings, UpstreamSettings
from penstock_inference.domain.catalogue import WholeAnswers

_FINGERPRINT_CHARACTERS = 8


class HttpUpstreamSettings(UpstreamSettings):
    """Servers that answer over HTTP; each address with each key is a place of its own."""

    own_url: ClassVar[str] = ""
    """Where it is where nothing is said; '' where it has to be."""

    example: ClassVar[str] = "https://api.openai.com/v1"

    base_url: BaseUrl = ""
    """Ends before ``/chat/completions``, such as https://api.openai.com/v1; of ``anthropic`` before ``/v1/messages``, and is
    https://api.anthropic.com where nothing is said."""
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
        url = self.base_url or self.own_url
        return self.base_urls or ([url] if url else [])

    def _keys(self) -> list[Secret]:
        return self.api_keys or [self.api_key]

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

    def key_headers(self) -> Mapping[str, str] | None:
        """Return the headers that say who we are: by default the key as a bearer."""
        key = self._keys()[0].get_secret_value()
        return {"Authorization": f"Bearer {key}"} if key else {}

    def asks_whole(self, model: ModelSettings) -> WholeAnswers:
        """Return whether the model is asked for a whole answer where the caller does not stream."""
        if self.whole_answers is None:
            return WholeAnswers.NEVER if "reasoning" in model.capabilities else WholeAnswers.ALONE
        return WholeAnswers.ALWAYS if self.whole_answers == "whole" else WholeAnswers.NEVER


def _name(url: str, key: str) -> str:
    place = url.partition("://")[2].rstrip("/")
    return f"{place}#{sha256(key.encode()).hexdigest()[:_FINGERPRINT_CHARACTERS]}" if key else place
