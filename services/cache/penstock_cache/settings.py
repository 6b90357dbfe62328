"""What the cache reads of the configuration."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from penstock_common.configuration import RELOADED, Duration, Section
from penstock_common.degradation import DegradationStep
from penstock_common.sections import GivenAgain, Redis, Secrets

_MEBIBYTE = 1024 * 1024


class CacheSettings(GivenAgain):
    """Section ``cache``."""

    mode: Literal["off", "exact"] = "exact"
    """`exact` answers a repeated request from what was answered before; `semantic` is refused by this version."""
    max_temperature: Annotated[float, Field(ge=0, le=2)] = 0.3
    """Requests with a higher temperature are not cached."""
    unset_temperature: Literal["cache", "bypass"] = "cache"
    """What becomes of requests that say no temperature, whose model then answers at its own, often 1: most callers say
    none, and mean to be answered from the cache. The header of a hit says ``temperature=unset``."""
    memory_entries: Annotated[int, Field(ge=0)] = 10_000
    """Answers that a process keeps in its own memory, before Redis."""
    memory_bytes: Annotated[int, Field(ge=0)] = 64 * _MEBIBYTE
    """What they may take together."""
    memory_ttl: Duration = timedelta(minutes=5)
    """Longest life of an answer there."""
    redis_ttl: Duration = timedelta(hours=1)
    """Longest life of an entry, in Redis or not."""
    redis_timeout: Duration = timedelta(milliseconds=50)
    """What one operation may take before it counts as a miss."""

    @field_validator("mode", mode="before")
    @classmethod
    def _known_mode(cls, value: Any) -> Any:
        if value == "semantic":
            raise PydanticCustomError("not_built", "'semantic' is not built yet; use exact or off")
        # YAML reads a bare off as a boolean.
        return "off" if value is False else value

    @field_validator("memory_ttl", "redis_ttl", "redis_timeout")
    @classmethod
    def _positive(cls, value: timedelta) -> timedelta:
        if value <= timedelta():
            raise PydanticCustomError("duration", "a duration longer than zero is expected")
        return value


class LadderOfModel(Section):
    """A public model, as far as its answers may serve for longer than they are fresh."""

    model_config = ConfigDict(extra="ignore")

    name: str
    degradation: list[DegradationStep] = []


class Settings(Section):
    """The cache's sections."""

    models: Annotated[list[LadderOfModel], RELOADED] = []
    cache: CacheSettings = CacheSettings()
    """Which answers are given again, and for how long."""
    redis: Redis = Redis()
    secrets: Secrets = Secrets()

    @property
    def longest_stale(self) -> timedelta:
        """The longest that any model's answers may serve beyond their time."""
        steps = [step for model in self.models for step in model.degradation]
        return max((step.stale_if_error for step in steps if step.stale_if_error is not None), default=timedelta())
