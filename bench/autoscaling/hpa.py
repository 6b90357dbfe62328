"""The HorizontalPodAutoscaler's algorithm, version 2.

https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/ and, where that leaves room, what
kube-controller-manager does (pkg/controller/podautoscaler: replica_calculator.go, horizontal.go).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TOLERANCE = 0.1
SYNC_SECONDS = 15


def by_ratio(current: int, measured: float, target: float) -> int:
    """Return ``ceil(current * measured / target)``, or ``current`` where the ratio is within the tolerance of 1."""
    ratio = measured / target
    return current if _near(ratio) else _ceil(current * ratio)


def by_average(replicas: int, total: float, target: float) -> int:
    """Return how many share an external metric so that each has its target (``AverageValue``)."""
    return replicas if replicas and _near(total / (target * replicas)) else _ceil(total / target)


def by_pods(current: int, used: Sequence[float | None], unready: int, target: float) -> int | None:
    """Return the number by a metric of each pod, as shares of its request: None is missing, ``unready`` ones count apart.

    Missing pods count as 100 % where fewer would do and as 0 % where more are needed; those not yet ready as 0 % where more
    are needed. Nothing is done where that turns the direction round, and nothing is known where no ready pod has a metric.
    """
    known = [each for each in used if each is not None]
    missing = len(used) - len(known)
    if not known:
        return None
    ratio = sum(known) / len(known) / target
    if not missing and not (unready and ratio > 1):
        return current if _near(ratio) else _ceil(ratio * len(known))
    filled = [*known, *[1.0 if ratio < 1 else 0.0] * missing, *[0.0] * (unready if ratio > 1 else 0)]
    again = sum(filled) / len(filled) / target
    wanted = _ceil(again * len(filled))
    turned = (
        (ratio < 1 < again)
        or (again < 1 < ratio)
        or (again < 1 and wanted > current)
        or (again > 1 and wanted < current)
    )
    return current if turned or _near(again) else wanted


def _near(ratio: float) -> bool:
    return round(abs(1 - ratio), 6) <= TOLERANCE


def _ceil(number: float) -> int:
    # Quantities are thousandths there.
    return math.ceil(round(number, 6))


@dataclass(frozen=True)
class Policy:
    """How much may change within a period: so many pods, or so many per cent of those at its beginning."""

    kind: str
    value: int
    period_seconds: int


@dataclass(frozen=True)
class Rules:
    """Of one direction."""

    window_seconds: int
    policies: tuple[Policy, ...]


@dataclass(frozen=True)
class Behavior:
    """Both directions; of several policies the one that changes most counts (``selectPolicy: Max``)."""

    up: Rules
    down: Rules

    @classmethod
    def of(cls, scaling: Mapping[str, Any]) -> Behavior:
        """Return what ``penstock.behavior`` of the chart writes of its values."""
        up, down = scaling["up"], scaling["down"]
        more = (Policy("Percent", up["percent"], up["periodSeconds"]), Policy("Pods", up["pods"], up["periodSeconds"]))
        fewer = (Policy("Percent", down["percent"], down["periodSeconds"]),)
        return cls(Rules(up["windowSeconds"], more), Rules(down["windowSeconds"], fewer))


@dataclass
class HorizontalPodAutoscaler:
    """What one remembers between its looks: what it would have done, and what it did."""

    least: int
    most: int
    behavior: Behavior
    _recommended: list[tuple[float, int]] = field(default_factory=list)
    _changes: list[tuple[float, int]] = field(default_factory=list)

    def look(self, now: float, current: int, proposals: Sequence[int | None]) -> int:
        """Return how many there are to be; a proposal is None where its metric could not be had."""
        if current == 0:
            return 0
        if not self.least <= current <= self.most:
            wanted = min(max(current, self.least), self.most)
        else:
            highest = max((each for each in proposals if each is not None), default=None)
            if highest is None or (None in proposals and highest < current):
                return current
            wanted = self._limited(now, current, self._stabilised(now, current, highest))
        if wanted != current:
            self._changes.append((now, wanted - current))
        return wanted

    def _stabilised(self, now: float, current: int, wanted: int) -> int:
        if not self._recommended:
            self._recommended.append((now, current))
        up, down = self.behavior.up.window_seconds, self.behavior.down.window_seconds
        lowest = min([wanted, *(n for at, n in self._recommended if at > now - up)])
        highest = max([wanted, *(n for at, n in self._recommended if at > now - down)])
        self._recommended = [each for each in self._recommended if each[0] > now - max(up, down)]
        self._recommended.append((now, wanted))
        return min(max(current, lowest), highest)

    def _limited(self, now: float, current: int, wanted: int) -> int:
        if wanted > current:
            room = max(self._at_most(now, current, policy) for policy in self.behavior.up.policies)
            return min(wanted, max(room, current), self.most)
        if wanted < current:
            room = min(self._at_least(now, current, policy) for policy in self.behavior.down.policies)
            return max(wanted, min(room, current), self.least)
        return wanted

    def _before(self, now: float, current: int, policy: Policy) -> int:
        return current - sum(change for at, change in self._changes if at > now - policy.period_seconds)

    def _at_most(self, now: float, current: int, policy: Policy) -> int:
        before = self._before(now, current, policy)
        return before + policy.value if policy.kind == "Pods" else math.ceil(before * (100 + policy.value) / 100)

    def _at_least(self, now: float, current: int, policy: Policy) -> int:
        before = self._before(now, current, policy)
        return before - policy.value if policy.kind == "Pods" else int(before * (100 - policy.value) / 100)
