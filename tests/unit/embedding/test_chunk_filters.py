"""Filters over attributes, as conditions on keywords: they mean the documents that the filters mean."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable, Mapping, Sequence
from operator import ge, gt, le, lt

import pytest

from penstock_common.contract.knowledge import Attribute, AttributeValue, Comparison, Filter
from penstock_common.points import checks
from penstock_common.points.conditions import MOST_VALUES, AllOf, Condition, In, Not
from penstock_common.points.store import Collection, Where
from penstock_embedding.adapters.chunk_filters import condition_of, keywords_of

Scalar = str | float | bool
ATTRIBUTES = Collection("knowledge", 1, "m", "r", 8, ("a",))
ORDERED: Mapping[str, Callable[[float, float], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}


def value(scalar: Scalar) -> AttributeValue:
    if isinstance(scalar, bool):
        return AttributeValue(flag=scalar)
    return AttributeValue(text=scalar) if isinstance(scalar, str) else AttributeValue(number=scalar)


def document(**attributes: Scalar) -> list[Attribute]:
    return [Attribute(name=name, value=value(scalar)) for name, scalar in attributes.items()]


def compared(operator: str, *scalars: Scalar, attribute: str = "x") -> Filter:
    values = tuple(map(value, scalars))
    return Filter(comparison=Comparison(attribute=attribute, operator=operator, values=values))  # pyright: ignore[reportArgumentType] - it is one of them


def meets(keywords: Sequence[str], condition: Condition | None) -> bool:
    if condition is None:
        return True
    if isinstance(condition, In):
        return not set(condition.values).isdisjoint(keywords)
    if isinstance(condition, Not):
        return not meets(keywords, condition.of)
    joined = [meets(keywords, one) for one in condition.of]
    return all(joined) if isinstance(condition, AllOf) else any(joined)


def is_meant(wanted: Filter | None, **attributes: Scalar) -> bool:
    condition = condition_of(wanted, "a")
    checks.check_where(ATTRIBUTES, Where("acme", only=condition))
    return meets(keywords_of(document(**attributes)), condition)


@pytest.mark.parametrize(
    ("wanted", "attributes", "meant"),
    [
        (compared("eq", "a"), {"x": "a"}, True),
        (compared("eq", "a"), {"x": "b"}, False),
        (compared("eq", "a"), {"y": "a"}, False),
        (compared("eq", "a"), {}, False),
        (compared("eq", ""), {"x": ""}, True),
        (compared("eq", ""), {}, False),
        (compared("eq", "1"), {"x": 1.0}, False),
        (compared("eq", 1.0), {"x": "1"}, False),
        (compared("eq", 1.0), {"x": True}, False),
        (compared("eq", True), {"x": 1.0}, False),
        (compared("eq", True), {"x": "True"}, False),
        (compared("eq", True), {"x": True}, True),
        (compared("eq", False), {"x": True}, False),
        (compared("eq", 0.0), {"x": -0.0}, True),
        (compared("eq", math.nan), {"x": math.nan}, False),
        (compared("eq", "n:c"), {"x": "n:c"}, True),
        (compared("eq", "b", attribute="x.y"), {"x.y": "b"}, True),
        (compared("ne", "a"), {"x": "a"}, False),
        (compared("ne", "a"), {"x": "b"}, True),
        (compared("ne", "a"), {}, True),
        (compared("ne", "1"), {"x": 1.0}, True),
        (compared("in", "a", 1.0, False), {"x": 1.0}, True),
        (compared("in", "a", 1.0, False), {"x": False}, True),
        (compared("in", "a", 1.0, False), {"x": "1.0"}, False),
        (compared("in", "a", 1.0, False), {}, False),
        (compared("nin", "a", 1.0), {"x": "a"}, False),
        (compared("nin", "a", 1.0), {"x": "b"}, True),
        (compared("nin", "a", 1.0), {}, True),
        (compared("gt", 1.0), {"x": 1.0}, False),
        (compared("gt", 1.0), {"x": math.nextafter(1.0, 2.0)}, True),
        (compared("gte", 1.0), {"x": 1.0}, True),
        (compared("gte", 1.0), {"x": math.nextafter(1.0, 0.0)}, False),
        (compared("lt", 1.0), {"x": 1.0}, False),
        (compared("lt", 1.0), {"x": math.nextafter(1.0, 0.0)}, True),
        (compared("lte", 1.0), {"x": 1.0}, True),
        (compared("gt", 1.0), {}, False),
        (compared("gt", 1.0), {"x": "2"}, False),
        (compared("gt", 0.0), {"x": True}, False),
        (compared("gt", -0.0), {"x": 0.0}, False),
        (compared("gte", 0.0), {"x": -0.0}, True),
        (compared("lt", 0.0), {"x": -0.0}, False),
        (compared("gt", math.inf), {"x": math.inf}, False),
        (compared("gte", math.inf), {"x": math.inf}, True),
        (compared("lt", -math.inf), {"x": -math.inf}, False),
        (compared("gte", -math.inf), {"x": 5e-324}, True),
        (compared("gt", 2.0**53), {"x": 2.0**53 + 2}, True),
        (compared("gt", "1"), {"x": 2.0}, False),
        (None, {}, True),
        (Filter(), {}, True),
        (Filter(any_of=(Filter(), compared("eq", "a"))), {}, True),
        (Filter(all_of=(Filter(), compared("eq", "a"))), {}, False),
        (Filter(all_of=(compared("eq", "a"), compared("gt", 1.0, attribute="y"))), {"x": "a", "y": 2.0}, True),
        (Filter(all_of=(compared("eq", "a"), compared("gt", 1.0, attribute="y"))), {"x": "a", "y": 1.0}, False),
        (Filter(any_of=(compared("eq", "a"), compared("gt", 1.0, attribute="y"))), {"x": "b", "y": 2.0}, True),
    ],
)
def test_a_filter_means_what_its_words_say(wanted, attributes, meant):
    assert is_meant(wanted, **attributes) is meant


def number(chosen: random.Random) -> float:
    kind = chosen.randrange(4)
    if kind == 0:
        return float(chosen.randrange(-20, 20))
    if kind == 1:
        return chosen.gauss(0, 1)
    if kind == 2:
        return float(1_700_000_000 + chosen.randrange(10**8))
    (any_number,) = struct.unpack(">d", chosen.randbytes(8))
    return 0.0 if math.isnan(any_number) else any_number


def test_ranges_of_any_numbers_are_those_of_their_keywords():
    chosen = random.Random(5)
    most = 0
    for _ in range(1_000):
        bound, kept = number(chosen), number(chosen)
        operator = chosen.choice(list(ORDERED))
        assert is_meant(compared(operator, bound), x=kept) is ORDERED[operator](kept, bound)
        condition = condition_of(compared(operator, bound), "a")
        assert isinstance(condition, In)
        most = max(most, len(condition.values))
    assert most <= MOST_VALUES


def test_as_much_as_callers_may_ask_is_within_the_bounds_of_points():
    wanted = Filter(
        any_of=tuple(
            Filter(all_of=tuple(Filter(any_of=(Filter(all_of=(compared("ne", n * 8.0 + m),)),)) for m in range(8)))
            for n in range(8)
        )
    )
    assert is_meant(wanted, x=99.0)
    pairs = tuple(
        Filter(all_of=(Filter(any_of=(Filter(all_of=(compared("ne", n), compared("ne", "a"))),) * 2),) * 2)
        for n in map(float, range(8))
    )
    assert is_meant(Filter(any_of=pairs), x=99.0)


def test_a_number_has_as_many_keywords_as_digits_and_what_is_none_has_none():
    assert len(keywords_of(document(x=2024.0))) == 16
    assert keywords_of(document(x="a", y=True)) == ["x:t:a", "y:f:1"]
    assert keywords_of(document(x=math.nan)) == []
