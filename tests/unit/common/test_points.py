"""The vector store's port, its patience with an engine, and what its section of the configuration takes."""

from __future__ import annotations

import sys
from array import array
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from penstock_common.configuration import Configuration, ConfigurationError, Section
from penstock_common.contract.points import Matching, Nearest, Put, Question, Size
from penstock_common.points.gated import GatedAsk, Patience
from penstock_common.points.opening import open_points
from penstock_common.points.store import Collection, PointsLate, PointsUnavailable, Where
from penstock_common.sections import Qdrant
from penstock_common.testing.fake_clock import FakeClock

CACHE = Collection("cache", 1, "sentence-transformers/all-MiniLM-L6-v2", "r1", 384, ("f",), ("n",))
SEARCH = Nearest(collection=CACHE, vector=array("f"), where=Where("acme"), limit=1, floor=0.5)
WRITE = Put(collection=CACHE, points=())


def test_a_collection_is_named_for_what_may_be_compared():
    assert CACHE.name.startswith("penstock-cache-v1-sentence-transformers-all-minilm-l6-v2-384-")
    assert CACHE.name == CACHE._replace().name
    others = [
        CACHE._replace(revision="r2"),
        CACHE._replace(model="sentence-transformers/all-minilm-l6_v2"),
        CACHE._replace(dimension=256),
        CACHE._replace(schema=2),
        CACHE._replace(purpose="documents"),
        CACHE._replace(keywords=("f", "g")),
        CACHE._replace(numbers=()),
        CACHE._replace(model="../../../etc/passwd ünïcode \0" * 9),
    ]
    others.append(CACHE._replace(sparse=True))
    names = {CACHE.name, *(other.name for other in others)}
    assert len(names) == 1 + len(others)
    assert all(len(name) < 100 and name.replace("-", "").isalnum() and name.isascii() for name in names)


def test_collections_that_were_there_before_terms_keep_their_names():
    assert CACHE.name == "penstock-cache-v1-sentence-transformers-all-minilm-l6-v2-384-51f6b1a905ff"


class Engine:
    """Fails while it is told to, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Question, float]] = []
        self.fails = False
        self.is_late = False

    async def ask(self, question: Question, timeout: float, /) -> Any:
        self.asked.append((question, timeout))
        if self.fails:
            raise PointsUnavailable("no")
        if self.is_late:
            raise PointsLate("not yet")
        return 1


def gated(engine: Engine, clock: FakeClock) -> GatedAsk:
    patience = Patience(timedelta(seconds=0.1), timedelta(seconds=5), timedelta(seconds=1))
    return GatedAsk("it", engine.ask, patience, clock.time)


async def test_a_search_has_less_time_than_anything_else_unless_its_caller_says():
    engine = Engine()
    ask = gated(engine, FakeClock())
    await ask(SEARCH, None)
    await ask(WRITE, None)
    await ask(Size(collection=CACHE), None)
    await ask(SEARCH, 0.01)
    await ask(Matching(collection=CACHE, terms={1: 1.0}, where=Where("acme"), limit=1), None)

    assert [seconds for _, seconds in engine.asked] == [0.1, 5, 5, 0.01, 0.1]


async def test_after_a_failure_one_question_a_second_is_asked_until_one_is_answered():
    engine, clock = Engine(), FakeClock()
    ask = gated(engine, clock)
    engine.fails = True
    for _ in range(3):
        with pytest.raises(PointsUnavailable):
            await ask(SEARCH, None)
    assert len(engine.asked) == 1

    await clock.advance(1.01)
    for _ in range(3):
        with pytest.raises(PointsUnavailable):
            await ask(SEARCH, None)
    assert len(engine.asked) == 2

    engine.fails = False
    await clock.advance(1.01)
    assert [await ask(SEARCH, None) for _ in range(3)] == [1, 1, 1]
    assert len(engine.asked) == 5


async def test_questions_of_little_time_that_are_late_keep_nobody_from_asking_while_others_are_answered():
    engine, clock = Engine(), FakeClock()
    ask = gated(engine, clock)
    for _ in range(30):
        engine.is_late = True
        with pytest.raises(PointsLate):
            await ask(SEARCH, 0.01)
        engine.is_late = False
        await clock.advance(0.1)
        assert await ask(SEARCH, 0.01) == 1
    assert len(engine.asked) == 60


async def test_an_engine_that_has_answered_nothing_for_a_cool_down_is_left_alone():
    engine, clock = Engine(), FakeClock()
    ask = gated(engine, clock)
    engine.is_late = True
    for _ in range(11):
        with pytest.raises(PointsLate):
            await ask(SEARCH, 0.01)
        await clock.advance(0.1)
    with pytest.raises(PointsUnavailable, match="left alone"):
        await ask(SEARCH, 0.01)
    assert len(engine.asked) == 11


async def test_an_engine_that_is_late_by_its_own_time_is_left_alone_at_once():
    engine = Engine()
    ask = gated(engine, FakeClock())
    engine.is_late = True
    with pytest.raises(PointsLate):
        await ask(SEARCH, None)
    with pytest.raises(PointsUnavailable, match="left alone"):
        await ask(SEARCH, None)


async def test_who_cannot_write_still_reads():
    engine = Engine()
    ask = gated(engine, FakeClock())
    engine.fails = True
    with pytest.raises(PointsUnavailable):
        await ask(WRITE, None)
    engine.fails = False

    assert await ask(SEARCH, None) == 1
    with pytest.raises(PointsUnavailable, match="left alone"):
        await ask(WRITE, None)


class File(Section):
    qdrant: Qdrant = Qdrant()


def section(text: str) -> Qdrant:
    return Configuration.parse(f"qdrant: {text}", {}).settings(File).qdrant


@pytest.mark.parametrize(
    "url",
    ["http://qdrant:6334", "https://xyz.eu-central-1-0.aws.cloud.qdrant.io:6334", "http://[::1]:6334/", "http://q"],
)
def test_where_a_server_is(url):
    assert section(f"{{url: '{url}'}}").url == url


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{url: 'qdrant:6334'}", ["'qdrant.url'", "http://host:6334"]),
        ("{url: 'ftp://qdrant:6334'}", ["'qdrant.url'", "http://host:6334"]),
        ("{url: 'http://qdrant:6334/collections'}", ["'qdrant.url'", "http://host:6334"]),
        ("{url: 'http://qdrant:70000'}", ["'qdrant.url'", "http://host:6334"]),
        ("{url: 'http://qdrant:6333'}", ["'qdrant.url'", "REST", "6334"]),
        ("{url: 'http://me:secret@qdrant:6334'}", ["'qdrant.url'", "qdrant.api_key"]),
        ("{url: 'http://qdrant:6334', path: /x}", ["'qdrant'", "'path'", "'url'"]),
        ("{api_key: k}", ["'api_key'", "'url'"]),
        ("{url: 'http://qdrant:6334', ca_file: /x}", ["'ca_file'", "https://"]),
        ("{quantization: product}", ["'qdrant.quantization'", "scalar"]),
        ("{timeout: 0s}", ["'qdrant.timeout'"]),
        ("{shards: 0}", ["'qdrant.shards'", "at least 1"]),
        ("{replication_factor: 0}", ["'qdrant.replication_factor'", "at least 1"]),
        ("{hnsw_m: 0}", ["'qdrant.hnsw_m'", "at least 4"]),
        ("{hnsw_ef: 1000000}", ["'qdrant.hnsw_ef'", "at most 4096"]),
        ("{paths: /x}", ["'qdrant.paths'", "path"]),
    ],
)
def test_what_is_refused_and_in_which_words(text, words):
    with pytest.raises(ConfigurationError) as refused:
        section(text)
    assert [word for word in words if word not in str(refused.value)] == []
    assert "secret" not in str(refused.value)


def test_neither_engine_is_named():
    with pytest.raises(ConfigurationError, match="'qdrant.url' is missing"):
        open_points(Qdrant())


def test_without_the_client_the_refusal_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "qdrant_client", None)
    with pytest.raises(ConfigurationError, match=r"penstock-common\[qdrant\]"):
        open_points(Qdrant(url="http://qdrant:6334"))


async def test_an_authority_that_is_not_there_is_refused_by_name(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"'qdrant\.ca_file': .*missing\.pem"):
        async with open_points(Qdrant(url="https://q:6334", ca_file=tmp_path / "missing.pem")):
            pass
