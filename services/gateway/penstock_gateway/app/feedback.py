"""Feedback's part of the composition: who takes it in, who looks at it, and who tells the router of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.background import running
from penstock_common.upstreams.quality import QualityBoard
from penstock_gateway.adapters.feedback_metrics import FeedbackMetrics
from penstock_gateway.adapters.sql.feedback.answers import SqlAnswers
from penstock_gateway.adapters.sql.feedback.store import SqlFeedback
from penstock_gateway.adapters.sql.registry import SqlRegistry
from penstock_gateway.app.parts import Parts
from penstock_gateway.domain.feedback.giving import FeedbackBook, GivingParts
from penstock_gateway.domain.feedback.looking import FeedbackAdministration
from penstock_gateway.domain.feedback.ports import Disputed
from penstock_gateway.domain.feedback.telling import QualityTeller, Told
from penstock_gateway.settings import Settings
from penstock_gateway.surfaces.arrival import Reception
from penstock_gateway.surfaces.grpc.admin import actors_of
from penstock_gateway.surfaces.grpc.feedback import FeedbackServicer, sent_key


def feedback_servicer(settings: Settings, parts: Parts, entries: Disputed, reception: Reception) -> FeedbackServicer:
    """Return what serves feedback."""
    store = SqlFeedback(parts.engine)
    giving = GivingParts(
        store=store,
        answers=SqlAnswers(parts.engine, parts.ledger.unwritten),
        entries=entries,
        observer=FeedbackMetrics(parts.registry),
        rule=settings.feedback.giving,
        flags=parts.reviews.feedback,
    )
    looking = FeedbackAdministration(store, SqlRegistry(parts.engine))
    return FeedbackServicer(FeedbackBook(giving), looking, actors_of(reception), sent_key)


@asynccontextmanager
async def telling_quality(settings: Settings, engine: AsyncEngine, board: QualityBoard | None) -> AsyncGenerator[None]:
    """Tell the router, while the context is open, what feedback says: by the board, where it is in this process."""
    async with AsyncExitStack() as stack:
        told = board or await _redis(settings, stack)
        if told is not None:
            teller = QualityTeller(SqlFeedback(engine), told, settings.feedback.quality)
            every_seconds = settings.feedback.quality_every.total_seconds()
            await stack.enter_async_context(running(teller.run(every_seconds)))
        yield


async def _redis(settings: Settings, stack: AsyncExitStack) -> Told | None:
    if not settings.redis.state:
        return None
    # Who has no Redis waits for none of its library.
    from penstock_common.redis_connection import RedisConnection
    from penstock_common.upstreams.quality_feed import RedisQualityFeed

    connection = RedisConnection(settings.redis.state, settings.gateway.redis_timeout)
    return RedisQualityFeed(await stack.enter_async_context(connection))
