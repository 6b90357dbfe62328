"""A job that this process is at: its attempt's task, and why that was ended, if it was."""

from __future__ import annotations

import asyncio
from enum import StrEnum

from penstock_gateway.domain.jobs.job import Job
from penstock_gateway.domain.jobs.ports import Held
from penstock_gateway.domain.jobs.reports import Owner, Report


class Why(StrEnum):
    """Why an attempt was ended that had not."""

    CANCELLED = "cancelled"
    LOST = "lost"
    """Its lease ran out, and it is another's."""
    HANDED_BACK = "handed_back"
    """This process ends."""


class Holding:
    """A job in hand."""

    def __init__(self, job: Job, owner: Owner | None, *, is_owned: bool) -> None:
        self.job = job
        self.held = Held(job.id, job.epoch)
        self.owner = owner
        self.is_owned = is_owned
        """Whether it was this process' from birth, and has taken no place of the queue's jobs."""
        self.report: Report | None = None
        self.last_event = job.last_event
        """The number of the newest that is kept."""
        self.why: Why | None = None
        self.is_concluding = False
        """Whether the attempt has ended, and only its end is still to be kept."""
        self.task: asyncio.Task[None] | None = None

    def end(self, why: Why) -> None:
        """Have the attempt end, if it runs; it ends once."""
        if self.is_concluding or self.why is not None or self.task is None:
            return
        self.why = why
        if self.report is not None:
            # A task that has not begun would never come to its end.
            self.task.cancel()
