"""Gemini's own API, as the configuration describes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from penstock_inference.adapters.providers.http.settings import HttpUpstreamSettings

_VERSION = re.compile(r"/v\d+(?:alpha|beta)?\d*$")
_NEWEST = "v1beta"

Category = Annotated[str, Field(pattern=r"^HARM_CATEGORY_[A-Z_]+$")]
Threshold = Annotated[str, Field(pattern=r"^(BLOCK_[A-Z_]+|OFF)$")]
Safety = dict[Category, Threshold]
"""What is blocked, by category, such as ``HARM_CATEGORY_HARASSMENT: BLOCK_ONLY_HIGH``."""


class GeminiSettings(HttpUpstreamSettings):
    """Google's ``generateContent``, with keys of AI Studio."""

    own_url: ClassVar[str] = "https://generativelanguage.googleapis.com/v1beta"

    safety: Safety = {}
    """What is blocked, by category, such as ``HARM_CATEGORY_HARASSMENT: BLOCK_ONLY_HIGH``. What is not said is as Google has
    it, unless a caller says it in ``safetySettings``, which is refused where anything is said here."""

    def key_headers(self) -> Mapping[str, str] | None:
        """Return the headers that say who we are."""
        key = self._keys()[0].get_secret_value()
        return {"x-goog-api-key": key} if key else {}

    @property
    def takes_reasoning(self) -> bool:
        """Return whether it is to be handed back the signatures that it gave with calls."""
        return True

    @property
    def versioned_url(self) -> str:
        """``base_url`` with the version of the API, which may be left out."""
        url = (self.base_url or self.own_url).rstrip("/")
        return url if _VERSION.search(url) else f"{url}/{_NEWEST}"
