"""What is told of each candidate to whoever chooses among them: of its places the best counts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from penstock_common.llm.types import Candidate
from penstock_common.upstreams.state import Condition, UpstreamState, mean_of
from penstock_inference.domain.health.place import Place
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.health.rules import State

_CONDITIONS = {
    State.OK: Condition.OK,
    State.SLOW: Condition.SLOW,
    State.COOLING: Condition.COOLING,
    State.EJECTED: Condition.EJECTED,
    State.PROBING: Condition.EJECTED,
    State.BY_HAND: Condition.BY_HAND,
}
_FROM_BEST = list(Condition)


def summary(health: Health) -> list[UpstreamState]:
    """Return what is known of each candidate of which anything is."""
    now = health.clock()
    of_candidates: dict[tuple[str, str], list[Place]] = {}
    for place in health.places.values():
        of_candidates.setdefault((place.name.upstream, place.name.model), []).append(place)
    told = (_state_of(Candidate(upstream=name[0], model=name[1]), those, now) for name, those in of_candidates.items())
    return [state for state in told if _says_something(state)]


def _says_something(state: UpstreamState) -> bool:
    return not (state.since_seconds is None and state.latency_seconds is None and state.output_tokens is None)


def _state_of(candidate: Candidate, places: Sequence[Place], now: float) -> UpstreamState:
    conditions = [_CONDITIONS[place.state(now)] for place in places]
    best = min(conditions, key=_FROM_BEST.index)
    changes = [_changed_at(place, now) for place in places]
    since = max(changes)
    # Of those that are as good, the one that changed last made the candidate what it is.
    _, latest = max((changed, at) for at, changed in enumerate(changes) if conditions[at] is best)
    latency = mean_of([place.latency.usual_first_token() for place in places])
    return UpstreamState(
        candidate=candidate,
        condition=best,
        reason=_reason_of(places[latest], best),
        since_seconds=now - since if since > -math.inf else None,
        latency_seconds=latency,
        measured_seconds=None if latency is None else now - max(place.latency.peak_at for place in places),
        output_tokens=mean_of([place.pace.usual_output_tokens() for place in places]),
        token_seconds=mean_of([place.pace.usual_token_seconds() for place in places]),
        cached_share=mean_of([place.cached_share() for place in places]),
    )


def _changed_at(place: Place, now: float) -> float:
    return max(place.changed_at, place.group.since) if place.group.is_cooling(now) else place.changed_at


def _reason_of(place: Place, condition: Condition) -> str:
    if condition is Condition.OK:
        return ""
    return "rate_limited" if condition is Condition.COOLING else place.reason
