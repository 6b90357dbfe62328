"""Searches of the embedded engine under labels and filters find the nearest, whatever its graph is like."""

from __future__ import annotations

import random
import uuid
from array import array

import pytest

from penstock_common.contract.points import Nearest, Put
from penstock_common.points.conditions import In
from penstock_common.points.edge import shard as shards
from penstock_common.points.edge.messages import Settings
from penstock_common.points.edge.shard import Shard
from penstock_common.points.store import Collection, Point, Where

COLLECTION = Collection("test", 1, "m", "r", 16, keywords=("labels", "attributes"))
POINTS, QUERIES = 2_000, 12
DICE = random.Random(3)


def vector() -> array[float]:
    numbers = [DICE.gauss(0, 1) for _ in range(16)]
    length = sum(number * number for number in numbers) ** 0.5
    return array("f", [number / length for number in numbers])


@pytest.fixture(scope="module")
def kept() -> list[Point]:
    return [
        Point(str(uuid.UUID(int=number + 1)), "t", vector(), {"labels": ["all"], "attributes": [f"k{number % 2}"]})
        for number in range(POINTS)
    ]


@pytest.fixture(scope="module")
def poor(kept: list[Point], tmp_path_factory: pytest.TempPathFactory) -> Shard:
    """Return a shard whose graph finds little by itself."""
    settings = Settings(
        hnsw_m=4,
        hnsw_ef_construct=4,
        hnsw_ef=4,
        hnsw_filtered_ef=512,
        full_scan_kilobytes=10,
        indexing_threshold_kilobytes=10,
    )
    shard = Shard(COLLECTION, tmp_path_factory.mktemp("points") / "shard", settings)
    shard.answer(Put(collection=COLLECTION, points=kept))
    shard.optimize()
    assert shard.unindexed == 0
    return shard


def found_of_the_nearest(shard: Shard, kept: list[Point], where: Where, meant: str) -> float:
    """Return which share of the ten nearest is found."""
    right = 0
    for _ in range(QUERIES):
        asked = vector()
        having = [point for point in kept if meant in (*point.payload["labels"], *point.payload["attributes"])]
        near = sorted(having, key=lambda one: -sum(a * b for a, b in zip(one.vector, asked, strict=True)))[:10]
        question = Nearest(collection=COLLECTION, vector=asked, where=where, limit=10, floor=-2.0, fields=())
        right += len({one.id for one in near} & {one.id for one in shard.answer(question)})
    return right / QUERIES / 10


LABELLED = Where("t", any_of={"labels": ["all"]})
FILTERED = LABELLED._replace(only=In(field="attributes", values=["k1"]))


def test_what_few_points_meet_is_compared_with_all_of_them(poor: Shard, kept: list[Point]) -> None:
    assert found_of_the_nearest(poor, kept, LABELLED, "all") == 1.0
    assert found_of_the_nearest(poor, kept, FILTERED, "k1") == 1.0


def test_where_many_meet_it_a_filter_looks_at_more_neighbours(
    poor: Shard, kept: list[Point], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "EXACT_AT_MOST", 0)

    assert found_of_the_nearest(poor, kept, LABELLED, "all") < 0.9
    assert found_of_the_nearest(poor, kept, FILTERED, "k1") > 0.9
