"""A Qdrant server where things go wrong: missing, lost, foreign, slow, silent, full."""

from __future__ import annotations

import asyncio
import math
import random
import uuid
from array import array
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from qdrant_client import grpc as pb

from penstock_common.points.opening import open_points
from penstock_common.points.store import Collection, Engine, Point, PointsUnavailable, Where
from penstock_common.sections import Qdrant
from penstock_common.testing.certificates import CertificateFiles
from penstock_faults.qdrant.server import QdrantServer

DIMENSION = 8
CACHE = Collection("cache", 1, "m", "r", DIMENSION, ("fingerprint",), ("hits",))
PATIENT = timedelta(seconds=30)
WORDS = Collection("knowledge", 1, "m", "r", DIMENSION, ("labels",), sparse=True)
EAST = array("f", [1.0, *[0.0] * 7])


def opened(server: QdrantServer, **settings: Any) -> AbstractAsyncContextManager[Engine]:
    return open_points(
        Qdrant.model_validate(
            {"url": server.url, "timeout": PATIENT, "write_timeout": PATIENT, "cool_down": timedelta(microseconds=1)}
            | settings
        )
    )


def point(tenant: str = "acme") -> Point:
    return Point(str(uuid.uuid4()), tenant, EAST, {"fingerprint": "f"})


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[QdrantServer]:
    async with QdrantServer(tmp_path) as server:
        yield server


async def test_a_collection_is_made_as_the_configuration_says(server):
    async with opened(server, quantization="scalar", replication_factor=2, shards=3, hnsw_m=8, hnsw_ef=32) as engine:
        await engine.points(CACHE).put([point()])
        found = await engine.points(CACHE).nearest(EAST, Where("acme"), limit=1, floor=0.5)

    made = server.collections[CACHE.name].request
    assert (made.hnsw_config.m, made.hnsw_config.payload_m) == (0, 8)
    assert made.hnsw_config.HasField("m")
    assert (made.replication_factor, made.shard_number) == (2, 3)
    assert made.quantization_config.WhichOneof("quantization") == "scalar"
    assert made.strict_mode_config.enabled
    assert made.strict_mode_config.HasField("unindexed_filtering_retrieve")
    assert not made.strict_mode_config.unindexed_filtering_retrieve
    indexes = server.collections[CACHE.name].indexes
    assert set(indexes) == {"tenant", "fingerprint", "hits"}
    assert indexes["tenant"].field_index_params.keyword_index_params.is_tenant
    assert not indexes["fingerprint"].field_index_params.keyword_index_params.is_tenant
    (query,) = [seen.request for seen in server.seen if seen.method == "Query"]
    assert query.params.hnsw_ef == 32
    assert query.params.quantization.rescore
    assert len(found) == 1


async def test_a_collection_is_looked_at_once_and_not_before_each_question(server):
    async with opened(server) as engine:
        points = engine.points(CACHE)
        await asyncio.gather(*(points.size() for _ in range(5)))
        await engine.points(CACHE).size()

    assert [seen.method for seen in server.seen if seen.method not in ("Count", "CreateFieldIndex")] == [
        "Get",
        "Create",
        "Get",
    ]


async def test_processes_that_begin_together_make_one_collection(server):
    async with opened(server) as one, opened(server) as other:
        await asyncio.gather(one.points(CACHE).put([point()]), other.points(CACHE).put([point()]))
        assert await one.points(CACHE).size() == 2


async def test_a_collection_that_is_dropped_meanwhile_is_made_again(server):
    async with opened(server) as engine:
        points = engine.points(CACHE)
        await points.put([point()])
        server.collections.drop(CACHE.name)

        assert list(await points.nearest(EAST, Where("acme"), limit=1, floor=0.5)) == []
        await points.put([point()])
        assert await points.size() == 1


async def test_an_index_that_is_missing_is_made(server):
    async with opened(server) as engine:
        await engine.points(CACHE).put([point()])
    server.collections.drop_index(CACHE.name, "tenant")

    async with opened(server) as engine:
        assert await engine.points(CACHE).count(Where("acme")) == 1


@pytest.mark.parametrize(("size", "distance"), [(9, "Dot"), (8, "Euclid")])
async def test_a_collection_of_others_is_refused_by_name(server, size, distance):
    vectors = pb.VectorParams(size=size, distance=pb.Distance.Value(distance))
    server.collections.create(
        pb.CreateCollection(collection_name=CACHE.name, vectors_config=pb.VectorsConfig(params=vectors))
    )
    async with opened(server) as engine:
        with pytest.raises(PointsUnavailable, match=f"{CACHE.name} .*{size} numbers with distance {distance}"):
            await engine.points(CACHE).put([point()])


async def test_a_collection_that_weighs_terms_by_all_tenants_is_refused_by_name(server):
    vectors = pb.VectorParams(size=DIMENSION, distance=pb.Distance.Value("Dot"))
    request = pb.CreateCollection(
        collection_name=WORDS.name,
        vectors_config=pb.VectorsConfig(params_map=pb.VectorParamsMap(map={"dense": vectors})),
        sparse_vectors_config=pb.SparseVectorConfig(map={"terms": pb.SparseVectorParams()}),
    )
    server.collections.create(request)
    request.sparse_vectors_config.map["terms"].modifier = pb.Modifier.Value("Idf")
    async with opened(server) as engine:
        with pytest.raises(PointsUnavailable, match=f"{WORDS.name} .*how rare"):
            await engine.points(WORDS).size()


async def test_a_slow_server_costs_only_the_first_request_its_time(server):
    async with opened(server, timeout="50ms", cool_down="1h") as engine:
        points = engine.points(CACHE)
        await points.put([point()])
        server.faults.silent = True
        with pytest.raises(PointsUnavailable, match="did not answer within 50 ms"):
            await points.nearest(EAST, Where("acme"), limit=1, floor=0.5)
        asked = len(server.seen)
        with pytest.raises(PointsUnavailable, match="left alone"):
            await points.nearest(EAST, Where("acme"), limit=1, floor=0.5)

        assert len(server.seen) == asked


async def test_a_server_that_answers_again_is_in_use_again(server):
    async with opened(server) as engine:
        points = engine.points(CACHE)
        await points.put([point()])
        server.faults.silent = True
        with pytest.raises(PointsUnavailable):
            await points.nearest(EAST, Where("acme"), limit=1, floor=0.5, timeout=0.05)
        server.faults.silent = False

        assert len(await points.nearest(EAST, Where("acme"), limit=1, floor=0.5)) == 1


async def test_a_server_that_is_not_there_yet_is_used_once_it_is(tmp_path):
    async with QdrantServer(tmp_path / "first") as first:
        port = first.port
    async with opened(first, timeout="1s") as engine:
        points = engine.points(CACHE)
        with pytest.raises(PointsUnavailable):
            await points.put([point()])
        async with QdrantServer(tmp_path / "second", port=port):
            # A connection is tried again within a second.
            while True:
                try:
                    await points.put([point()])
                    break
                except PointsUnavailable:
                    await asyncio.sleep(0.02)
            assert await points.size() == 1


async def test_leaving_does_not_wait_for_a_server_that_is_silent(server):
    server.faults.silent = True
    async with asyncio.timeout(20):
        async with opened(server) as engine:
            with pytest.raises(PointsUnavailable):
                await engine.points(CACHE).nearest(EAST, Where("acme"), limit=1, floor=0.5, timeout=0.05)


async def test_many_points_travel_in_several_messages(server):
    async with opened(server) as engine:
        await engine.points(CACHE).put([point() for _ in range(1001)])
        assert await engine.points(CACHE).size() == 1001

    assert [len(seen.request.points) for seen in server.seen if seen.method == "Upsert"] == [1000, 1]


async def test_a_full_server_is_still_read(server):
    async with opened(server, cool_down="1h") as engine:
        points = engine.points(CACHE)
        await points.put([point()])
        server.faults.full = True
        with pytest.raises(PointsUnavailable, match="No space left"):
            await points.put([point()])

        assert len(await points.nearest(EAST, Where("acme"), limit=5, floor=0.5)) == 1


async def test_the_key_is_shown_and_a_wrong_one_refused(tmp_path):
    async with QdrantServer(tmp_path, api_key="right") as server:
        async with opened(server, api_key="right") as engine:
            assert await engine.points(CACHE).size() == 0
        for others in ({"api_key": "wrong"}, {}):
            async with opened(server, **others) as engine:
                with pytest.raises(PointsUnavailable, match="UNAUTHENTICATED"):
                    await engine.points(CACHE).size()


async def test_a_server_is_reached_over_tls(tmp_path):
    files = CertificateFiles.make(tmp_path, "localhost")
    pair = (files.key.read_bytes(), files.cert.read_bytes())
    credentials = grpc.ssl_server_credentials([pair])
    async with QdrantServer(tmp_path / "kept", host="localhost", credentials=credentials) as server:
        async with opened(server, ca_file=files.ca) as engine:
            assert await engine.points(CACHE).size() == 0
        async with opened(server, timeout="1s") as engine:
            with pytest.raises(PointsUnavailable):
                await engine.points(CACHE).nearest(EAST, Where("acme"), limit=1, floor=0.5)


async def test_filters_without_an_index_are_refused_as_by_the_real_server(server):
    async with opened(server) as engine:
        await engine.points(CACHE).put([point()])
    server.collections.drop_index(CACHE.name, "fingerprint")
    async with grpc.aio.insecure_channel(server.url.removeprefix("http://")) as channel:
        colour = pb.FieldCondition(key="fingerprint", match=pb.Match(keyword="f"))
        request = pb.CountPoints(
            collection_name=CACHE.name, filter=pb.Filter(must=[pb.Condition(field=colour)]), exact=True
        )
        with pytest.raises(grpc.aio.AioRpcError, match="Index required"):
            await pb.PointsStub(channel).Count(request)


async def test_a_server_that_loses_the_filter_shows_nobody_the_points_of_others(server):
    chosen = random.Random(3)

    def somewhere() -> array[float]:
        vector = [chosen.gauss(0, 1) for _ in range(DIMENSION)]
        norm = math.hypot(*vector)
        return array("f", [value / norm for value in vector])

    async with opened(server) as engine:
        points = engine.points(CACHE)
        kept = [Point(str(uuid.uuid4()), f"t{number % 7}", somewhere(), {}) for number in range(70)]
        await points.put(kept)
        worded = engine.points(WORDS)
        await worded.put([one._replace(terms={number % 5: 1.0}) for number, one in enumerate(kept)])
        server.collections.without_filters = True
        for number in range(500):
            aimed = kept[number % 70]
            assert list(await points.nearest(aimed.vector, Where(f"stranger-{number}"), limit=5, floor=-1.0)) == []
            assert list(await worded.matching({number % 5: 1.0}, Where(f"stranger-{number}"), limit=5)) == []
            assert list(await points.get("stranger", [aimed.id])) == []
        assert list((await points.scroll(Where("stranger"), limit=100)).points) == []
        assert {one.tenant for one in await points.nearest(kept[0].vector, Where("t0"), limit=70, floor=-1.0)} == {"t0"}
        assert {one.tenant for one in await worded.matching({0: 1.0}, Where("t0"), limit=70)} == {"t0"}
