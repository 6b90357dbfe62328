"""What was decided for models with routes: how often which way, and whether their prompts are still of the usual kinds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from math import log
from typing import NamedTuple

from penstock_common.llm.types import Decision
from penstock_router.domain.choosing import Shadowed
from penstock_router.domain.forks import Fork

_UNSEEN = 0.5
"""What a kind of prompt that never came is taken to have come."""

Kind = tuple[str, str]
"""A task and a complexity; both empty for prompts that told too little."""


class Way(NamedTuple):
    """One of a fork's ways, and what was seen of the prompts that went it; every part is bounded by the configuration."""

    fork: str
    model: str
    by: str
    task: str
    complexity: str


@dataclass(frozen=True, slots=True)
class DriftRules:
    """How long decisions count, in seconds until they count half, and how many recent ones it takes to say anything."""

    recent_seconds: float = 3_600.0
    usual_seconds: float = 604_800.0
    least: float = 200.0


class Sight:
    """Counts decisions. One thread changes it, the loop's; any may read."""

    def __init__(self, rules: DriftRules, clock: Callable[[], float]) -> None:
        """``clock`` says the time in seconds, and never goes back."""
        self._rules = rules
        self._clock = clock
        self.decisions: Counter[Way] = Counter()
        self.abstentions: Counter[str] = Counter()
        """By fork, as are those below."""
        self.without_vector: Counter[str] = Counter()
        """Decisions by a prompt's words alone."""
        self.passed_over: Counter[tuple[str, str]] = Counter()
        """By fork and the public model that could not take the request."""
        self.shadowed: Counter[Shadowed] = Counter()
        """What the shadow would have done, beside what was done."""
        self._mixes: dict[str, _Mixes] = {}

    def note(self, fork: Fork, decision: Decision) -> None:
        """Count a decision."""
        name = fork.name
        self.decisions[Way(name, decision.model, decision.by, decision.task, decision.complexity)] += 1
        for model in _models_in(decision.passed_over, fork):
            self.passed_over[name, model] += 1
        if not decision.task:
            # Nobody looked at the prompt.
            return
        if decision.abstains:
            self.abstentions[name] += 1
        if not decision.by_vector:
            self.without_vector[name] += 1
        kind = ("", "") if decision.abstains else (decision.task, decision.complexity)
        mixes = self._mixes.get(name)
        if mixes is None:
            mixes = self._mixes[name] = _Mixes(_Mix(self._rules.recent_seconds), _Mix(self._rules.usual_seconds))
        now = self._clock()
        mixes.recent.add(kind, now)
        mixes.usual.add(kind, now)

    def note_shadow(self, shadowed: Shadowed) -> None:
        """Count what the shadow would have done."""
        self.shadowed[shadowed] += 1

    def keep(self, forks: Collection[str]) -> None:
        """Forget the usual prompts of every other fork."""
        self._mixes = {name: mixes for name, mixes in self._mixes.items() if name in forks}

    def drift(self) -> dict[str, float]:
        """Return by fork how far its recent prompts are from its usual ones: the population stability index of their kinds.

        0 where they are alike, and while there are too few; from about 0.25 on it is another mix.
        """
        now = self._clock()
        return {name: self._drift_of(mixes, now) for name, mixes in self._mixes.copy().items()}

    def _drift_of(self, mixes: _Mixes, now: float) -> float:
        recent, usual = mixes.recent.at(now), mixes.usual.at(now)
        if sum(recent.values()) < self._rules.least:
            return 0.0
        return stability_index(recent, usual)


class _Mix:
    """How much of each kind came, what is older counting less; it halves every ``half_life_seconds``."""

    def __init__(self, half_life_seconds: float) -> None:
        self._half_life_seconds = half_life_seconds
        # Replaced as one, so that who reads meanwhile sees a single moment.
        self._weighed: tuple[float, dict[Kind, float]] = (0.0, {})

    def add(self, kind: Kind, now: float) -> None:
        weights = self.at(now)
        weights[kind] = weights.get(kind, 0.0) + 1.0
        self._weighed = (now, weights)

    def at(self, now: float) -> dict[Kind, float]:
        as_of, weights = self._weighed
        left = 0.5 ** ((now - as_of) / self._half_life_seconds)
        return {kind: weight * left for kind, weight in weights.items()}


class _Mixes(NamedTuple):
    recent: _Mix
    usual: _Mix


def _models_in(passed_over: Collection[str], fork: Fork) -> Iterator[str]:
    """Yield which of the fork's models were passed over; each is told with the reason behind its name."""
    for told in passed_over:
        named = [name for name in fork.targets if told.startswith(f"{name} (")]
        # A name may hold the beginning of a reason.
        yield max(named, key=len, default="")


def stability_index(recent: Mapping[Kind, float], usual: Mapping[Kind, float]) -> float:
    """Return the population stability index of one mix against another; each says how much of a kind there was."""
    kinds = recent.keys() | usual.keys()
    if not kinds:
        return 0.0
    of_recent = sum(recent.values()) + _UNSEEN * len(kinds)
    of_usual = sum(usual.values()) + _UNSEEN * len(kinds)
    index = 0.0
    for kind in kinds:
        now = (recent.get(kind, 0.0) + _UNSEEN) / of_recent
        before = (usual.get(kind, 0.0) + _UNSEEN) / of_usual
        index += (now - before) * log(now / before)
    return index
