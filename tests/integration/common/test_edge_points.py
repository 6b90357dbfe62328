"""The embedded engine where things go wrong: killed, held, corrupt, full, slow."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from array import array
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from penstock_common.contract.points import Delete, Get, Matching, Nearest, Put, SetPayload, Size
from penstock_common.faults import ConfigurationError
from penstock_common.points.edge.engine import EdgeEngine, open_edge
from penstock_common.points.edge.host import Host, serve
from penstock_common.points.edge.messages import ANSWERS, Asked, Settings, framed, frames_of
from penstock_common.points.gated import Patience
from penstock_common.points.store import Collection, Point, PointsUnavailable, Where

DIMENSION = 16
CACHE = Collection("cache", 1, "m", "r", DIMENSION, ("fingerprint",), ("hits",))
NEVER = timedelta()


def opened(
    folder: Path, *, cool_down: timedelta = NEVER, search: timedelta = timedelta(seconds=60), **settings: Any
) -> AbstractAsyncContextManager[EdgeEngine]:
    return open_edge(
        folder,
        Settings(**settings),
        Patience(search, timedelta(seconds=60), cool_down),
        restart_after=timedelta(),
    )


def unit(place: int) -> array[float]:
    vector = array("f", bytes(4 * DIMENSION))
    vector[place % DIMENSION] = 1.0
    return vector


def point(number: int, tenant: str = "acme") -> Point:
    return Point(str(uuid.UUID(int=number + 1)), tenant, unit(number), {"hits": number})


async def test_what_was_put_outlives_the_process(tmp_path):
    async with opened(tmp_path) as engine:
        await engine.points(CACHE).put([point(1)])
    async with opened(tmp_path) as engine:
        (found,) = await engine.points(CACHE).nearest(unit(1), Where("acme"), limit=3, floor=0.5)

    assert found.payload == {"hits": 1}


_WRITER = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from test_edge_points import CACHE, opened, point

async def main():
    async with opened(Path(sys.argv[1])) as engine:
        points = engine.points(CACHE)
        for number in range(100_000):
            await points.put([point(number)])
            print(number, flush=True)

asyncio.run(main())
"""


async def test_an_owner_killed_in_the_middle_of_writing_loses_nothing_that_was_acknowledged(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert writer.stdout is not None
    for _ in range(50):
        assert writer.stdout.readline()
    writer.kill()
    acknowledged = 50 + len(writer.stdout.read().splitlines())
    writer.stdout.close()
    writer.wait()

    async with opened(tmp_path) as engine:
        points = engine.points(CACHE)
        assert await points.size() >= acknowledged
        kept = await points.get("acme", [point(number).id for number in range(acknowledged)])
        assert kept == tuple(point(number) for number in range(acknowledged))


async def test_an_engine_killed_in_the_middle_of_writing_is_started_again_with_all_of_it(tmp_path):
    async with opened(tmp_path) as engine:
        points = engine.points(CACHE)
        acknowledged = 0
        for number in range(10_000):
            if number == 30:
                os.kill(engine.process.pid or 0, signal.SIGKILL)
            try:
                await points.put([point(number)])
            except PointsUnavailable:
                break
            acknowledged += 1
        await engine.process.until_up()

        assert acknowledged >= 30
        assert await points.size() >= acknowledged
        await points.put([point(20_000)])
        assert len(await points.nearest(unit(20_000), Where("acme"), limit=3, floor=0.5)) == 3


async def test_a_second_owner_hears_who_has_the_folder(tmp_path):
    async with opened(tmp_path):
        with pytest.raises(ConfigurationError, match=f"{tmp_path} is in use by process {os.getpid()}.*qdrant.url"):
            async with opened(tmp_path):
                pass


async def test_a_folder_that_cannot_be_made_is_refused_by_name(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"'qdrant\.path': .*file"):
        async with opened(tmp_path / "file" / "points"):
            pass


@pytest.mark.parametrize("pattern", ["edge_config.json", "segments/*/*.json", "segments/*/*/*"])
async def test_a_corrupt_shard_is_set_aside_and_begun_anew(tmp_path, pattern):
    async with opened(tmp_path) as engine:
        await engine.points(CACHE).put([point(number) for number in range(100)])
    files = [file for file in (tmp_path / CACHE.name).glob(pattern) if file.is_file()]
    assert files
    for file in files:
        file.write_bytes(b"\xff" * 64)

    with structlog.testing.capture_logs() as logs:
        async with opened(tmp_path) as engine:
            points = engine.points(CACHE)
            assert await points.size() == 0
            await points.put([point(7)])
            assert await points.size() == 1

    assert (tmp_path / f"{CACHE.name}.broken").is_dir()
    assert [CACHE.name in line["note"] for line in logs if line["event"] == "vector_store_note"] == [True]


async def test_a_shard_whose_opening_ends_the_engine_is_set_aside(tmp_path):
    async with opened(tmp_path) as engine:
        await engine.points(CACHE).put([point(1)])
    (tmp_path / f"{CACHE.name}.opening").write_text("3")

    async with opened(tmp_path) as engine:
        assert await engine.points(CACHE).size() == 0


async def test_on_a_full_disk_nothing_is_written_and_reading_goes_on(tmp_path):
    async with opened(tmp_path) as engine:
        await engine.points(CACHE).put([point(1)])
    async with opened(tmp_path, least_free_bytes=1 << 60, cool_down=timedelta(hours=1)) as engine:
        points = engine.points(CACHE)
        with pytest.raises(PointsUnavailable, match="MiB left"):
            await points.put([point(2)])
        with pytest.raises(PointsUnavailable, match="left alone"):
            await points.set_payload(Where("acme"), {"hits": 5})
        assert len(await points.nearest(unit(1), Where("acme"), limit=3, floor=0.5)) == 1
        assert await points.size() == 1


async def test_a_slow_engine_costs_only_the_first_request_its_time(tmp_path):
    async with opened(tmp_path, cool_down=timedelta(hours=1), search=timedelta(milliseconds=50)) as engine:
        points = engine.points(CACHE)
        await points.put([point(1)])
        os.kill(engine.process.pid or 0, signal.SIGSTOP)
        try:
            with pytest.raises(PointsUnavailable, match="did not answer within 50 ms"):
                await points.nearest(unit(1), Where("acme"), limit=1, floor=0.5)
            with pytest.raises(PointsUnavailable, match="left alone"):
                await points.nearest(unit(1), Where("acme"), limit=1, floor=0.5)
        finally:
            os.kill(engine.process.pid or 0, signal.SIGCONT)


async def test_a_slow_engine_is_back_in_use_by_itself(tmp_path):
    async with opened(tmp_path) as engine:
        points = engine.points(CACHE)
        await points.put([point(1)])
        os.kill(engine.process.pid or 0, signal.SIGSTOP)
        with pytest.raises(PointsUnavailable):
            await points.nearest(unit(1), Where("acme"), limit=1, floor=0.5, timeout=0.05)
        os.kill(engine.process.pid or 0, signal.SIGCONT)
        assert len(await points.nearest(unit(1), Where("acme"), limit=1, floor=0.5)) == 1


async def test_only_so_many_questions_wait(tmp_path):
    async with opened(tmp_path) as engine:
        points = engine.points(CACHE)
        await points.put([point(1)])
        os.kill(engine.process.pid or 0, signal.SIGSTOP)
        waiting = [asyncio.ensure_future(points.size()) for _ in range(256)]
        await asyncio.sleep(0)
        with pytest.raises(PointsUnavailable, match="256 questions waiting"):
            await points.size()
        os.kill(engine.process.pid or 0, signal.SIGCONT)
        assert await asyncio.gather(*waiting) == [1] * 256


async def test_without_the_package_the_refusal_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "qdrant_edge", None)
    with pytest.raises(ConfigurationError, match=r"penstock-common\[qdrant\].*'qdrant.url'"):
        async with opened(tmp_path):
            pass


INDEXED_SOON = Settings(indexing_threshold_kilobytes=6, full_scan_kilobytes=1)


def until_indexed(host: Host) -> None:
    while host.is_indexing:
        select.select([], [], [], host.patience())
        host.index(is_quiet=False)


def searched(host: Host, number: int) -> Any:
    return host.answer(Nearest(collection=CACHE, vector=unit(number), where=Where("acme"), limit=1000, floor=0.9))


def test_what_waits_for_an_index_gets_one_and_what_changes_meanwhile_is_kept(tmp_path):
    host = Host(tmp_path, INDEXED_SOON)
    host.answer(Size(collection=CACHE))
    assert host.patience() is None
    host.answer(Put(collection=CACHE, points=[point(number) for number in range(400)]))
    assert host.patience() == Settings().quiet_seconds
    host.index(is_quiet=True)
    assert host.is_indexing
    host.answer(Put(collection=CACHE, points=[point(number) for number in range(400, 480)]))
    host.answer(Delete(collection=CACHE, where=Where("acme", ids=[point(3).id, point(401).id])))
    host.answer(SetPayload(collection=CACHE, where=Where("acme", ids=[point(19).id]), payload={"hits": -1}))

    until_indexed(host)

    ids = [point(number).id for number in (3, 19, 35, 401, 467)]
    kept = host.answer(Get(collection=CACHE, tenant="acme", ids=ids))
    assert host.notes == []
    assert [one.payload["hits"] for one in kept] == [-1, 35, 467]
    # Of equal vectors a graph does not find all.
    assert {one.score for one in searched(host, 3)} == {1.0}
    assert host.answer(Size(collection=CACHE)) == 478
    assert [path.name for path in tmp_path.iterdir()] == [CACHE.name]
    host.close()
    again = Host(tmp_path, INDEXED_SOON)
    assert again.answer(Size(collection=CACHE)) == 478
    again.close()


def test_in_traffic_without_a_pause_what_waits_is_indexed_when_it_is_much(tmp_path):
    host = Host(tmp_path, INDEXED_SOON)
    host.answer(Put(collection=CACHE, points=[point(number) for number in range(100)]))
    host.index(is_quiet=False)
    few = host.is_indexing
    host.answer(Put(collection=CACHE, points=[point(number) for number in range(100, 400)]))
    host.index(is_quiet=False)
    many = host.is_indexing
    host.close()

    assert (few, many) == (False, True)
    assert [path.name for path in tmp_path.iterdir()] == [CACHE.name]


def test_an_index_that_cannot_be_made_is_told_of_and_searching_goes_on(tmp_path):
    host = Host(tmp_path, INDEXED_SOON)
    host.answer(Put(collection=CACHE, points=[point(number) for number in range(400)]))
    host.index(is_quiet=True)
    (tmp_path / f"{CACHE.name}.indexing" / "edge_config.json").write_text("{")
    until_indexed(host)

    assert [CACHE.name in note for note in host.notes] == [True]
    assert len(searched(host, 3)) == 400 // DIMENSION
    host.close()


def test_questions_are_answered_while_the_copy_catches_up(tmp_path, monkeypatch):
    monkeypatch.setattr("penstock_common.points.edge.host._CATCH_UP_SECONDS", 0.0)
    host = Host(tmp_path, INDEXED_SOON)
    host.answer(Put(collection=CACHE, points=[point(number) for number in range(400)]))
    host.index(is_quiet=True)
    for number in range(400, 420):
        host.answer(Put(collection=CACHE, points=[point(number)]))
    while not host.is_catching_up:
        select.select([], [], [], host.patience())
    sizes: list[int] = []
    while host.is_indexing:
        assert host.patience() == 0.0
        host.index(is_quiet=False)
        sizes.append(host.answer(Size(collection=CACHE)))
        host.answer(SetPayload(collection=CACHE, where=Where("acme", ids=[point(1).id]), payload={"hits": len(sizes)}))

    # Two changes are caught up with at a time, and one comes.
    assert sizes == [420] * 19
    assert searched(host, 3)
    assert [one.payload["hits"] for one in host.answer(Get(collection=CACHE, tenant="acme", ids=[point(1).id]))] == [19]
    host.close()


def test_where_too_much_comes_meanwhile_it_is_indexed_in_the_next_quiet_moment(tmp_path, monkeypatch):
    monkeypatch.setattr("penstock_common.points.edge.indexing._MOST_LATE_POINTS", 100)
    host = Host(tmp_path, INDEXED_SOON)
    host.answer(Put(collection=CACHE, points=[point(number) for number in range(400)]))
    host.index(is_quiet=True)
    host.answer(Put(collection=CACHE, points=[point(number) for number in range(400, 520)]))
    host.index(is_quiet=False)

    assert not host.is_indexing
    assert ["too much came" in note for note in host.notes] == [True]
    host.index(is_quiet=True)
    assert host.is_indexing
    until_indexed(host)
    assert host.answer(Size(collection=CACHE)) == 520
    host.close()


@pytest.mark.parametrize("is_sparse", [False, True])
def test_an_index_that_was_not_made_is_made_after_a_restart(tmp_path, is_sparse):
    first = Host(tmp_path, INDEXED_SOON)
    collection = CACHE._replace(sparse=is_sparse)
    points = [point(number)._replace(terms={1: 1.0} if is_sparse else {}) for number in range(400)]
    first.answer(Put(collection=collection, points=points))
    first.close()
    second = Host(tmp_path, INDEXED_SOON)
    second.answer(Size(collection=collection))
    second.index(is_quiet=True)

    assert second.is_indexing
    until_indexed(second)
    second.close()
    third = Host(tmp_path, INDEXED_SOON)
    third.answer(Size(collection=collection))
    third.index(is_quiet=True)
    assert not third.is_indexing
    if is_sparse:
        matching = Matching(collection=collection, terms={1: 2.0}, where=Where("acme"), limit=9)
        assert len(third.answer(matching)) == 9
    third.close()


@pytest.mark.parametrize("is_renamed", [False, True])
def test_who_is_killed_while_shards_change_places_finds_the_whole_one(tmp_path, is_renamed):
    host = Host(tmp_path, INDEXED_SOON)
    host.answer(Put(collection=CACHE, points=[point(1)]))
    host.close()
    here, replaced, copy = (tmp_path / f"{CACHE.name}{ending}" for ending in ("", ".replaced", ".indexing"))
    copy.mkdir()
    if is_renamed:
        here.rename(replaced)
    again = Host(tmp_path, INDEXED_SOON)

    assert again.answer(Size(collection=CACHE)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [CACHE.name]
    again.close()


def test_a_question_that_nobody_waits_for_any_more_is_not_answered(tmp_path):
    ours, theirs = socket.socketpair()
    host = Host(tmp_path, Settings())
    serving = threading.Thread(target=serve, args=(theirs, host))
    serving.start()
    late, timely = time.monotonic() - 1, time.monotonic() + 60
    ours.sendall(framed(Asked(1, late, Size(collection=CACHE))) + framed(Asked(2, timely, Size(collection=CACHE))))
    told = ANSWERS.decode(frames_of(bytearray(ours.recv(1 << 16)))[0])
    ours.close()
    serving.join()
    theirs.close()
    host.close()

    assert (told.number, msgspec.msgpack.decode(told.answer)) == (2, 0)


def test_a_host_whose_owner_is_gone_before_it_is_ready_ends_without_a_word(tmp_path):
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        ended = subprocess.run(
            [sys.executable, "-m", "penstock_common.points.edge.host", str(tmp_path), str(os.getpid()), "{}"],
            stdin=theirs.fileno(), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
