"""What an experiment compares, for whom, and by which figures it is judged."""

from __future__ import annotations

import hashlib
from datetime import datetime
from enum import StrEnum

import msgspec

CONTROL = "control"
"""The variant that changes nothing: whoever has no other has this one."""


class Unit(StrEnum):
    """Whom a variant stays with. Where a request does not say its user, its conversation stands in, then its key."""

    USER = "user"
    CONVERSATION = "conversation"
    KEY = "key"


class Metric(StrEnum):
    """A figure of each request."""

    COST = "cost"
    """Dollars of an answer that was generated."""
    LATENCY = "latency"
    """Seconds until the answer was whole, at most ``LATENCY_CAP_SECONDS``."""
    ERROR_RATE = "error_rate"
    """The part of requests that failed, through no act of the caller."""
    FEEDBACK = "feedback"
    """Scores from 0 to 1, of the requests that have one."""

    @property
    def is_ratio(self) -> bool:
        """Whether it lies between 0 and 1, so that a tolerance is told in points and not as a part of the control's."""
        return self in (Metric.ERROR_RATE, Metric.FEEDBACK)

    @property
    def more_is_better(self) -> bool:
        """Its direction, unless an experiment says another."""
        return self is Metric.FEEDBACK


LATENCY_CAP_SECONDS = 120.0
"""A mean has no finite surprise left above this: one hung request would outweigh a thousand others."""


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """What a share of units gets. An empty ``model`` or ``prompt`` leaves the caller's own."""

    name: str
    share: float
    model: str = ""
    prompt: str = ""
    """``name@version`` of a registered prompt."""

    @property
    def version(self) -> int:
        """That of the prompt; 0 where there is none."""
        return int(self.prompt.partition("@")[2] or 0)


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of an experiment. With a ``guardrail`` a variant that is certainly worse by more than this is stopped."""

    metric: Metric
    more_is_better: bool
    guardrail: float | None = None


class AdaptiveShares(msgspec.Struct, frozen=True):
    """The bounds inside which shares follow what is seen (Thompson sampling), control's included."""

    least: float
    most: float


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment, on ``models`` or on a ``prompt``. The first of ``measures`` decides; ``error_probability`` bounds all wrong calls of it together.

    ``minimum_samples`` are units of each variant. ``planned_samples`` are units of all: there intervals are narrowest
    for what they promise, before and after it they hold all the same. ``near`` is how little is as good as nothing,
    as a part of the control's mean.
    """

    name: str
    models: frozenset[str]
    variants: tuple[Variant, ...]
    measures: tuple[Measure, ...]
    unit: Unit = Unit.USER
    salt: str = ""
    shadow: bool = False
    """Whether variants answer beside the control, to nobody."""
    minimum_samples: int = 200
    planned_samples: int = 10_000
    error_probability: float = 0.05
    near: float = 0.01
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    adaptive: AdaptiveShares | None = None

    @property
    def prompt(self) -> str:
        """The registered prompt whose versions are compared; empty where models are."""
        return self.variants[0].prompt.partition("@")[0]

    @property
    def shares(self) -> tuple[float, ...]:
        """The shares as configured, control's first."""
        given = [variant.share for variant in self.variants]
        # Of a shadow everybody is answered by the control.
        return (1.0 if self.shadow else max(0.0, 1.0 - sum(given)), *given)

    @property
    def names(self) -> tuple[str, ...]:
        """The variants' names, control first."""
        return (CONTROL, *[variant.name for variant in self.variants])

    @property
    def phase(self) -> str:
        """Names what is compared: figures of one phase are never mixed with another's.

        Other shares are another phase, too: who came in under which would otherwise differ by time as well as by variant.
        Shares that follow the figures are one phase.
        """
        shares = () if self.adaptive is not None else self.shares
        parts = (
            self.salt,
            self.unit,
            self.shadow,
            shares,
            [(one.name, one.model, one.prompt) for one in self.variants],
        )
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]

    def is_due(self, now: datetime) -> bool:
        """Return whether its time has come and is not over."""
        return (self.starts_at is None or self.starts_at <= now) and (self.ends_at is None or now < self.ends_at)
