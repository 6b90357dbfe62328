"""The places that serve one upstream's models, and which of them is asked."""

from __future__ import annotations

import heapq
import random

import pytest

from penstock_common.llm.types import GenerationInput, Usage
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.health.turn import Turn
from penstock_inference.domain.pool import Pool
from penstock_inference.domain.upstream import UpstreamCall

CALL = UpstreamCall("m", GenerationInput(model="fast", messages=()), 3.0, lambda: None, lambda: None)


def pool_of(*names: str, health: Health | None = None) -> Pool:
    """Return a pool of endpoints that nobody asks."""
    endpoints = [Endpoint(None, name) for name in names]  # pyright: ignore[reportArgumentType] - never asked
    return Pool(endpoints, None if health is None else health.upstream("u"))


def test_one_endpoint_is_always_the_next() -> None:
    pool = pool_of("eu-1")
    assert [pool.turn(CALL).endpoint.name for _ in range(3)] == ["eu-1"] * 3
    assert [endpoint.name for endpoint in pool.endpoints] == ["eu-1"]


def test_a_pool_without_an_endpoint_is_none() -> None:
    with pytest.raises(ValueError, match="endpoint"):
        Pool([])


class Load:
    """Ten requests a second for some seconds, each answered as late as its endpoint says; on a clock of its own."""

    def __init__(self, seconds_of: dict[str, float]) -> None:
        self.now = 0.0
        chance = random.Random(7)
        self.seconds_of = seconds_of
        health = Health(clock=lambda: self.now, chance=chance.random)
        self.pool = pool_of(*seconds_of, health=health)
        self._open: list[tuple[float, int, Turn]] = []

    def run(self, seconds: float, per_second: int = 10) -> dict[str, int]:
        """Return how many requests each endpoint got."""
        asked = dict.fromkeys(self.seconds_of, 0)
        for number in range(int(seconds * per_second)):
            begins = self.now + 1 / per_second
            while self._open and self._open[0][0] <= begins:
                self.now, _, turn = heapq.heappop(self._open)
                turn.content_came()
                turn.answered(Usage(input_tokens=10, output_tokens=10))
            self.now = begins
            turn = self.pool.turn(CALL)
            name = turn.endpoint.name
            asked[name] += 1
            heapq.heappush(self._open, (self.now + self.seconds_of[name], number + id(turn), turn))
        return asked


def test_of_two_replicas_the_fast_one_gets_nine_tenths() -> None:
    asked = Load({"fast": 0.1, "slow": 2.0}).run(60)
    assert asked["fast"] >= 0.9 * sum(asked.values())


def test_a_replica_that_gets_slow_gets_less_before_it_fails_and_as_much_as_before_once_it_has_recovered() -> None:
    load = Load({"one": 0.2, "other": 0.2})
    even = load.run(30)
    assert min(even.values()) >= 0.3 * sum(even.values())
    load.seconds_of["one"] = 2.0
    load.run(3)
    spike = load.run(30)
    assert spike["other"] >= 0.9 * sum(spike.values())
    load.seconds_of["one"] = 0.2
    load.run(30)
    back = load.run(30)
    assert min(back.values()) >= 0.3 * sum(back.values())


def test_a_new_replica_begins_with_the_average_and_is_not_stormed() -> None:
    load = Load({"one": 0.2, "other": 0.2, "new": 0.2})
    assert max(load.run(10).values()) <= 2 / 3 * 100


def test_a_replica_that_is_silent_gets_little_while_its_timers_run() -> None:
    asked = Load({"well": 0.1, "silent": 1e9}).run(60)
    assert asked["silent"] <= 5


def test_who_has_failed_is_avoided_where_there_is_another() -> None:
    pool = pool_of("one", "other")
    first = pool.turn(CALL)
    first.failed(AttemptFailed(FailureKind.CONNECT, "no connection"))
    for _ in range(20):
        assert pool.turn(CALL, avoid=first.place).place is not first.place


def test_of_keys_that_share_no_quota_the_one_that_has_some_is_asked() -> None:
    health = Health(clock=lambda: 0.0)
    endpoints = [Endpoint(None, name, name) for name in ("a", "b")]  # pyright: ignore[reportArgumentType] - never asked
    pool = Pool(endpoints, health.upstream("u"))
    first = pool.turn(CALL)
    first.failed(AttemptFailed(FailureKind.RATE_LIMITED, "slowly"))
    assert {pool.turn(CALL).place.name.endpoint for _ in range(20)} == {"a", "b"} - {first.place.name.endpoint}
