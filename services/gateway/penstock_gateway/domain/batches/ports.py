"""What batches need: where they are kept, and how a line is read and answered in its endpoint's format.

Each method of the store is one transaction, and raises ``ServiceUnavailable``
where the database does not answer. What is of another tenant is as what does
not exist. Those that carry a batch on show the epoch of the job that does so,
and raise ``CarriedElsewhere`` once another one has a later.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

import msgspec

from penstock_common.errors import PenstockError
from penstock_gateway.domain.access.asker import Asker
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.batches.batch import Batch, BatchState, LineFault, Tokens
from penstock_gateway.domain.batches.files import KeptFile
from penstock_gateway.domain.jobs.job import Job, JobError, JobKind, NewJob
from penstock_gateway.domain.jobs.orders import AnyOrder
from penstock_gateway.domain.jobs.results import AnyResult


class CarriedElsewhere(Exception):
    """Another job's attempt carries the batch on, or its state is another: nothing has happened."""


class BatchFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which batches are listed, the newest first; empty ``owner``: those of all keys; empty ``surface``: of every format.

    Those behind ``after``, or else the last of those before ``before``.
    """

    tenant: str
    owner: str = ""
    surface: str = ""
    after: str = ""
    before: str = ""


class Submitted(msgspec.Struct, frozen=True, kw_only=True):
    """Lines that were read, in their order: those that became jobs, and how many did not.

    ``read_to`` and ``read_lines``: the byte behind them, and the number of the last.
    """

    jobs: Sequence[NewJob]
    lines: int
    refused: int
    read_to: int
    read_lines: int


class LineCounts(NamedTuple):
    """How many of a batch's jobs have not ended, have succeeded, and have ended otherwise."""

    open: int
    succeeded: int
    failed: int


class LineJob(NamedTuple):
    """A line's job. ``opened`` returns what came of it; None where that is not there, or cannot be read."""

    job: Job
    opened: Callable[[], Awaitable[bytes | None]]


class Conclusion(msgspec.Struct, frozen=True, kw_only=True):
    """How a batch ends. ``output`` and ``errors`` are whole and not published, with their sizes; None where they would be empty.

    ``cancelled`` and ``lapsed`` are among the lines that ``failed``.
    """

    state: BatchState
    completed: int
    failed: int
    cancelled: int = 0
    lapsed: int = 0
    tokens: Tokens
    output: tuple[KeptFile, int] | None
    errors: tuple[KeptFile, int] | None


class BatchStore(Protocol):
    """Where batches are kept, beside the jobs of their lines."""

    async def create(self, batch: Batch, carrier: NewJob, most_open: int, own_bytes: int | None = None) -> None:
        """Keep a new batch, with the job that carries it on.

        ``own_bytes``: the size of its file, where that is whole, not published, and never seen by anybody but the batch.

        Raises:
            InvalidRequest: if its file is there no more.
            RateLimited: if its tenant has as many that have not ended.
        """
        ...

    async def delete(self, tenant: str, batch_id: str) -> bool:
        """Forget a batch that has ended, with the files that it wrote; False where there is none."""
        ...

    async def get(self, tenant: str, batch_id: str) -> Batch | None:
        """Return a batch; any tenant's where ``tenant`` is empty."""
        ...

    async def input_file(self, batch: Batch) -> KeptFile | None:
        """Return the file that a batch reads, also where it was deleted, or has expired, since; None where it is gone."""
        ...

    async def list(self, wanted: BatchFilter, limit: int) -> Sequence[Batch]:
        """Return batches, the newest first."""
        ...

    async def cancel(self, tenant: str, batch_id: str, now: datetime) -> Batch | None:
        """Have one that is validated or in progress be cancelled, and its job be due at once; return how it stands now."""
        ...

    async def take(self, batch_id: str, epoch: int) -> Batch | None:
        """Have the job of that epoch carry a batch on; None where it is not there.

        Raises:
            CarriedElsewhere: if a later one does.
        """
        ...

    async def begin(self, batch: Batch, total: int, model: str, now: datetime) -> None:
        """Have a batch whose lines are as expected be in progress."""
        ...

    async def fail(self, batch: Batch, faults: Sequence[LineFault], now: datetime) -> None:
        """End a batch whose file is not what was expected."""
        ...

    async def submit(self, batch: Batch, part: Submitted) -> None:
        """Keep jobs of the next lines, and how far the file was read."""
        ...

    async def halt(self, batch: Batch, why: JobError) -> None:
        """Have no further lines become jobs."""
        ...

    async def end_lines(self, batch: Batch, now: datetime, limit: int) -> int:
        """Cancel jobs of lines, at most so many of those that wait and all that run; return how many still waited."""
        ...

    async def count(self, batch: Batch) -> LineCounts:
        """Return how the jobs of lines stand, and have the batch's counts say so."""
        ...

    async def finalize(self, batch: Batch, now: datetime) -> None:
        """Have a batch all of whose jobs have ended be finalizing."""
        ...

    async def clear_files(self, batch: Batch) -> None:
        """Delete what earlier attempts wrote of a batch's files."""
        ...

    async def jobs(self, batch: Batch, first: int, last: int) -> Sequence[LineJob]:
        """Return the jobs of lines, both included, in their order."""
        ...

    async def carry_again(self, now: datetime, limit: int) -> int:
        """Have jobs go on that ended before their batches did, and return how many; whose was cancelled is cancelled."""
        ...

    async def conclude(self, batch: Batch, end: Conclusion, now: datetime) -> None:
        """End a batch, with its files there at the same moment."""
        ...


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and under which names; as in an order."""

    request_id: str
    generation_id: str
    tenant: str
    key_id: str
    timeout: timedelta
    asker: Asker | None = None


class LineOrder(NamedTuple):
    """What a line asks. ``order`` makes what a job keeps of it."""

    kind: JobKind
    target: str
    order: Callable[[Names], AnyOrder]


class Told(NamedTuple):
    """What the endpoint would have answered: a status and a body."""

    status: int
    body: bytes


class LineResult(NamedTuple):
    """What came of a line: what its endpoint would have answered, or the code that says why it was not executed."""

    id: str
    custom_id: str
    request_id: str
    told: Told | str


class LineFormats(Protocol):
    """Reads and answers lines as their endpoint does."""

    @property
    def endpoints(self) -> Collection[str]:
        """Those whose lines it knows."""
        ...

    def read(self, endpoint: str, body: bytes) -> LineOrder:
        """Return what a line asks.

        Raises:
            PenstockError: what its endpoint would refuse it with.
        """
        ...

    def answer(self, endpoint: str, body: bytes, job: Job, result: AnyResult) -> bytes:
        """Return what its endpoint would have answered."""
        ...

    def result(self, surface: str, result: LineResult) -> bytes:
        """Return how a file of results tells what came of a line, in the format that its batch was begun in."""
        ...

    def has_error_file(self, surface: str) -> bool:
        """Return whether what failed is in a file of its own, in the format that a batch was begun in."""
        ...

    def refusal(self, endpoint: str, error: PenstockError) -> Told:
        """Return how its endpoint tells of an error."""
        ...

    def error_of(self, error: JobError) -> PenstockError:
        """Return what a job failed by."""
        ...


FindCaller = Callable[[Batch, Asker | None], Awaitable[Caller]]
"""Returns whose batch it is now; raises ``InvalidCredentials`` or ``ScopeMissing`` where their key opens nothing any more."""


class CarryTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How batches are carried on."""

    max_lines: int = 50_000
    max_line_bytes: int = 32 * 1024 * 1024
    max_waiting: int = 5_000
    """Jobs of one batch that have not ended; further lines are read once some have."""
    lines_at_once: int = 500
    """That become jobs in one transaction."""
    bytes_at_once: int = 8 * 1024 * 1024
    """Of what they ask; then fewer lines do."""
    max_attempts: int = 5
    """Of each line."""
    poll: timedelta = timedelta(seconds=1)
    """Between two looks at how its jobs stand; longer where there are many."""
