"""JobService through a gateway: submitted, watched, answered, ended; each key's, each tenant's, and an operator's."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from penstock.gateway.v1 import admin_service_pb2, chat_service_pb2, embedding_service_pb2
from penstock.gateway.v1 import job_service_pb2 as pb
from penstock.gateway.v1.job_service_pb2_grpc import JobServiceStub
from penstock.llm.v1 import generation_pb2, message_pb2
from penstock_common.testing.openai_upstream import Answer, Failure
from penstock_gateway.adapters.sql.jobs.tables import jobs

sys.path.insert(0, str(Path(__file__).parent))
from administrator import Administrator, refused  # noqa: E402
from jobs_desk import QUICK, JobsDesk  # noqa: E402

Code = grpc.StatusCode
VECTORS = embedding_service_pb2.EmbedRequest(model="none", inputs=["a"])
NOBODYS = "job_0123456789ab" + "0" * 20


class Caller:
    """A caller of JobService with a key."""

    def __init__(self, channel, key):
        self._stub = JobServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {key}"),)

    def __getattr__(self, name):
        async def call(**fields):
            request = getattr(pb, f"{name}Request")(**fields)
            return await getattr(self._stub, name)(request, metadata=self._metadata, timeout=30)

        return call

    async def submitted(self, text="Hi", model="fast", under="", **options):
        """Return an accepted chat: ``under`` an idempotency key, or none."""
        request = pb.SubmitJobRequest(chat=asked(text, model), options=pb.JobOptions(**options))
        metadata = (*self._metadata, *([("idempotency-key", under)] if under else []))
        return (await self._stub.SubmitJob(request, metadata=metadata, timeout=30)).job

    async def watched(self, job_id, after=0):
        """Return all that a watcher is told until the job ends."""
        request = pb.WatchJobRequest(id=job_id, after_event=after)
        return [told async for told in self._stub.WatchJob(request, metadata=self._metadata, timeout=30)]


def asked(text="Hi", model="fast"):
    request = chat_service_pb2.ChatRequest()
    request.input.model = model
    request.input.messages.add(role=message_pb2.ROLE_USER).parts.add(text=text)
    return request


@pytest.fixture
def document(document):
    document["jobs"] = {**QUICK, "max_attempts": 2}
    return document


@pytest.fixture
def caller(suite):
    return Caller(suite.channel, suite.KEY)


@pytest.fixture
def operator(suite):
    return Caller(suite.channel, suite.OPERATOR_KEY)


@pytest.fixture
async def keys(suite):
    """Other keys: of the tenant demo, by scope, and one of the tenant other."""
    ask, made = Administrator(suite.channel, suite.OPERATOR_KEY), {}
    for name, tenant, scope in (
        ("colleague", "demo", admin_service_pb2.KEY_SCOPE_INFERENCE),
        ("admin", "demo", admin_service_pb2.KEY_SCOPE_ADMIN),
        ("reader", "demo", admin_service_pb2.KEY_SCOPE_READ),
        ("stranger", "other", admin_service_pb2.KEY_SCOPE_ADMIN),
        ("strange_asker", "other", admin_service_pb2.KEY_SCOPE_INFERENCE),
    ):
        key = await ask.CreateKey(tenant=tenant, scopes=[scope])
        made[name] = Caller(suite.channel, key.secret)
    return made


async def test_a_watcher_hears_all_of_it_once_and_the_result_is_the_answer(caller, upstream):
    upstream.enqueue(Answer(tokens=["Hello", " there"]))
    job = await caller.submitted(metadata={"order": "17"})
    assert (job.kind, job.target, job.priority) == (pb.JOB_KIND_CHAT, "fast", generation_pb2.PRIORITY_SHEDDABLE)
    assert job.deadline_at.ToDatetime() - job.created_at.ToDatetime() == timedelta(hours=24)

    told = await caller.watched(job.id)
    numbers = [each.number for each in told if each.number]
    assert numbers == list(range(1, len(numbers) + 1))
    text = "".join(event.text_delta.text for each in told for event in each.generated.events)
    assert (text, told[-1].ended, told[-1].job.state) == ("Hello there", *[pb.JOB_STATE_SUCCEEDED] * 2)
    assert told[0].HasField("job")
    again = await caller.watched(job.id, after=numbers[1])
    assert [each.number for each in again] == numbers[2:]

    result = await caller.GetJobResult(id=job.id)
    assert result.chat.message.parts[0].text == "Hello there"
    assert (result.job.attempts, dict(result.job.metadata)) == (1, {"order": "17"})
    assert result.job.result_expires_at.ToDatetime() > result.job.ended_at.ToDatetime()


async def test_what_would_fail_anyhow_is_refused_at_once(caller, keys):
    for fields, code, reason in (
        ({}, Code.INVALID_ARGUMENT, "INVALID_REQUEST"),
        ({"chat": asked(model="none")}, Code.NOT_FOUND, "MODEL_NOT_FOUND"),
        ({"embedding": VECTORS}, Code.NOT_FOUND, "MODEL_NOT_FOUND"),
        ({"chat": chat_service_pb2.ChatRequest()}, Code.INVALID_ARGUMENT, "INVALID_REQUEST"),
        ({"chat": asked(), "options": pb.JobOptions(webhook="none")}, Code.INVALID_ARGUMENT, "INVALID_REQUEST"),
        ({"chat": asked(), "options": pb.JobOptions(max_attempts=11)}, Code.INVALID_ARGUMENT, "INVALID_REQUEST"),
        ({"chat": asked(), "options": pb.JobOptions(metadata={"": "a"})}, Code.INVALID_ARGUMENT, "INVALID_REQUEST"),
        ({"ingest": {"base": "docs", "content": b"text"}}, Code.PERMISSION_DENIED, "SCOPE_MISSING"),
    ):
        assert (await refused(caller.SubmitJob(**fields)))[:2] == (code, reason), fields
    assert (await refused(keys["admin"].SubmitJob(chat=asked())))[:2] == (Code.PERMISSION_DENIED, "SCOPE_MISSING")
    assert (await caller.ListJobs()).jobs == []


async def test_a_time_too_far_off_is_refused(caller):
    options = pb.JobOptions()
    options.deadline.FromTimedelta(timedelta(days=8))
    assert (await refused(caller.SubmitJob(chat=asked(), options=options)))[1] == "INVALID_REQUEST"
    options = pb.JobOptions()
    options.due_at.FromDatetime(datetime.now(UTC) + timedelta(days=31))
    assert (await refused(caller.SubmitJob(chat=asked(), options=options)))[1] == "INVALID_REQUEST"


async def test_a_job_is_its_keys_its_tenants_and_an_operators(caller, keys, operator):
    options = pb.JobOptions()
    options.due_at.FromDatetime(datetime.now(UTC) + timedelta(hours=1))
    job = (await caller.SubmitJob(chat=asked(), options=options)).job
    for other in ("colleague", "stranger", "strange_asker"):
        ask = keys[other]
        for call in (
            ask.GetJob(id=job.id),
            ask.GetJobResult(id=job.id),
            ask.CancelJob(id=job.id),
            ask.DeleteJob(id=job.id),
            ask.watched(job.id),
        ):
            assert (await refused(call))[:2] == (Code.NOT_FOUND, "RESOURCE_NOT_FOUND"), other
        assert (await ask.ListJobs()).jobs == []
        assert (await ask.ListJobs(key_id="config-demo-1")).jobs == []
    assert (await refused(keys["stranger"].GetJob(id=job.id, tenant="demo")))[0] is Code.PERMISSION_DENIED
    for ask in (keys["admin"], keys["reader"], operator):
        assert (await ask.GetJob(id=job.id)).job.id == job.id
        assert [each.id for each in (await ask.ListJobs(states=[pb.JOB_STATE_QUEUED])).jobs] == [job.id]
    assert (await refused(keys["reader"].CancelJob(id=job.id)))[1] == "SCOPE_MISSING"
    assert (await keys["admin"].CancelJob(id=job.id)).job.state == pb.JOB_STATE_CANCELLED
    assert (await refused(caller.GetJobResult(id=job.id)))[:2] == (Code.FAILED_PRECONDITION, "RESOURCE_STATE")
    await caller.DeleteJob(id=job.id)
    for nobodys in (job.id, NOBODYS, "job_\0", "x" * 5000):
        assert (await refused(caller.GetJob(id=nobodys)))[1] == "RESOURCE_NOT_FOUND"


async def test_one_that_runs_is_ended_and_told(caller, upstream, hold):
    upstream.enqueue(Answer(tokens=["a", "b"], hold={1: hold}))
    job = await caller.submitted()
    await upstream.next_request()
    assert (await caller.CancelJob(id=job.id)).job.cancels
    assert (await caller.watched(job.id))[-1].ended == pb.JOB_STATE_CANCELLED
    assert (await caller.CancelJob(id=job.id)).job.state == pb.JOB_STATE_CANCELLED


async def test_the_dead_are_counted_and_begin_anew(caller, keys, operator, upstream):
    upstream.enqueue(*[Failure(500)] * 12)
    job = await caller.submitted(max_attempts=1)
    assert (await caller.watched(job.id))[-1].ended == pb.JOB_STATE_DEAD
    assert (await refused(caller.RedriveJobs(id=job.id)))[1] == "SCOPE_MISSING"
    assert (await refused(operator.RedriveJobs()))[1] == "INVALID_REQUEST"
    assert (await refused(operator.RedriveJobs(tenant="demo", limit=10_001)))[1] == "INVALID_REQUEST"
    assert (await keys["stranger"].RedriveJobs()).redriven == 0
    dry = await keys["admin"].RedriveJobs(dry_run=True)
    assert (dry.redriven, (await caller.GetJob(id=job.id)).job.state) == (1, pb.JOB_STATE_DEAD)
    assert (await operator.RedriveJobs(tenant="demo", target="other")).redriven == 0
    upstream.drop_queue()
    last = (await caller.watched(job.id))[-1].number
    assert (await operator.RedriveJobs(tenant="demo", target="fast")).redriven == 1
    told = await caller.watched(job.id, after=last)
    assert told[0].redriven
    assert told[-1].ended == pb.JOB_STATE_SUCCEEDED
    assert (await refused(operator.RedriveJobs(tenant="demo", id=job.id)))[1] == "RESOURCE_STATE"


async def test_depths_tell_what_waits_and_for_how_long(caller, keys, operator):
    options = pb.JobOptions(priority=generation_pb2.PRIORITY_DEFAULT)
    options.due_at.FromDatetime(datetime.now(UTC) + timedelta(hours=1))
    await caller.SubmitJob(chat=asked(), options=options)
    told = await operator.GetJobDepths()
    (depth,) = told.depths
    assert told.workers == 1
    assert (depth.priority, depth.queued, depth.running) == (generation_pb2.PRIORITY_DEFAULT, 1, 0)
    assert (await keys["stranger"].GetJobDepths()).depths == []


async def test_pages_follow_one_another(caller):
    options = pb.JobOptions()
    options.due_at.FromDatetime(datetime.now(UTC) + timedelta(hours=1))
    made = [(await caller.SubmitJob(chat=asked(), options=options)).job.id for _ in range(3)]
    first = await caller.ListJobs(page_size=2)
    rest = await caller.ListJobs(page_size=2, page_token=first.next_page_token)
    assert [job.id for job in (*first.jobs, *rest.jobs)] == made[::-1]
    assert not rest.next_page_token
    assert (await refused(caller.ListJobs(page_token="no")))[1] == "INVALID_REQUEST"
    assert (await refused(caller.ListJobs(states=[99])))[1] == "INVALID_REQUEST"


async def test_who_asks_for_an_event_that_is_not_there_is_told(caller, upstream):
    job = await caller.submitted()
    last = (await caller.watched(job.id))[-1]
    assert (await refused(caller.watched(job.id, after=last.number + 1)))[1] == "INVALID_REQUEST"
    (stands,) = await caller.watched(job.id, after=last.number)
    assert (stands.number, stands.job.state) == (0, pb.JOB_STATE_SUCCEEDED)


async def test_a_key_is_one_jobs_for_a_day_and_then_free(caller, tmp_path):
    first, again = [await caller.submitted(under="k1") for _ in range(2)]
    assert first.id == again.id
    async with JobsDesk.at(tmp_path) as desk, desk.engine.begin() as connection:
        await connection.execute(jobs.update().values(created_ms=jobs.c.created_ms - 24 * 3600 * 1000 - 1))
    later, again = [await caller.submitted(under="k1") for _ in range(2)]
    assert first.id != later.id == again.id


async def test_a_result_that_has_expired_is_gone_before_anybody_tidies(caller, tmp_path):
    job = await caller.submitted()
    await caller.watched(job.id)
    assert (await caller.GetJobResult(id=job.id)).job.id == job.id
    async with JobsDesk.at(tmp_path) as desk, desk.engine.begin() as connection:
        await connection.execute(jobs.update().values(result_expires_ms=1))
    code, reason, _ = await refused(caller.GetJobResult(id=job.id))
    assert (code, reason) == (Code.NOT_FOUND, "RESOURCE_NOT_FOUND")


async def test_a_rotated_key_has_the_jobs_of_the_one_before_and_no_others(suite, keys, caller):
    ask = Administrator(suite.channel, suite.OPERATOR_KEY)
    first = await ask.CreateKey(tenant="demo", scopes=[admin_service_pb2.KEY_SCOPE_INFERENCE])
    job = await Caller(suite.channel, first.secret).submitted()
    others = await caller.submitted()
    rotated = Caller(suite.channel, (await ask.RotateKey(id=first.key.id)).secret)
    assert (await rotated.watched(job.id))[-1].job.state == pb.JOB_STATE_SUCCEEDED
    assert [one.id for one in (await rotated.ListJobs()).jobs] == [job.id]
    assert [one.id for one in (await rotated.ListJobs(key_id=first.key.id)).jobs] == [job.id]
    for of_others in (rotated.GetJob(id=others.id), keys["colleague"].GetJob(id=job.id)):
        code, _, _ = await refused(of_others)
        assert code is Code.NOT_FOUND
    assert not (await rotated.ListJobs(key_id=others.key_id)).jobs
    await rotated.DeleteJob(id=job.id)
    audit = await ask.ListAuditEntries(tenant="demo")
    assert not [entry for entry in audit.entries if entry.action.startswith("job.")]


async def test_a_key_watches_so_many_jobs_at_once(document, serve, upstream, hold):
    document["jobs"]["watchers"] = 1
    suite = await serve()
    upstream.enqueue(Answer(tokens=["Hi"], hold={0: hold}))
    caller, other = Caller(suite.channel, suite.KEY), Caller(suite.channel, suite.OTHER_KEY)
    job = await caller.submitted()
    stub, head = JobServiceStub(suite.channel), (("authorization", f"Bearer {suite.KEY}"),)
    watching = aiter(stub.WatchJob(pb.WatchJobRequest(id=job.id), metadata=head, timeout=30))
    await anext(watching)
    code, reason, error = await refused(caller.watched(job.id))
    assert (code, reason) == (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert "GetJob" in error.details()
    assert (await caller.GetJob(id=job.id)).job.id == job.id
    theirs = await other.submitted("Other")
    hold.set()
    assert (await other.watched(theirs.id))[-1].job.state == pb.JOB_STATE_SUCCEEDED
    assert [told async for told in watching][-1].job.state == pb.JOB_STATE_SUCCEEDED
    assert (await caller.watched(job.id))[-1].job.state == pb.JOB_STATE_SUCCEEDED


async def test_an_administrator_pauses_their_tenants_jobs_and_an_operator_anybodys(suite, keys, caller, operator):
    paused = (await keys["admin"].PauseJobs(target="fast", reason="it is down")).pause
    assert (paused.tenant, paused.target, paused.reason) == ("demo", "fast", "it is down")
    job = await caller.submitted()
    theirs = await keys["strange_asker"].submitted()
    assert (await keys["strange_asker"].watched(theirs.id))[-1].job.state == pb.JOB_STATE_SUCCEEDED
    assert (await caller.GetJob(id=job.id)).job.state == pb.JOB_STATE_QUEUED
    await operator.PauseJobs(reason="all")
    assert [each.reason for each in (await caller.ListJobPauses()).pauses] == ["all", "it is down"]
    assert [each.reason for each in (await keys["stranger"].ListJobPauses()).pauses] == ["all"]
    await operator.ResumeJobs()
    for call, code in (
        (caller.PauseJobs(), Code.PERMISSION_DENIED),
        (keys["admin"].PauseJobs(tenant="other"), Code.PERMISSION_DENIED),
        (keys["admin"].PauseJobs(reason="x" * 201), Code.INVALID_ARGUMENT),
        (keys["admin"].PauseJobs(target="\x00"), Code.INVALID_ARGUMENT),
        (keys["admin"].PauseJobs(target="fats"), Code.NOT_FOUND),
        (operator.PauseJobs(tenant="demos"), Code.NOT_FOUND),
        (keys["stranger"].ResumeJobs(target="fast"), Code.NOT_FOUND),
        (keys["admin"].ResumeJobs(target="\x00"), Code.NOT_FOUND),
    ):
        assert (await refused(call))[0] is code
    await keys["admin"].ResumeJobs(target="fast")
    assert (await caller.watched(job.id))[-1].job.state == pb.JOB_STATE_SUCCEEDED
    entries = (await Administrator(suite.channel, suite.OPERATOR_KEY).ListAuditEntries(tenant="demo")).entries
    assert [entry.action for entry in entries if "." in entry.action and entry.action.startswith("job.")] == [
        "job.resume",
        "job.pause",
    ]


async def test_a_pause_of_what_there_is_not_is_refused_with_the_nearest_name(suite, keys, caller, operator):
    for call, told in (
        (operator.PauseJobs(tenant="demos"), "There is no tenant 'demos'. Did you mean 'demo'?"),
        (operator.PauseJobs(tenant="zzzzzzzz"), "There is no tenant 'zzzzzzzz'."),
        (keys["admin"].PauseJobs(target="fats"), "no knowledge base of that tenant. Did you mean 'fast'?"),
        (operator.PauseJobs(target="manual"), "A base is its tenant's: name that as well."),
    ):
        code, _, error = await refused(call)
        assert code is Code.NOT_FOUND
        assert told in error.details()
    assert not (await operator.ListJobPauses()).pauses
