"""Who of a plan can be asked now: who is well comes first, who is slow after, who is out last."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import timedelta

from penstock_common import errors
from penstock_inference.domain.catalogue import Model
from penstock_inference.domain.health.place import least_bad
from penstock_inference.domain.health.rules import State
from penstock_inference.domain.pool import Look, Pool

_RANKS = {State.OK: 0, State.COOLING: 0, State.SLOW: 1, State.EJECTED: 2, State.BY_HAND: 3}

Pools = Mapping[str, Pool]


class Availability:
    """One request's view of the pools; asked only where there is trouble."""

    def __init__(self, pools: Pools, longest_wait_seconds: float) -> None:
        """``longest_wait_seconds`` bounds what is waited for where nobody else is left."""
        self._pools = pools
        self._longest_wait_seconds = longest_wait_seconds
        self.passed_over: dict[str, str] = {}
        """Who was not asked, or only after others, and why."""
        self.soonest_seconds = math.inf
        """When the first of those that were passed over for their quota has some again."""
        self.least_bad: Model | None = None
        """Whom to ask although it is out: nobody else could be."""

    def order(self, models: Iterable[Model]) -> list[Model]:
        """Return the models with those first that are well; at equal state the plan's order stands."""
        looks = [(model, self.look(model)) for model in models]
        ranked = [model for model, _ in sorted(looks, key=lambda each: _RANKS[each[1].state])]
        for model, look in looks:
            if _RANKS[look.state]:
                self.passed_over[str(model.candidate)] = look.state.value
        out = [model for model, look in looks if look.state is State.EJECTED]
        if out and all(look.state in (State.EJECTED, State.BY_HAND) for _, look in looks):
            self.least_bad = self._least_bad_of(out)
            ranked.remove(self.least_bad)
            ranked.insert(0, self.least_bad)
        return ranked

    def look(self, model: Model) -> Look:
        """Return what a model is good for now."""
        return self._pools[model.candidate.upstream].look(model.candidate.model)

    def could_answer(self, model: Model) -> bool:
        """Return whether a model is worth being left time for."""
        look = self.look(model)
        if look.state is State.COOLING:
            return look.ready_in <= self._longest_wait_seconds
        return look.state not in (State.EJECTED, State.BY_HAND)

    def delay_before(self, model: Model, others_left: bool, seconds_left: float) -> float | None:
        """Return the seconds until a model may be asked, 0 for at once; None where it is to be passed over."""
        pool = self._pools[model.candidate.upstream]
        look = pool.look(model.candidate.model)
        if look.state is State.COOLING:
            longest = pool.wait_seconds if others_left else self._longest_wait_seconds
            if look.ready_in <= longest and look.ready_in < seconds_left:
                return look.ready_in
            self.soonest_seconds = min(self.soonest_seconds, look.ready_in)
        elif look.state is State.EJECTED:
            # Beside the least bad one, who is out is asked in the place of a probe alone.
            if model is self.least_bad or not look.is_probed:
                return 0.0
        elif look.state is not State.BY_HAND:
            return 0.0
        self.passed_over[str(model.candidate)] = look.state.value
        return None

    def soonest_of(self, models: Iterable[Model]) -> float:
        """Return the seconds until the first of these models has quota again; 0 where none is without."""
        cooling = [look.ready_in for look in map(self.look, models) if look.state is State.COOLING]
        return min(cooling, default=0.0)

    @property
    def told(self) -> str:
        """Who was passed over, and why, in words."""
        return ", ".join(f"{candidate} {state}" for candidate, state in self.passed_over.items())

    def nobody_may_be_asked(self) -> errors.PenstockError:
        """Return what a caller sees where every candidate was passed over."""
        if math.isinf(self.soonest_seconds):
            return errors.NoHealthyUpstream(f"Every candidate is out of service: {self.told}.")
        return errors.RateLimited(
            f"The rate limits of all candidates are reached: {self.told}.",
            limit="upstreams",
            retry_after=timedelta(seconds=math.ceil(self.soonest_seconds)),
        )

    def _least_bad_of(self, models: list[Model]) -> Model:
        places = {
            place: model
            for model in models
            for place in self._pools[model.candidate.upstream].places(model.candidate.model)
        }
        return places[least_bad(places)]
