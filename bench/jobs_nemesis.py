"""Jobs under a nemesis: who accepts them and who runs them is killed at one point after another, and so is the database.

At each point, on each engine, so many jobs are accepted by one process, which is asked again with the same marks where it
died before it said so, and run by two others. Each process kills itself by SIGKILL when it comes to the point for the n-th
time, n by chance, and another one begins in its place: before a transaction commits, after it has, with an upstream asked
and nothing told. At one more point workers stand still
until their jobs are another's. Then the books are compared: each mark is one job; each has one result, which is that of the attempt
that its events tell of last; one end; one word to its webhook; and no event of an attempt after another one has begun.

python bench/jobs_nemesis.py [--jobs 1000] [--points commit.before any ...] [--engines sqlite postgresql] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import math
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import structlog
from sqlalchemy import func, select

from penstock_common.errors import ServiceUnavailable
from penstock_common.llm.types import Candidate as By
from penstock_common.llm.types import Finished, FinishReason, GenerationInput, Message, Role, Started, Text, TextDelta
from penstock_common.priority import Priority
from penstock_common.sql.database import open_database
from penstock_common.testing.postgres_server import PostgresServer
from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.queue import SqlJobQueue
from penstock_gateway.adapters.sql.jobs.schema import JOBS
from penstock_gateway.adapters.sql.jobs.store import SqlJobStore
from penstock_gateway.adapters.sql.jobs.tables import jobs as jobs_table
from penstock_gateway.adapters.sql.sealing import TenantSealer
from penstock_gateway.adapters.sql.webhooks.schema import WEBHOOKS
from penstock_gateway.adapters.sql.webhooks.tables import deliveries
from penstock_gateway.domain.jobs.bell import Bell
from penstock_gateway.domain.jobs.events import AttemptStarted, Ended, Generated
from penstock_gateway.domain.jobs.executing import Attempt
from penstock_gateway.domain.jobs.job import Job, JobKind, JobState, NewJob, new_job_id
from penstock_gateway.domain.jobs.lanes import Bounds, Turns
from penstock_gateway.domain.jobs.lost import LostAttempts
from penstock_gateway.domain.jobs.orders import order_bytes
from penstock_gateway.domain.jobs.results import ChatResult, result_of
from penstock_gateway.domain.jobs.running import JobRunner, RunnerTerms
from penstock_gateway.domain.jobs.telling import telling
from penstock_gateway.domain.jobs.tidying import Tidying, TidyingTerms
from penstock_gateway.domain.life.order import ChatOrder

POINTS = (
    "accept.before", "accept.after", "claim.before", "claim.after", "asked", "append.before", "append.after",
    "commit.before", "commit.after", "reclaim.after",
)  # fmt: skip
DATABASE = "database"
PAUSED = "paused"
"""Nobody is killed, but stands still until its jobs are another's, and goes on then."""
ANY = "any"
"""Each process comes to an end of its own, and some stand still."""
MOST_KILLS = 25
"""At one point; then all live."""
MOST_PAUSES = 5
MOST_CRASHES = 10
"""Of the database, whose clients wait longer than they work."""
WORKERS, AT_ONCE, IN_ONE = 2, 8, 20
TERMS = RunnerTerms(
    concurrency=AT_ONCE,
    lease=timedelta(milliseconds=600),
    heartbeat=timedelta(milliseconds=150),
    poll=timedelta(milliseconds=20),
    event_interval=timedelta(milliseconds=2),
)
ONE = By(upstream="nemesis", model="m")
_GIVE_UP_SECONDS = 600.0


class Found(msgspec.Struct, frozen=True):
    """What the books say of one point; all from ``lost`` on must be 0."""

    engine: str
    point: str
    jobs: int
    kills: int
    pauses: int
    seconds: float
    asked: int
    lost: int
    twice: int
    astray: int


class Nemesis:
    """Kills the process that comes to its point for the n-th time."""

    def __init__(self, point: str, countdown: int) -> None:
        self._point = point
        self._left = countdown
        self._doing = ""

    def at(self, point: str) -> None:
        """Come to a point."""
        if point == self._point:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def haunt(self, owner: Any, database: JobDatabase, *names: str) -> None:
        """Have these methods come to the points before their transaction commits, and after it has."""
        for name in names:
            setattr(owner, name, self._haunted(getattr(owner, name), name))
        writing = database.writing

        @asynccontextmanager
        async def haunted() -> AsyncGenerator[Any]:
            async with writing() as connection:
                doing = _DOING.get(asyncio.current_task(), "")
                yield connection
                self.at(f"{doing}.before")

        database.writing = haunted  # pyright: ignore[reportAttributeAccessIssue]

    def _haunted(self, method: Callable[..., Coroutine[Any, Any, Any]], name: str) -> Callable[..., Any]:
        async def call(*arguments: Any, **named: Any) -> Any:
            task = asyncio.current_task()
            _DOING[task] = name
            try:
                found = await method(*arguments, **named)
            finally:
                _DOING.pop(task, None)
            # Nothing was taken in vain.
            if found or name not in ("claim", "reclaim"):
                self.at(f"{name}.after")
            return found

        return call


_DOING: dict[Any, str] = {}


class Scripted:
    """An execution that tells three parts, each with the job's epoch in it, and whose upstream writes down who asks."""

    def __init__(self, nemesis: Nemesis, asked: Path) -> None:
        self._nemesis = nemesis
        self._asked = asked.open("a", buffering=1)

    async def run(self, attempt: Attempt) -> ChatResult:
        """Return the parts."""
        self._asked.write(f"{attempt.job.id}\n")
        self._nemesis.at("asked")
        told = f"{attempt.job.epoch} "
        parts = [Started(generation_id=attempt.job.id, answered_by=ONE), *[TextDelta(told) for _ in range(3)]]
        for part in parts:
            attempt.report.generated((part,))
            await asyncio.sleep(random.expovariate(500))
        finished = Finished(answered_by=ONE, reason=FinishReason.STOP)
        return ChatResult(generation_id=attempt.job.id, events=[*parts, finished])


class _Unbilled(LostAttempts):
    def __init__(self) -> None:
        """Nobody pays here."""

    async def bill(self, job: Job) -> None:
        """Leave it."""


async def accept(url: str, nemesis: Nemesis, jobs: int) -> None:
    """Accept the jobs of all marks, in pages; those that are there already are found to be."""
    async with open_database(url) as engine:
        database = JobDatabase(engine, TenantSealer(b"s" * 32), telling(lambda _tenant, _event: ()))
        store = SqlJobStore(database)
        nemesis.haunt(store, database, "accept")
        for first in range(0, jobs, IN_ONE):
            page = [_job(number) for number in range(first, min(jobs, first + IN_ONE))]
            while not await _done(store.accept(page)):
                await asyncio.sleep(0.05)


async def _done(work: Coroutine[Any, Any, Any]) -> bool:
    try:
        await work
    except ServiceUnavailable:
        return False
    return True


def _job(number: int) -> NewJob:
    now = datetime.now(UTC)
    turn = Message(role=Role.USER, parts=(Text(text="Hi"),))
    order = ChatOrder(
        request_id=f"r{number}", generation_id=f"g{number}", surface="grpc", tenant=f"t{number % 5}", key_id="k",
        timeout=timedelta(minutes=1), input=GenerationInput(model="m", messages=(turn,)),
    )  # fmt: skip
    job = Job(
        id=new_job_id(now), tenant=order.tenant, key_id="k", kind=JobKind.CHAT, target="m",
        priority=Priority.SHEDDABLE, state=JobState.QUEUED, surface="grpc", request_id=order.request_id,
        created_at=now, due_at=now, deadline_at=now + timedelta(hours=1), max_attempts=1000,
        result_ttl=timedelta(hours=1), webhook="ops",
    )  # fmt: skip
    return NewJob(job=job, order=order_bytes(order), idempotency=f"mark-{number}")


async def work(url: str, nemesis: Nemesis, asked: Path) -> None:
    """Run jobs until killed."""
    async with open_database(url) as engine:
        database = JobDatabase(engine, TenantSealer(b"s" * 32), telling(lambda _tenant, _event: ()))
        queue, bell = SqlJobQueue(database), Bell()
        nemesis.haunt(queue, database, "claim", "append", "commit", "put_back", "reclaim")
        runner = JobRunner(queue, bell, Turns(Bounds()), TERMS, f"w{os.getpid()}")
        runner.runs[JobKind.CHAT] = Scripted(nemesis, asked)
        tidying = Tidying(queue, bell, _Unbilled(), TidyingTerms(every=timedelta(milliseconds=100)))
        async with runner.open():
            await tidying.run()


class Stage:
    """One point on one engine: processes that are begun again when they are killed, until all jobs have ended."""

    def __init__(self, url: str, point: str, jobs: int, chance: random.Random) -> None:
        self.kills = self._crashes = self._pauses = 0
        self._url, self._point, self._jobs, self._chance = url, point, jobs, chance
        self._asked = Path(tempfile.mkstemp(prefix="asked-")[1])
        self._living: dict[int, Callable[[], Coroutine[Any, Any, None]]] = {}

    def run(self, engine: str, server: PostgresServer | None) -> Found:
        """Return what the books say."""
        began = time.monotonic()
        asyncio.run(_upgrade(self._url))
        self._begin(self._accepting)
        for _ in range(WORKERS):
            self._begin(self._working)
        crash_at = time.monotonic() + 0.5 if self._point == DATABASE else math.inf
        pause_at = time.monotonic() + 0.2 if self._point in (ANY, PAUSED) else math.inf
        try:
            while not self._has_ended():
                if time.monotonic() - began > _GIVE_UP_SECONDS:
                    raise TimeoutError(f"{self._point}: not all jobs have ended")
                if server is not None and time.monotonic() > crash_at and self._crashes < MOST_CRASHES:
                    server.crash()
                    self._crashes += 1
                    server.start()
                    crash_at = time.monotonic() + self._chance.uniform(1.0, 2.5)
                if time.monotonic() > pause_at:
                    self._pause()
                    pause_at = time.monotonic() + self._chance.uniform(0.1, 0.5)
                time.sleep(0.05)
        finally:
            for pid in self._living:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        books = asyncio.run(_compared(self._url, self._jobs))
        asked = len(self._asked.read_text().splitlines())
        self._asked.unlink()
        seconds = round(time.monotonic() - began, 1)
        return Found(engine, self._point, self._jobs, self.kills + self._crashes, self._pauses, seconds, asked, **books)

    def _pause(self) -> None:
        working = [pid for pid, one in self._living.items() if one == self._working]
        if working and self._pauses < MOST_PAUSES:
            pid = self._chance.choice(working)
            self._pauses += 1
            os.kill(pid, signal.SIGSTOP)
            time.sleep(2 * TERMS.lease.total_seconds())
            os.kill(pid, signal.SIGCONT)

    def _has_ended(self) -> bool:
        accepts = False
        for pid, working in [*self._living.items()]:
            gone, status = os.waitpid(pid, os.WNOHANG)
            if gone:
                del self._living[pid]
                if os.WIFSIGNALED(status):
                    self.kills += 1
                    self._begin(working)
                elif os.WEXITSTATUS(status):
                    raise RuntimeError("a process has failed by itself")
            accepts = accepts or (working == self._accepting and pid in self._living)
        if accepts or any(working == self._accepting for working in self._living.values()):
            return False
        try:
            return asyncio.run(_ended(self._url)) >= self._jobs
        except ServiceUnavailable:
            return False

    def _begin(self, working: Callable[[], Coroutine[Any, Any, None]]) -> None:
        # The parent has no loop of its own just now, and no threads: so it may be forked.
        pid = os.fork()
        if pid:
            self._living[pid] = working
            return
        try:
            random.seed(os.getpid())
            asyncio.run(working())
        except BaseException as error:  # noqa: BLE001 - the child's end, whatever it is
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)

    def _nemesis(self, *points: str) -> Nemesis:
        point = random.choice(points) if self._point == ANY else self._point
        # What comes once for many jobs comes seldom.
        most = 3 if point.partition(".")[0] in ("accept", "claim", "reclaim") else max(3, self._jobs // 10)
        return Nemesis(point, sys.maxsize if self.kills >= MOST_KILLS else random.randint(1, most))

    def _accepting(self) -> Coroutine[Any, Any, None]:
        return accept(self._url, self._nemesis(*POINTS[:2]), self._jobs)

    def _working(self) -> Coroutine[Any, Any, None]:
        return work(self._url, self._nemesis(*POINTS[2:]), self._asked)


async def _upgrade(url: str) -> None:
    async with open_database(url) as engine, engine.begin() as connection:
        for schema in (JOBS, WEBHOOKS):
            await connection.run_sync(schema.upgrade_to)


async def _ended(url: str) -> int:
    async with open_database(url) as engine:
        database = JobDatabase(engine, TenantSealer(b"s" * 32), telling(lambda _tenant, _event: ()))
        over = select(func.count()).where(jobs_table.c.state.not_in(("queued", "running")))
        async with database.reading() as connection:
            return (await connection.execute(over)).scalar() or 0


async def _compared(url: str, expected: int) -> dict[str, int]:
    """Return how many jobs were lost, ended or told twice, and have a result or events that are not theirs."""
    async with open_database(url) as engine:
        store = SqlJobStore(JobDatabase(engine, TenantSealer(b"s" * 32), telling(lambda _tenant, _event: ())))
        async with engine.connect() as connection:
            ids = [row.id for row in await connection.execute(select(jobs_table.c.id))]
            told = Counter((await connection.execute(select(deliveries.c.id))).scalars())
        lost, twice, astray = abs(expected - len(ids)), 0, 0
        for job_id in ids:
            job = await store.get("", job_id)
            assert job is not None, "it is there"
            events = await store.events(job, 0, 100_000)
            content = await store.result(job)
            result = None if content is None else result_of(job.kind, content)
            lost += job.state is not JobState.SUCCEEDED or not isinstance(result, ChatResult)
            twice += sum(isinstance(each.event, Ended) for each in events) != 1
            twice += sum(count for name, count in told.items() if name.startswith(job_id)) != 1
            astray += [each.number for each in events] != list(range(1, len(events) + 1))
            if isinstance(result, ChatResult):
                astray += _is_astray(job, result, [each.event for each in events])
        return {"lost": lost, "twice": twice, "astray": astray}


def _is_astray(job: Job, result: ChatResult, events: Sequence[Any]) -> bool:
    """Return whether the result, or what was told since the last beginning, is not the last attempt's."""
    last = max(at for at, event in enumerate(events) if isinstance(event, AttemptStarted))
    parts = [each for event in events[last:] if isinstance(event, Generated) for each in event.events]
    said = "".join(part.text for part in parts if isinstance(part, TextDelta))
    return not (said == result.answer.text == f"{job.epoch} " * 3)


def run(engines: Sequence[str], points: Sequence[str], jobs: int, chance: random.Random) -> list[Found]:
    """Return what was found at each point on each engine."""
    found: list[Found] = []
    for engine in engines:
        if engine == "sqlite":
            for point in (each for each in points if each != DATABASE):
                with tempfile.TemporaryDirectory() as folder:
                    found.append(Stage(f"sqlite:///{folder}/jobs.db", point, jobs, chance).run(engine, None))
            continue
        with PostgresServer() as server:
            found += [Stage(server.create_database(), point, jobs, chance).run(engine, server) for point in points]
    return found


def main() -> None:
    """Run it, and print what was found as JSON, a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--points", nargs="*", default=[*POINTS, PAUSED, DATABASE])
    parser.add_argument("--engines", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    chance = random.Random(options.seed)
    all_found = run(options.engines, options.points, options.jobs, chance)
    for found in all_found:
        print(json.dumps(msgspec.to_builtins(found)), flush=True)
    if any(found.lost or found.twice or found.astray for found in all_found):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
