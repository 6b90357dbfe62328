"""Batches as people see them, and what may be asked of them."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec


class BatchRow(msgspec.Struct, frozen=True, kw_only=True):
    """A batch; ``faults`` are of one whose file was not what was expected: a line, where it is of one, and words."""

    id: str
    tenant: str
    key_id: str
    state: str
    endpoint: str
    model: str
    input_file: str
    output_file: str
    error_file: str
    total: int
    completed: int
    failed: int
    handed: int = 0
    answered_by_providers: int = 0
    input_tokens: int
    output_tokens: int
    created_at: datetime | None
    expires_at: datetime | None
    ended_at: datetime | None
    faults: tuple[str, ...]
    job: str
    request_id: str
    metadata: dict[str, str]


class Batches(Protocol):
    """Batches, as operators have them. What it refuses is a ``SuiteFailure``."""

    async def batches(self, tenant: str, most: int) -> list[BatchRow]:
        """Return a tenant's batches, the newest first."""
        ...

    async def batch(self, tenant: str, batch_id: str) -> BatchRow:
        """Return a batch."""
        ...

    async def cancel_batch(self, tenant: str, batch_id: str) -> BatchRow:
        """Return a batch that is to end."""
        ...
