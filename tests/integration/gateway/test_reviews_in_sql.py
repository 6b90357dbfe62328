"""Reviews in SQL: kept before they are told of, one reviewer's at a time, decided once with the word for webhooks."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from penstock_common.sql.database import open_database
from penstock_gateway.adapters.sql.reviews.database import ReviewDatabase
from penstock_gateway.adapters.sql.reviews.schema import REVIEWS
from penstock_gateway.adapters.sql.reviews.store import SqlReviews
from penstock_gateway.adapters.sql.reviews.tables import contents, items
from penstock_gateway.adapters.sql.webhooks.schema import WEBHOOKS
from penstock_gateway.adapters.sql.webhooks.tables import deliveries
from penstock_gateway.domain.reviews.flag import Flag, Found, Source, Surface
from penstock_gateway.domain.reviews.flagging import FlagDesk
from penstock_gateway.domain.reviews.item import EXPIRY, Decision, ReviewState, Ruling
from penstock_gateway.domain.reviews.ports import Claimant, Expiry, Held, ReviewFilter, Room
from penstock_gateway.domain.reviews.telling import telling
from penstock_gateway.domain.reviews.terms import ReviewTerms
from penstock_gateway.domain.reviews.tidying import ReviewTidying

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LEASE = timedelta(minutes=15)
ALLOW, BLOCK = Ruling(decision=Decision.ALLOW), Ruling(decision=Decision.BLOCK)
SECRET = b"s" * 32
TERMS = ReviewTerms()


class Clock:
    """A time of day that passes when it is told to."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


class Desk:
    """A process with the queue: who flags, and where items are kept."""

    def __init__(self, engine, clock, terms=TERMS, webhooks=("ops",)):
        self.engine, self.clock = engine, clock
        self.webhooks, self.times = list(webhooks), 1
        tell = telling(lambda _tenant, _event: self.webhooks)
        self.store = SqlReviews(ReviewDatabase(engine, SECRET, lambda *told: [*tell(*told)] * self.times))
        self.flags = FlagDesk(self.store, terms, clock)
        self.tidying = ReviewTidying(self.store, terms, clock)

    async def flag(self, text="canary", **more):
        wanted = {"tenant": "acme", "key_id": "k1", "source": Source.RULE, "surface": Surface.OUTPUT, "rule": "pii"}
        return await self.flags.flag(Flag(text=text, **{**wanted, **more}))

    async def claim(self, reviewer="key:r1", review_id="", **more):
        by = Claimant(
            reviewer=reviewer, until=self.clock() + LEASE, **{"key_ids": (reviewer.partition(":")[2],), **more}
        )
        if review_id:
            return await self.store.claim("acme", review_id, by, self.clock())
        return await self.store.claim_next(ReviewFilter(tenant="acme"), by, self.clock())

    async def get(self, review_id):
        return await self.store.get("acme", review_id, self.clock())

    async def told(self):
        async with self.engine.connect() as connection:
            return (await connection.execute(select(deliveries.c.type).order_by(deliveries.c.id))).scalars().all()


@pytest.fixture
async def desk(database_url):
    async with open_database(database_url) as engine:
        async with engine.begin() as connection:
            for schema in (WEBHOOKS, REVIEWS):
                await connection.run_sync(schema.upgrade_to)
        yield Desk(engine, Clock())


def held(item):
    return Held(item.tenant, item.id, item.claim, item.reviewer)


async def test_what_is_flagged_is_kept_sealed(desk):
    flagged = await desk.flag("canary of ada@example.com", context="canary asked", found=(Found("email", 10, 25),))
    item = await desk.get(flagged)
    assert (item.state, item.kinds, item.rule, item.due_at) == (
        ReviewState.OPEN,
        ("email",),
        "pii",
        NOW + timedelta(hours=4),
    )
    content = await desk.store.content(item)
    assert (content.text, content.context) == ("canary of ada@example.com", "canary asked")
    assert content.found == (Found("email", 10, 25),)
    async with desk.engine.connect() as connection:
        rows = [*(await connection.execute(select(items))).all(), *(await connection.execute(select(contents))).all()]
    assert "canary" not in str(rows)
    assert await desk.store.get("other", flagged, NOW) is None


async def test_an_item_is_one_reviewers_for_the_lease_and_an_old_claim_decides_nothing(desk):
    flagged = await desk.flag()
    first = await desk.claim("key:r1")
    assert (first.id, first.claim, first.claimed_until) == (flagged, 1, NOW + LEASE)
    assert await desk.claim("key:r2") is None
    assert await desk.claim("key:r2", flagged) is None
    # Longer, under the same number.
    desk.clock.now += timedelta(minutes=5)
    longer = await desk.claim("key:r1", flagged)
    assert (longer.claim, longer.claimed_until) == (1, NOW + timedelta(minutes=5) + LEASE)

    desk.clock.now += LEASE
    assert (await desk.get(flagged)).state is ReviewState.OPEN
    second = await desk.claim("key:r2")
    assert second.claim == 2
    assert await desk.store.decide(held(first), BLOCK, desk.clock()) is None
    assert await desk.store.release(held(first), "", desk.clock()) is None
    assert await desk.store.escalate(held(first), "", desk.clock()) is None
    # The number alone is no claim.
    assert await desk.store.decide(held(second)._replace(reviewer="key:r1"), BLOCK, desk.clock()) is None
    decided = await desk.store.decide(held(second), ALLOW, desk.clock())
    assert (decided.state, decided.decision, decided.reviewer) == (ReviewState.DECIDED, Decision.ALLOW, "key:r2")
    assert await desk.store.decide(held(second), BLOCK, desk.clock()) is None
    assert await desk.claim("key:r1", flagged) is None


async def test_two_reviewers_never_hold_one_item(desk, database_url):
    """Two processes with four reviewers each take all there is, by turns and by name."""
    ids = [await desk.flag(f"text {number}") for number in range(24)]
    took = []

    async def take_all(one, reviewer):
        while (item := await one.claim(reviewer)) is not None:
            took.append((item.id, item.claim, reviewer))

    async def take_each(one, reviewer):
        for review_id in ids:
            item = await one.claim(reviewer, review_id)
            if item is not None:
                took.append((item.id, item.claim, reviewer))

    async with AsyncExitStack() as stack:
        other = Desk(await stack.enter_async_context(open_database(database_url)), desk.clock)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for number, one in enumerate((desk, other) * 4):
                act = take_each if number % 3 == 2 else take_all
                group.create_task(act(one, f"key:r{number}"))
    assert sorted({(review_id, claim) for review_id, claim, _ in took}) == [(review_id, 1) for review_id in sorted(ids)]
    holders = {(review_id, reviewer) for review_id, _, reviewer in took}
    assert len(holders) == len(ids)


async def test_a_decision_and_its_word_are_there_together_or_not_at_all(desk):
    flagged = await desk.flag()
    item = await desk.claim()
    # Two messages under one id: no database keeps both.
    desk.times = 2
    with pytest.raises(IntegrityError):
        await desk.store.decide(held(item), BLOCK, NOW)
    assert (await desk.get(flagged)).state is ReviewState.CLAIMED
    assert await desk.told() == []
    desk.webhooks, desk.times = ["ops", "acme/own"], 1
    await desk.store.decide(held(item), BLOCK, NOW)
    assert await desk.told() == ["review.decided", "review.decided"]
    async with desk.engine.connect() as connection:
        bodies = (await connection.execute(select(deliveries.c.body))).scalars().all()
    assert all('"decision":"block"' in body and "canary" not in body for body in bodies)


async def test_the_same_is_one_item_until_it_is_decided_and_what_is_held_never(desk):
    first = await desk.flag("same")
    async with asyncio.TaskGroup() as group:
        again = [group.create_task(desk.flag("same", key_id=f"k{number}")) for number in range(8)]
    assert {task.result() for task in again} == {first}
    assert (await desk.get(first)).times == 9
    assert (
        len({first, await desk.flag("other"), await desk.flag("same", rule="x"), await desk.flag("same", hold=True)})
        == 4
    )
    item = await desk.claim(review_id=first)
    await desk.store.decide(held(item), ALLOW, NOW)
    assert await desk.flag("same") != first


async def test_nobody_fills_the_queue_alone(desk):
    desk = Desk(desk.engine, desk.clock, ReviewTerms(room=Room(5, 3)))
    made = [await desk.flag(f"a{number}", key_id="k1") for number in range(5)]
    assert [bool(review_id) for review_id in made] == [True, True, True, False, False]
    made = [await desk.flag(f"b{number}", key_id="k2") for number in range(3)]
    assert [bool(review_id) for review_id in made] == [True, True, False]
    assert await desk.flag("c", key_id="k1", tenant="other")


async def test_one_judges_no_request_of_ones_own_and_no_escalated_one_without_the_right(desk):
    await desk.flag("own", key_id="r1")
    assert await desk.claim("key:r1") is None
    assert await desk.claim("key:r5", key_ids=("r5", "r1")) is None
    assert await desk.claim("key:r1", user_id="u1") is None
    assert await desk.claim("member:u1", user_id="u1") is not None
    shared = await desk.flag("of one who shares a key", key_id="r1", user_id="u2")
    assert (await desk.claim("key:r1", user_id="u1")).id == shared
    second = await desk.flag("of a member", user_id="u1")
    assert await desk.claim("member:u1", user_id="u1") is None
    item = await desk.claim("key:r2")
    assert item.id == second
    escalated = await desk.store.escalate(held(item), "beyond me", NOW)
    assert (escalated.escalated, escalated.state) == (True, ReviewState.OPEN)
    assert await desk.claim("key:r3") is None
    assert (await desk.claim("key:r3", takes_escalated=True)).id == second
    assert (await desk.store.content(escalated)).notes == ("key:r2: beyond me",)
    assert await desk.told() == ["review.escalated"]


async def test_what_nobody_decides_is_decided_by_itself_but_not_under_a_claim(desk):
    waits, claimed = await desk.flag("a"), await desk.flag("b")
    desk.clock.now += timedelta(hours=24)
    assert await desk.claim(review_id=claimed) is not None
    desk.clock.now += timedelta(seconds=1)
    await desk.tidying.look()
    late = await desk.get(waits)
    assert (late.decision, late.reviewer) == (Decision.BLOCK, EXPIRY)
    assert (await desk.get(claimed)).state is ReviewState.CLAIMED
    assert await desk.told() == ["review.decided"]
    standing = desk.tidying.standing
    assert (standing.fresh, standing.due_soon, standing.overdue, standing.oldest) == (0, 0, 1, NOW)


async def test_what_nobody_decides_is_escalated_once_where_that_is_wanted(desk):
    desk = Desk(desk.engine, desk.clock, ReviewTerms(expiry=Expiry(None)))
    flagged, before = await desk.flag("a"), await desk.flag("b")
    item = await desk.claim(review_id=before)
    await desk.store.escalate(held(item), "", NOW)
    desk.clock.now += timedelta(days=2)
    await desk.tidying.look()
    await desk.tidying.look()
    assert [(await desk.get(one)).escalated for one in (flagged, before)] == [True, True]
    assert await desk.told() == ["review.escalated", "review.escalated"]


async def test_standing_tells_what_is_due_soon_before_it_is_overdue(desk):
    await desk.flag("a")
    desk.clock.now += timedelta(hours=2)
    await desk.flag("b")
    for hours, expected in ((0, (2, 0, 0)), (1.5, (1, 1, 0)), (2.5, (1, 0, 1)), (5, (0, 0, 2))):
        desk.clock.now = NOW + timedelta(hours=2 + hours)
        await desk.tidying.look()
        assert desk.tidying.standing[:3] == expected, hours


async def test_what_is_old_goes_first_what_it_holds_and_what_waits_never(desk):
    waits = Desk(desk.engine, desk.clock, ReviewTerms(expires_after=timedelta(days=400)))
    kept = await waits.flag("kept")
    flagged = await desk.flag("old")
    item = await desk.claim(review_id=flagged)
    await desk.store.decide(held(item), Ruling(decision=Decision.EDIT, edited="new", note="typo"), NOW)
    content = await desk.store.content(item)
    assert (content.edited, content.notes) == ("new", ("key:r1: typo",))
    desk.clock.now += timedelta(days=30, seconds=1)
    await desk.tidying.look()
    assert await desk.store.content(item) is None
    assert (await desk.get(flagged)).decision is Decision.EDIT
    desk.clock.now += timedelta(days=60)
    await desk.tidying.look()
    assert await desk.get(flagged) is None
    assert (await desk.store.content(await desk.get(kept))).text == "kept"
    async with desk.engine.connect() as connection:
        assert (await connection.execute(select(func.count()).select_from(contents))).scalar() == 1


async def test_lists_and_exports_are_in_pages(desk):
    ids = []
    for number in range(5):
        ids.append(await desk.flag(f"t{number}", rule="a" if number % 2 else "b"))
        desk.clock.now += timedelta(seconds=1)
    for review_id in ids[:3]:
        item = await desk.claim(review_id=review_id)
        await desk.store.decide(held(item), ALLOW, desk.clock())
        desk.clock.now += timedelta(seconds=1)
    waiting = await desk.store.list(ReviewFilter(tenant="acme"), desk.clock(), "", 10)
    assert [item.id for item in waiting] == ids[3:]
    everything = ReviewFilter(tenant="acme", states=frozenset(ReviewState))
    newest = await desk.store.list(everything, desk.clock(), "", 2)
    rest = await desk.store.list(everything, desk.clock(), newest[-1].id, 10)
    assert [item.id for item in (*newest, *rest)] == ids[::-1]
    first = await desk.store.decided(ReviewFilter(tenant="acme"), None, 2)
    last = first[-1]
    after = await desk.store.decided(ReviewFilter(tenant="acme"), (last.decided_at, last.id), 10)
    assert [item.id for item in (*first, *after)] == ids[:3]
    only = await desk.store.decided(ReviewFilter(tenant="acme", rule="a"), None, 10)
    assert [item.id for item in only] == [ids[1]]
    since = ReviewFilter(tenant="acme", decided_since=NOW + timedelta(seconds=6))
    assert [item.id for item in await desk.store.decided(since, None, 10)] == ids[1:3]


_FLAGS = """
import asyncio, sys
from penstock_common.sql.database import open_database
sys.path.insert(0, sys.argv[2])
from test_reviews_in_sql import Clock, Desk

async def main():
    async with open_database(sys.argv[1]) as engine:
        desk, number = Desk(engine, Clock()), 0
        while True:
            number += 1
            print(await desk.flag(f"text {number}", key_id=f"k{number}"), flush=True)

asyncio.run(main())
"""


async def test_a_process_that_is_killed_loses_nothing_it_has_told_of(desk, database_url):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _FLAGS, database_url, os.path.dirname(__file__), stdout=asyncio.subprocess.PIPE
    )
    told = []
    async with asyncio.timeout(60):
        while len(told) < 20:
            told.append((await process.stdout.readline()).decode().strip())
    process.send_signal(signal.SIGKILL)
    rest = (await process.stdout.read()).decode().split("\n")
    await process.wait()
    told += [line for line in rest[:-1] if line]
    for review_id in told:
        item = await desk.get(review_id)
        assert item is not None
        assert await desk.store.content(item) is not None
