"""From an upstream's recovery until plans name it again: 30 s at most, though nobody asks it meanwhile; on a clock of the test."""

from __future__ import annotations

import random

import pytest

from penstock_common.contract.router import Requirements, RouteRequest
from penstock_common.llm.types import Candidate
from penstock_common.upstreams.state import Word, merged
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.health.summary import summary
from penstock_inference.domain.pool import Pool
from penstock_router.domain.catalogue import Catalogue, PublicModel, UpstreamModel
from penstock_router.domain.routing import Router

STEP_SECONDS = 0.05
WATCH_EVERY, SHARE_EVERY, LISTEN_EVERY = 0.25, 0.5, 0.5
PROBE_SECONDS = 0.4
REQUEST = RouteRequest(model="fast", requirements=Requirements())
FIRST, SECOND = (Candidate(upstream=name, model="m") for name in ("first", "second"))


class World:
    """Inference, whose probes come as late as they may, and a router, which hears as late as it may."""

    def __init__(self) -> None:
        self.step = 0
        self.is_down = True
        self.failed_at = 0.0
        self._probed: tuple[float, object] | None = None
        self._word = Word(0.0, [])
        self.health = Health(clock=lambda: self.now, chance=lambda: 0.999)
        for name in ("first", "second"):
            Pool([Endpoint(None, "e")], self.health.upstream(name)).places("m")  # pyright: ignore[reportArgumentType] - never asked
        entries = tuple(UpstreamModel(name, "", 100, frozenset({"chat"})) for name in (FIRST, SECOND))
        self.router = Router(Catalogue([PublicModel("fast", entries)]), random.Random(1))
        next(iter(self.health.places.values())).eject(self.now, "connect")

    @property
    def now(self) -> float:
        return self.step * STEP_SECONDS

    @property
    def planned(self) -> tuple[Candidate, ...]:
        return self.router.plan(REQUEST).candidates

    def _is_time(self, every_seconds: float) -> bool:
        return self.step % round(every_seconds / STEP_SECONDS) == 0

    def run(self) -> None:
        """Let one step of time pass."""
        self.step += 1
        # Who hears does so before who tells: a word waits as long as it may.
        if self._is_time(LISTEN_EVERY):
            self.router.hear(merged([self._word]))
        if self._is_time(SHARE_EVERY):
            self._word = Word(0.0, summary(self.health))
        if self._probed is not None and self.now >= self._probed[0]:
            failure = AttemptFailed(FailureKind.CONNECT, "down") if self.is_down else None
            self.health.probe_ended(self._probed[1], PROBE_SECONDS, "", failure)  # pyright: ignore[reportArgumentType] - a place
            self.failed_at = self.now if self.is_down else self.failed_at
            self._probed = None
        if self._is_time(WATCH_EVERY):
            self.health.tick()
            for place in self.health.due_probes():
                self._probed = self.now + PROBE_SECONDS, place


@pytest.mark.parametrize("down_seconds", [60, 590, 700])
def test_who_recovers_right_after_a_probe_failed_is_planned_for_within_thirty_seconds(down_seconds: int) -> None:
    world = World()
    while world.now < down_seconds or world.failed_at != world.now:
        world.run()
        assert world.now < LISTEN_EVERY * 3 or world.planned == (SECOND,)
    world.is_down = False
    recovered_at = world.now
    while world.planned != (FIRST, SECOND):
        world.run()
        assert world.now - recovered_at <= 30
