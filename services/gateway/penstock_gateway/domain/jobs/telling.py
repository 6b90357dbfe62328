"""The word for webhooks that a job has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256

from penstock_gateway.domain.jobs.job import Job, JobKind
from penstock_gateway.domain.jobs.ports import Tell
from penstock_gateway.domain.webhooks.delivery import Delivery, message

Wanting = Callable[[str, str], Sequence[str]]
"""Returns which of a tenant's webhooks hear of a message of a type unasked."""


def telling(wanting: Wanting) -> Tell:
    """Return what tells those of a job's end that it names, and those that hear of it unasked."""

    def tell(job: Job, now: datetime) -> Sequence[Delivery]:
        # A batch has one message, and not one for each of its lines; a request that somebody waits for has none.
        is_no_job = job.unlisted or job.batch or job.kind is JobKind.BATCH
        unasked = () if is_no_job else wanting(job.tenant, _type_of(job))
        return [_message(job, webhook, now) for webhook in dict.fromkeys((job.webhook, *unasked)) if webhook]

    return tell


def _type_of(job: Job) -> str:
    return f"job.{job.state.value}"


def _message(job: Job, webhook: str, now: datetime) -> Delivery:
    """Return how a job ended, and nothing of what it asked or answers."""
    data: dict[str, object] = {
        "id": job.id,
        "kind": job.kind.value,
        "state": job.state.value,
        "attempts": job.attempts,
        "metadata": dict(job.metadata),
    }
    if job.error is not None:
        data["error"] = {"reason": job.error.reason, "message": job.error.message}
    # A redriven job ends again, and that is another message; the last event's number tells them apart.
    place = "" if webhook == job.webhook else f"_{sha256(webhook.encode()).hexdigest()[:8]}"
    name = f"{job.id}_{job.last_event}{place}"
    return Delivery(
        id=name,
        webhook=webhook,
        type=_type_of(job),
        body=message(_type_of(job), now, data),
        created_at=now,
        next_at=now,
    )
