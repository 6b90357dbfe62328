"""A batch, and how it stands: OpenAI's states, in its words. Other formats have words of their own for them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from penstock_gateway.domain.jobs.job import JobError

WINDOW = timedelta(hours=24)
"""In which a batch is to be done; the only one that OpenAI has, too."""
ID_PREFIX = "batch_"
OPENAI, ANTHROPIC = "openai", "anthropic"
"""The formats that batches are begun in; what is begun in one is not there in the other."""
_ANTHROPICS = "msg"
_MOMENT_DIGITS = 12
_RANDOM_BYTES = 12


class BatchState(StrEnum):
    """How a batch stands. ``validating``, ``in_progress``, ``finalizing`` and ``cancelling`` are followed by others."""

    VALIDATING = "validating"
    FAILED = "failed"
    """Its file is not what was expected, and nothing was done."""
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"

    @property
    def is_end(self) -> bool:
        """Whether nothing follows."""
        return self in ENDS


ENDS = frozenset({BatchState.FAILED, BatchState.COMPLETED, BatchState.EXPIRED, BatchState.CANCELLED})


class LineFault(msgspec.Struct, frozen=True, kw_only=True):
    """Why a batch failed: a code of OpenAI's, and where it has one the line, from 1 on, and the member of the line."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What the answers used."""

    input: int = 0
    cached: int = 0
    """Of the input, what the provider had kept."""
    output: int = 0
    reasoning: int = 0
    """Of the output."""

    def plus(self, other: Tokens) -> Tokens:
        """Return the sum."""
        return Tokens(
            input=self.input + other.input,
            cached=self.cached + other.cached,
            output=self.output + other.output,
            reasoning=self.reasoning + other.reasoning,
        )


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as it stands.

    ``model`` is the one that all lines name; empty where they name several. ``job`` carries it on. ``submitted`` lines were
    read, up to the byte ``read_to`` of the file, the last of number ``read_lines``; ``refused`` of them became no job. ``epoch`` is that of the job that may
    change it. ``surface``: the format that it was begun in. ``owner`` is what rotation keeps of the key that began it. ``halted``: no more lines become jobs, and why.
    """

    id: str
    tenant: str
    key_id: str
    owner: str
    job: str
    surface: str = OPENAI
    endpoint: str
    input_file: str
    state: BatchState
    created_at: datetime
    expires_at: datetime
    output_ttl: timedelta | None = None
    model: str = ""
    metadata: Mapping[str, str] = {}
    request_id: str = ""
    errors: Sequence[LineFault] = ()
    output_file: str = ""
    error_file: str = ""
    in_progress_at: datetime | None = None
    finalizing_at: datetime | None = None
    completed_at: datetime | None = None
    failed_at: datetime | None = None
    expired_at: datetime | None = None
    cancelling_at: datetime | None = None
    cancelled_at: datetime | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    """Of those that failed, once the batch has ended: not executed, as somebody cancelled them."""
    lapsed: int = 0
    """Of those that failed, once the batch has ended: not executed within the window."""
    tokens: Tokens = Tokens()
    handed: int = 0
    """Lines that providers were handed as batches of their own."""
    answered_by_providers: int = 0
    """Of those, once the provider has ended."""
    submitted: int = 0
    read_to: int = 0
    read_lines: int = 0
    refused: int = 0
    epoch: int = 0
    halted: JobError | None = None


def new_batch_id(now: datetime) -> str:
    """Return an id that nobody can guess; ids sort by the time when they were made."""
    moment = int(now.timestamp() * 1000)
    return f"{ID_PREFIX}{moment:0{_MOMENT_DIGITS}x}{secrets.token_hex(_RANDOM_BYTES)[:20]}"


def public_id(batch: Batch) -> str:
    """Return the id by which callers know a batch: Anthropic's has a prefix of its own."""
    return _ANTHROPICS + batch.id if batch.surface == ANTHROPIC else batch.id


def id_of_public(public: str) -> str:
    """Return the id under which a batch is kept that callers know by this one."""
    return public.removeprefix(_ANTHROPICS) if public.startswith(_ANTHROPICS + ID_PREFIX) else public
