"""Who gets which variant: by the unit and the shares alone."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_common.llm.types import GenerationInput, Message, RequestContext, Role, Text
from penstock_gateway.domain.access.identity import Caller, Tenant, Tier
from penstock_gateway.domain.experiments.assignment import index_at, point_of, ranges_of
from penstock_gateway.domain.experiments.definition import Unit
from penstock_gateway.domain.experiments.running import unit_of
from penstock_gateway.domain.life.order import Call, ChatOrder

_UNITS = [("demo", "user", f"user-{number}") for number in range(20_000)]
_POINTS = [point_of("cheaper", unit) for unit in _UNITS]


def _held(shares: tuple[float, ...]) -> list[int | None]:
    ranges = ranges_of(shares)
    return [index_at(ranges, point) for point in _POINTS]


def test_each_variant_has_its_share() -> None:
    held = _held((0.1, 0.25, 0.4))
    for index, share in enumerate((0.1, 0.25, 0.4)):
        assert held.count(index) / len(held) == pytest.approx(share, abs=0.012)


@pytest.mark.parametrize(
    ("before", "after", "grown"),
    [
        ((0.05,), (0.5,), 0),
        ((0.1, 0.1), (0.1, 0.3), 1),
        ((0.2, 0.7), (0.3, 0.7), 0),
        ((0.1, 0.2, 0.1), (0.3, 0.2, 0.1), 0),
    ],
)
def test_a_share_that_grows_moves_units_of_control_alone(
    before: tuple[float, ...], after: tuple[float, ...], grown: int
) -> None:
    moved = [(was, now) for was, now in zip(_held(before), _held(after), strict=True) if was != now]
    assert moved
    assert set(moved) == {(None, grown)}


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0, 1))
def test_ranges_are_as_long_as_shares_and_never_overlap(raw: list[float], whole: float) -> None:
    shares = [share / max(sum(raw), 1e-9) * whole for share in raw]
    ranges = ranges_of(shares)
    for index, share in enumerate(shares):
        assert sum(one.end - one.start for one in ranges if one.variant == index) == pytest.approx(share, abs=1e-9)
    assert all(one.end <= following.start + 1e-9 for one, following in zip(ranges, ranges[1:], strict=False))
    assert all(one.start >= 0 and one.end <= 1 + 1e-9 for one in ranges)


def test_shares_over_the_whole_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 1"):
        ranges_of((0.6, 0.5))


def test_another_process_gives_a_unit_the_same_point() -> None:
    """Python's own hash differs from process to process; this must not."""
    code = (
        "from penstock_gateway.domain.experiments.assignment import point_of;"
        "print(repr([point_of('cheaper', ('demo', 'user', f'user-{n}')) for n in range(20)]))"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    assert told.stdout.strip() == repr(_POINTS[:20])


def test_the_point_is_pinned() -> None:
    """A release that moved units from one variant to another would spoil every experiment that runs."""
    assert point_of("salt", ("tenant", "user", "someone")) == PINNED


def test_parts_of_a_unit_do_not_run_into_one_another() -> None:
    assert point_of("s", ("ab", "c")) != point_of("s", ("a", "bc"))


def test_experiments_divide_units_independently() -> None:
    others = [point_of("another", unit) for unit in _UNITS]
    both = sum(one < 0.5 and other < 0.5 for one, other in zip(_POINTS, others, strict=True))
    assert both / len(_UNITS) == pytest.approx(0.25, abs=0.012)


PINNED = 0.05241003511717468


@pytest.mark.parametrize("unit", Unit)
def test_a_unit_is_never_another_tenants(unit):
    def call(tenant):
        order = ChatOrder(
            request_id="r",
            generation_id="g",
            surface="openai",
            tenant=tenant,
            key_id="k",
            timeout=timedelta(seconds=1),
            context=RequestContext(user="ann", tags={"conversation": "c"}),
            input=GenerationInput(model="m", messages=(Message(Role.USER, (Text("Hi"),)),)),
        )
        caller = Caller(Tenant(tenant, Tier("own")), "k", frozenset())
        return Call(order, caller, None, None, None, 0)

    assert unit_of(call("one"), unit) == unit_of(call("one"), unit)
    assert unit_of(call("one"), unit) != unit_of(call("another"), unit)
