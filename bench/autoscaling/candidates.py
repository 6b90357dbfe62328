"""Other constants than the chart's, one at a time, over the same arrivals: whether one is better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autoscaling.kinds import BY_NAME
from autoscaling.loads import SHAPES, synthetic
from autoscaling.rehearsal import Rehearsal, Summary, summary

Changes = Mapping[str, Any]
LOADS = ("steady", "step", "spike", "waves")
_MARGIN = 1.02
"""Two per cent more of something is no more."""


def _scaling(**changes: Any) -> Changes:
    return {"scaling": changes}


def _triton(**changes: Any) -> Changes:
    return {"triton": {"autoscaling": changes}}


_OF_ALL: Mapping[str, Changes] = {
    "as the chart has it": {},
    "window 1m": _scaling(window="1m"),
    "window 5m": _scaling(window="5m"),
    "up.pods 2": _scaling(up={"pods": 2}),
    "up.pods 10": _scaling(up={"pods": 10}),
    "up.windowSeconds 60": _scaling(up={"windowSeconds": 60}),
    "down.windowSeconds 60": _scaling(down={"windowSeconds": 60}),
    "down.windowSeconds 600": _scaling(down={"windowSeconds": 600}),
    "down.percent 100": _scaling(down={"percent": 100}),
}
_OF_ROLES: Mapping[str, Mapping[str, Changes]] = {
    "gateway": {
        "inFlight.gateway 100": _scaling(inFlight={"gateway": 100}),
        "inFlight.gateway 400": _scaling(inFlight={"gateway": 400}),
        "inFlight.gateway 600": _scaling(inFlight={"gateway": 600}),
        "cpuPercent 50": _scaling(cpuPercent=50),
        "cpuPercent 90": _scaling(cpuPercent=90),
    },
    "triton": {
        "requests 8": _triton(requests=8),
        "requests 24": _triton(requests=24),
        "requests 32": _triton(requests=32),
        "waiting 2": _triton(waiting=2),
        "queuePerCompute 0.25": _triton(queuePerCompute=0.25),
        "kvCacheUse 0.6": _triton(kvCacheUse=0.6),
    },
}


@dataclass(frozen=True)
class Score:
    """All loads together. Of none more is good."""

    kind: str
    change: str
    critical: int
    others: int
    turns_when_steady: int
    turns: int
    pod_hours: float

    def beats(self, other: Score) -> bool:
        """Return whether this is better in something, and worse in nothing by more than two per cent."""
        mine, theirs = self._costs(), other._costs()
        no_worse = all(a <= b * _MARGIN for a, b in zip(mine, theirs, strict=True))
        return no_worse and any(a * _MARGIN < b for a, b in zip(mine, theirs, strict=True))

    def _costs(self) -> tuple[float, ...]:
        return self.critical, self.others, self.turns_when_steady, self.turns, self.pod_hours


def scores(kind_name: str, seed: int, loads: Sequence[str] = LOADS) -> Iterator[Score]:
    """Yield what the chart's constants come to, and then each other."""
    kind = BY_NAME[kind_name]
    arrivals = {name: synthetic(*SHAPES[name], kind.base, seed) for name in loads}
    for change, changes in {**_OF_ALL, **_OF_ROLES[kind.role]}.items():
        found = {name: summary(Rehearsal(kind, changes=changes).run(came)) for name, came in arrivals.items()}
        yield _score(kind_name, change, found)


def _score(kind: str, change: str, found: Mapping[str, Summary]) -> Score:
    return Score(
        kind,
        change,
        critical=sum(each.dropped["critical"] for each in found.values()),
        others=sum(each.dropped["default"] + each.dropped["sheddable"] for each in found.values()),
        turns_when_steady=found["steady"].turns if "steady" in found else 0,
        turns=sum(each.turns for each in found.values()),
        pod_hours=round(sum(each.pod_hours for each in found.values()), 1),
    )


def table(found: Sequence[Score]) -> Iterator[str]:
    """Yield lines; ``better`` is said of whoever beats the first."""
    yield f"{'kind':16}{'with':24}{'critical':>10}{'others':>10}{'turns':>7}{'pod h':>8}"
    for each in found:
        better = "  better" if each.beats(found[0]) else ""
        yield f"{each.kind:16}{each.change:24}{each.critical:>10}{each.others:>10}{each.turns:>7}{each.pod_hours:>8}{better}"
