"""The word for webhooks of what became of an item."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256

from penstock_gateway.domain.reviews.item import ReviewItem
from penstock_gateway.domain.reviews.ports import Tell
from penstock_gateway.domain.webhooks.delivery import Delivery, message

DECIDED, ESCALATED = "review.decided", "review.escalated"

Wanting = Callable[[str, str], Sequence[str]]
"""Returns which of a tenant's webhooks hear of a message of a type unasked."""


def telling(wanting: Wanting) -> Tell:
    """Return what tells those of an item that hear of it unasked."""

    def tell(item: ReviewItem, event: str, now: datetime) -> Sequence[Delivery]:
        return [_message(item, event, webhook, now) for webhook in wanting(item.tenant, event)]

    return tell


def _message(item: ReviewItem, event: str, webhook: str, now: datetime) -> Delivery:
    """Return how an item stands, and nothing of what it holds."""
    data: dict[str, object] = {
        "id": item.id,
        "state": item.state.value,
        "decision": None if item.decision is None else item.decision.value,
        "held": item.held,
        "source": item.source.value,
        "surface": item.surface.value,
        "rule": item.rule,
        "model": item.public_model,
        "request_id": item.request_id,
        "generation_id": item.generation_id,
        "reviewer": item.reviewer,
    }
    # An item is decided once, and escalated once.
    name = f"{item.id}_{event.rpartition('.')[2]}_{sha256(webhook.encode()).hexdigest()[:8]}"
    return Delivery(id=name, webhook=webhook, type=event, body=message(event, now, data), created_at=now, next_at=now)
