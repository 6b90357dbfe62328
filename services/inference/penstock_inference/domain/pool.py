"""The endpoints that serve one upstream's models, and which of them is asked next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from penstock_inference.domain.affinity import beginning_of, first_of
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.health.place import Place, least_bad
from penstock_inference.domain.health.registry import Health, UpstreamHealth
from penstock_inference.domain.health.rules import State
from penstock_inference.domain.health.turn import Turn
from penstock_inference.domain.load.gate import Gate
from penstock_inference.domain.upstream import UpstreamCall


class Look(NamedTuple):
    """What a pool is good for, for one model."""

    state: State
    """The best of its places'; never probing."""
    ready_in: float = 0.0
    """The seconds until the first of those that are not out has quota again."""
    is_probed: bool = False


class Pool:
    """The endpoints of one upstream, any of which can answer any of its models.

    Of several, one is chosen by the power of two choices (Mitzenmacher 2001) over peak-EWMA latency times the requests
    in flight: a replica that gets slow gets less before it fails. A new one begins with the average of its peers. With
    ``prefix_affinity``, the one that has the conversation's beginning in its cache is asked while there is no more than so
    many times longer to wait than at the other choice.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        health: UpstreamHealth | None = None,
        gate: Gate | None = None,
        wait_seconds: float = 2.0,
        *,
        takes_reasoning: bool = False,
        prefix_affinity: float = 0.0,
    ) -> None:
        """Take at least one endpoint; without ``health``, what is learned stays here."""
        if not endpoints:
            raise ValueError("a pool needs an endpoint")
        self.gate = gate
        """Whom it lets in; None where the upstream has no limits."""
        self.wait_seconds = wait_seconds
        """A cool-down no longer than this is waited for, although another could be asked."""
        self.takes_reasoning = takes_reasoning
        """Whether it is to be handed back the reasoning that it gave with calls."""
        self._prefix_affinity = prefix_affinity
        self._endpoints = tuple(endpoints)
        self._names = [endpoint.name.encode() for endpoint in self._endpoints]
        self.health = health or Health().upstream("")
        self._registry = self.health.health
        self._places: dict[str, list[Place]] = {}
        self._only: dict[str, Place] = {}
        """By model, where there is one endpoint."""

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All of them."""
        return self._endpoints

    def places(self, model: str) -> list[Place]:
        """Return what is known of a model, at one endpoint after another."""
        try:
            return self._places[model]
        except KeyError:
            places = [
                self._registry.place(self.health, each.name, model, each.quota_group or self.health.name)
                for each in self._endpoints
            ]
            for place in places:
                place.peers = places
            self._places[model] = places
            if len(places) == 1:
                self._only[model] = places[0]
            return places

    def turn(self, call: UpstreamCall, avoid: Place | None = None, account: str = "") -> Turn:
        """Return an attempt at the endpoint to ask next, another than ``avoid`` where there is one.

        It is one of the ``account`` while any of those is well.
        """
        try:
            place = self._only[call.model]
        except KeyError:
            places = self.places(call.model)
            place = self._choose((account and self._of_account(account, places, avoid)) or places, avoid, call)
            endpoint = self._endpoints[self._places[call.model].index(place)]
            return Turn(self._registry, place, endpoint, call)
        return Turn(self._registry, place, self._endpoints[0], call)

    def look(self, model: str) -> Look:
        """Return what it is good for now."""
        now = self._registry.clock()
        places = self.places(model)
        is_probed = any(place.is_probed for place in places)
        usable = [place for place in places if not place.is_out]
        if not usable:
            by_hand = all(place.condition is State.BY_HAND for place in places)
            return Look(State.BY_HAND if by_hand else State.EJECTED, 0.0, is_probed)
        ready_in = max(0.0, min(place.group.until for place in usable) - now)
        if ready_in > 0:
            return Look(State.COOLING, ready_in)
        is_slow = all(place.condition is State.SLOW for place in usable if not place.group.is_cooling(now))
        return Look(State.SLOW if is_slow else State.OK)

    def ready_at(self, model: str) -> float:
        """Return when there is quota again, on the clock of health; a time that is over where there is some."""
        return min(place.group.until for place in self.places(model))

    def has_another(self, model: str, than: Place) -> bool:
        """Return whether another endpoint could be asked at once."""
        now = self._registry.clock()
        return any(
            place is not than and not place.is_out and not place.group.is_cooling(now) for place in self.places(model)
        )

    def _of_account(self, account: str, places: list[Place], avoid: Place | None) -> list[Place]:
        """Return those of an account's places that can be asked at once."""
        now = self._registry.clock()
        return [
            place
            for place, endpoint in zip(places, self._endpoints, strict=True)
            if endpoint.account == account
            and place is not avoid
            and not place.is_out
            and not place.group.is_cooling(now)
        ]

    def _choose(self, places: list[Place], avoid: Place | None, call: UpstreamCall) -> Place:
        if len(places) == 1:
            return places[0]
        if self.health.trouble or avoid is not None:
            places = self._usable(places, avoid)
        if len(places) == 1:
            return places[0]
        chance = self._registry.chance
        first = int(chance() * len(places))
        second = int(chance() * (len(places) - 1))
        one, other = places[first], places[second + (second >= first)]
        now = self._registry.clock()
        average = _average_peak(places)
        if self._prefix_affinity:
            warm = self._warm(places, call)
            cold = other if one is warm else one
            if _load(warm, now, average) <= self._prefix_affinity * _load(cold, now, average):
                return warm
        return one if _load(one, now, average) <= _load(other, now, average) else other

    def _warm(self, places: list[Place], call: UpstreamCall) -> Place:
        """Return the place that has the conversation's beginning in its cache, if any has."""
        all_of_them = self._places[call.model]
        names = self._names
        if places is not all_of_them:
            names = [self._names[all_of_them.index(place)] for place in places]
        return places[first_of(beginning_of(call.input), names)]

    def _usable(self, places: list[Place], avoid: Place | None) -> list[Place]:
        now = self._registry.clock()
        usable = [place for place in places if not place.is_out]
        if not usable:
            allowed = [place for place in places if place.condition is not State.BY_HAND]
            return [least_bad(allowed or places)]
        ready = [place for place in usable if not place.group.is_cooling(now)]
        if not ready:
            return [min(usable, key=lambda place: place.group.until)]
        return [place for place in ready if place is not avoid] or ready


def _average_peak(places: list[Place]) -> float:
    known = [place.latency.peak for place in places if place.latency.peak >= 0]
    # While nobody has answered, who has the least to do has the least to wait for.
    return sum(known) / len(known) if known else 1.0


def _load(place: Place, now: float, average: float) -> float:
    """Return how much there is to wait for: peak EWMA times in flight, and no less than somebody waits already."""
    latency = place.latency
    seconds = average if latency.peak < 0 else latency.decayed_peak(now)
    if place.waiting:
        seconds = max(seconds, now - next(iter(place.waiting)).began)
    if place.failing:
        return math.inf
    return seconds * (place.in_flight + 1)
