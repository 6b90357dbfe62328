"""The word for webhooks that a job has ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from penstock_gateway.domain.jobs.job import Job
from penstock_gateway.domain.webhooks.delivery import Delivery, message


def ended_messages(job: Job, now: datetime) -> Sequence[Delivery]:
    """Return the message to the job's webhook, if it has one: its id and how it ended, nothing of what it asked or answers."""
    if not job.webhook:
        return ()
    kind = f"job.{job.state.value}"
    data: dict[str, object] = {
        "id": job.id,
        "kind": job.kind.value,
        "state": job.state.value,
        "attempts": job.attempts,
        "metadata": dict(job.metadata),
    }
    if job.error is not None:
        data["error"] = {"reason": job.error.reason, "message": job.error.message}
    # A redriven job ends again, and that is another message; the epoch tells them apart.
    name = f"{job.id}_{job.epoch}_{job.state.value}"
    return (
        Delivery(id=name, webhook=job.webhook, type=kind, body=message(kind, now, data), created_at=now, next_at=now),
    )
