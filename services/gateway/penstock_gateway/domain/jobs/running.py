"""Runs jobs: takes those whose turn it is, is heard of while it is at them, and has the job of who is not found again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from penstock_common.errors import PenstockError, RateLimited, ServiceUnavailable
from penstock_common.priority import SHARES, Priority
from penstock_gateway.domain.jobs.bell import Bell
from penstock_gateway.domain.jobs.events import AttemptStarted, JobEvent
from penstock_gateway.domain.jobs.executing import Attempt, Execution, NotYet
from penstock_gateway.domain.jobs.holding import Holding, Why
from penstock_gateway.domain.jobs.job import WORKER_LOST, Claimed, JobEnd, JobError, JobKind, JobState
from penstock_gateway.domain.jobs.lanes import LaneName, Turns
from penstock_gateway.domain.jobs.lost import LostAttempts
from penstock_gateway.domain.jobs.observing import JobObserver, NobodyCounts
from penstock_gateway.domain.jobs.orders import UnknownForm, order_of
from penstock_gateway.domain.jobs.ports import Held, JobQueue, Requeued, Worker, Workers
from penstock_gateway.domain.jobs.reports import Owner, Report
from penstock_gateway.domain.jobs.results import result_bytes
from penstock_gateway.domain.jobs.retrying import Backoff, after_failure, job_error
from penstock_gateway.domain.limits.limit import ScopeKind

_log = structlog.get_logger(__name__)

# Jobs that end within this of each other are followed by others in one transaction.
_GATHER_SECONDS = 0.005
_RETRY_SECONDS = 0.5
# What a later version has accepted waits for one of its workers.
_UNKNOWN_WAIT = timedelta(minutes=1)
# Of a drain's grace, at most: to hand back what has not ended within the rest.
_HANDING_BACK = timedelta(seconds=3)
# Of a lane whose tenant was refused: limits change.
_LONGEST_PAUSE = timedelta(seconds=30)
_HANDED_BACK = JobError("HANDED_BACK", "The worker that was at it has ended before it.")
_UNKNOWN = JobError("UNKNOWN_FORM", "It was accepted by a later version, and waits for a worker of that.")
_LOST = "lost"
_WAITS = JobError("NOT_YET", "It goes on later.")


class RunnerTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How jobs are run; ``claims``: whether this process takes any, besides those that are its own from birth."""

    claims: bool = True
    concurrency: int = 16
    lease: timedelta = timedelta(seconds=30)
    heartbeat: timedelta = timedelta(seconds=10)
    poll: timedelta = timedelta(seconds=1)
    event_interval: timedelta = timedelta(milliseconds=200)
    backoff: Backoff = Backoff()


class JobRunner:
    """Runs the jobs of one process, under the name ``worker``.

    ``runs`` says how each kind is run. What is its own from birth, by
    ``begin_owned``, takes none of its places; no ``begin_owned`` waits.
    """

    def __init__(self, queue: JobQueue, bell: Bell, turns: Turns, terms: RunnerTerms, worker: str) -> None:
        self.worker = worker
        self.runs: dict[JobKind, Execution] = {}
        self.workers: Workers | None = None
        """Who is told that this process lives, where it claims jobs."""
        self.lost: LostAttempts | None = None
        """Who writes the bill of an attempt that was lost, should whoever found it have died before."""
        self._queue = queue
        self._bell = bell
        self._turns = turns
        self._terms = terms
        self._holdings: dict[Held, Holding] = {}
        self.observer: JobObserver = NobodyCounts()
        """Who counts attempts."""
        self._claiming: asyncio.Task[None] | None = None
        self._is_draining = False
        self._finished = self._handed_back = 0
        bell.on_cancel(self._cancel)

    @property
    def running(self) -> int:
        """How many jobs it is at."""
        return len(self._holdings)

    def lease_from(self, now: datetime) -> datetime:
        """Return until when a job is this process' own that is from ``now`` on."""
        return now + self._terms.lease

    def begin_owned(self, claimed: Claimed, owner: Owner) -> None:
        """Run a job that was accepted as this process' own, whether its ``owner`` stays to listen or not.

        What fails its attempt ends it as failed: its owner is there to say so. Another worker runs it where this
        process dies before its end.
        """
        self._begin(claimed, owner, is_owned=True)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Run jobs while the context is open; on leaving it, what has not ended is handed back."""
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(self._beat(), name="jobs: heartbeat")
            if self._terms.claims:
                self._claiming = group.create_task(self._claim(), name="jobs: claim")
            try:
                yield
            finally:
                await self.drain(timedelta())
                beating.cancel()
                await self._say_goodbye()

    async def drain(self, grace: timedelta) -> None:
        """Take no more, and return once all have ended, or were handed back when ``grace`` was nearly over."""
        self._is_draining = True
        self._bell.ring_queue()
        handing_back = max(timedelta(seconds=1), min(_HANDING_BACK, grace / 4))
        await self._has_claimed(handing_back.total_seconds())
        if not self._holdings:
            return
        await self._ended((grace - handing_back).total_seconds())
        for holding in [*self._holdings.values()]:
            holding.end(Why.HANDED_BACK)
        await self._ended(handing_back.total_seconds())
        _log.info("jobs_drained", finished=self._finished, handed_back=self._handed_back, left=len(self._holdings))
        for task in self._tasks():
            # The database does not answer: it is another's once its lease has run out.
            task.cancel()
        await self._ended(_RETRY_SECONDS)

    async def _has_claimed(self, seconds: float) -> None:
        """Return once nothing is being claimed: what the database has given is this process', whoever hears of it."""
        if self._claiming is not None:
            await asyncio.wait((self._claiming,), timeout=seconds)
            # The database does not answer: what it may have given is another's once its lease has run out.
            self._claiming.cancel()

    def _tasks(self) -> Sequence[asyncio.Task[None]]:
        return [holding.task for holding in self._holdings.values() if holding.task is not None]

    async def _ended(self, seconds: float) -> None:
        if (tasks := self._tasks()) and seconds > 0:
            await asyncio.wait(tasks, timeout=seconds)

    def _cancel(self, job_id: str) -> None:
        for held, holding in self._holdings.items():
            if held.id == job_id:
                holding.end(Why.CANCELLED)

    async def _claim(self) -> None:
        poll = self._terms.poll.total_seconds()
        while not self._is_draining:
            try:
                if await self._has_begun_some():
                    # A lane says that it has jobs, and not how many: there may be more that have room.
                    continue
            except Exception as error:  # noqa: BLE001 - nobody else in this process would claim
                _log.warning("jobs_not_claimed", reason=str(error), exc_info=_unless_away(error))
            await self._bell.queue(poll)
            if self._holdings:
                await asyncio.sleep(_GATHER_SECONDS)

    async def _has_begun_some(self) -> bool:
        places, now = self._places(), datetime.now(UTC)
        if places[Priority.CRITICAL] <= 0:
            return False
        claimed = await self._queue.claim(self.worker, self._turns, places, now, self.lease_from(now))
        for one in claimed:
            self._begin(one)
        return bool(claimed)

    def _places(self) -> Mapping[Priority, int]:
        most, taken = self._terms.concurrency, sum(not each.is_owned for each in self._holdings.values())
        return {priority: max(1, int(most * share)) - taken for priority, share in SHARES.items()}

    def _begin(self, claimed: Claimed, owner: Owner | None = None, *, is_owned: bool = False) -> None:
        holding = Holding(claimed.job, owner, is_owned=is_owned)
        self._holdings[holding.held] = holding
        self.observer.began(claimed.job, datetime.now(UTC) - claimed.job.due_at)
        holding.task = asyncio.get_running_loop().create_task(self._attempt(holding, claimed.order))

    async def _attempt(self, holding: Holding, content: bytes) -> None:
        """Run one attempt from its beginning to what becomes of the job."""
        job = holding.job

        async def keep(told: Sequence[JobEvent], progress: tuple[int, int]) -> bool:
            return await self._keep(holding, told, progress)

        report = holding.report = Report(
            AttemptStarted(job.attempts), keep, self._terms.event_interval.total_seconds(), is_quiet=bool(job.batch)
        )
        reporting = asyncio.get_running_loop().create_task(report.run())
        error: BaseException | None = None
        outcome: JobEnd | Requeued | None = None
        is_kept = False
        try:
            try:
                outcome = await self._outcome(holding, content, report)
            except Exception as failure:  # noqa: BLE001 - whatever it is, it is the attempt's end
                error = failure
                outcome = self._after(holding, failure)
            except asyncio.CancelledError as cancelled:
                error = cancelled
                outcome = self._after_cancelling(holding)
            holding.is_concluding = True
            is_kept = await self._conclude(holding, outcome, report, reporting)
            took = datetime.now(UTC) - (job.started_at or job.due_at)
            self.observer.attempted(job, _told(outcome) if is_kept else _LOST, took)
        finally:
            if holding.owner is not None:
                holding.owner.ended(error, is_kept=is_kept)
            reporting.cancel()
            del self._holdings[holding.held], error
            self._bell.ring_queue()

    async def _outcome(self, holding: Holding, content: bytes, report: Report) -> JobEnd | Requeued:
        if holding.why is not None:
            # It was ended before its first step.
            raise asyncio.CancelledError
        job, now = holding.job, datetime.now(UTC)
        execution = self.runs.get(job.kind)
        if execution is None:
            return Requeued(due_at=now + _UNKNOWN_WAIT, error=_UNKNOWN, counts=False)
        if self.lost is not None and job.error is not None and job.error.reason == WORKER_LOST:
            await self.lost.bill(msgspec.structs.replace(job, epoch=job.epoch - 1, attempts=job.attempts - 1))
        try:
            order = order_of(job.kind, content)
        except UnknownForm:
            return Requeued(due_at=now + _UNKNOWN_WAIT, error=_UNKNOWN, counts=False)
        try:
            result = await execution.run(
                Attempt(job, order, report, holding.owner, lambda: holding.why is Why.CANCELLED)
            )
        except NotYet as later:
            return Requeued(due_at=later.until, error=_WAITS, counts=False)
        return JobEnd(state=JobState.SUCCEEDED, result=result_bytes(result))

    def _after(self, holding: Holding, error: Exception) -> JobEnd | Requeued:
        if not isinstance(error, PenstockError):
            _log.error("job_attempt_failed", job=holding.job.id, attempt=holding.job.attempts, exc_info=error)
        owner = holding.owner
        if owner is not None and (holding.job.unlisted or owner.readers):
            return JobEnd(state=JobState.FAILED, error=job_error(error))
        becomes = after_failure(holding.job, error, datetime.now(UTC), self._terms.backoff)
        if isinstance(error, RateLimited) and error.scope == ScopeKind.TENANT and isinstance(becomes, Requeued):
            job = holding.job
            until = min(becomes.due_at, datetime.now(UTC) + _LONGEST_PAUSE)
            self._turns.pause(LaneName(job.tenant, job.priority, job.target), until)
        return becomes

    def _after_cancelling(self, holding: Holding) -> JobEnd | Requeued | None:
        task = asyncio.current_task()
        if task is not None:
            # What follows is not what was cancelled.
            task.uncancel()
        if holding.why is Why.CANCELLED:
            return JobEnd(state=JobState.CANCELLED)
        if holding.why is Why.LOST:
            return None
        self._handed_back += 1
        return Requeued(due_at=datetime.now(UTC), error=_HANDED_BACK, counts=False)

    async def _conclude(
        self, holding: Holding, outcome: JobEnd | Requeued | None, report: Report, reporting: asyncio.Task[None]
    ) -> bool:
        """Keep what becomes of the job, however long the database is away; return whether it is kept."""
        report.close()
        await asyncio.wait((reporting,))
        if outcome is None or report.is_lost:
            _log.info("job_lost", job=holding.job.id, attempt=holding.job.attempts)
            return False
        told, is_kept = report.untold(), None
        time = asyncio.get_running_loop().time
        give_up = time() + self._terms.lease.total_seconds()
        while is_kept is None:
            now = datetime.now(UTC)
            try:
                if isinstance(outcome, JobEnd):
                    is_kept = await self._queue.commit(
                        holding.held, outcome, now, told, progress=(report.done, report.total)
                    )
                else:
                    is_kept = await self._queue.put_back(holding.held, outcome, now, told)
            except ServiceUnavailable:
                if time() >= give_up:
                    # Nobody was heard of meanwhile either: it is another's.
                    return False
                await asyncio.sleep(_RETRY_SECONDS)
            except Exception as error:  # noqa: BLE001 - the next attempt may do better, once the lease has run out
                _log.error("job_not_concluded", job=holding.job.id, attempt=holding.job.attempts, exc_info=error)
                is_kept = False
        if not is_kept:
            _log.info("job_lost", job=holding.job.id, attempt=holding.job.attempts)
        self._finished += isinstance(outcome, JobEnd) and is_kept
        self._bell.ring(holding.job.id)
        return is_kept

    async def _keep(self, holding: Holding, told: Sequence[JobEvent], progress: tuple[int, int]) -> bool:
        now, after = datetime.now(UTC), holding.last_event
        last = await self._queue.append(holding.held, told, now, after=after, progress=progress)
        if last is None:
            holding.end(Why.LOST)
            return False
        holding.last_event = last
        self._bell.ring(holding.job.id)
        return True

    async def _beat(self) -> None:
        seconds = self._terms.heartbeat.total_seconds()
        while True:
            try:
                await self._be_heard()
                await self._say_hello()
                # Last: one that was not heard comes again at once, well before its lease is over.
                await asyncio.sleep(seconds)
            except Exception as error:  # noqa: BLE001 - nobody else would be heard
                # Who lost a job by that cannot commit it; until somebody has it, nothing is gained by giving it up.
                _log.warning("jobs_not_heard_of", reason=str(error), exc_info=_unless_away(error))
                await asyncio.sleep(min(seconds, _RETRY_SECONDS))

    async def _say_hello(self) -> None:
        if self.workers is not None and self._terms.claims:
            now, places = datetime.now(UTC), self._terms.concurrency
            await self.workers.heard(Worker(self.worker, now, len(self._holdings), places))

    async def _say_goodbye(self) -> None:
        if self.workers is not None and self._terms.claims:
            with suppress(ServiceUnavailable, TimeoutError):
                async with asyncio.timeout(_RETRY_SECONDS):
                    await self.workers.left(self.worker)

    async def _be_heard(self) -> None:
        held = [each.held for each in self._holdings.values()]
        if not held:
            return
        beat = await self._queue.beat(held, self.lease_from(datetime.now(UTC)))
        for gone, why in ((beat.lost, Why.LOST), (beat.cancelled, Why.CANCELLED)):
            for each in gone:
                if (holding := self._holdings.get(each)) is not None:
                    holding.end(why)


def _told(outcome: JobEnd | Requeued | None) -> str:
    if isinstance(outcome, JobEnd):
        return outcome.state.value
    return "handed_back" if outcome is not None and outcome.error is _HANDED_BACK else "put_back"


def _unless_away(error: Exception) -> Exception | None:
    """Return what is worth a trace in the log: not that the database is away."""
    return None if isinstance(error, ServiceUnavailable) else error
