from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock_cache.domain.meaning.occupancy import EMPTY_SECONDS, OCCUPIED_SECONDS, Occupancy, Place
from penstock_cache.domain.meaning.ports import VectorMaker

PLACE = Place(VectorMaker("model", "1", 3), "group")


class Store:
    def __init__(self, count: int = 0) -> None:
        self.count = count
        self.asked = 0

    async def __call__(self) -> int:
        self.asked += 1
        return self.count


async def test_an_empty_place_is_asked_for_once_a_second_so_that_other_replicas_entries_are_seen(
    clock: Callable[[], float] | Any,
) -> None:
    occupancy, store = Occupancy(clock), Store()
    for _ in range(3):
        assert not await occupancy.has(PLACE, store)
    assert store.asked == 1
    store.count = 1
    clock.advance(EMPTY_SECONDS)
    assert await occupancy.has(PLACE, store)
    for _ in range(3):
        assert await occupancy.has(PLACE, store)
    assert store.asked == 2
    clock.advance(OCCUPIED_SECONDS)
    store.count = 0
    assert not await occupancy.has(PLACE, store)


async def test_an_entry_of_this_process_is_seen_at_once_and_of_its_model_alone(clock: Any) -> None:
    occupancy, store = Occupancy(clock), Store()
    assert not await occupancy.has(PLACE, store)
    occupancy.filled(PLACE)
    assert await occupancy.has(PLACE, store)
    other = PLACE._replace(maker=PLACE.maker._replace(revision="2"))
    assert not await occupancy.has(other, store)
