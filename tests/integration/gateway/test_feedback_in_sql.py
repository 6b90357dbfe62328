"""Feedback in SQL, on both engines: what is kept, what counts of it, and when it goes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from penstock_common.llm.types import Candidate
from penstock_common.sql.schema import require_current, upgrade
from penstock_common.upstreams.quality import QualityBoard
from penstock_gateway.adapters.sql.feedback.answers import SqlAnswers
from penstock_gateway.adapters.sql.feedback.history import SqlFeedbackHistory
from penstock_gateway.adapters.sql.feedback.schema import FEEDBACK
from penstock_gateway.adapters.sql.feedback.scores import SqlScores, scores
from penstock_gateway.adapters.sql.feedback.store import SqlFeedback
from penstock_gateway.adapters.sql.feedback.tables import feedback
from penstock_gateway.adapters.sql.ledger import writing_ledger
from penstock_gateway.adapters.sql.ledger_rows import ledger_table, values_of
from penstock_gateway.adapters.sql.schema import GATEWAY, SCHEMAS
from penstock_gateway.adapters.sql.tables import ledger
from penstock_gateway.domain.feedback.judgement import Feedback, Judged, Judgement, Reason, Thumb
from penstock_gateway.domain.feedback.ports import Wanted
from penstock_gateway.domain.feedback.quality import QualityRule
from penstock_gateway.domain.feedback.summary import Dimension
from penstock_gateway.domain.feedback.telling import QualityTeller
from penstock_gateway.domain.life.settlement import LedgerRow

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
EVERYBODY = Wanted(tenant=None)
UP, DOWN = Judgement(thumb=Thumb.UP), Judgement(thumb=Thumb.DOWN)


@pytest.fixture
async def tables(engine):
    """The engine of a database that has the tables, made without a migration."""
    async with engine.begin() as connection:
        for schema in SCHEMAS:
            await connection.run_sync(schema.metadata.create_all)
    return engine


@pytest.fixture
def store(tables):
    return SqlFeedback(tables)


def said(judgement=UP, answer="g1", *, author="a1", days_ago=0, key="k1", sent="", disputed="", **judged):
    of = {"tenant": "acme", "public_model": "fast", "upstream": "u", "model": "m", "task": "code", **judged}
    return Feedback(
        judged=Judged(generation_id=answer, **of),
        judgement=judgement,
        author=author,
        key_id=key,
        created_at=NOW - days_ago * DAY,
        idempotency_key=sent,
        said="digest",
        disputed_entry=disputed,
    )


def ledger_row(answer, **fields):
    return LedgerRow(
        **{
            "generation_id": answer,
            "request_id": f"r-{answer}",
            "created_at": NOW,
            "tenant": "acme",
            "key_id": "k",
            "surface": "openai",
            "requested_model": "fast",
            "outcome": "ok",
            "upstream": "u",
            "model": "m",
            **fields,
        }
    )


async def write(tables, *rows):
    async with ledger_table(tables) as table:
        await table.write(rows)


async def test_feedback_comes_back_as_it_was_given(store):
    judgement = Judgement(
        thumb=Thumb.DOWN,
        score=0.1,
        correction="ä \U0001f600",
        reason=Reason.WRONG,
        comment="No.",
        user="ada",
        tags={"ä": "\U0001f600"},
    )
    given = said(judgement, sent="k", disputed="e1", prompt="hello@3", entry_id="e1", was_cached=True)
    kept = await store.add(given)
    assert kept is not None
    assert kept.id > 0
    (listed,) = await store.list(EVERYBODY, None, 10)
    assert listed == kept
    assert (kept.judged, kept.judgement, kept.created_at) == (given.judged, given.judgement, given.created_at)
    assert await store.sent_before("k1", "acme", "k") == kept
    assert await store.latest_of(given.judged, "a1") == kept
    assert await store.has_disputed("acme", "a1", "e1")
    assert not await store.has_disputed("acme", "a2", "e1")
    assert not await store.has_disputed("acme", "a1", "e2")


async def test_a_key_uses_an_idempotency_key_once_and_without_one_nothing_is_the_same(store):
    assert await store.add(said(sent="k"))
    assert await store.add(said(sent="k")) is None
    assert await store.add(said(sent="k", key="k2"))
    assert await store.add(said(sent="k", tenant="other"))
    assert await store.add(said())
    assert await store.add(said())
    assert await store.sent_before("k1", "acme", "other") is None


async def test_counts_are_of_a_key_and_of_an_answer(store):
    for days_ago, key, answer in ((0, "k1", "g1"), (2, "k1", "g1"), (0, "k2", "g2")):
        await store.add(said(days_ago=days_ago, key=key, answer=answer))
    assert await store.count_of_key("k1", "acme", NOW - DAY) == 1
    assert await store.count_of_key("k1", "acme", NOW - 3 * DAY) == 2
    assert await store.count_of_key("k1", "other", NOW - 3 * DAY) == 0
    assert await store.count_of_answer(said().judged) == 2
    assert await store.count_of_answer(said(tenant="other").judged) == 0


async def test_a_summary_has_each_author_s_last_word_of_each_answer(store):
    await store.add(said(UP))
    await store.add(said(DOWN))
    await store.add(said(UP, author="a2"))
    await store.add(said(Judgement(score=0.5), answer="g2", task="faq", days_ago=1))
    # Of another tenant's answer that is called the same.
    await store.add(said(DOWN, tenant="other"))
    (all_of_it,) = await store.summarize(Wanted(tenant="acme"), (), 10)
    assert (all_of_it.judgements, all_of_it.thumbs_up, all_of_it.thumbs_down) == (3, 1, 1)
    assert (all_of_it.scored, all_of_it.total) == (3, 1.5)
    by = (Dimension.TASK, Dimension.DAY, Dimension.UPSTREAM)
    lines = await store.summarize(Wanted(tenant="acme"), by, 10)
    assert [(one.task, one.day, one.upstream, one.upstream_model, one.judgements) for one in lines] == [
        ("code", "2026-06-01", "u", "m", 2),
        ("faq", "2026-05-31", "u", "m", 1),
    ]
    assert len(await store.summarize(EVERYBODY, (Dimension.TASK,), 1)) == 1
    assert await store.summarize(Wanted(tenant="nobody"), (), 10) == []


async def test_what_is_erased_is_what_fits_and_no_more(store):
    for user in ("ada", "ada", "grace"):
        await store.add(said(Judgement(thumb=Thumb.UP, user=user)))
    await store.add(said(Judgement(thumb=Thumb.UP, user="ada"), tenant="other"))
    assert await store.delete(Wanted(tenant="acme", user="ada")) == 2
    assert await store.delete(Wanted(tenant="acme", generation_id="g1")) == 1
    assert [one.judged.tenant for one in await store.list(EVERYBODY, None, 10)] == ["other"]


async def test_a_candidate_s_quality_is_of_its_own_answers_and_not_of_its_speed(tables, store):
    await store.add(said(UP))
    await store.add(said(DOWN, author="a2"))
    await store.add(said(DOWN, answer="from the cache, by meaning", entry_id="e1", was_cached=True))
    await store.add(said(UP, answer="from the cache, the same words", was_cached=True))
    await store.add(said(Judgement(thumb=Thumb.DOWN, reason=Reason.TOO_SLOW), answer="slow"))
    await store.add(said(Judgement(comment="Well."), answer="words"))
    await store.add(said(DOWN, answer="nobody's", upstream="", model=""))
    await store.add(said(UP, answer="of long ago", days_ago=400))
    board = QualityBoard()
    await QualityTeller(store, board, QualityRule(), lambda: NOW).tell()
    told = await board.read()
    assert told == {(Candidate(upstream="u", model="m"), "code"): pytest.approx((2 / 3, 3.0))}


async def test_scores_are_of_answers_and_join_on_the_ledger(tables, store):
    await write(tables, ledger_row("g1"), ledger_row("g2"), ledger_row("g3", tenant="other"))
    await store.add(said(DOWN))
    await store.add(said(UP))
    await store.add(said(Judgement(score=0.5), author="a2"))
    await store.add(said(Judgement(comment="Well."), answer="g2"))
    assert await SqlScores(tables).scores_of(["g1", "g2", "g3"]) == {"g1": 0.75}
    assert await SqlScores(tables).scores_of([]) == {}
    told = scores()
    is_it = sa.and_(told.c.tenant == ledger.c.tenant, told.c.generation_id == ledger.c.generation_id)
    query = (
        sa.select(ledger.c.generation_id, told.c.score)
        .outerjoin_from(ledger, told, is_it)
        .order_by(ledger.c.generation_id)
    )
    async with tables.connect() as connection:
        assert (await connection.execute(query)).all() == [("g1", 0.75), ("g2", None), ("g3", None)]


async def test_answers_are_found_by_either_id_and_of_the_tenant_alone(tables):
    older, newer = ledger_row("g1", request_id="r"), ledger_row("g2", request_id="r", created_at=NOW + DAY)
    decoy = ledger_row("g3", request_id="g1", created_at=NOW + 2 * DAY)
    hit = ledger_row("g4", task="code", cache_entry="e1", cache_status="hit")
    await write(tables, older, newer, decoy, hit)
    answers = SqlAnswers(tables)
    for named, found in (("g1", "g1"), ("r", "g2"), ("g3", "g3")):
        judged = await answers.find("acme", named)
        assert judged is not None
        assert judged.generation_id == found
    assert await answers.find("other", "g1") is None
    assert await answers.find("acme", "g9") is None
    judged = await answers.find("acme", "g4")
    assert judged is not None
    assert (judged.task, judged.entry_id, judged.was_cached) == ("code", "e1", True)


async def test_an_answer_is_known_before_its_row_is_written(tables):
    async with tables.begin() as connection:
        # Whoever writes now waits until this ends.
        await connection.execute(ledger.insert().values(**values_of(ledger_row("first"))))
        async with asyncio.TaskGroup() as tasks:
            opened = writing_ledger(tables, 100)
            writer = await opened.__aenter__()
            writer.append(ledger_row("g1", request_id="r"))
            writer.append(ledger_row("g2", request_id="r"))
            assert writer.unwritten("other", "g1") is None
            for named, found in (("g1", "g1"), ("r", "g2")):
                row = writer.unwritten("acme", named)
                assert row is not None
                assert row.generation_id == found
            judged = await SqlAnswers(tables, writer.unwritten).find("acme", "g1")
            assert judged is not None
            assert judged.upstream == "u"
            await connection.rollback()
            tasks.create_task(opened.__aexit__(None, None, None))
    assert await SqlAnswers(tables).find("acme", "g1")


async def test_feedback_goes_with_its_answer_s_row_and_not_before(tables, store):
    await write(tables, ledger_row("kept"))
    for answer in ("kept", "gone"):
        await store.add(said(answer=answer, days_ago=40))
        await store.add(said(answer=answer, days_ago=1))
    history = SqlFeedbackHistory(tables)
    assert await history.cut(NOW - 30 * DAY, 500, exported_only=True) == 1
    assert await history.cut(NOW - 30 * DAY, 500, exported_only=True) == 0
    async with tables.connect() as connection:
        left = (await connection.execute(sa.select(feedback.c.generation_id).order_by(feedback.c.id))).scalars().all()
    assert left == ["kept", "kept", "gone"]


async def test_the_schema_stands_by_itself_beside_the_gateway_s(engine):
    await upgrade(engine, FEEDBACK)
    await require_current(engine, FEEDBACK)
    async with engine.connect() as connection:
        assert await connection.run_sync(GATEWAY.revision_of) is None
        columns = {column["name"] for column in await connection.run_sync(_columns)}
        indexes = {index["name"] for index in await connection.run_sync(_indexes)}
    assert columns == set(feedback.c.keys())
    assert indexes >= {index.name for index in feedback.indexes}


def _columns(connection):
    return sa.inspect(connection).get_columns("feedback")


def _indexes(connection):
    return sa.inspect(connection).get_indexes("feedback")
