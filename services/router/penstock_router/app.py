"""The router's composition root."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from penstock_common.background import running
from penstock_common.configuration import ConfigurationError
from penstock_common.contract.wire.router import EXPLAIN, LIST_MODELS, ROUTE
from penstock_common.rpc.client import Channel
from penstock_common.service import Commit, Role, Service
from penstock_common.upstreams.quality import QualityBoard
from penstock_common.upstreams.state import Board
from penstock_router.adapters.embedding import EmbeddingClient
from penstock_router.adapters.listener import Listener, Source
from penstock_router.adapters.metrics import RouterMetrics
from penstock_router.adapters.quality_listener import QualityListener, QualitySource
from penstock_router.configured import catalogue_from, fork_from, readers_from
from penstock_router.domain.choosing import Chooser
from penstock_router.domain.routing import Router
from penstock_router.domain.sight import Sight
from penstock_router.settings import Settings
from penstock_router.surfaces.servicer import RouterServicer


@asynccontextmanager
async def build(
    settings: Settings,
    board: Board | None = None,
    embedding: Channel | None = None,
    quality: QualityBoard | None = None,
) -> AsyncGenerator[Service, None]:
    """Yield the router; the boards are where inference and the gateway of the same process say what they know.

    ``embedding`` is where the embedding service is, if there is one: models with routes decide better with it.

    Raises:
        ConfigurationError: if the address of Redis cannot be one.
    """
    sight = Sight(settings.router.drift.rules(), time.monotonic)
    servicer = RouterServicer(_router(settings), await _chooser(settings, embedding), sight)

    async def prepare(changed: Settings) -> Commit:
        # Plans that are remembered are the earlier router's.
        return partial(servicer.take_over, _router(changed), await _chooser(changed, embedding))

    async with AsyncExitStack() as stack:
        of_states, of_quality = await _sources(settings, stack, board, quality)
        if of_states is not None:
            listener = Listener(of_states, servicer.hear, settings.router.believed_for.total_seconds())
            await listener.listen()
            every_seconds = settings.router.listen_every.total_seconds()
            await stack.enter_async_context(running(listener.run(every_seconds)))
        if of_quality is not None:
            reading = QualityListener(of_quality, servicer.hear_quality)
            await stack.enter_async_context(running(reading.run(settings.router.quality_every.total_seconds())))
        handlers = (
            ROUTE.served_by(servicer.route),
            EXPLAIN.served_by(servicer.explain),
            LIST_MODELS.served_by(servicer.list_models),
        )
        yield Service("router", handlers, (RouterMetrics(sight),), prepare)


async def _sources(
    settings: Settings, stack: AsyncExitStack, board: Board | None, quality: QualityBoard | None
) -> tuple[Source | None, QualitySource | None]:
    """Return where to hear how upstreams are and how good, which is Redis for what has no board."""
    if not settings.redis.state or (board is not None and quality is not None):
        return board, quality
    # Who has no Redis waits for none of its library.
    from penstock_common.redis_connection import RedisConnection
    from penstock_common.upstreams.quality_feed import RedisQualityFeed
    from penstock_common.upstreams.redis_feed import RedisFeed

    try:
        connection = RedisConnection(settings.redis.state)
    except ValueError as error:
        raise ConfigurationError(f"'redis.state': {error}") from None
    await stack.enter_async_context(connection)
    believed_seconds = settings.router.believed_for.total_seconds()
    return board or RedisFeed(connection, believed_seconds), quality or RedisQualityFeed(connection)


def _router(settings: Settings) -> Router:
    chance = random.Random()  # noqa: S311 - shares out load
    return Router(catalogue_from(settings), chance, settings.router.rules(), settings.policy_rules())


async def _chooser(settings: Settings, embedding: Channel | None) -> Chooser:
    forks = {model.name: fork_from(model) for model in settings.models if model.routes}
    languages = None
    if any(fork.needs_language for fork in forks.values()):
        # It reads a model that nobody else needs.
        from penstock_router.adapters.language import language_reader

        languages = await asyncio.to_thread(language_reader)
    if not any(fork.needs_reading for fork in forks.values()):
        return Chooser(forks, None, None, languages=languages)
    own = settings.router.classifier
    client = None if embedding is None else EmbeddingClient(embedding, own.embedding_timeout)
    reader, shadow = readers_from(own)
    return Chooser(forks, reader, client, shadow, languages=languages)


ROLE = Role(Settings, build, may_call=("embedding",), meets=("inference",), hears_gateway=True)
