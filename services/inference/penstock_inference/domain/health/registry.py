"""The health of every upstream of this process: one object, which outlives a change of the configuration.

State is found by name: upstream, endpoint and model. Pools are made anew with a configuration, and ask here.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import IntEnum
from functools import partial
from itertools import count
from typing import Protocol

import msgspec
import structlog

from penstock_common import errors
from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope
from penstock_inference.domain.failure import AttemptFailed
from penstock_inference.domain.health.place import OperatorsWord, Place, PlaceName
from penstock_inference.domain.health.quota import QuotaGroup
from penstock_inference.domain.health.retry_budget import RetryBudget
from penstock_inference.domain.health.rules import HealthRules, State

_CHANCE = random.Random()  # noqa: S311 - spreads probes and choices, hides nothing
_KIND = "upstream"
_log = structlog.get_logger(__name__)


def _nobody_hears() -> None:
    """Let it be."""


class PlaceState(msgspec.Struct, frozen=True):
    """What is known of one place now; times are seconds, ``until_seconds`` None where no time is set."""

    name: PlaceName
    state: State
    reason: str
    since_seconds: float | None
    until_seconds: float | None
    latency_seconds: float | None
    in_flight: int
    probed_seconds: float | None = None
    """How long ago it was probed here."""
    probe_outcome: str = ""


class Observer(Protocol):
    """Hears of what happens to places, for metrics; see ``adapters/telemetry``."""

    def changed(self, name: PlaceName, before: State, after: State, reason: str) -> None:
        """Hear of another condition."""
        ...

    def probed(self, name: PlaceName, outcome: str) -> None:
        """Hear how a probe went."""
        ...


class Unobserved:
    """Nobody hears."""

    def changed(self, name: PlaceName, before: State, after: State, reason: str) -> None:
        """Let it be."""

    def probed(self, name: PlaceName, outcome: str) -> None:
        """Let it be."""


class Trouble(IntEnum):
    """How much an upstream needs looking at."""

    NONE = 0
    SLOW = 1
    """Of interest where there is a choice."""
    OUT = 2
    """Somebody is out, or cools down."""


class UpstreamHealth:
    """What is known of one upstream as a whole, for its pool."""

    def __init__(self, health: Health, name: str) -> None:
        self.health = health
        self.name = name
        self.budget = RetryBudget(health.rules)
        self.trouble = Trouble.NONE
        """The worst that any place of it may be; while there is none, nobody needs to look."""
        self.places: list[Place] = []

    def troubled(self) -> None:
        """Note that nobody may be asked without a look."""
        self.trouble = Trouble.OUT
        self.health.news()

    def worst(self, now: float) -> Trouble:
        """Return how its places are, of which the worst counts."""
        if any(place.is_out or place.group.is_cooling(now) for place in self.places):
            return Trouble.OUT
        if any(place.condition is State.SLOW or place.probe_due < math.inf or place.is_probed for place in self.places):
            return Trouble.SLOW
        return Trouble.NONE


class Health:
    """Finds places by name, lets time pass for them, tells their states, and takes the operator's word."""

    def __init__(
        self,
        rules: HealthRules | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = _CHANCE.random,
        whose: Callable[[], RequestScope] = CURRENT_SCOPE.get,
        observer: Observer | None = None,
    ) -> None:
        """``clock`` counts seconds and never goes back, ``chance`` is in [0, 1), ``whose`` is the request that is served."""
        self.rules = rules or HealthRules()
        self.clock = clock
        self.chance = chance
        self.whose = whose
        self.observer: Observer = observer or Unobserved()
        self.news: Callable[[], None] = _nobody_hears
        """Called whenever a quota has begun to cool, or cools for longer, and whenever a place's condition has changed."""
        self.groups: dict[str, QuotaGroup] = {}
        self.places: dict[PlaceName, Place] = {}
        self._upstreams: dict[str, UpstreamHealth] = {}
        self._numbers = count()

    def nameless_request(self) -> str:
        """Return a name for a request that has none."""
        return f"request {next(self._numbers)}"

    def upstream(self, name: str) -> UpstreamHealth:
        """Return what is known of an upstream; nothing at first."""
        found = self._upstreams.get(name)
        if found is None:
            found = self._upstreams[name] = UpstreamHealth(self, name)
        return found

    def place(self, upstream: UpstreamHealth, endpoint: str, model: str, quota_group: str) -> Place:
        """Return a place of an upstream; new ones are well."""
        name = PlaceName(upstream.name, endpoint, model)
        place = self.places.get(name)
        if place is None:
            place = Place(name, self.group(quota_group), upstream.budget, self.rules, partial(self._changed, upstream))
            self.places[name] = place
            upstream.places.append(place)
        place.group = self.group(quota_group)
        place.group.listeners.add(upstream)
        return place

    def group(self, name: str) -> QuotaGroup:
        """Return a quota by its group's name."""
        group = self.groups.get(name)
        if group is None:
            group = self.groups[name] = QuotaGroup(name, self.rules)
        return group

    def look_after(self, upstreams: Mapping[UpstreamHealth, Sequence[Place]]) -> None:
        """Look after these places from now on, in this order, and forget all others, but for quotas that cool down.

        One that was forgotten may be back, with all that it knew: an earlier revision of the configuration had it meanwhile.
        """
        now = self.clock()
        self.groups = {name: group for name, group in self.groups.items() if group.is_cooling(now)}
        self._upstreams = {upstream.name: upstream for upstream in upstreams}
        self.places = {}
        for upstream, places in upstreams.items():
            upstream.places = [*places]
            for place in places:
                self.places[place.name] = place
                self.groups[place.group.name] = place.group

    def tick(self) -> None:
        """Let time pass: see who waits for too long, what is over, and who needs nobody's look any more."""
        now = self.clock()
        for upstream in self._upstreams.values():
            for place in upstream.places:
                if place.waiting:
                    place.look_at_waiting(now)
                if place.condition is not State.OK:
                    place.let_time_pass(now)
            if upstream.trouble:
                upstream.trouble = upstream.worst(now)

    def due_probes(self) -> Iterator[Place]:
        """Yield the places to be probed now, at most one of each upstream, each marked as being probed."""
        now = self.clock()
        for upstream in self._upstreams.values():
            if not upstream.trouble or any(place.is_probed for place in upstream.places):
                continue
            due = [place for place in upstream.places if place.probe_due <= now and not place.group.is_cooling(now)]
            if due:
                place = min(due, key=lambda each: each.probe_due)
                place.is_probed = True
                yield place

    def probe_ended(self, place: Place, seconds: float, outcome: str, failure: AttemptFailed | None) -> None:
        """Note how a probe went; ``outcome`` is for metrics, and for the operator."""
        place.probe_outcome = outcome
        place.probe_ended(self.clock(), seconds, failure)
        self.observer.probed(place.name, outcome)
        self._schedule(place)

    def probe_put_off(self, place: Place) -> None:
        """Note that another replica probes the place just now."""
        place.is_probed = False
        place.schedule_probe(self.clock(), self.chance())

    def states(self) -> list[PlaceState]:
        """Return what is known of every place, in the order of the configuration."""
        now = self.clock()
        return [self._state_of(place, now) for place in self.places.values()]

    def states_of(self, upstream: str, model: str = "") -> list[PlaceState]:
        """Return what is known of an upstream, or of one model of it.

        Raises:
            ResourceNotFound: if there is no such upstream, or model of it.
        """
        now = self.clock()
        return [self._state_of(place, now) for place in self._named(upstream, model)]

    def budgets(self) -> list[tuple[str, RetryBudget]]:
        """Return the retry budget of every upstream that the configuration has, by name."""
        return [(name, upstream.budget) for name, upstream in self._upstreams.items() if upstream.places]

    def eject(self, upstream: str, why: str, seconds: float, model: str = "", *, force: bool = False) -> None:
        """Put out an upstream, or a model of it, by the operator's word.

        Raises:
            ResourceNotFound: if there is no such upstream, or model of it.
            ResourceState: if nobody else would be left, and it is not ``force``d.
        """
        named = self._named(upstream, model)
        if not force and all(place.is_out for place in self.places.values() if place not in named):
            what = _called(upstream, model)
            raise errors.ResourceState(
                f"Without {what} nobody is left to ask. Say so with force, if you mean it.", kind=_KIND, name=what
            )
        now = self.clock()
        for place in named:
            place.heed(OperatorsWord(now, seconds, why), now)

    def restore(self, upstream: str, model: str = "") -> None:
        """Take back whoever put it out; what spoke against it is forgotten.

        Raises:
            ResourceNotFound: if there is no such upstream, or model of it.
        """
        now = self.clock()
        for place in self._named(upstream, model):
            place.heed(OperatorsWord(now, 0.0, "by hand"), now)

    def probe_now(self, upstream: str, model: str = "") -> None:
        """Have it probed at once, one place after another; not what the operator has put out.

        Raises:
            ResourceNotFound: if there is no such upstream, or model of it.
        """
        now = self.clock()
        for place in self._named(upstream, model):
            if place.condition is not State.BY_HAND:
                place.have_probed(now)

    def _named(self, upstream: str, model: str) -> list[Place]:
        named = [
            place for name, place in self.places.items() if name.upstream == upstream and model in ("", name.model)
        ]
        if not named:
            what = _called(upstream, model)
            raise errors.ResourceNotFound(f"There is no upstream '{what[:256]}'.", kind=_KIND, name=what)
        return named

    def _state_of(self, place: Place, now: float) -> PlaceState:
        state = place.state(now)
        since, until, reason = place.changed_at, place.until, place.reason
        if state is State.COOLING:
            since, until, reason = place.group.since, place.group.until, "rate_limited"
        elif state is State.OK:
            reason = ""
        return PlaceState(
            name=place.name,
            state=state,
            reason=reason,
            since_seconds=now - since if since > -math.inf else None,
            until_seconds=until - now if until < math.inf else None,
            latency_seconds=place.latency.peak if place.latency.peak >= 0 else None,
            in_flight=place.in_flight,
            probed_seconds=now - place.probed_at if place.probed_at > -math.inf else None,
            probe_outcome=place.probe_outcome,
        )

    def _changed(self, upstream: UpstreamHealth, place: Place, before: State) -> None:
        upstream.trouble = max(upstream.trouble, Trouble.OUT if place.is_out else Trouble.SLOW)
        after = place.condition
        if before is after:
            return
        self.news()
        self._schedule(place)
        self.observer.changed(place.name, before, after, place.reason)
        say = _log.error if place.key_refused else _log.warning if after is not State.OK else _log.info
        say("upstream_health", place=str(place.name), before=before.value, after=after.value, reason=place.reason)

    def _schedule(self, place: Place) -> None:
        if place.condition in (State.EJECTED, State.SLOW) and place.probe_due == math.inf:
            place.schedule_probe(self.clock(), self.chance())


def _called(upstream: str, model: str) -> str:
    return f"{upstream}/{model}" if model else upstream
