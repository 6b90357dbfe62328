"""The database of reviews: transactions, the seal of what items hold, and what tells webhooks."""

from __future__ import annotations

import hmac

from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.sealing import derived_key
from penstock_gateway.adapters.sql.jobs.sealing import JobSealer
from penstock_gateway.adapters.sql.transactions import Transactions
from penstock_gateway.domain.reviews.item import Content, ReviewItem
from penstock_gateway.domain.reviews.ports import Tell


class ReviewDatabase(Transactions):
    """An engine whose database has the schema ``REVIEWS``; ``secret`` is what API keys are digested with."""

    def __init__(self, engine: AsyncEngine, secret: bytes, tell: Tell) -> None:
        super().__init__(engine)
        self.sealer = JobSealer(secret)
        self.tell = tell
        self._mark_key = derived_key(secret, b"penstock reviews v1\0mark")

    def mark(self, item: ReviewItem, content: Content) -> str:
        """Return what tells that the same was flagged for the same: nobody learns the text from it."""
        about = [item.tenant, item.source.value, item.surface.value, item.rule, item.public_model, content.text]
        if not content.text:
            # Feedback without words: each answer is its own.
            about += [item.generation_id, item.key_id]
        said = b"\0".join(part.encode(errors="replace").replace(b"\0", b"\0\1") for part in about)
        return hmac.new(self._mark_key, said, "sha256").hexdigest()
