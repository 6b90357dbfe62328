"""Models on Google Cloud's Vertex AI, as the configuration describes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from penstock_common.addresses import BaseUrl
from penstock_common.faults import refuse
from penstock_common.file_contents import file_contents
from penstock_inference.adapters.providers.anthropic.settings import Beta
from penstock_inference.adapters.providers.gemini.settings import Safety
from penstock_inference.adapters.providers.http.settings import HttpUpstreamSettings

_VERSION = re.compile(r"/v\d+(?:alpha|beta)?\d*$")
_GLOBAL = "global"
_OF_ANTHROPIC = ("betas", "default_max_tokens", "thinking_display")
_MULTI_REGIONS = ("us", "eu")


class VertexSettings(HttpUpstreamSettings):
    """One region of one project, asked with Google's credentials."""

    base_url: BaseUrl = ""
    """Not said: the region's own address. Another one, such as of a private endpoint, with or without the version."""
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]*$")] = ""
    """``global``, ``us`` or ``eu`` for all of the United States or of the European Union, or a region such as
    ``europe-west4``. It is where data is processed, too; tenants may be kept to regions."""
    project: Annotated[str, Field(pattern=r"^[a-z0-9.:-]*$")] = ""
    """The project's id, or number."""
    credentials_file: Path | None = None
    """A service account's key, or the configuration of a workload identity. Not said: what Google's libraries find by
    themselves (``GOOGLE_APPLICATION_CREDENTIALS``, ``gcloud auth application-default login``, the machine's own account)."""
    publisher: Literal["google", "anthropic"] = "google"
    """Whose models they are: Gemini, or Claude, which is asked in Anthropic's format."""
    safety: Safety = {}
    """Of Google's models: as ``gemini``'s."""
    betas: list[Beta] = []
    """Of Anthropic's models, as the next two: as ``anthropic``'s."""
    default_max_tokens: Annotated[int, Field(gt=0)] = 8192
    """As ``anthropic``'s."""
    thinking_display: Literal["summarized", "omitted"] | None = "summarized"
    """As ``anthropic``'s."""

    def key_headers(self) -> Mapping[str, str] | None:
        """Return None: requests go with tokens that are renewed."""
        return None

    @model_validator(mode="after")
    def _placed(self) -> Self:
        for name, example in (("project", "my-project"), ("region", _GLOBAL)):
            if not getattr(self, name):
                refuse([((name,), f"the upstream '{self.name}' needs one, such as {example}")])
        if self.api_key.get_secret_value() or self.api_keys:
            refuse(
                [
                    (
                        ("api_key",),
                        "Vertex AI takes no key: it is asked with Google's credentials, see 'credentials_file'",
                    )
                ]
            )
        foreign = ("safety",) if self.publisher == "anthropic" else _OF_ANTHROPIC
        said = [name for name in foreign if name in self.model_fields_set]
        refuse([((name,), f"the models of '{self.publisher}' have no '{name}'") for name in said])
        return self

    @property
    def takes_reasoning(self) -> bool:
        """Return whether it is to be handed back what it signed beside its calls."""
        return True

    def _urls(self) -> list[BaseUrl]:
        return self.base_urls or [self.base_url or f"https://{self._host}"]

    @property
    def _host(self) -> str:
        if self.region == _GLOBAL:
            return "aiplatform.googleapis.com"
        if self.region in _MULTI_REGIONS:
            return f"aiplatform.{self.region}.rep.googleapis.com"
        return f"{self.region}-aiplatform.googleapis.com"

    @property
    def location_url(self) -> str:
        """Where the project's models of the region are."""
        url = self._urls()[0].rstrip("/")
        versioned = url if _VERSION.search(url) else f"{url}/v1"
        return f"{versioned}/projects/{self.project}/locations/{self.region}"

    def makings(self) -> tuple[object, ...]:
        """Return what its connections are made of; see the base. Its credentials are read when it is opened."""
        return (*super().makings(), self.region, self.credentials())

    def credentials(self) -> str:
        """Return what stands in ``credentials_file``; '' without one, or where it cannot be read, which opening it says."""
        try:
            return file_contents(self.credentials_file).decode() if self.credentials_file is not None else ""
        except (OSError, ValueError):
            return ""
