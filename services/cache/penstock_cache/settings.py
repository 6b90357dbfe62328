"""What the cache reads of the configuration."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from penstock_cache.domain.guard.guard import COLD_THRESHOLD
from penstock_common.configuration import RELOADED, Duration, Section
from penstock_common.degradation import DegradationStep
from penstock_common.faults import refuse, refuse_key
from penstock_common.sections import GivenAgain, Qdrant, Redis, Secrets

_MEBIBYTE = 1024 * 1024
STRICT_THRESHOLD = 0.96
Score = Annotated[float, Field(gt=0, le=1)]
Cosine = Annotated[float, Field(ge=0, lt=1)]


def positive(value: timedelta) -> timedelta:
    """Return the duration; refuse one that is not longer than zero."""
    if value <= timedelta():
        raise PydanticCustomError("duration", "a duration longer than zero is expected")
    return value


class SemanticModel(Section):
    """How answers of one public model are matched by meaning; what is left out is as for all."""

    mode: Literal["exact", "semantic"] = "semantic"
    """`exact`: the model's answers are given again to equal requests only."""
    threshold: Score | None = None
    """Instead of ``cache.semantic.threshold``."""
    strict_threshold: Score | None = None
    """Instead of ``cache.semantic.strict_threshold``."""
    floor: Cosine | None = None
    """Instead of ``cache.semantic.floor``."""


class SemanticSettings(Section):
    """Matching by meaning, with ``mode: semantic``."""

    threshold: Score = COLD_THRESHOLD
    """How sure the guard must be, from 0 to 1, that an answer is right for another wording, while nothing was learned
    of the answer. This is no cosine: 0.9 means nine in ten."""
    strict_threshold: Score = STRICT_THRESHOLD
    """The same for an answer that only another user has seen so far."""
    floor: Cosine = 0.5
    """Texts whose vectors have a lower cosine are not compared any further."""
    max_error: Annotated[float, Field(gt=0, le=0.2)] = 0.01
    """Bound on the share of wrong answers among those that learned thresholds serve."""
    ttl: Duration = timedelta(hours=24)
    """Longest life of an entry that is matched by meaning."""
    timeout: Duration = timedelta(milliseconds=60)
    """What matching by meaning may take before the request is a miss; the gateway's own limit for looking into the cache
    is ``gateway.cache_lookup_timeout``."""
    candidates: Annotated[int, Field(ge=1, le=10)] = 2
    """How many of the nearest entries the guard looks at."""
    max_entries: Annotated[int, Field(ge=1)] = 200_000
    """Entries of all tenants together. Beyond it, whoever stores loses those of its own that are worth least."""
    max_entries_of_a_tenant: Annotated[int, Field(ge=1)] = 100_000
    """Entries of one tenant; beyond it those that are worth least go, by hits, cost and age."""
    max_waiting: Annotated[int, Field(ge=1)] = 256
    """Answers that wait to be stored by meaning; further ones are not."""
    models: dict[str, SemanticModel] = {}
    """What is different for a public model, by its name."""

    @field_validator("ttl", "timeout")
    @classmethod
    def _positive(cls, value: timedelta) -> timedelta:
        return positive(value)

    @model_validator(mode="after")
    def _stricter_is_not_laxer(self) -> SemanticSettings:
        for name, settings in (("", self), *self.models.items()):
            threshold = self.threshold if settings.threshold is None else settings.threshold
            strict = self.strict_threshold if settings.strict_threshold is None else settings.strict_threshold
            if strict < threshold:
                where = f" of the model '{name}'" if name else ""
                refuse_key(f"strict_threshold{where} is {strict:g}, below the threshold of {threshold:g}: raise it")
        return self


class CacheSettings(GivenAgain):
    """Section ``cache``."""

    mode: Literal["off", "exact", "semantic"] = "exact"
    """`exact` answers a repeated request from what was answered before; `semantic` also one that asks the same in other
    words, which needs an embedding service and section ``qdrant``."""
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
    semantic: SemanticSettings = SemanticSettings()
    key_dir: Path | None = None
    """Folder for tenants' wrapped keys where there is no ``redis.cache``, which processes of one machine may share; without
    either they live as long as the process. Beside Redis it notes shreddings, so that a backup of Redis undoes none."""

    @field_validator("mode", mode="before")
    @classmethod
    def _known_mode(cls, value: Any) -> Any:
        # YAML reads a bare off as a boolean.
        return "off" if value is False else value

    @field_validator("memory_ttl", "redis_ttl", "redis_timeout")
    @classmethod
    def _positive(cls, value: timedelta) -> timedelta:
        return positive(value)


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
    qdrant: Qdrant = Qdrant()
    """Where entries that are matched by meaning lie."""
    secrets: Secrets = Secrets()

    @model_validator(mode="after")
    def _known_models(self) -> Settings:
        known = {model.name for model in self.models}
        refuse(
            (("cache", "semantic", "models", name), f"there is no public model '{name}'")
            for name in self.cache.semantic.models
            if known and name not in known
        )
        return self

    @property
    def longest_stale(self) -> timedelta:
        """The longest that any model's answers may serve beyond their time."""
        steps = [step for model in self.models for step in model.degradation]
        return max((step.stale_if_error for step in steps if step.stale_if_error is not None), default=timedelta())
