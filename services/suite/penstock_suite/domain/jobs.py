"""Jobs as people see them, and what may be asked of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Protocol

import msgspec

STATES = ("queued", "running", "succeeded", "failed", "dead", "cancelled", "expired")
KINDS = ("chat", "embedding", "ingest", "batch")


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A job; ``error`` is a reason and words, empty where it has none."""

    id: str
    tenant: str
    key_id: str
    kind: str
    target: str
    state: str
    priority: str
    attempts: int
    max_attempts: int
    done: int
    total: int
    last_event: int
    cancels: bool
    error: str
    created_at: datetime | None
    due_at: datetime | None
    deadline_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    result_expires_at: datetime | None
    webhook: str
    batch: str
    line: int
    request_id: str
    metadata: dict[str, str]

    @property
    def has_ended(self) -> bool:
        """Whether nothing follows, unless it is redriven."""
        return self.state not in ("queued", "running")


class JobEventRow(msgspec.Struct, frozen=True, kw_only=True):
    """What happened: its kind, its text where it is a part of an answer, and the job as it stands where that was told."""

    number: int
    kind: str
    text: str = ""
    job: JobRow | None = None


class JobsWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs are listed, ``most`` of them."""

    tenant: str = ""
    states: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    key_id: str = ""
    batch: str = ""
    most: int = 100


class RedriveWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs are to begin anew."""

    tenant: str
    job_id: str = ""
    target: str = ""
    states: tuple[str, ...] = ()
    limit: int = 1000
    dry_run: bool = False


class DepthRow(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs of a priority wait and run, and how long the first has waited."""

    priority: str
    queued: int
    running: int
    oldest_wait_seconds: float


class QueueRow(msgspec.Struct, frozen=True, kw_only=True):
    """How deep the queue is, and how many processes run jobs."""

    depths: tuple[DepthRow, ...]
    workers: int


class PauseRow(msgspec.Struct, frozen=True, kw_only=True):
    """That jobs do not begin: of a tenant, for a model or knowledge base; empty: of every one."""

    tenant: str
    target: str
    reason: str
    since: datetime


class Jobs(Protocol):
    """Jobs, as operators have them. What it refuses is a ``SuiteFailure``."""

    async def jobs(self, wanted: JobsWanted) -> list[JobRow]:
        """Return jobs, the newest first."""
        ...

    async def job(self, tenant: str, job_id: str) -> JobRow:
        """Return a job."""
        ...

    async def job_result(self, tenant: str, job_id: str) -> dict[str, Any]:
        """Return what came of a job, as the contract's JSON."""
        ...

    def watched_job(
        self, tenant: str, job_id: str, after: int
    ) -> AbstractAsyncContextManager[AsyncIterator[JobEventRow]]:
        """Yield what happens to a job until it ends."""
        ...

    async def cancel_job(self, tenant: str, job_id: str) -> JobRow:
        """Return a job that is to end."""
        ...

    async def redrive_jobs(self, wanted: RedriveWanted) -> tuple[int, bool]:
        """Return how many begin anew, and whether there are more."""
        ...

    async def job_depths(self, tenant: str) -> QueueRow:
        """Return how many wait and run, and how many processes run them."""
        ...

    async def pause_jobs(self, tenant: str, target: str, reason: str) -> PauseRow:
        """Have no more jobs begin; return the pause."""
        ...

    async def resume_jobs(self, tenant: str, target: str) -> None:
        """End a pause."""
        ...

    async def job_pauses(self, tenant: str) -> list[PauseRow]:
        """Return what is paused."""
        ...
