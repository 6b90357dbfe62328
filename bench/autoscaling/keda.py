"""KEDA's algorithm: from none to one and back by itself, between them through an HPA that it makes and feeds.

https://keda.sh/docs/latest/reference/scaledobject-spec/ and, where that leaves room, what version 2.21 does
(pkg/scaling/executor/scale_scaledobjects.go, pkg/scaling/scale_handler.go, pkg/fallback/fallback.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Fallback:
    """After more than ``failure_threshold`` failures of a trigger in a row, as many as ``behavior`` says."""

    failure_threshold: int
    replicas: int
    behavior: str = "static"

    def count(self, current: int) -> int:
        """Return how many there are to be."""
        if self.behavior == "currentReplicas":
            return current
        return max(current, self.replicas) if self.behavior == "currentReplicasIfHigher" else self.replicas


@dataclass(frozen=True)
class Observed:
    """What is known of a trigger: its value, None where it could not be asked; by the fallback, or by the query."""

    value: float | None
    fell_back: bool = False

    @property
    def active(self) -> bool:
        """Whether there is work by it: above 0, as the chart has ``activationThreshold``, or by the fallback."""
        return self.fell_back or (self.value is not None and self.value > 0)


@dataclass
class ScaledObject:
    """One, with what its operator remembers."""

    least: int
    cooldown_seconds: int
    fallback: Fallback | None
    _active_at: float | None = None
    _failures: dict[str, int] = field(default_factory=dict)

    def observe(self, name: str, value: float | None, target: float, current: int) -> Observed:
        """Return what the HPA and the operator take for the value of a trigger, whose query said ``value``."""
        if value is not None:
            self._failures[name] = 0
            return Observed(value)
        self._failures[name] = self._failures.get(name, 0) + 1
        if self.fallback is None or self._failures[name] <= self.fallback.failure_threshold:
            return Observed(None)
        return Observed(target * self.fallback.count(current), fell_back=True)

    def poll(self, now: float, current: int, triggers: Mapping[str, Observed]) -> int:
        """Return how many there are to be; between one and the most the HPA decides."""
        failed = any(each.value is None for each in triggers.values())
        if any(each.active for each in triggers.values()):
            if current == 0 or not failed:
                self._active_at = now
            return max(self.least, 1) if current == 0 else current
        if failed and (self.fallback is None or self.fallback.replicas != 0):
            return current
        # So it is with a fallback of 0 replicas, too: an error is then as good as nothing to do.
        if current > 0 and self.least == 0:
            rested = self._active_at is None or self._active_at + self.cooldown_seconds < now
            return 0 if rested else current
        return max(current, self.least)
