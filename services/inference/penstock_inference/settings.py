"""What the inference service reads of the configuration: upstreams and their models."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from penstock_common.configuration import RELOADED, Duration, Section
from penstock_common.faults import refuse
from penstock_common.sections import Redis, ReloadSettings, Secrets
from penstock_inference.adapters.providers.registry import AnyUpstreamSettings
from penstock_inference.domain.health.rules import HealthRules
from penstock_inference.domain.hedging import Hedging, HedgingRules
from penstock_inference.domain.reasoning.kept import KeepingRules


class HealthSettings(Section):
    """When an upstream's place (a model at an address, asked with a key) is left out, and how it comes back."""

    failures_in_a_row: Annotated[int, Field(gt=0)] = 5
    """So many eject, of at least two requests, and of two tenants where others ask, too."""
    failure_ratio: Annotated[float, Field(gt=0, le=1)] = 0.5
    """This share of failures ejects, too, of at least ``failure_requests`` within ``window``."""
    failure_requests: Annotated[int, Field(gt=0)] = 20
    """How many requests ``failure_ratio`` needs."""
    window: Duration = timedelta(seconds=30)
    """How long an answer or a failure counts."""
    probe_every: Duration = timedelta(seconds=10)
    """How often who is out, or slow, is asked for a token, +- 20 %; at once again after a good one, and three bring it back."""
    probe_every_in_long_outage: Duration = timedelta(seconds=22)
    """The same once it has been out for ten minutes; with the 20 %, and until every router has heard, less than half a minute."""
    probe_every_of_refused_key: Duration = timedelta(minutes=5)
    """The same where our key was refused, or its account has no quota left."""
    probe_timeout: Duration = timedelta(seconds=10)
    """How long a probe may take until its first token."""
    longest_cool_down: Duration = timedelta(hours=1)
    """The most that is believed of what a 429 says of when to come again."""
    slow_ratio: Annotated[float, Field(gt=1)] = 3.0
    """How many times its usual time to the first token makes an upstream slow, which is then asked after others."""
    slow_at_least: Duration = timedelta(milliseconds=200)
    """Nobody is slow whose first token comes sooner."""
    retries_at_once: Annotated[int, Field(ge=0)] = 3
    """How many retries an upstream may be sent at once, or ``retry_ratio`` of its requests if that is more."""
    retry_ratio: Annotated[float, Field(ge=0, le=1)] = 0.1
    """See ``retries_at_once``."""
    share_every: Duration = timedelta(milliseconds=500)
    """How often states of other replicas are heard of, and how many share the limits of upstreams, through ``redis.state``; at most
    a second. What is new is told at once."""

    @model_validator(mode="after")
    def _positive(self) -> Self:
        values = {
            name: value for name in type(self).model_fields if isinstance(value := getattr(self, name), timedelta)
        }
        refuse(((name,), "it must be longer than nothing") for name, value in values.items() if value <= timedelta())
        if self.share_every > timedelta(seconds=1):
            refuse([(("share_every",), "replicas must hear of a cool-down within a second")])
        return self

    def rules(self) -> HealthRules:
        """Return the numbers as the domain takes them."""
        return HealthRules(
            failures_in_a_row=self.failures_in_a_row,
            failure_ratio=self.failure_ratio,
            failure_requests=self.failure_requests,
            window_seconds=self.window.total_seconds(),
            probe_seconds=self.probe_every.total_seconds(),
            long_outage_probe_seconds=self.probe_every_in_long_outage.total_seconds(),
            rejected_key_probe_seconds=self.probe_every_of_refused_key.total_seconds(),
            probe_timeout_seconds=self.probe_timeout.total_seconds(),
            longest_cool_down_seconds=self.longest_cool_down.total_seconds(),
            slow_ratio=self.slow_ratio,
            slow_seconds=self.slow_at_least.total_seconds(),
            retries_in_flight=self.retries_at_once,
            retry_ratio=self.retry_ratio,
        )


class HedgingSettings(Section):
    """A second candidate asked where the first token is late; whoever has content first answers, and both are paid."""

    enabled: bool = False
    """Off, everybody waits for the one that was asked, until it fails or its time is over."""
    share: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    """How many of the requests may be hedged, of any stretch of them and ten more. What is late is later than 95 % of a model's
    first tokens, so less than 0.05 leaves some of the late ones late, and with them the 99th percentile."""
    at_least: Duration = timedelta(milliseconds=300)
    """No first token is late that comes sooner."""

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.at_least <= timedelta():
            refuse([(("at_least",), "it must be longer than nothing")])
        return self

    def rules(self) -> HedgingRules:
        """Return the numbers as the domain takes them."""
        return HedgingRules(self.share, self.at_least.total_seconds())

    def of(self, hedging: Hedging) -> Hedging | None:
        """Return what hedges, None where nothing is to."""
        return hedging if self.enabled else None


class ReasoningSettings(Section):
    """What is kept of an answer that asks for calls, for callers who send back the calls alone: signed and hidden reasoning.

    Processes share it through ``redis.cache``, or else ``redis.state``, sealed with ``secrets.cache_key_file``; without the
    key, or Redis, each has its own.
    """

    kept_for: Duration = timedelta(hours=1)
    """How long after its last use."""
    memory_turns: Annotated[int, Field(ge=0)] = 20_000
    """The most that one process keeps; 0 keeps nothing."""
    memory_bytes: Annotated[int, Field(gt=0)] = 64 * 1024 * 1024
    """The same in bytes; what was not used for the longest goes first."""

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.kept_for <= timedelta():
            refuse([(("kept_for",), "it must be longer than nothing; memory_turns 0 keeps nothing")])
        return self

    def rules(self) -> KeepingRules:
        """Return the numbers as the domain takes them."""
        return KeepingRules(self.kept_for.total_seconds(), self.memory_turns, self.memory_bytes)


class Settings(Section):
    """The inference service's sections."""

    upstreams: Annotated[list[AnyUpstreamSettings], RELOADED] = []
    """Whom Penstock calls: a provider, or a server of your own, and the models that it has there."""
    reload: Annotated[ReloadSettings, RELOADED] = ReloadSettings()

    hedging: Annotated[HedgingSettings, RELOADED] = HedgingSettings()

    reasoning: Annotated[ReasoningSettings, RELOADED] = ReasoningSettings()

    health: HealthSettings = HealthSettings()
    redis: Redis = Redis()
    secrets: Secrets = Secrets()

    @model_validator(mode="after")
    def _distinct(self) -> Settings:
        names = [upstream.name for upstream in self.upstreams]
        refuse(
            (("upstreams", index, "name"), f"two upstreams have the same name '{name}'")
            for index, name in enumerate(names)
            if name in names[:index]
        )
        return self
