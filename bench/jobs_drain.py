"""A deep queue drained by two workers: how fast, with how much memory, and how long others wait meanwhile.

One tenant has so many sheddable jobs waiting. Two worker processes run them, 16 at once each, by an execution that answers
three parts at once and asks nobody: what is measured is the queue. Four times a second another tenant, which has nothing
else, submits one job of the same priority, and a third one a critical job; how long each waits until it begins is told
beside, first for some seconds in which nobody else has any, and then behind the deep queue; and how much CPU time the
workers spend on a job, which depends little on what else the machine does. The clock begins once both workers run. A run is
ended after so many minutes, and says how many jobs it has drained by then.

python bench/jobs_drain.py [--jobs 100000] [--engine sqlite|postgresql] [--minutes 6] [--workers 2]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

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
from penstock_gateway.adapters.sql.jobs.workers import SqlWorkers
from penstock_gateway.adapters.sql.sealing import TenantSealer
from penstock_gateway.adapters.sql.webhooks.schema import WEBHOOKS
from penstock_gateway.domain.jobs.bell import Bell
from penstock_gateway.domain.jobs.executing import Attempt
from penstock_gateway.domain.jobs.job import Job, JobKind, JobState, NewJob, new_job_id
from penstock_gateway.domain.jobs.lanes import Bounds, Turns
from penstock_gateway.domain.jobs.orders import order_bytes
from penstock_gateway.domain.jobs.results import ChatResult
from penstock_gateway.domain.jobs.running import JobRunner, RunnerTerms
from penstock_gateway.domain.jobs.telling import telling
from penstock_gateway.domain.life.order import ChatOrder

ONE = By(upstream="nobody", model="m")
IN_ONE = 500
PROBE_SECONDS, LOOK_SECONDS, QUIET_SECONDS = 0.25, 1.0, 10.0
TENANTS = ("one-quiet", "critical-quiet", "one", "critical")


class Prompt:
    """An execution that answers at once."""

    async def run(self, attempt: Attempt) -> ChatResult:
        """Return three parts."""
        parts = [Started(generation_id=attempt.job.id, answered_by=ONE), *[TextDelta("word ") for _ in range(3)]]
        attempt.report.generated(tuple(parts))
        finished = Finished(answered_by=ONE, reason=FinishReason.STOP)
        return ChatResult(generation_id=attempt.job.id, events=[*parts, finished])


def _database(engine: Any) -> JobDatabase:
    return JobDatabase(engine, TenantSealer(b"s" * 32), telling(lambda _tenant, _event: ()))


def _job(tenant: str, priority: Priority, due: datetime | None = None) -> NewJob:
    now = datetime.now(UTC)
    turn = Message(role=Role.USER, parts=(Text(text="Hi, and some more words that somebody has to keep. " * 10),))
    order = ChatOrder(
        request_id="r", generation_id="g", surface="grpc", tenant=tenant, key_id="k", timeout=timedelta(minutes=1),
        input=GenerationInput(model="m", messages=(turn,)),
    )  # fmt: skip
    job = Job(
        id=new_job_id(now), tenant=tenant, key_id="k", kind=JobKind.CHAT, target="m", priority=priority,
        state=JobState.QUEUED, surface="grpc", request_id="r", created_at=now, due_at=due or now,
        deadline_at=now + timedelta(hours=1), max_attempts=5, result_ttl=timedelta(hours=1),
    )  # fmt: skip
    return NewJob(job=job, order=order_bytes(order))


async def work(url: str) -> None:
    """Run jobs until ended."""
    async with open_database(url) as engine:
        queue, bell = SqlJobQueue(_database(engine)), Bell()
        runner = JobRunner(queue, bell, Turns(Bounds()), RunnerTerms(), f"w{time.time_ns()}")
        runner.runs[JobKind.CHAT], runner.workers = Prompt(), SqlWorkers(_database(engine))
        async with runner.open():
            await asyncio.Event().wait()


async def drained(url: str, jobs: int, workers: int, seconds: float) -> dict[str, Any]:
    """Return what was measured."""
    async with open_database(url) as engine:
        async with engine.begin() as connection:
            for schema in (JOBS, WEBHOOKS):
                await connection.run_sync(schema.upgrade_to)
        store = SqlJobStore(_database(engine))
        with ExitStack() as stack:
            command = [sys.executable, __file__, "--work", url]
            processes = [stack.enter_context(subprocess.Popen(command)) for _ in range(workers)]
            try:
                await _all_work(engine, workers)
                refused = [await _probed(store, "-quiet") for _ in range(int(QUIET_SECONDS / PROBE_SECONDS))]
                later, began = datetime.now(UTC) + timedelta(seconds=jobs / 1000), time.monotonic()
                for _ in range(0, jobs, IN_ONE):
                    await store.accept([_job("big", Priority.SHEDDABLE, later) for _ in range(IN_ONE)])
                accepting = time.monotonic() - began
                await asyncio.sleep(max(0.0, (later - datetime.now(UTC)).total_seconds()))
                curve = await _watched(engine, store, processes, seconds)
            finally:
                for process in processes:
                    process.terminate()
        return {
            "accepted_per_second": round(jobs / accepting, 1),
            **curve,
            "refused_quiet_probes": sum(refused),
            "waits_seconds": {tenant: await _waits(engine, tenant) for tenant in TENANTS},
        }


async def _all_work(engine: Any, workers: int) -> None:
    """Return once so many workers are there."""
    async with asyncio.timeout(60):
        while len(await SqlWorkers(_database(engine)).heard_since(datetime.now(UTC) - timedelta(minutes=1))) < workers:
            await asyncio.sleep(PROBE_SECONDS)


async def _probed(store: SqlJobStore, phase: str) -> int:
    """Submit a job of each tenant that has no other, and wait; return how many of the two submissions were refused."""
    try:
        await store.accept([_job(f"one{phase}", Priority.SHEDDABLE), _job(f"critical{phase}", Priority.CRITICAL)])
    except ServiceUnavailable:
        return 1
    finally:
        await asyncio.sleep(PROBE_SECONDS)
    return 0


async def _watched(engine: Any, store: SqlJobStore, processes: list[Any], seconds: float) -> dict[str, Any]:
    began, next_look, curve, done, waiting = time.monotonic(), 0.0, list[dict[str, Any]](), 0, 1
    refused, spent, spent_before = 0, 0.0, sum(map(_cpu_seconds, (process.pid for process in processes)))
    while waiting and time.monotonic() - began < seconds:
        refused += await _probed(store, "")
        at = time.monotonic() - began
        if at >= next_look:
            done, waiting = await _counts(engine)
            spent = sum(map(_cpu_seconds, (process.pid for process in processes)))
            resident = [_resident_mib(process.pid) for process in processes]
            curve.append({"seconds": round(at, 1), "done": done, "mib": resident})
            next_look = at + LOOK_SECONDS
    took = time.monotonic() - began
    tenths = [curve[min(len(curve) - 1, number * len(curve) // 10)] for number in range(1, 11)]
    return {
        "drained": done, "left": waiting, "seconds": round(took, 1), "per_second": round(done / took, 1),
        "workers_cpu_ms_per_job": round(1000 * (spent - spent_before) / max(1, done), 2),
        "refused_probes": refused, "tenths": tenths, "most_mib": max(max(each["mib"]) for each in curve),
    }  # fmt: skip


async def _counts(engine: Any) -> tuple[int, int]:
    of_big = jobs_table.c.tenant == "big"
    by_state = select(jobs_table.c.state, func.count()).where(of_big).group_by(jobs_table.c.state)
    async with engine.connect() as connection:
        counts = {row[0]: row[1] for row in (await connection.execute(by_state)).all()}
    done = counts.get(JobState.SUCCEEDED.value, 0)
    return done, sum(counts.values()) - done


def _resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _waits(engine: Any, tenant: str) -> dict[str, float]:
    table = jobs_table.c
    query = select(table.started_ms - table.due_ms).where(table.tenant == tenant, table.started_ms.is_not(None))
    async with engine.connect() as connection:
        waits = sorted(row[0] / 1000 for row in (await connection.execute(query)).all())
    at = {"p50": 0.5, "p99": 0.99, "most": 1.0}
    return {"jobs": len(waits)} | {
        name: waits[min(len(waits) - 1, int(share * len(waits)))] for name, share in at.items()
    }


def main() -> None:
    """Run it, and print what was found as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--engine", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if options.work:
        asyncio.run(work(options.work))
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-drain-")))
        url = f"sqlite:///{folder}/jobs.db"
        if options.engine == "postgresql":
            url = stack.enter_context(PostgresServer()).create_database()
        found = asyncio.run(drained(url, options.jobs, options.workers, options.minutes * 60))
    print(json.dumps({"engine": options.engine, "workers": options.workers, "jobs": options.jobs, **found}, indent=1))


if __name__ == "__main__":
    main()
