"""The word for webhooks that a batch has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256

from penstock_gateway.domain.batches.batch import Batch, public_id
from penstock_gateway.domain.jobs.telling import Wanting
from penstock_gateway.domain.webhooks.delivery import Delivery, message

TellBatch = Callable[[Batch, datetime], Sequence[Delivery]]
"""Returns the messages that tell of a batch's end; they are kept in the transaction that ends it."""


def telling_batches(wanting: Wanting) -> TellBatch:
    """Return what tells those webhooks of a batch's end that hear of it: its id, and nothing of its lines."""

    def tell(batch: Batch, now: datetime) -> Sequence[Delivery]:
        kind = f"batch.{batch.state.value}"
        body = message(kind, now, {"id": public_id(batch)})
        return [
            Delivery(
                id=f"{batch.id}_{sha256(webhook.encode()).hexdigest()[:8]}",
                webhook=webhook,
                type=kind,
                body=body,
                created_at=now,
                next_at=now,
            )
            for webhook in wanting(batch.tenant, kind)
        ]

    return tell


def nobody(_batch: Batch, _now: datetime) -> Sequence[Delivery]:
    """Tell nobody."""
    return ()
