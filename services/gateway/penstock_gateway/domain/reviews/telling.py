"""The word for webhooks of what became of an item."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from hashlib import sha256

from penstock_gateway.domain.reviews.item import ReviewItem
from penstock_gateway.domain.reviews.ports import Tell
from penstock_gateway.domain.webhooks.delivery import Delivery, message
from penstock_gateway.domain.webhooks.endpoint import Endpoint

DECIDED, ESCALATED = "review.decided", "review.escalated"

Wanting = Callable[[str, str], Sequence[str]]
"""Returns which of a tenant's webhooks hear of a message of a type unasked."""
Endpoints = Callable[[], Mapping[str, Endpoint]]
"""Returns the webhooks that there are."""


def telling(wanting: Wanting, named: Collection[str] = (), endpoints: Endpoints = dict[str, Endpoint]) -> Tell:
    """Return what tells those of an item that hear of it unasked, and those ``named`` ones that are for its tenant.

    One that names no tenants hears of all.
    """

    def tell(item: ReviewItem, event: str, now: datetime) -> Sequence[Delivery]:
        known = endpoints() if named else {}
        also = [name for name in named if name in known and _is_for(known[name], item.tenant)]
        heard = dict.fromkeys((*wanting(item.tenant, event), *also))
        return [_message(item, event, webhook, now) for webhook in heard]

    return tell


def _is_for(endpoint: Endpoint, tenant: str) -> bool:
    return not endpoint.tenants or tenant in endpoint.tenants


def _message(item: ReviewItem, event: str, webhook: str, now: datetime) -> Delivery:
    """Return how an item stands, and nothing of what it holds."""
    data: dict[str, object] = {
        "id": item.id,
        "tenant": item.tenant,
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
