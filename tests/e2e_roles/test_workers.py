"""Workers as processes of their own: they run jobs, another one goes on after a kill, and they hand back what they must."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from penstock_common.testing.openai_upstream import Answer
from penstock_common.testing.ports import free_ports
from penstock_gateway.domain.jobs.job import JobState

sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "gateway"))

from jobs_desk import QUICK, JobsDesk, chat  # noqa: E402

KEY = {"UPSTREAM_KEY": "sk-upstream"}


def order(text="Hi"):
    return chat(text, tenant="app", key_id="config-app-1")


@pytest.fixture
async def working(idle_fleet, upgraded):
    """Router, cache and inference, and the way to start a worker; no gateway."""
    fleet = idle_fleet
    fleet.document["jobs"] = QUICK | {"run_here": False}
    await upgraded(fleet)
    async with asyncio.TaskGroup() as starting:
        for name in ("router", "cache", "inference"):
            starting.create_task(fleet.start(name, overrides=KEY))

    async def start(label):
        (port,) = free_ports(1)
        fleet.document["services"]["worker"] = {"listen": f"127.0.0.1:{port}"}
        return await fleet.start("worker", label=label)

    fleet.start_worker = start
    return fleet


async def test_a_worker_runs_jobs_and_another_goes_on_after_its_end(working, upstream, run_command):
    hold = asyncio.Event()
    first = await working.start_worker("first")
    code, words = await run_command(working, "health", "worker")
    assert (code, words.strip()) == (0, "worker is SERVING")
    async with JobsDesk.at(working.folder) as desk:
        (quick,) = await desk.submit(order())
        assert (await desk.ended(quick)).state is JobState.SUCCEEDED

        upstream.enqueue(Answer(tokens=["Half", " an answer"], hold={2: hold}))
        (job,) = await desk.submit(order("killed"))
        await desk.until(job, lambda job: job.last_event > 1)
        first.kill()
        second = await working.start_worker("second")
        ended = await desk.ended(job)
        assert (ended.state, ended.attempts, ended.error) == (JobState.SUCCEEDED, 2, None)

        # What has not ended is handed back once nobody waits for it any longer, and the process ends well.
        upstream.enqueue(Answer(tokens=["never"], hold={1: hold}))
        (kept,) = await desk.submit(order("handed back"))
        await desk.until(kept, lambda job: job.state is JobState.RUNNING)
        second.process.send_signal(signal.SIGTERM)
        assert await second.stop() == 0
        handed = await desk.store.get("app", kept.id)
        assert (handed.state, handed.attempts) == (JobState.QUEUED, 0)
