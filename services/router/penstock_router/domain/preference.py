"""Whom a model that wants to be fast asks first, by what was learned of its candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from penstock_common.llm.types import Candidate
from penstock_common.upstreams.state import Condition, States, UpstreamState

_LAST = {Condition.SLOW: 1, Condition.COOLING: 2, Condition.EJECTED: 3, Condition.BY_HAND: 4}
"""Whoever is none of these comes before them."""


@dataclass(frozen=True, slots=True)
class PreferenceRules:
    """When one is faster than another, and how often others are tried."""

    latency_margin: float = 0.2
    """By this much of its own time to the first token one must be faster to come before the first."""
    explore_ratio: float = 0.02
    """This share of requests goes to somebody whose latency is not known, while there is one."""
    measured_seconds: float = 60.0
    """After so long without an answer a latency is not known any more."""


@dataclass(frozen=True, slots=True)
class Preference:
    """An order of a model's candidates, and who of them but the first is to be tried for once, to learn its latency."""

    order: tuple[Candidate, ...]
    unmeasured: tuple[Candidate, ...] = ()
    latencies: Mapping[Candidate, str] = field(default_factory=dict[Candidate, str])
    """Usual times to the first token, in words, with two digits that count: more would be noise, and never the same twice."""


def preferred(first: Candidate, configured: Sequence[Candidate], states: States, rules: PreferenceRules) -> Preference:
    """Return the order of the ``configured`` candidates.

    The ``first`` until now stays so until another is faster by the margin, so that they do not take turns for a hair's
    breadth. The rest stand by latency, then those of whom none is known; who is slow, cools down or is out comes last.
    """
    latency = {name: seconds for name in configured if (seconds := _latency(states.get(name))) is not None}

    def place(name: Candidate) -> tuple[int, bool, float, int]:
        state = states.get(name)
        last = 0 if state is None else _LAST.get(state.condition, 0)
        return last, name not in latency, latency.get(name, 0.0), configured.index(name)

    order = sorted(configured, key=place)
    best = order[0]
    is_as_well = first in latency and place(first)[0] == place(best)[0]
    if is_as_well and latency[best] * (1 + rules.latency_margin) >= latency[first]:
        order.remove(first)
        order.insert(0, first)
    unmeasured = tuple(name for name in order[1:] if _is_to_be_tried(states.get(name), rules))
    return Preference(tuple(order), unmeasured, {name: f"{seconds:.2g} s" for name, seconds in latency.items()})


def _latency(state: UpstreamState | None) -> float | None:
    return None if state is None else state.latency_seconds


def _is_to_be_tried(state: UpstreamState | None, rules: PreferenceRules) -> bool:
    if state is None:
        return True
    if state.condition is not Condition.OK:
        return False
    return state.measured_seconds is None or state.measured_seconds > rules.measured_seconds
