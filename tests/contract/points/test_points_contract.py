"""What every engine promises, whoever keeps it and however it is reached."""

from __future__ import annotations

import math
import random
import uuid
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from penstock_common.errors import InvalidRequest
from penstock_common.points.conditions import MOST_CONDITIONS, MOST_DEPTH, MOST_VALUES, AllOf, AnyOf, Condition, In, Not
from penstock_common.points.store import Collection, Engine, Point, Points, Where

DIMENSION = 8
CACHE = Collection("cache", 1, "all-MiniLM-L6-v2", "r1", DIMENSION, ("fingerprint", "tags"), ("fresh_until", "hits"))
WORDS = Collection("knowledge", 1, "all-MiniLM-L6-v2", "r1", DIMENSION, ("labels", "attributes"), sparse=True)
EAST = [1.0, *[0.0] * 7]
NORTH = [0.0, 1.0, *[0.0] * 6]
BETWEEN = [math.sqrt(0.5), math.sqrt(0.5), *[0.0] * 6]


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def points(engine: Engine) -> Points:
    """What most tests share, each with tenants of its own."""
    return engine.points(CACHE)


@pytest.fixture(scope="module")
def worded(engine: Engine) -> Points:
    """Points that have terms, too."""
    return engine.points(WORDS)


@pytest.fixture
def acme() -> str:
    return f"acme-{uuid.uuid4()}"


@pytest.fixture
def globex() -> str:
    return f"globex-{uuid.uuid4()}"


def new_id() -> str:
    return str(uuid.uuid4())


def point(tenant: str, vector: Sequence[float], identity: str = "", **payload: Any) -> Point:
    return Point(identity or new_id(), tenant, array("f", vector), payload)


def with_terms(tenant: str, terms: Mapping[int, float], **payload: Any) -> Point:
    return point(tenant, EAST, **payload)._replace(terms=terms)


async def near(points: Points, vector: Sequence[float], where: Where, *, limit: int = 5, floor: float = -1.0) -> Any:
    return await points.nearest(array("f", vector), where, limit=limit, floor=floor)


async def test_what_was_put_is_found_at_once_the_nearest_first(points, acme):
    east, between = point(acme, EAST, fingerprint="f"), point(acme, BETWEEN, fingerprint="f")
    await points.put([between, east])

    found = await near(points, EAST, Where(acme))

    assert [one.id for one in found] == [east.id, between.id]
    assert [one.score for one in found] == pytest.approx([1.0, math.sqrt(0.5)], abs=1e-6)
    assert found[0].tenant == acme
    assert found[0].payload == {"fingerprint": "f"}


async def test_nothing_below_the_floor_and_no_more_than_the_limit(points, acme):
    await points.put([point(acme, EAST), point(acme, BETWEEN), point(acme, NORTH)])

    assert len(await near(points, EAST, Where(acme), floor=0.5)) == 2
    assert len(await near(points, EAST, Where(acme), limit=1)) == 1


async def test_another_tenant_has_nothing(points, acme, globex):
    mine = point(acme, EAST, fingerprint="f")
    await points.put([mine])
    theirs = Where(globex, {"fingerprint": "f"})

    assert list(await near(points, EAST, theirs)) == []
    assert list(await points.get(globex, [mine.id])) == []
    assert await points.count(Where(globex, ids=[mine.id])) == 0
    assert await points.delete(Where(globex, ids=[mine.id])) == 0
    await points.set_payload(Where(globex, ids=[mine.id]), {"fingerprint": "g"})
    assert list((await points.scroll(theirs, limit=10)).points) == []
    await points.drop_tenant(globex)

    assert (await points.get(acme, [mine.id]))[0].payload == {"fingerprint": "f"}


async def test_an_id_of_another_tenant_is_not_taken_over(points, acme, globex):
    mine = point(acme, EAST, hits=1)
    await points.put([mine])
    await points.put([point(globex, NORTH, mine.id, hits=2)])

    (kept,) = await points.get(acme, [mine.id])
    assert kept.payload == {"hits": 1}
    assert list(kept.vector) == EAST
    assert list(await points.get(globex, [mine.id])) == []


async def test_putting_again_replaces(points, acme):
    first = point(acme, EAST, hits=1, fingerprint="f")
    await points.put([first])
    await points.put([point(acme, NORTH, first.id, hits=2)])

    (kept,) = await points.get(acme, [first.id])
    assert kept.payload == {"hits": 2}
    assert list(kept.vector) == NORTH
    assert await points.count(Where(acme)) == 1


async def test_every_condition_must_hold(points, acme):
    now = 1_700_000_000.25
    fresh = point(acme, EAST, fingerprint="f", fresh_until=now + 1, tags=["a", "b"])
    stale = point(acme, EAST, fingerprint="f", fresh_until=now, tags=["a"])
    other = point(acme, EAST, fingerprint="g", fresh_until=now + 1, tags=["b"])
    await points.put([fresh, stale, other])

    async def ids(where: Where) -> set[str]:
        return {one.id for one in await near(points, EAST, where)}

    assert await ids(Where(acme, {"fingerprint": "f"}, {"fresh_until": now})) == {fresh.id}
    assert await ids(Where(acme, {"fingerprint": "f"}, below={"fresh_until": now + 1})) == {stale.id}
    assert await ids(Where(acme, {"tags": "b"})) == {fresh.id, other.id}
    assert await ids(Where(acme, {"tags": "b"}, ids=[other.id, stale.id])) == {other.id}
    assert await ids(Where(acme, ids=[])) == set()


async def test_fields_change_and_the_others_stay(points, acme):
    one, two = point(acme, EAST, hits=1, fingerprint="f"), point(acme, NORTH, hits=1, fingerprint="f")
    await points.put([one, two])

    await points.set_payload(Where(acme, ids=[one.id]), {"hits": 2, "tags": ["x"]})

    kept = {point.id: point.payload for point in await points.get(acme, [one.id, two.id])}
    assert kept == {one.id: {"hits": 2, "fingerprint": "f", "tags": ["x"]}, two.id: {"hits": 1, "fingerprint": "f"}}
    assert await points.count(Where(acme, {"tags": "x"}, {"hits": 1})) == 1


async def test_payloads_and_vectors_come_back_as_they_were(points, acme):
    payload: Mapping[str, Any] = {
        "text": "Größe ✓",
        "whole": 2**53,
        "real": 0.1,
        "negative": -3,
        "list": ["a", ""],
        "none": [],
    }
    vector = [random.Random(1).gauss(0, 1) for _ in range(DIMENSION)]
    norm = math.hypot(*vector)
    kept = point(acme, [value / norm for value in vector], **payload)
    await points.put([kept])

    (back,) = await points.get(acme, [kept.id])

    assert back == kept
    assert {name: type(value) for name, value in back.payload.items()} == {
        name: type(value) for name, value in payload.items()
    }


async def test_deleting_says_how_many(points, acme):
    await points.put([point(acme, EAST, fingerprint="f"), point(acme, NORTH, fingerprint="f"), point(acme, EAST)])

    assert await points.delete(Where(acme, {"fingerprint": "f"})) == 2
    assert await points.delete(Where(acme, {"fingerprint": "f"})) == 0
    assert await points.count(Where(acme)) == 1


async def test_pages_have_each_point_once_in_the_order_of_ids(points, acme, globex):
    mine = [point(acme, EAST, hits=number) for number in range(7)]
    await points.put([*mine, point(globex, EAST)])

    seen: list[str] = []
    after, pages = "", 0
    while True:
        page = await points.scroll(Where(acme), limit=3, after=after)
        assert all(len(one.vector) == 0 for one in page.points)
        seen += [one.id for one in page.points]
        pages += 1
        after = page.after
        if not after:
            break

    assert seen == sorted(one.id for one in mine)
    assert pages == 3


async def test_a_full_last_page_says_that_it_is_the_last(points, acme):
    await points.put([point(acme, EAST) for _ in range(4)])

    first = await points.scroll(Where(acme), limit=2)
    second = await points.scroll(Where(acme), limit=2, after=first.after)

    assert (len(second.points), second.after) == (2, "")


async def test_a_dropped_tenant_is_gone_and_the_others_stay(points, acme, globex):
    await points.put([point(acme, EAST), point(globex, EAST)])

    await points.drop_tenant(acme)

    assert await points.count(Where(acme)) == 0
    assert await points.count(Where(globex)) == 1


async def test_sweeping_deletes_of_every_tenant(engine, acme, globex):
    points = engine.points(CACHE._replace(purpose=f"swept{uuid.uuid4().hex}"))
    await points.put([point(acme, EAST, hits=1), point(globex, EAST, hits=1), point(globex, EAST, hits=2)])
    await points.put([point(globex, EAST)])

    assert await points.sweep("hits", 2) == 2
    assert await points.size() == 2


async def test_collections_do_not_meet(engine, acme):
    old, new = engine.points(CACHE), engine.points(CACHE._replace(revision=str(uuid.uuid4())))
    await old.put([point(acme, EAST)])

    assert list(await near(new, EAST, Where(acme))) == []
    assert await new.size() == 0
    assert await old.count(Where(acme)) == 1


@pytest.mark.parametrize("length", [0, 7, 9])
async def test_a_vector_of_another_dimension_is_refused_by_name(points, length, acme):
    with pytest.raises(InvalidRequest, match=f"{length} dimensions.*have 8"):
        await points.put([point(acme, [0.0] * length)])
    with pytest.raises(InvalidRequest, match=f"{length} dimensions.*have 8"):
        await near(points, [0.0] * length, Where(acme))


async def test_without_a_tenant_nothing_is_asked(points):
    with pytest.raises(InvalidRequest, match="tenant"):
        await near(points, EAST, Where(""))
    with pytest.raises(InvalidRequest, match="tenant"):
        await points.put([point("", EAST)])
    with pytest.raises(InvalidRequest, match="tenant"):
        await points.drop_tenant("")
    with pytest.raises(InvalidRequest, match="tenant"):
        await points.get("", [new_id()])


async def test_a_payload_cannot_say_whose_it_is(points, acme, globex):
    with pytest.raises(InvalidRequest, match="tenant"):
        await points.put([Point(new_id(), acme, array("f", EAST), {"tenant": globex})])
    with pytest.raises(InvalidRequest, match="tenant"):
        await points.set_payload(Where(acme), {"tenant": globex})


async def test_what_no_index_has_is_refused(points, acme):
    with pytest.raises(InvalidRequest, match="'colour'"):
        await near(points, EAST, Where(acme, {"colour": "red"}))
    with pytest.raises(InvalidRequest, match="'colour'"):
        await points.count(Where(acme, above={"colour": 1}))
    with pytest.raises(InvalidRequest, match="'fingerprint'"):
        await points.sweep("fingerprint", 1)


async def test_what_is_no_uuid_is_refused(points, acme):
    with pytest.raises(InvalidRequest, match="'nonsense'"):
        await points.put([point(acme, EAST, "nonsense")])
    with pytest.raises(InvalidRequest, match="'nonsense'"):
        await points.get(acme, ["nonsense"])


async def test_what_shares_a_term_is_found_by_the_sum_of_products(worded, acme):
    last = 2**32 - 1
    both = with_terms(acme, {0: 0.5, last: 2.0}, labels=["*"])
    one = with_terms(acme, {last: 1.0, 7: 9.0})
    none = with_terms(acme, {7: 1.0})
    await worded.put([none, one, both, with_terms(acme, {})])

    found = await worded.matching({0: 3.0, last: 1.0}, Where(acme), limit=5)

    assert [(kept.id, kept.score) for kept in found] == [(both.id, 3.5), (one.id, 1.0)]
    assert (found[0].tenant, found[0].payload) == (acme, {"labels": ["*"]})
    assert [kept.id for kept in await worded.matching({0: 3.0, last: 1.0}, Where(acme), limit=1)] == [both.id]
    assert list(await worded.matching({1: 1.0}, Where(acme), limit=5)) == []
    assert list(await worded.matching({}, Where(acme), limit=5)) == []


async def test_of_payloads_those_fields_come_that_are_named(worded, acme):
    await worded.put([with_terms(acme, {1: 1.0}, labels=["*"], attributes=["red"]), with_terms(acme, {1: 1.0})])
    labelled = [({"labels": ["*"]}), {}]

    near_ones = await worded.nearest(array("f", EAST), Where(acme), limit=5, floor=-1.0, fields=("labels",))
    matching = await worded.matching({1: 1.0}, Where(acme), limit=5, fields=("labels",))

    assert [one.tenant for one in (*near_ones, *matching)] == [acme] * 4
    assert sorted((one.payload for one in near_ones), key=len, reverse=True) == labelled
    assert sorted((one.payload for one in matching), key=len, reverse=True) == labelled


async def test_how_rare_a_term_is_among_all_changes_no_weight(worded, acme, globex):
    kept = with_terms(acme, {11: 1.0, 12: 1.0})
    await worded.put([kept, *(with_terms(globex, {11: 1.0}) for _ in range(50))])

    assert [(one.id, one.score) for one in await worded.matching({11: 1.0}, Where(acme), limit=5)] == [(kept.id, 1.0)]
    assert [(one.id, one.score) for one in await worded.matching({12: 1.0}, Where(acme), limit=5)] == [(kept.id, 1.0)]


async def test_terms_of_another_tenant_match_nothing(worded, acme, globex):
    mine = with_terms(acme, {21: 1.0}, labels=["*"])
    await worded.put([mine])

    assert list(await worded.matching({21: 1.0}, Where(globex), limit=5)) == []
    assert list(await worded.matching({21: 1.0}, Where(globex, any_of={"labels": ("*",)}), limit=5)) == []
    assert [one.id for one in await worded.matching({21: 1.0}, Where(acme), limit=5)] == [mine.id]


async def test_terms_come_back_beside_the_vector_and_both_are_replaced_and_deleted(worded, acme):
    kept = with_terms(acme, {1: 0.25, 2**31: 4.0}, labels=["a"])
    await worded.put([kept])

    assert list(await worded.get(acme, [kept.id])) == [kept]
    assert [one.id for one in await near(worded, EAST, Where(acme))] == [kept.id]

    again = kept._replace(terms={3: 1.0}, vector=array("f", NORTH))
    await worded.put([again])
    assert list(await worded.get(acme, [kept.id])) == [again]
    assert list(await worded.matching({1: 1.0}, Where(acme), limit=5)) == []
    (page,) = (await worded.scroll(Where(acme), limit=5)).points
    assert (len(page.vector), page.terms) == (0, {})

    assert await worded.delete(Where(acme)) == 1
    assert list(await worded.matching({3: 1.0}, Where(acme), limit=5)) == []


async def test_one_of_several_values_is_enough(worded, acme):
    everyone, hr, sales = (with_terms(acme, {1: 1.0}, labels=[label]) for label in ("*", "hr", "sales"))
    both = with_terms(acme, {1: 1.0}, labels=["hr", "sales"])
    await worded.put([everyone, hr, sales, both, with_terms(acme, {1: 1.0})])

    async def ids(*labels: str) -> set[str]:
        where = Where(acme, any_of={"labels": labels})
        matching = {one.id for one in await worded.matching({1: 1.0}, where, limit=9)}
        assert {one.id for one in await near(worded, EAST, where, limit=9)} == matching
        assert await worded.count(where) == len(matching)
        return matching

    assert await ids("*") == {everyone.id}
    assert await ids("*", "hr") == {everyone.id, hr.id, both.id}
    assert await ids("legal") == set()


CONDITIONS: list[tuple[Condition, str]] = [
    (In(field="attributes", values=["red"]), "r rs"),
    (In(field="attributes", values=["red", "blue"]), "r rs b"),
    (Not(of=In(field="attributes", values=["red"])), "b none"),
    (Not(of=Not(of=In(field="attributes", values=["red"]))), "r rs"),
    (AllOf(of=[In(field="attributes", values=["red"]), In(field="attributes", values=["small"])]), "rs"),
    (AnyOf(of=[In(field="attributes", values=["small"]), In(field="attributes", values=["blue"])]), "rs b"),
    (
        AllOf(
            of=[AnyOf(of=[In(field="attributes", values=["red", "blue"])]), Not(of=In(field="labels", values=["*"]))]
        ),
        "b",
    ),
    (Not(of=AnyOf(of=[In(field="attributes", values=["red"]), In(field="attributes", values=["blue"])])), "none"),
    (Not(of=AllOf(of=[In(field="attributes", values=["red"]), In(field="attributes", values=["small"])])), "r b none"),
]


@pytest.mark.parametrize(("condition", "meant"), CONDITIONS)
async def test_conditions_are_joined_as_they_say(worded, acme, globex, condition, meant):
    kept = {
        "r": with_terms(acme, {1: 1.0}, attributes=["red"], labels=["*"]),
        "rs": with_terms(acme, {1: 1.0}, attributes=["red", "small"], labels=["*"]),
        "b": with_terms(acme, {1: 1.0}, attributes=["blue"]),
        "none": with_terms(acme, {1: 1.0}),
    }
    await worded.put([*kept.values(), with_terms(globex, {1: 1.0}, attributes=["red"])])
    where = Where(acme, only=condition)
    expected = {kept[name].id for name in meant.split()}

    assert {one.id for one in await worded.matching({1: 1.0}, where, limit=9)} == expected
    assert {one.id for one in await near(worded, EAST, where, limit=9)} == expected
    assert {one.id for one in (await worded.scroll(where, limit=9)).points} == expected
    assert await worded.delete(where) == len(expected)
    assert await worded.count(Where(acme)) == len(kept) - len(expected)


def nested(levels: int) -> Condition:
    return In(field="labels", values=["*"]) if levels == 1 else Not(of=nested(levels - 1))


def beside(count: int) -> Condition:
    return AnyOf(of=[In(field="labels", values=["*"])] * (count - 1))


async def test_as_many_conditions_as_are_said_are_taken(worded, acme):
    await worded.put([with_terms(acme, {1: 1.0}, labels=["*"])])
    values = ("*", *map(str, range(MOST_VALUES - 1)))

    assert await worded.count(Where(acme, only=nested(MOST_DEPTH))) == MOST_DEPTH % 2
    assert await worded.count(Where(acme, any_of={"labels": values}, only=beside(MOST_CONDITIONS))) == 1


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (Where("t", any_of={"colour": ["red"]}), "'colour'"),
        (Where("t", any_of={"labels": []}), "0 values"),
        (Where("t", any_of={"labels": ["x"] * (MOST_VALUES + 1)}), f"{MOST_VALUES + 1} values"),
        (Where("t", only=In(field="colour", values=["red"])), "'colour'"),
        (Where("t", only=Not(of=In(field="labels", values=[]))), "0 values"),
        (Where("t", only=AllOf(of=[])), "joins others has none"),
        (Where("t", only=AllOf(of=[AnyOf(of=[])])), "joins others has none"),
        (Where("t", only=nested(MOST_DEPTH + 1)), f"deeper than {MOST_DEPTH}"),
        (Where("t", only=nested(90)), f"deeper than {MOST_DEPTH}"),
        (Where("t", only=beside(MOST_CONDITIONS + 1)), f"more than {MOST_CONDITIONS}"),
    ],
)
async def test_conditions_beyond_the_bounds_are_refused_in_words(worded, where, words):
    with pytest.raises(InvalidRequest, match=words):
        await worded.matching({1: 1.0}, where, limit=1)


@pytest.mark.parametrize("terms", [{-1: 1.0}, {2**32: 1.0}, {1: 0.0}, {1: -1.0}, {1: math.nan}, {1: math.inf}])
async def test_what_is_no_term_is_refused(worded, acme, terms):
    with pytest.raises(InvalidRequest, match="is none"):
        await worded.put([with_terms(acme, terms)])
    with pytest.raises(InvalidRequest, match="is none"):
        await worded.matching(terms, Where(acme), limit=1)


async def test_a_collection_without_terms_takes_none(points, acme):
    with pytest.raises(InvalidRequest, match="has no terms"):
        await points.put([with_terms(acme, {1: 1.0})])
    with pytest.raises(InvalidRequest, match="has no terms"):
        await points.matching({1: 1.0}, Where(acme), limit=1)


async def test_other_tenants_probe_a_full_store_in_vain(points):
    """The short form of ``bench/points.py --probes 100000``."""
    chosen = random.Random(7)

    def somewhere() -> array[float]:
        vector = [chosen.gauss(0, 1) for _ in range(DIMENSION)]
        norm = math.hypot(*vector)
        return array("f", [value / norm for value in vector])

    owners = [f"tenant-{number}" for number in range(20)]
    kept = [Point(new_id(), chosen.choice(owners), somewhere(), {"fingerprint": "f"}) for _ in range(500)]
    await points.put(kept)
    for number in range(500):
        aimed = chosen.choice(kept)
        asking = chosen.choice([owner for owner in owners if owner != aimed.tenant] + [f"stranger-{number}"])
        found = await points.nearest(aimed.vector, Where(asking, {"fingerprint": "f"}), limit=20, floor=-1.0)
        assert all(one.tenant == asking for one in found)
        assert aimed.id not in {one.id for one in found}
