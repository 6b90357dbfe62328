"""Batches, as the configuration says them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from penstock_common.configuration import Duration, Section
from penstock_common.faults import refuse
from penstock_gateway.domain.batches.desk import MAX_TTL, MIN_TTL, DeskTerms
from penstock_gateway.domain.batches.handing import HandingTerms
from penstock_gateway.domain.batches.ports import CarryTerms

_DESK, _CARRY, _HANDING = DeskTerms(), CarryTerms(), HandingTerms()


class BatchSettings(Section):
    """Files of requests that are answered by files ([batches](batches.md)); they are run as `jobs`."""

    max_file_bytes: Annotated[int, Field(ge=1)] = _DESK.max_file_bytes
    """Of one file; the edge's `--max-upload-bytes` bounds the form around it."""
    max_lines: Annotated[int, Field(ge=1)] = _CARRY.max_lines
    """Requests of one batch."""
    max_stored_bytes: Annotated[int, Field(ge=1)] = _DESK.max_stored_bytes
    """All files of one tenant's batches; then no more are taken in."""
    max_open: Annotated[int, Field(ge=1)] = _DESK.max_open
    """Batches of one tenant that have not ended; then no more are begun."""
    max_waiting: Annotated[int, Field(ge=1)] = _CARRY.max_waiting
    """Requests of one batch that wait as jobs; further lines are read once some have ended."""
    file_ttl: Duration = _DESK.file_ttl
    """How long an uploaded file is kept that says nothing, 1h to 30d."""
    poll: Duration = _CARRY.poll
    """Between two looks at how a batch's jobs stand; longer for large ones, 15s at most."""
    provider_lines: Annotated[int, Field(ge=1, le=10_000)] = _HANDING.most_lines
    """Requests that a provider is [handed together](batches.md#batches-of-providers)."""
    provider_wait: Duration = _HANDING.wait
    """How long a request waits for others before a provider is handed it, at most."""
    provider_poll: Duration = _HANDING.poll
    """Until a provider is asked how its batch stands; twice as long before each further time, up to 32 times."""
    sweep_every: Duration = timedelta(minutes=1)
    """Between two looks for files that have expired, and for batches that nobody carries on."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not MIN_TTL <= self.file_ttl <= MAX_TTL:
            refuse([(("file_ttl",), "1h to 30d is expected")])
        refuse(
            ((name,), "it must be longer than nothing")
            for name in ("poll", "sweep_every", "provider_wait", "provider_poll")
            if getattr(self, name) <= timedelta()
        )
        return self

    def desk(self, max_line_bytes: int, *, enabled: bool) -> DeskTerms:
        """Return the bounds of what is kept, of lines no longer than other bodies."""
        return DeskTerms(
            enabled=enabled,
            max_file_bytes=self.max_file_bytes,
            max_stored_bytes=self.max_stored_bytes,
            max_open=self.max_open,
            max_lines=self.max_lines,
            max_line_bytes=max_line_bytes,
            file_ttl=self.file_ttl,
        )

    @property
    def handing(self) -> HandingTerms:
        """Return how requests are handed to providers."""
        return HandingTerms(most_lines=self.provider_lines, wait=self.provider_wait, poll=self.provider_poll)

    def carrying(self, max_line_bytes: int, max_attempts: int) -> CarryTerms:
        """Return how batches are carried on, of lines no longer than other bodies."""
        return CarryTerms(
            max_lines=self.max_lines,
            max_line_bytes=max_line_bytes,
            max_waiting=self.max_waiting,
            max_attempts=max_attempts,
            poll=self.poll,
        )
