"""Sections of the configuration file that several roles read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from penstock_common.configuration import ConfigurationError, Secret, Section

Policy = Literal["balanced", "cost", "latency", "quality"]


def split_candidate(text: str) -> tuple[str, str]:
    """Split ``upstream/model`` at the first slash: a model's own name may hold more.

    Raises:
        ConfigurationError: if a side is missing.
    """
    upstream, _, model = text.partition("/")
    if not upstream or not model:
        raise ConfigurationError(f"candidate '{text}' must be written upstream/model")
    return upstream, model


class PublicModel(Section):
    """A model that callers may name: candidates in order of preference, or a policy."""

    name: Annotated[str, Field(min_length=1, max_length=128)]
    candidates: list[str] = []
    weights: dict[str, Annotated[int, Field(ge=0)]] = {}
    """Share of traffic that a candidate gets as the first choice; unnamed ones keep their order behind."""
    policy: Policy | None = None
    routes: dict[str, str] = {}

    @field_validator("candidates")
    @classmethod
    def _well_formed(cls, value: list[str]) -> list[str]:
        for candidate in value:
            try:
                split_candidate(candidate)
            except ConfigurationError as error:
                raise ValueError(str(error)) from None
        return value


class Redis(Section):
    """Where Redis is: ``unix:///path`` or ``redis://host:port/db``. Empty means none."""

    state: str = ""
    """Limits and reservations; losing it degrades."""
    cache: str = ""
    """Cached answers; may evict."""


class Telemetry(Section):
    """Where traces and metrics go, and how many."""

    otlp: str = ""
    """OTLP over gRPC, such as http://127.0.0.1:4317. Empty: nothing is exported."""
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of requests whose spans are exported, besides failed and slow ones."""
    metrics_listen: str = ""
    """host:port where Prometheus may scrape. Empty: nowhere."""
    capture_content: bool = False
    """Put prompts and answers into spans. They hold what your users wrote."""


class Secrets(Section):
    """Files of key material; each holds at least 32 random bytes."""

    key_pepper_file: Path | None = None
    cache_key_file: Path | None = None


__all__ = ["Policy", "PublicModel", "Redis", "Secret", "Secrets", "Telemetry", "split_candidate"]
