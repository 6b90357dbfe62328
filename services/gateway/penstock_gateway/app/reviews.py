"""Reviews' part of the composition: where items are kept, who flags them, and who decides."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.key_material import read_key_material
from penstock_gateway.adapters.review_metrics import ReviewMetrics, StandingCollector
from penstock_gateway.adapters.sql.registry import SqlRegistry
from penstock_gateway.adapters.sql.reviews.database import ReviewDatabase
from penstock_gateway.adapters.sql.reviews.store import SqlReviews
from penstock_gateway.domain.feedback.giving import GivenObserver
from penstock_gateway.domain.reviews.flagging import FeedbackFlags, FlagDesk
from penstock_gateway.domain.reviews.opening import Opening
from penstock_gateway.domain.reviews.reviewing import Reviews
from penstock_gateway.domain.reviews.telling import telling
from penstock_gateway.domain.reviews.tidying import ReviewTidying
from penstock_gateway.domain.webhooks.book import WebhookBook
from penstock_gateway.settings import Settings
from penstock_gateway.surfaces.grpc.reviews import ReviewerOf, ReviewServicer


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewParts:
    """What is open of reviews, in a gateway, a worker or at the command line."""

    store: SqlReviews
    desk: FlagDesk
    """Who is handed what a person is to judge."""
    reviews: Reviews
    tidying: ReviewTidying
    feedback: GivenObserver

    def servicer(self, reviewer_of: ReviewerOf) -> ReviewServicer:
        """Return what serves reviews."""
        return ReviewServicer(self.reviews, Opening(self.desk, self.store), reviewer_of)


def review_parts(
    settings: Settings, engine: AsyncEngine, webhooks: WebhookBook, registry: CollectorRegistry
) -> ReviewParts:
    """Return the parts, with which nothing happens yet; ``webhooks`` are told of decisions.

    Raises:
        ConfigurationError: if the secret cannot be read that what items hold is sealed by.
    """
    own, observer = settings.reviews, ReviewMetrics(registry)
    secret = read_key_material(settings.secrets.key_pepper_file, "secrets.key_pepper_file")
    tell = telling(webhooks.wanting, own.webhooks, lambda: webhooks.endpoints)
    store = SqlReviews(ReviewDatabase(engine, secret, tell))
    desk = FlagDesk(store, own.terms)
    reviews = Reviews(store, SqlRegistry(engine), own.terms)
    tidying = ReviewTidying(store, own.terms)
    desk.observer = reviews.observer = tidying.observer = observer
    registry.register(StandingCollector(tidying))
    return ReviewParts(
        store=store,
        desk=desk,
        reviews=reviews,
        tidying=tidying,
        feedback=FeedbackFlags(desk, frozenset(own.feedback_reasons), own.disputes),
    )
