"""What upstreams are asked of many requests at once, and answer later, at their price of batches."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from penstock_common.llm.types import Candidate, GenerationInput, UnsupportedFields, Value

BATCH_TIER = "batch"
"""The tier of service that answers of a batch are billed at."""


class UpstreamBatchState(Enum):
    """Whether there is more to come; the value is what people read."""

    OPEN = "open"
    """The upstream is at it, or ends it."""
    ENDED = "ended"
    """What it answered can be read: perhaps not all, as it was cancelled or its time was over."""
    REFUSED = "refused"
    """As a whole: nothing was asked."""


class UpstreamBatch(Value, frozen=True):
    """How a batch stands, by the upstream's own id; the counts as far as the upstream tells."""

    id: str
    state: UpstreamBatchState
    answered: int = 0
    failed: int = 0
    reason: str = ""
    """Why it is as it is, in the upstream's words."""


class UpstreamBatchLine(Value, frozen=True):
    """One request; ``id`` tells it from the others."""

    id: str
    input: GenerationInput


class UpstreamBatchOrder(Value, frozen=True):
    """Requests of one model. ``name`` is the caller's own of the batch, by which it is found again.

    ``maybe_begun_since``: it may have been begun before, at this time at the earliest; None: it was not.
    """

    candidate: Candidate
    name: str
    lines: tuple[UpstreamBatchLine, ...]
    maybe_begun_since: datetime | None = None
    unsupported: UnsupportedFields = UnsupportedFields.REFUSE


class BegunUpstreamBatch(Value, frozen=True):
    """A batch that an upstream has; None where no line is one that its batches take.

    ``refused_lines`` are to be asked one by one.
    """

    batch: UpstreamBatch | None
    refused_lines: tuple[str, ...] = ()


class UpstreamBatchPlace(Value, frozen=True):
    """Where a batch is: at the upstream of the model, by its id there."""

    candidate: Candidate
    id: str


class KeptAnswer(Value, frozen=True):
    """An answer as the upstream wrote it: a status of HTTP and a body."""

    status: int
    body: bytes


class UpstreamBatchAnswer(Value, frozen=True):
    """What the upstream said to one line."""

    line: str
    kept: KeptAnswer
