from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_cache.domain.entry import Entry, EntryKey
from penstock_cache.domain.memory import MemoryTier, weight_bytes
from penstock_common.contract.cache import Hit, Scope
from penstock_common.llm.types import GenerationEvent, TextDelta

SCOPE = Scope("acme", "fast")
MEBIBYTE = 1024 * 1024


def _key(number: int, scope: Scope = SCOPE) -> EntryKey:
    return EntryKey(scope, number.to_bytes(32, "big"))


def _entry(text: str = "yes") -> Entry:
    return Entry(Hit(events=(TextDelta(text=text),), created_at=0), fresh_until=100, generation="")


def test_the_least_recently_used_entry_leaves_first() -> None:
    tier = MemoryTier(max_entries=2, max_bytes=MEBIBYTE)
    tier.put(_key(1), _entry(), 100, now=0)
    tier.put(_key(2), _entry(), 100, now=0)
    tier.get(_key(1), 0)
    tier.put(_key(3), _entry(), 100, now=0)
    assert [tier.get(_key(number), 0) is not None for number in (1, 2, 3)] == [True, False, True]


def test_an_entry_leaves_when_its_time_is_over() -> None:
    tier = MemoryTier(max_entries=2, max_bytes=MEBIBYTE)
    tier.put(_key(1), _entry(), expires_at=50, now=0)
    assert tier.get(_key(1), 49.999) is not None
    assert tier.get(_key(1), 50) is None
    assert (len(tier), tier.held_bytes) == (0, 0)


def test_entries_whose_time_is_over_leave_as_others_come_and_nobody_has_to_ask_for_them() -> None:
    tier = MemoryTier(max_entries=1_000, max_bytes=MEBIBYTE)
    for number in range(100):
        tier.put(_key(number), _entry(), expires_at=50, now=0)
    tier.put(_key(100), _entry(), expires_at=150, now=49.999)
    assert len(tier) == 101
    # A hit makes it the last to leave for want of room, and no longer lived.
    assert tier.get(_key(0), 49.999) is not None
    for number in range(101, 108):
        tier.put(_key(number), _entry(), expires_at=110, now=50)
    assert tier.get(_key(99), 50) is None
    # The one that lives for longer is before the one that was hit.
    tier.put(_key(108), _entry(), expires_at=250, now=150)
    assert len(tier) == 1
    assert tier.held_bytes == weight_bytes(_entry().hit.events)


def test_an_entry_of_another_scope_is_never_returned() -> None:
    tier = MemoryTier(max_entries=2, max_bytes=MEBIBYTE)
    tier.put(_key(1), _entry(), 100, now=0)
    assert tier.get(_key(1, Scope("rival", "fast")), 0) is None


def test_an_entry_heavier_than_the_tier_is_not_kept() -> None:
    tier = MemoryTier(max_entries=10, max_bytes=10_000)
    tier.put(_key(1), _entry(), 100, now=0)
    tier.put(_key(2), _entry("x" * 10_000), 100, now=0)
    assert [tier.get(_key(number), 0) is not None for number in (1, 2)] == [True, False]


def test_nothing_is_kept_where_no_entries_are_allowed() -> None:
    tier = MemoryTier(max_entries=0, max_bytes=MEBIBYTE)
    tier.put(_key(1), _entry(), 100, now=0)
    assert len(tier) == 0


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5_000)), max_size=60))
def test_bounds_hold_whatever_is_put(puts: list[tuple[int, int]]) -> None:
    tier = MemoryTier(max_entries=5, max_bytes=30_000)
    for number, size in puts:
        tier.put(_key(number), _entry("x" * size), 100, now=0)
        assert len(tier) <= 5
        assert tier.held_bytes <= 30_000
    kept = [tier.get(_key(number), 0) for number in range(21)]
    assert tier.held_bytes == sum(weight_bytes(entry.hit.events) for entry in kept if entry is not None)


@pytest.mark.parametrize(
    ("scope", "left"),
    [(Scope("acme", "fast"), [False, True, True]), (Scope("acme", ""), [False, False, True])],
)
def test_dropping_a_scope_leaves_the_others(scope: Scope, left: list[bool]) -> None:
    tier = MemoryTier(max_entries=10, max_bytes=MEBIBYTE)
    scopes = [Scope("acme", "fast"), Scope("acme", "large"), Scope("rival", "fast")]
    for number, each in enumerate(scopes):
        tier.put(_key(number, each), _entry(), 100, now=0)
    assert tier.drop(scope) == left.count(False)
    assert [tier.get(_key(number, each), 0) is not None for number, each in enumerate(scopes)] == left


@pytest.mark.parametrize("character", ["x", "é", "水", "🙂"])
@pytest.mark.parametrize("characters", [10, 2_000, 50_000])
def test_the_weight_is_near_what_an_entry_really_holds(
    answer_events: Callable[..., tuple[GenerationEvent, ...]], characters: int, character: str
) -> None:
    tier = MemoryTier(max_entries=1_000, max_bytes=1_000 * MEBIBYTE)
    tracemalloc.start()
    try:
        for number in range(100):
            hit = Hit(events=answer_events(character * (characters + number)), created_at=number + 0.5)
            entry = Entry(hit, 100.5, "-".join(("0123456789abcdef", f"{number:016}")))
            tier.put(_key(number), entry, 100, now=0)
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Here the events share their names.
    assert 0.4 * tier.held_bytes < held_bytes <= tier.held_bytes
