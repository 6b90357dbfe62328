"""What is told of each candidate, how the words of several replicas become one, and where two roles of one process meet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from math import inf
from typing import Annotated, NamedTuple

import msgspec

from penstock_common.llm.types import Candidate, Value

Figure = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
"""What a replica may say was measured; a figure below 0 would put a candidate before all others, free of charge and at once."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Condition(Enum):
    """What a candidate is good for: what the best of its places is."""

    OK = "ok"
    SLOW = "slow"
    """Answers, much later than it usually does."""
    COOLING = "cooling"
    """Whoever of it could be asked has no quota left for now."""
    EJECTED = "ejected"
    BY_HAND = "by hand"
    """Put out by the operator."""

    @property
    def is_out(self) -> bool:
        """Whether it is asked only where nobody else could be."""
        return self in (Condition.EJECTED, Condition.BY_HAND)


_BADNESS = {condition: badness for badness, condition in enumerate(Condition)}


class UpstreamState(Value, frozen=True):
    """What one replica knows of a candidate; times are seconds."""

    candidate: Candidate
    condition: Condition = Condition.OK
    reason: str = ""
    since_seconds: float | None = None
    """How long ago any of its places became what it is; None where none has ever changed."""
    latency_seconds: Figure | None = None
    """The usual time to the first token of streamed answers; None where too few came."""
    measured_seconds: float | None = None
    """How long ago an answer came."""
    output_tokens: Figure | None = None
    """The usual tokens of an answer, as the upstream counted; None where too few came."""
    token_seconds: Figure | None = None
    """The usual time from one token of streamed answers to the next; None where too few came."""
    cached_share: Share | None = None
    """Which part of the input of late answers the upstream had cached; None where too few came."""


class Word(NamedTuple):
    """What a replica said, and how many seconds ago."""

    age_seconds: float
    states: Sequence[UpstreamState]


States = Mapping[Candidate, UpstreamState]


class Unheard(Exception):
    """There is no way to hear what replicas say, for now."""


def merged(words: Iterable[Word]) -> dict[Candidate, UpstreamState]:
    """Return what all replicas together know of each candidate that any of them speaks of.

    Of several conditions the latest counts, as between the replicas themselves, and of those that are as old the worst.
    Latency, length, pace and share are the means of theirs, and as fresh as the freshest.
    """
    told: dict[Candidate, list[UpstreamState]] = {}
    for age_seconds, states in words:
        for state in states:
            told.setdefault(state.candidate, []).append(_older(state, age_seconds))
    return {candidate: states[0] if len(states) == 1 else _one_of(states) for candidate, states in told.items()}


def _older(state: UpstreamState, seconds: float) -> UpstreamState:
    return msgspec.structs.replace(
        state,
        since_seconds=None if state.since_seconds is None else state.since_seconds + seconds,
        measured_seconds=None if state.measured_seconds is None else state.measured_seconds + seconds,
    )


def _one_of(states: Sequence[UpstreamState]) -> UpstreamState:
    latest = min(states, key=_lateness)
    return UpstreamState(
        candidate=latest.candidate,
        condition=latest.condition,
        reason=latest.reason,
        since_seconds=latest.since_seconds,
        latency_seconds=mean_of([state.latency_seconds for state in states]),
        measured_seconds=min(
            (state.measured_seconds for state in states if state.measured_seconds is not None), default=None
        ),
        output_tokens=mean_of([state.output_tokens for state in states]),
        token_seconds=mean_of([state.token_seconds for state in states]),
        cached_share=mean_of([state.cached_share for state in states]),
    )


def mean_of(figures: Sequence[float | None]) -> float | None:
    """Return the mean of those that are known; None where none is."""
    known = [figure for figure in figures if figure is not None]
    return sum(known) / len(known) if known else None


def _lateness(state: UpstreamState) -> tuple[float, int]:
    return inf if state.since_seconds is None else state.since_seconds, -_BADNESS[state.condition]


def _nothing() -> Sequence[UpstreamState]:
    """Nobody has said anything yet."""
    return ()


class Board:
    """Where the inference service and the router of one process meet: what is read is what is so at that moment."""

    def __init__(self) -> None:
        self.tell: Callable[[], Sequence[UpstreamState]] = _nothing
        """Set by whoever knows."""

    async def words(self) -> list[Word]:
        """Return what is known; see the router's ``Source``."""
        return [Word(0.0, self.tell())]
