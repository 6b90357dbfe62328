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
    """By this much of its own time one must be faster to come before the first."""
    explore_ratio: float = 0.02
    """This share of requests goes to somebody whose latency is not known, while there is one."""
    measured_seconds: float = 60.0
    """After so long without an answer a latency is not known any more."""
    answer_tokens: int = 100
    """How long an answer is whose time is compared, where it is known how fast tokens come; 1: the first token's."""


@dataclass(frozen=True, slots=True)
class Preference:
    """An order of a model's candidates, and who of them but the first is to be tried for once, to learn its latency."""

    order: tuple[Candidate, ...]
    unmeasured: tuple[Candidate, ...] = ()
    latencies: Mapping[Candidate, str] = field(default_factory=dict[Candidate, str])
    """Usual times, in words, with two digits that count: more would be noise, and never the same twice."""


def preferred(first: Candidate, configured: Sequence[Candidate], states: States, rules: PreferenceRules) -> Preference:
    """Return the order of the ``configured`` candidates.

    The ``first`` until now stays so until another is faster by the margin, so that they do not take turns for a hair's
    breadth. The rest stand by latency, then those of whom none is known; who is slow, cools down or is out comes last.
    """
    latency, how = waits(configured, states, rules.answer_tokens)

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
    return Preference(tuple(order), unmeasured, {name: f"{seconds:.2g} s{how}" for name, seconds in latency.items()})


def waits(candidates: Sequence[Candidate], states: States, answer_tokens: int) -> tuple[dict[Candidate, float], str]:
    """Return how many seconds an answer of so many tokens usually takes, of each candidate of which that is known.

    Where of any of them it is not known how fast its tokens come, it is the time to the first token of all: the second value
    says in words which of the two it is.
    """
    known = {name: state for name in candidates if (state := states.get(name)) and state.latency_seconds is not None}
    rest = answer_tokens - 1
    are_paced = rest > 0 and all(state.token_seconds is not None for state in known.values())
    seconds = {
        name: (state.latency_seconds or 0.0) + (rest * (state.token_seconds or 0.0) if are_paced else 0.0)
        for name, state in known.items()
    }
    return seconds, f" to {answer_tokens} tokens" if are_paced else ""


def _is_to_be_tried(state: UpstreamState | None, rules: PreferenceRules) -> bool:
    if state is None:
        return True
    if state.condition is not Condition.OK:
        return False
    return state.measured_seconds is None or state.measured_seconds > rules.measured_seconds
