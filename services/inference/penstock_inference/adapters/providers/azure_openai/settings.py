"""A resource of Azure OpenAI, as the configuration describes it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, ClassVar, Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import field_validator, model_validator

from penstock_common.faults import refuse, refuse_key
from penstock_inference.adapters.providers.openai.dialect import DIALECTS, Dialect
from penstock_inference.adapters.providers.openai.settings import OpenAISettings

_EXAMPLE = "https://my-resource.openai.azure.com"
_OPENAI, _DEPLOYMENTS = "openai", "deployments"


class AzureOpenAISettings(OpenAISettings):
    """A resource; its models are named as its deployments are, and ``base_url`` is the resource alone."""

    example: ClassVar[str] = _EXAMPLE

    form: Literal["v1", "deployments"] = "v1"
    """How its paths are made: `/openai/v1/…`, where a deployment is named as a model is and both of OpenAI's interfaces are, or
    the older `/openai/deployments/NAME/…`, which has chat completions alone and needs `api_version`."""
    api_version: str = ""
    """Of `form: deployments`, such as 2024-10-21; the other has none."""
    entra: bool = False
    """In the place of a key: tokens of Microsoft Entra, had in the ways of azure-identity's `DefaultAzureCredential` (environment,
    workload identity, managed identity) and renewed before their end."""

    @field_validator("base_url", mode="before")
    @classmethod
    def _a_resource(cls, value: Any) -> Any:
        if isinstance(value, str):
            _check_resource(value)
        return value

    @field_validator("base_urls", mode="before")
    @classmethod
    def _resources(cls, value: Any) -> Any:
        if isinstance(value, list):
            for url in value:
                if isinstance(url, str):
                    _check_resource(url)
        return value

    @field_validator("api_version", mode="before")
    @classmethod
    def _a_date_is_a_version(cls, value: Any) -> Any:
        # YAML reads one that is not quoted as a date.
        return value.isoformat() if isinstance(value, date) else value

    @model_validator(mode="after")
    def _of_azure(self) -> Self:
        by_deployment = self.form == "deployments"
        has_key = any(key.get_secret_value() for key in self._keys())
        faults = (
            (
                by_deployment and not self.api_version,
                "api_version",
                "'form: deployments' needs one, such as 2024-10-21",
            ),
            (
                bool(self.api_version) and not by_deployment,
                "api_version",
                "'form: v1' has none; leave it out, or say 'form: deployments'",
            ),
            (
                by_deployment and self.api == "responses",
                "api",
                "'form: deployments' has chat completions alone; leave 'form' out for the Responses API",
            ),
            (
                self.entra and has_key,
                "entra",
                "there is a key, too; one of the two says what the resource is asked with",
            ),
        )
        refuse(((name,), words) for is_wrong, name, words in faults if is_wrong)
        return self

    @property
    def has_responses(self) -> bool:
        """Return whether it can be asked by the Responses API."""
        return True

    @property
    def interface(self) -> Literal["auto", "chat", "responses"]:
        """Return by which interface it is asked; ``auto``: as each call needs."""
        return "chat" if self.form == "deployments" else self.api or "auto"

    def key_headers(self) -> Mapping[str, str] | None:
        """Return the headers that say who we are; None where tokens of Microsoft Entra do."""
        key = self._keys()[0].get_secret_value()
        return None if self.entra else {"api-key": key} if key else {}

    def dialect(self) -> Dialect:
        """Return how it takes chat completions: as OpenAI does."""
        return DIALECTS["openai"]


def _check_resource(url: str) -> None:
    """Raise, with what is to be written instead, for a URL that was copied with the path that is added here."""
    parts = urlsplit(url)
    steps = [unquote(step) for step in parts.path.split("/") if step]
    if _OPENAI not in steps:
        return
    place = steps.index(_OPENAI)
    prefix = "/".join(["", *steps[:place]])
    below = steps[place + 1 :]
    written = f"'base_url: {parts.scheme}://{parts.netloc}{prefix}'"
    if below[:1] != [_DEPLOYMENTS]:
        refuse_key(f"write the resource alone, {written}: /openai/v1 is added to it")
    version = parse_qs(parts.query).get("api-version", ["YYYY-MM-DD"])[0]
    deployment = f", and '{below[1]}' as the name of a model" if below[1:] else ""
    refuse_key(f"write the resource alone, {written}, with 'form: deployments', 'api_version: {version}'{deployment}")
