"""What gateways say of answers' quality reaches the router: by reference in one process, through a real Redis elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
import structlog

from penstock_common.llm.types import Candidate
from penstock_common.redis_connection import RedisConnection
from penstock_common.testing.redis_server import RedisServer
from penstock_common.upstreams.quality import Qualities, Quality, QualityBoard, QualityUnheard
from penstock_common.upstreams.quality_feed import KEY, RedisQualityFeed
from penstock_router.adapters.quality_listener import QualityListener, QualitySource
from penstock_router.app import build
from penstock_router.settings import Settings

PATIENCE = timedelta(seconds=20)
QUALITIES = {
    (Candidate(upstream="u", model="m/1"), "code"): Quality(0.75, 12.5),
    (Candidate(upstream="v", model="m"), ""): Quality(0.0, 1.0),
}
BETTER = {(Candidate(upstream="u", model="m/1"), "code"): Quality(0.9, 13.5)}


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


class Heard:
    """Whoever listens, and what it has heard."""

    def __init__(self, source: QualitySource) -> None:
        self.all: list[Qualities] = []
        self.listener = QualityListener(source, self.all.append)


async def test_the_board_says_what_was_told_last() -> None:
    board = QualityBoard()
    heard = Heard(board)
    await heard.listener.listen()
    await board.tell(QUALITIES)
    await board.tell(BETTER)
    await heard.listener.listen()
    assert heard.all == [{}, BETTER]


async def test_redis_carries_it_whole_and_nothing_before_a_gateway_spoke(redis: RedisServer) -> None:
    async with RedisConnection(redis.url, PATIENCE) as connection:
        await connection.execute("DEL", KEY)
        feed = RedisQualityFeed(connection)
        heard = Heard(RedisQualityFeed(connection))
        await heard.listener.listen()
        await feed.tell(QUALITIES)
        await heard.listener.listen()
        assert heard.all == [{}, QUALITIES]
        assert int(await connection.execute("PTTL", KEY)) > 23 * 60 * 60 * 1000


@pytest.mark.parametrize("stored", [b"no JSON", b"\xff", b'[["u", "m", "code", "good", 1]]', b'{"a": 1}'])
async def test_what_cannot_be_read_changes_nothing_and_is_said_once(redis: RedisServer, stored: bytes) -> None:
    async with RedisConnection(redis.url, PATIENCE) as connection:
        feed = RedisQualityFeed(connection)
        heard = Heard(feed)
        await connection.execute("SET", KEY, stored)
        with pytest.raises(QualityUnheard):
            await feed.read()
        with structlog.testing.capture_logs() as logs:
            await heard.listener.listen()
            await heard.listener.listen()
        assert [line["event"] for line in logs] == ["quality_not_heard"]
        await feed.tell(BETTER)
        await heard.listener.listen()
        assert heard.all == [BETTER]


async def test_without_redis_it_is_neither_told_nor_heard() -> None:
    async with RedisConnection("redis://127.0.0.1:1") as connection:
        with pytest.raises(QualityUnheard):
            await RedisQualityFeed(connection).tell(BETTER)


@pytest.mark.parametrize("has_board", [True, False])
async def test_a_built_router_listens_where_its_gateway_speaks(
    redis: RedisServer, has_board: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = asyncio.Event()
    said: list[Qualities] = []

    def hear(_: object, qualities: Qualities) -> None:
        said.append(qualities)
        heard.set()

    monkeypatch.setattr("penstock_router.domain.routing.Router.hear_quality", hear)
    board = QualityBoard() if has_board else None
    async with RedisConnection(redis.url, PATIENCE) as connection:
        await connection.execute("DEL", KEY)
        await (board or RedisQualityFeed(connection)).tell(QUALITIES)
        settings = Settings.model_validate({"redis": {"state": redis.url}})
        async with build(settings, quality=board):
            await heard.wait()
    assert said == [QUALITIES]
