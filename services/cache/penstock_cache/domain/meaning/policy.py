"""What operators say of matching by meaning, for each public model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Policy:
    """For one public model. Scores are the guard's, and say how probably an answer is right; ``floor`` is a cosine.

    ``threshold`` is what an entry without evidence needs; ``strict`` what one needs that another user alone has seen;
    ``max_error`` bounds the share of wrong answers among those that learned thresholds serve.
    """

    is_on: bool = True
    threshold: float = 0.97
    strict: float = 0.99
    floor: float = 0.5
    max_error: float = 0.01


@dataclass(frozen=True, slots=True)
class Policies:
    """Each model's, and the one of all others."""

    usual: Policy = Policy()
    of_models: Mapping[str, Policy] = field(default_factory=dict[str, Policy])

    def of(self, model: str) -> Policy:
        """Return a public model's."""
        return self.of_models.get(model, self.usual)


@dataclass(frozen=True, slots=True)
class Bounds:
    """``timeout`` is all that looking by meaning may take; ``life`` is an entry's longest; ``stale`` what it is kept beyond."""

    timeout: timedelta = timedelta(milliseconds=60)
    life: timedelta = timedelta(hours=24)
    stale: timedelta = timedelta()
    candidates: int = 2
    max_entries: int = 200_000
    max_entries_of_a_tenant: int = 100_000
    max_waiting: int = 256
    """Answers that wait to be stored; further ones are not."""
