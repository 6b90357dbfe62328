"""How a request becomes a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from penstock_common.errors import InvalidRequest, ServiceUnavailable
from penstock_common.priority import Priority
from penstock_gateway.domain.access.asker import asker_of
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.jobs.bell import Bell
from penstock_gateway.domain.jobs.job import Accepted, Job, JobKind, JobState, NewJob, new_job_id
from penstock_gateway.domain.jobs.orders import AnyOrder, order_bytes
from penstock_gateway.domain.jobs.ports import JobStore
from penstock_gateway.domain.jobs.terms import NO_TERMS, JobTerms, UsualTerms, check_terms
from penstock_gateway.domain.webhooks.endpoint import Endpoint
from penstock_gateway.domain.webhooks.registered import found


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is to be a job. ``target``: its public model, or knowledge base.

    ``mark`` and ``fingerprint`` are as in ``NewJob``. ``owner``: the process that runs it at once, until ``owned_until``.
    """

    kind: JobKind
    target: str
    order: AnyOrder
    traceparent: str = ""
    terms: JobTerms = NO_TERMS
    mark: str = ""
    fingerprint: str = ""
    owner: str = ""
    owned_until: datetime | None = None
    batch: str = ""
    line: int = 0
    unlisted: bool = False


def with_asker(order: AnyOrder, caller: Caller) -> AnyOrder:
    """Return an order that says who asks, where that is nobody's key: whoever runs it later finds them by it."""
    asker = asker_of(caller)
    return order if asker is None else msgspec.structs.replace(order, asker=asker)


class Submitter:
    """Accepts jobs."""

    def __init__(
        self,
        store: JobStore,
        bell: Bell,
        usual: UsualTerms,
        endpoints: Callable[[], Mapping[str, Endpoint]],
        *,
        is_enabled: bool = True,
    ) -> None:
        self._store = store
        self._bell = bell
        self._usual = usual
        self._endpoints = endpoints
        self._is_enabled = is_enabled

    async def submit(self, caller: Caller, *asked: Submission) -> Sequence[Accepted]:
        """Accept requests of one caller, all or none: once this returns, they are kept.

        What each asks is checked by who submits it, with the life that it will have.

        Raises:
            InvalidRequest: if its terms are out of bounds, or name a webhook that the tenant has not.
            RateLimited: if the tenant has as many waiting as it may.
            ServiceUnavailable: if jobs are off, or the database does not answer.
        """
        if not self._is_enabled:
            raise ServiceUnavailable("This deployment accepts no jobs: 'jobs.enabled' is off.", service="jobs")
        now = datetime.now(UTC)
        new = [self._new(caller, one, now) for one in asked]
        accepted = await self._store.accept(new, self._usual.max_queued)
        self._bell.ring_queue()
        return accepted

    def deadline_of(self, terms: JobTerms) -> timedelta:
        """Return how long a job of such terms has, once it is due."""
        return terms.deadline or self._usual.deadline

    def _new(self, caller: Caller, asked: Submission, now: datetime) -> NewJob:
        terms, usual = asked.terms, self._usual
        check_terms(terms, now)
        job = Job(
            id=new_job_id(now),
            tenant=caller.tenant.name,
            key_id=caller.key_id,
            owner=caller.counted_key_id,
            kind=asked.kind,
            target=asked.target,
            priority=self._priority(terms.priority, caller),
            state=JobState.RUNNING if asked.owner else JobState.QUEUED,
            surface=asked.order.surface,
            request_id=asked.order.request_id,
            created_at=now,
            due_at=max(now, terms.due_at or now),
            deadline_at=max(now, terms.due_at or now) + self.deadline_of(terms),
            max_attempts=terms.max_attempts or usual.max_attempts,
            result_ttl=terms.result_ttl or usual.result_ttl,
            traceparent=asked.traceparent,
            webhook=self._webhook(terms.webhook, caller),
            metadata=terms.metadata,
            batch=asked.batch,
            line=asked.line,
            unlisted=asked.unlisted,
        )
        if asked.owner:
            job = msgspec.structs.replace(job, worker=asked.owner, epoch=1, attempts=1, started_at=now)
        return NewJob(
            job=job,
            order=order_bytes(with_asker(asked.order, caller)),
            idempotency=asked.mark,
            fingerprint=asked.fingerprint,
            lease=asked.owned_until,
        )

    def _priority(self, asked: Priority | None, caller: Caller) -> Priority:
        return max(self._usual.priority if asked is None else asked, caller.tenant.tier.priority)

    def _webhook(self, name: str, caller: Caller) -> str:
        if not name:
            return ""
        endpoint = found(self._endpoints(), caller.tenant.name, name)
        if endpoint is None:
            raise InvalidRequest(f"Your tenant has no webhook '{name[:64]}'.", field="options.webhook")
        return endpoint.name
