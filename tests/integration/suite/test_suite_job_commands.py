"""`penstock jobs` and `penstock webhooks`: what they say and write, over the database of a stack that is down."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from penstock_common.configuration import Configuration
from penstock_common.sql.database import open_database
from penstock_common.sql.schema import open_current_database
from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.queue import SqlJobQueue
from penstock_gateway.adapters.sql.jobs.store import SqlJobStore
from penstock_gateway.adapters.sql.schema import SCHEMAS
from penstock_gateway.adapters.sql.sealing import TenantSealer
from penstock_gateway.app.administration import open_administration
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.batches.carrying import CarryTerms
from penstock_gateway.domain.batches.desk import DeskTerms
from penstock_gateway.domain.jobs.job import JobEnd, JobError, JobState
from penstock_gateway.domain.jobs.lanes import Bounds, Turns
from penstock_gateway.domain.jobs.ports import Held
from penstock_gateway.domain.jobs.telling import telling
from penstock_gateway.settings import Settings
from penstock_suite.adapters.admin_client import administration_over, method_of
from penstock_suite.surfaces.cli.batches import batches
from penstock_suite.surfaces.cli.jobs import jobs
from penstock_suite.surfaces.cli.webhooks import webhooks

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))
from batches_world import BatchesWorld, caller_of, jsonl, line  # noqa: E402
from jobs_world import LEASE, NOW, ROOM, new_job  # noqa: E402

DEMO = ("--tenant", "demo")


async def fill(settings):
    """Keep a dead job with its error, and one that waits; return the dead one's id."""
    database = open_current_database(settings.sql, settings.gateway.database_limits, *SCHEMAS, upgrades_schema=True)
    async with database as engine:
        over = JobDatabase(engine, TenantSealer(b"p" * 32), telling(lambda _tenant, _event: ()))
        store, queue = SqlJobStore(over), SqlJobQueue(over)
        dead, _ = await store.accept([new_job(tenant="demo"), new_job(tenant="demo", due_at=NOW + LEASE)])
        (claimed,) = await queue.claim("w", Turns(Bounds()), ROOM, NOW, NOW + LEASE)
        error = JobError("UPSTREAM_FAILED", "first: [bold]500[/]")
        await queue.commit(Held(claimed.job.id, claimed.job.epoch), JobEnd(state=JobState.DEAD, error=error), NOW)
        return dead.job.id


async def begin(folder):
    """Begin a batch; return its id."""
    async with open_database(f"sqlite:///{folder}/penstock.db") as engine:
        over = BatchesWorld(engine, CarryTerms(), DeskTerms())
        return (await over.begin(jsonl(line("a")), caller_of("demo"))).id


@pytest.fixture
def world(tmp_path):
    """What runs a command over a database, and the id of a dead job there."""
    (tmp_path / "pepper").write_bytes(b"p" * 32)
    document = {
        "tenants": [{"name": "demo", "tier": {}}],
        "sql": f"sqlite:///{tmp_path}/penstock.db",
        "secrets": {"key_pepper_file": f"{tmp_path}/pepper"},
    }
    settings = Configuration(document).settings(Settings)
    dead = asyncio.run(fill(settings))

    @asynccontextmanager
    async def opened(_asked):
        async with open_administration(settings, Actor.at_the_command_line("ops")) as servicers:

            async def ask(method, request):
                return await method_of(servicers, method)(request, None)

            yield administration_over(ask)

    def run(command, *arguments):
        result = CliRunner().invoke(command(opened), arguments)
        return result.exit_code, result.stdout, result.stderr

    return run, dead


def test_jobs_are_listed_shown_and_begun_anew(world):
    run, dead = world
    code, out, _ = run(jobs, "list", "--status", "dead")
    assert (code, dead in out, "[bold]500[/]" in out) == (0, True, True)
    found = json.loads(run(jobs, "list", "--json")[1])
    assert {each["state"] for each in found} == {"dead", "queued"}
    assert run(jobs, "list", "--status", "lost")[0] == 2
    assert "UPSTREAM_FAILED" in run(jobs, "show", dead)[1]
    assert run(jobs, "show", "job_none")[0] != 0
    assert run(jobs, "redrive", *DEMO)[0] == 2
    assert "1 would begin anew" in run(jobs, "redrive", *DEMO, "--yes", "--dry-run")[2]
    assert json.loads(run(jobs, "redrive", dead, *DEMO, "--json")[1]) == {
        "redriven": 1,
        "more": False,
        "dry_run": False,
    }
    assert json.loads(run(jobs, "show", dead, "--json")[1])["state"] == "queued"
    assert "cancelled" in run(jobs, "cancel", dead)[2]
    queue = json.loads(run(jobs, "depth", "--json")[1])
    (depth,) = queue["depths"]
    assert (queue["workers"], "Nobody runs jobs" in run(jobs, "depth")[2]) == (0, True)
    assert (depth["priority"], depth["queued"], depth["running"]) == ("default", 1, 0)
    code, _, error = run(jobs, "result", dead)
    assert (code != 0, "Traceback" in error) == (True, False)


def test_webhooks_are_made_rotated_and_taken_away(world):
    run, _ = world
    url = "https://ops.example.com/in?token=canary"
    code, out, _ = run(webhooks, "create", "ops", "--url", url, "--event", "job.*", *DEMO)
    assert (code, out.startswith("whsec_")) == (0, True)
    code, listed, _ = run(webhooks, "list", *DEMO)
    assert (code, "ops" in listed, "canary" in listed) == (0, True, False)
    assert json.loads(run(webhooks, "rotate", "ops", *DEMO, "--json")[1])["secret"] != out.strip()
    sent = json.loads(run(webhooks, "test", "ops", *DEMO, "--json")[1])["delivery_id"]
    (delivery,) = json.loads(run(webhooks, "deliveries", "ops", *DEMO, "--json")[1])
    assert (delivery["id"], delivery["state"], delivery["tries"]) == (sent, "waiting", [])
    assert run(webhooks, "redeliver", "ops", *DEMO)[0] == 2
    assert json.loads(run(webhooks, "redeliver", "ops", *DEMO, "--delivery", sent, "--json")[1]) == {"redelivered": 1}
    assert run(webhooks, "delete", "ops", *DEMO)[0] == 0
    assert "No webhooks yet" in run(webhooks, "list", *DEMO)[2]
    assert run(webhooks, "create", "ops", "--url", "http://ops.example.com/", *DEMO)[0] != 0


def test_batches_are_listed_shown_and_ended(world, tmp_path):
    run, _ = world
    assert "There are none" in run(batches, "list", *DEMO)[2]
    assert run(batches, "list")[0] != 0
    made = asyncio.run(begin(tmp_path))
    assert made in run(batches, "list", *DEMO)[1]
    (found,) = json.loads(run(batches, "list", *DEMO, "--json")[1])
    assert (found["id"], found["state"], found["endpoint"]) == (made, "validating", "/v1/chat/completions")
    assert "batch_none" in run(batches, "show", "batch_none", *DEMO)[2]
    assert "validating" in run(batches, "show", made, *DEMO)[1]
    assert f"{made} is cancelling" in run(batches, "cancel", made, *DEMO)[2]
    assert json.loads(run(batches, "show", made, *DEMO, "--json")[1])["state"] == "cancelling"


def test_jobs_are_paused_and_resumed(world):
    run, _ = world
    assert run(jobs, "pause")[0] == 2
    assert "Jobs of demo for small do not begin" in run(jobs, "pause", *DEMO, "--for", "small", "--reason", "[b]x")[2]
    assert "[b]x" in run(jobs, "paused")[1]
    (found,) = json.loads(run(jobs, "paused", "--json")[1])
    assert (found["tenant"], found["target"], found["reason"]) == ("demo", "small", "[b]x")
    assert run(jobs, "resume", "--for", "small")[0] != 0
    assert "They begin again" in run(jobs, "resume", *DEMO, "--for", "small")[2]
    assert "Nothing is paused" in run(jobs, "paused")[2]
