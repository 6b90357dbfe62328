"""Jobs in SQL: accepted once, held by one worker, committed once, told without a gap; on each engine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from penstock_common.errors import RateLimited
from penstock_common.llm.types import TextDelta
from penstock_common.priority import Priority
from penstock_common.secrecy import Unreadable
from penstock_common.sql.database import open_database
from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.store import SqlJobStore
from penstock_gateway.adapters.sql.jobs.tables import contents, events, jobs
from penstock_gateway.adapters.sql.sealing import TenantSealer
from penstock_gateway.adapters.sql.webhooks.tables import deliveries
from penstock_gateway.domain.jobs.events import AttemptStarted, Ended, Generated, PutBack, Redriven
from penstock_gateway.domain.jobs.job import JobEnd, JobError, JobState
from penstock_gateway.domain.jobs.lanes import Bounds, Turns
from penstock_gateway.domain.jobs.ports import Held, JobFilter, Requeued
from penstock_gateway.domain.jobs.telling import telling

sys.path.insert(0, str(Path(__file__).parent))

from jobs_world import LEASE, NOW, ROOM, JobsWorld, new_job  # noqa: E402

DONE = JobEnd(state=JobState.SUCCEEDED, result=b"answer")
LATER = NOW + LEASE + timedelta(seconds=1)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[JobsWorld]:
    async with open_database(database_url) as engine:
        yield await JobsWorld.over(engine)


async def test_what_is_committed_is_told_with_its_result_and_nothing_of_it_lies_open(world: JobsWorld):
    (job,) = await world.accept(new_job(order=b"canary-asks", webhook="ops"))
    (claimed,) = await world.claim()
    held = Held(job.id, claimed.job.epoch)
    said = Generated((TextDelta("canary-said"),))
    assert await world.queue.append(held, (AttemptStarted(1), said), NOW) == 2
    assert await world.queue.commit(held, JobEnd(state=JobState.SUCCEEDED, result=b"canary-answer"), NOW)

    now = await world.store.get("acme", job.id)
    assert now is not None
    assert (now.state, now.attempts, now.epoch, now.worker) == (JobState.SUCCEEDED, 1, 1, "")
    assert now.result_expires_at == NOW + timedelta(hours=24)
    assert await world.store.result(now) == b"canary-answer"
    told = await world.store.events(now, 0, 10)
    assert [(each.number, each.event) for each in told] == [
        (1, AttemptStarted(1)),
        (2, said),
        (3, Ended(JobState.SUCCEEDED)),
    ]
    async with world.engine.connect() as connection:
        sealed = [*(await connection.execute(select(contents.c.sealed))).scalars()]
        sealed += (await connection.execute(select(events.c.sealed))).scalars()
        assert (await connection.execute(select(deliveries.c.type))).scalars().all() == ["job.succeeded"]
    assert len(sealed) == 5
    assert not any(b"canary" in each for each in sealed)


async def test_a_worker_that_lost_its_lease_changes_nothing(world: JobsWorld):
    (job,) = await world.accept(new_job())
    (first,) = await world.claim("w1")
    old = Held(job.id, first.job.epoch)
    (waits,) = await world.queue.reclaim(LATER, LATER, 10)
    assert (waits.state, waits.attempts) == (JobState.QUEUED, 1)
    (second,) = await world.claim("w2", LATER)
    assert second.job.epoch == 2

    assert await world.queue.append(old, (AttemptStarted(1),), LATER) is None
    assert not await world.queue.commit(old, DONE, LATER)
    assert not await world.queue.put_back(old, Requeued(due_at=LATER, error=JobError("X", "x")), LATER)
    assert (await world.queue.beat([old], LATER + LEASE)).lost == {old}
    assert await world.queue.commit(Held(job.id, 2), DONE, LATER)
    assert not await world.queue.commit(Held(job.id, 2), DONE, LATER)


async def test_who_never_comes_back_is_dead_after_the_last_attempt(world: JobsWorld):
    (job,) = await world.accept(new_job(max_attempts=2))
    now = NOW
    for _ in range(2):
        assert len(await world.claim(now=now)) == 1
        now += LEASE + timedelta(seconds=1)
        (stands,) = await world.queue.reclaim(now, now, 10)
    assert (stands.state, stands.error and stands.error.reason) == (JobState.DEAD, "WORKER_LOST")
    assert await world.store.redrive(JobFilter(tenant="acme"), now, timedelta(hours=1), 10) == 1
    again = await world.store.get("acme", job.id)
    assert again is not None
    assert (again.state, again.attempts, again.deadline_at) == (JobState.QUEUED, 0, now + timedelta(hours=1))
    (third,) = await world.claim(now=now)
    assert third.job.epoch == 3
    kinds = [type(each.event) for each in await world.store.events(again, 0, 10)]
    assert kinds == [PutBack, Ended, Redriven]


async def test_waiting_for_an_allowance_is_no_attempt(world: JobsWorld):
    (job,) = await world.accept(new_job(max_attempts=1))
    (claimed,) = await world.claim()
    again = Requeued(due_at=NOW + timedelta(seconds=5), error=JobError("RATE_LIMITED", "later"), counts=False)
    assert await world.queue.put_back(Held(job.id, claimed.job.epoch), again, NOW)
    assert await world.claim() == []
    (second,) = await world.claim(now=NOW + timedelta(seconds=5))
    assert (second.job.attempts, second.job.epoch) == (1, 2)


async def test_two_workers_share_what_there_is(world: JobsWorld):
    accepted = {job.id for job in await world.accept(*[new_job(line=line) for line in range(40)])}
    taken = await asyncio.gather(*[world.claim(f"w{number}", turns=Turns(Bounds())) for number in range(4)])
    ids = [each.job.id for some in taken for each in some]
    assert len(ids) == len(set(ids)) == 40
    assert set(ids) == accepted


async def test_bounds_hold_over_all_workers(world: JobsWorld):
    await world.accept(*[new_job(target=f"m{number % 2}") for number in range(20)])
    turns = [Turns(Bounds(per_tenant=5, per_target=3)) for _ in range(8)]
    some = await asyncio.gather(*[world.claim(f"w{number}", turns=one) for number, one in enumerate(turns)])
    taken = [each for claimed in some for each in claimed]
    assert len(taken) == 5
    assert max(sum(each.job.target == target for each in taken) for target in ("m0", "m1")) == 3


async def test_a_mark_is_taken_once_and_by_one_of_many(world: JobsWorld):
    tries = [world.store.accept([new_job(idempotency="mark", fingerprint="f")]) for _ in range(20)]
    accepted = [one for (one,) in await asyncio.gather(*tries)]
    assert sum(one.is_new for one in accepted) == 1
    assert len({one.job.id for one in accepted}) == 1
    assert {one.fingerprint for one in accepted if not one.is_new} == {"f"}


async def test_who_runs_its_own_job_holds_it_from_the_first_moment_on(world: JobsWorld):
    leased = new_job(state=JobState.RUNNING, epoch=1, attempts=1, worker="here", started_at=NOW)
    (job,) = await world.accept(type(leased)(job=leased.job, order=b"asks", lease=NOW + LEASE))
    assert await world.claim() == []
    assert await world.queue.reclaim(NOW, NOW, 10) == []
    assert (await world.queue.beat([Held(job.id, 1)], LATER + LEASE)).lost == frozenset()
    assert await world.queue.reclaim(LATER, LATER, 10) == []


async def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_is_asked_to_end(world: JobsWorld):
    waiting, running = await world.accept(new_job(), new_job(priority=Priority.CRITICAL))
    places = {**ROOM, Priority.DEFAULT: 0}
    (claimed,) = await world.queue.claim("w", world.turns, places, NOW, NOW + LEASE)
    ended = await world.store.cancel("acme", waiting.id, NOW)
    asked = await world.store.cancel("acme", running.id, NOW)
    assert ended is not None
    assert asked is not None
    assert (ended.state, asked.state, asked.cancels) == (JobState.CANCELLED, JobState.RUNNING, True)
    held = Held(running.id, claimed.job.epoch)
    assert (await world.queue.beat([held], LATER)).cancelled == {held}
    # Its worker never hears of it.
    (stands,) = await world.queue.reclaim(LATER + LEASE, LATER, 10)
    assert stands.state is JobState.CANCELLED


async def test_another_tenant_has_none_of_it(world: JobsWorld):
    (job,) = await world.accept(new_job())
    assert await world.store.get("other", job.id) is None
    assert await world.store.cancel("other", job.id, NOW) is None
    assert not await world.store.delete("other", job.id)
    assert await world.store.list(JobFilter(tenant="other"), 10) == []
    assert await world.store.redrive(JobFilter(tenant="other"), NOW, LEASE, 10) == 0


async def test_what_another_secret_or_tenant_sealed_does_not_open(world: JobsWorld):
    (job,) = await world.accept(new_job())
    other = SqlJobStore(JobDatabase(world.engine, TenantSealer(b"t" * 32), telling(lambda _tenant, _event: ())))
    with pytest.raises(Unreadable):
        await other.order(job)
    with pytest.raises(Unreadable):
        await world.store.order(type(job)(**{**{f: getattr(job, f) for f in job.__struct_fields__}, "tenant": "other"}))


async def test_a_tenant_has_no_more_waiting_than_it_may(world: JobsWorld):
    await world.store.accept([new_job(), new_job()], 3)
    with pytest.raises(RateLimited, match="2 jobs that wait, of 3"):
        await world.store.accept([new_job(), new_job()], 3)
    await world.store.accept([new_job(tenant="other"), new_job()], 3)


async def test_pages_follow_one_another_the_newest_first(world: JobsWorld):
    made = [(await world.accept(new_job()))[0].id for _ in range(5)]
    first = await world.store.list(JobFilter(tenant="acme"), 3)
    rest = await world.store.list(JobFilter(tenant="acme", before=first[-1].id), 3)
    assert [job.id for job in (*first, *rest)] == sorted(made, reverse=True)


async def test_what_is_late_expires_and_what_is_old_is_forgotten(world: JobsWorld):
    late, done = await world.accept(new_job(deadline_at=NOW + LEASE), new_job(priority=Priority.CRITICAL))
    (claimed,) = await world.queue.claim("w", world.turns, {**ROOM, Priority.DEFAULT: 0}, NOW, LATER)
    assert await world.queue.commit(Held(done.id, claimed.job.epoch), DONE, NOW)
    (expired,) = await world.queue.expire(LATER, 10)
    assert (expired.id, expired.state) == (late.id, JobState.EXPIRED)
    day = NOW + timedelta(hours=24, seconds=1)
    assert await world.queue.forget(day, NOW - timedelta(days=30), 10) == 1
    kept = await world.store.get("acme", done.id)
    assert kept is not None
    assert (kept.state, await world.store.result(kept), await world.store.events(kept, 0, 9)) == (
        JobState.SUCCEEDED,
        None,
        [],
    )
    assert await world.queue.forget(day, day, 10) == 2
    async with world.engine.connect() as connection:
        for table in (jobs, contents, events):
            assert (await connection.execute(select(func.count()).select_from(table))).scalar() == 0


async def test_what_is_told_twice_since_nobody_heard_that_it_was_kept_is_there_once(world: JobsWorld):
    (job,) = await world.accept(new_job())
    (claimed,) = await world.claim()
    held, said = Held(job.id, claimed.job.epoch), (AttemptStarted(1), Generated((TextDelta("so"),)))
    for _ in range(2):
        assert await world.queue.append(held, said, NOW, after=0, progress=(3, 9)) == 2
    # What is not where it says that it is was another's.
    assert await world.queue.append(held, said, NOW, after=7) is None
    more = (Generated((TextDelta(" on"),)),)
    assert await world.queue.commit(held, DONE, NOW, more, progress=(9, 9))
    now = await world.store.get("acme", job.id)
    assert now is not None
    assert (now.done, now.total, now.last_event) == (9, 9, 4)
    told = [each.event for each in await world.store.events(now, 0, 10)]
    assert told == [*said, *more, Ended(JobState.SUCCEEDED)]


async def test_what_was_told_before_it_waits_again_is_kept_with_that(world: JobsWorld):
    (job,) = await world.accept(new_job())
    (claimed,) = await world.claim()
    held, error = Held(job.id, claimed.job.epoch), JobError("UPSTREAM_FAILED", "x")
    again = Requeued(due_at=LATER, error=error)
    assert await world.queue.put_back(held, again, NOW, (AttemptStarted(1),))
    # It is held no more, so nothing is told of it.
    assert not await world.queue.put_back(held, again, NOW, (AttemptStarted(1),))
    told = [each.event for each in await world.store.events(job, 0, 10)]
    assert told == [AttemptStarted(1), PutBack(LATER, error)]


async def test_who_was_asked_to_end_does_not_wait_again(world: JobsWorld):
    (job,) = await world.accept(new_job())
    (claimed,) = await world.claim()
    await world.store.cancel("acme", job.id, NOW)
    again = Requeued(due_at=NOW, error=JobError("X", "x"))
    assert await world.queue.put_back(Held(job.id, claimed.job.epoch), again, NOW)
    now = await world.store.get("acme", job.id)
    assert now is not None
    assert now.state is JobState.CANCELLED


async def test_one_that_nobody_can_read_holds_no_other_up(world: JobsWorld):
    bad, good = await world.accept(new_job(), new_job())
    async with world.engine.begin() as connection:
        await connection.execute(contents.update().where(contents.c.job == bad.id).values(sealed=b"\x02" + b"x" * 60))
    assert [one.job.id for one in await world.claim()] == [good.id]


async def test_a_redriven_job_is_not_forgotten_with_those_that_ended_when_it_did(world: JobsWorld):
    (job,) = await world.accept(new_job(max_attempts=1))
    (claimed,) = await world.claim()
    dead = JobEnd(state=JobState.DEAD, error=JobError("X", "with\x00nul"))
    assert await world.queue.commit(Held(job.id, claimed.job.epoch), dead, NOW)
    assert await world.store.redrive(JobFilter(tenant="acme"), NOW, LEASE, 10) == 1
    month = NOW + timedelta(days=31)
    assert await world.queue.forget(month, month, 10) == 0
    assert await world.store.order(job) == b"asks"


async def test_what_was_cancelled_is_kept_no_longer_than_a_result(world: JobsWorld):
    (job,) = await world.accept(new_job(result_ttl=timedelta(hours=1)))
    await world.store.cancel("acme", job.id, NOW)
    day = NOW + timedelta(hours=2)
    assert await world.queue.forget(day, NOW - timedelta(days=30), 10) == 1
    assert await world.store.order(job) is None


async def test_what_its_acceptor_runs_is_not_among_those_that_wait(world: JobsWorld):
    owned = new_job(state=JobState.RUNNING, epoch=1, attempts=1, worker="here", started_at=NOW)
    await world.store.accept([new_job(), new_job()], 2)
    await world.store.accept([type(owned)(job=owned.job, order=b"asks", lease=NOW + LEASE)], 2)


async def test_a_request_that_somebody_waits_for_is_no_job_to_others(world: JobsWorld):
    request = new_job(state=JobState.RUNNING, epoch=1, attempts=1, worker="here", started_at=NOW, unlisted=True)
    (job,) = await world.accept(type(request)(job=request.job, order=b"asks", lease=NOW + LEASE, idempotency="mark"))
    assert await world.store.list(JobFilter(tenant="acme"), 10) == []
    assert await world.store.depths() == []
    await world.accept(*[new_job() for _ in range(2)])
    assert len(await world.claim(turns=Turns(Bounds(per_tenant=2)))) == 2
    failed = JobEnd(state=JobState.FAILED, error=JobError("RATE_LIMITED", "later"))
    assert await world.queue.commit(Held(job.id, 1), failed, NOW)
    now = await world.store.get("acme", job.id)
    assert now is not None
    assert now.state is JobState.FAILED
    assert await world.queue.forget(NOW + timedelta(minutes=6), NOW - timedelta(days=30), 10) == 1
    assert await world.store.get("acme", job.id) is None
    assert await world.store.marked("mark") is None


async def test_what_is_a_batchs_is_not_redriven_beside_it(world: JobsWorld):
    (line,) = await world.accept(new_job(batch="batch_1", line=1))
    (claimed,) = await world.claim()
    dead = JobEnd(state=JobState.DEAD, error=JobError("X", "x"))
    assert await world.queue.commit(Held(line.id, claimed.job.epoch), dead, NOW)
    assert await world.store.redrive(JobFilter(tenant="acme"), NOW, LEASE, 10) == 0
