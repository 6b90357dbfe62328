"""What happens to a job, as watchers are told: numbered from 1 on, in order, without a gap."""

from __future__ import annotations

from datetime import datetime

import msgspec

from penstock_common.llm.types import GenerationEvent
from penstock_gateway.domain.jobs.job import JobError, JobState


class AttemptStarted(msgspec.Struct, frozen=True, tag="started"):
    """A worker is at it. What earlier attempts have ``Generated`` holds no more, unless ``goes_on``."""

    attempt: int
    goes_on: bool = False


class Progressed(msgspec.Struct, frozen=True, tag="progressed"):
    """So much of it is done, in the job's own units."""

    done: int
    total: int


class Generated(msgspec.Struct, frozen=True, tag="generated"):
    """A part of an answer, as a stream would tell it."""

    events: tuple[GenerationEvent, ...]


class PutBack(msgspec.Struct, frozen=True, tag="put_back"):
    """It waits again: until then, and for this reason."""

    until: datetime
    error: JobError


class Redriven(msgspec.Struct, frozen=True, tag="redriven"):
    """Somebody has had it begin anew after its end."""


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """Nothing follows."""

    state: JobState
    error: JobError | None = None


JobEvent = AttemptStarted | Progressed | Generated | PutBack | Redriven | Ended


class NumberedEvent(msgspec.Struct, frozen=True):
    """An event in its place."""

    number: int
    at: datetime
    event: JobEvent
