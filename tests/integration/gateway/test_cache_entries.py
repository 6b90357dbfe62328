"""AdminService over the cache's entries: whose they are, what is seen of them, and how they get in."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf import duration_pb2

sys.path.insert(0, str(Path(__file__).parent))
from administrator import Administrator, refused  # noqa: E402
from entries_world import RealCache  # noqa: E402

import penstock_cache.app  # noqa: E402
from penstock.gateway.v1 import admin_service_pb2 as pb  # noqa: E402
from penstock.gateway.v1 import cached_entry_pb2  # noqa: E402
from penstock_common.contract.cache import Stats  # noqa: E402

Code = grpc.StatusCode
Outcome = cached_entry_pb2.CacheImportResult
QUESTION, ANSWER = "How do I reset my password?", "Open the settings, and choose Security."


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    cache = RealCache(tmp_path_factory.mktemp("cache"))
    yield cache
    cache.close()


@pytest.fixture
def cache(standing, monkeypatch):
    """The cache service, empty: the gateway asks it, and it asks its embedding model and its vector store."""
    standing.empty()
    monkeypatch.setattr(penstock_cache.app, "build", standing.build)
    return standing


@pytest.fixture
async def operator(cache, serve, document):
    # What is matched by meaning is said with each import; what requests are matched by is another matter.
    suite = await serve()
    operator = Administrator(suite.channel, suite.OPERATOR_KEY)
    operator.suite = suite
    return operator


@pytest.fixture
async def demo(operator):
    """The administrator of ``demo``."""
    created = await operator.CreateKey(tenant="demo", scopes=[pb.KEY_SCOPE_ADMIN])
    return Administrator(operator.suite.channel, created.secret)


def row(question=QUESTION, answer=ANSWER, model="fast", **more):
    return cached_entry_pb2.CacheImportRow(question=question, answer=answer, model=model, **more)


async def imported(administrator, *rows, **more):
    """Return what became of each row: its outcome's name, and why it was refused."""
    results = (await administrator.ImportCacheEntries(rows=rows, **more)).results
    return [(Outcome.Outcome.Name(one.outcome).removeprefix("OUTCOME_"), one.reason) for one in results]


async def entries(administrator, **wanted):
    return (await administrator.ListCacheEntries(**wanted)).entries


async def audited(administrator, **wanted):
    listed = (await administrator.ListAuditEntries(**wanted)).entries
    return [(entry.action, entry.target, entry.outcome, dict(entry.details)) for entry in listed]


# What goes in answers requests


@pytest.mark.parametrize("system", ["", "You are terse."])
async def test_an_imported_answer_is_given_to_the_same_question(operator, demo, upstream, system):
    assert await imported(demo, row(system=system)) == [("STORED", "")]
    turns = [{"role": "user", "content": QUESTION}]
    asked = [{"role": "system", "content": system}, *turns] if system else turns
    answered = await operator.suite.ask(messages=asked)
    assert answered.json["choices"][0]["message"]["content"] == ANSWER
    assert answered.header["x-penstock-cache"].startswith("hit; ")
    assert answered.json["usage"]["completion_tokens"] > 0
    assert upstream.requests == []
    other = turns if system else [{"role": "system", "content": "Other."}, *turns]
    assert (await operator.suite.ask(messages=other)).header["x-penstock-cache"] == "miss"
    assert len(upstream.requests) == 1


async def test_importing_again_changes_nothing_and_says_so(demo, cache):
    assert await imported(demo, row()) == [("STORED", "")]
    assert await imported(demo, row()) == [("UNCHANGED", "")]
    assert await imported(demo, row(answer="Ask support.")) == [("REPLACED", "")]
    assert len(cache.kept) == 1
    (entry,) = await entries(demo, with_content=True)
    assert (entry.answer, entry.origin) == ("Ask support.", cached_entry_pb2.CACHED_ENTRY_ORIGIN_IMPORTED)


async def test_a_row_that_is_wrong_ends_none_of_the_others(demo, cache):
    results = await imported(
        demo,
        row(question=" "),
        row(answer=""),
        row(model=""),
        row(model="none"),
        row(tags=["a" * 129]),
        row(ttl=duration_pb2.Duration()),
        row(question="a" * 8193),
        row(),
    )
    assert [outcome for outcome, _ in results] == ["REFUSED"] * 7 + ["STORED"]
    for (_, reason), words in zip(
        results, ("question", "answer", "model", "'none'", "tag", "ttl", "8192"), strict=False
    ):
        assert words in reason
    assert len(cache.kept) == 1


async def test_a_dry_run_of_an_import_keeps_nothing(demo, cache):
    assert await imported(demo, row(), dry_run=True) == [("STORED", "")]
    assert cache.kept == []
    await imported(demo, row())
    assert await imported(demo, row(answer="Other."), dry_run=True) == [("REPLACED", "")]
    assert [entry.answer for entry in cache.kept] == [ANSWER]


async def test_rows_carry_their_tags_and_time_to_live(demo):
    await imported(demo, row(tags=["faq", "v2"], ttl=duration_pb2.Duration(seconds=60)))
    (entry,) = await entries(demo)
    assert list(entry.tags) == ["faq", "v2"]
    assert 0 < entry.expires_at.seconds - entry.created_at.seconds <= 61


async def test_an_import_of_too_many_rows_or_none_is_refused(demo):
    for rows in ([], [row()] * 101):
        code, reason, _ = await refused(demo.ImportCacheEntries(rows=rows))
        assert (code, reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")


async def test_a_tenant_gets_no_answers_of_a_model_that_it_may_not_use(operator):
    ((outcome, reason),) = await imported(operator, row(model="fast"), tenant="narrow")
    assert (outcome, reason) == ("REFUSED", "The tenant may not use the model 'fast'.")
    assert await imported(operator, row(model="safe"), tenant="narrow") == [("STORED", "")]


# What is seen


async def test_content_is_shown_where_it_is_asked_for_and_leaves_its_entry(demo):
    await imported(demo, row())
    (entry,) = await entries(demo)
    assert (entry.question, entry.answer, entry.model) == ("", "", "fast")
    before = await audited(demo)
    assert (await demo.GetCacheEntry(id=entry.id)).entry.answer == ANSWER
    assert [one.question for one in await entries(demo, with_content=True)] == [QUESTION]
    added = (await audited(demo))[: -len(before)]
    assert [(action, target, outcome) for action, target, outcome, _ in added] == [
        ("cache.list", "", "ok"),
        ("cache.show", entry.id, "ok"),
    ]


async def test_entries_come_in_pages(demo):
    await imported(demo, *(row(question=f"What is {number}?") for number in range(5)))
    first = await demo.ListCacheEntries(page_size=3)
    second = await demo.ListCacheEntries(page_size=3, page_token=first.next_page_token)
    assert [len(first.entries), len(second.entries), second.next_page_token] == [3, 2, ""]
    assert len({entry.id for entry in (*first.entries, *second.entries)}) == 5


# Walls


async def test_another_tenants_entries_are_like_none_at_all(operator, demo):
    await imported(operator, row(), tenant="other")
    (foreign,) = await entries(operator, tenant="other")
    for entry_id in (foreign.id, "unknownunknown", "../other", ""):
        for call in (
            demo.GetCacheEntry(id=entry_id),
            demo.DisputeCacheEntry(id=entry_id),
            demo.DeleteCacheEntries(ids=[entry_id]),
        ):
            code, reason, error = await refused(call)
            assert (code, reason) == (Code.NOT_FOUND, "RESOURCE_NOT_FOUND")
            assert error.details() == f"There is no cache entry '{entry_id}'."
    for call in (
        demo.ListCacheEntries(tenant="other"),
        demo.GetCacheEntry(id=foreign.id, tenant="other"),
        demo.DeleteCacheEntries(tenant="other", every_entry=True),
        demo.ImportCacheEntries(tenant="other", rows=[row()]),
        demo.ExplainCache(tenant="other", stored="a", asked="b"),
        demo.ShredCacheTenant(tenant="other"),
        demo.RotateCacheKeys(tenant="other"),
    ):
        assert (await refused(call))[:2] == (Code.PERMISSION_DENIED, "SCOPE_MISSING")
    assert len(await entries(operator, tenant="other")) == 1


async def test_an_operator_names_the_tenant_and_one_that_there_is(operator):
    for call in (operator.ListCacheEntries(), operator.ShredCacheTenant(), operator.GetCacheEntry(id="a")):
        code, reason, error = await refused(call)
        assert (code, reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert "tenant" in error.details()
    for call in (
        operator.ListCacheEntries(tenant="nobody"),
        operator.DeleteCacheEntries(tenant="nobody", tag="a"),
        operator.ImportCacheEntries(tenant="nobody", rows=[row()]),
        operator.ShredCacheTenant(tenant="nobody"),
        operator.RotateCacheKeys(tenant="nobody"),
    ):
        assert (await refused(call))[0] == Code.NOT_FOUND


async def test_a_key_that_names_models_administers_their_entries_alone(operator, demo):
    created = await operator.CreateKey(tenant="demo", scopes=[pb.KEY_SCOPE_ADMIN], models=["safe"])
    bound = Administrator(operator.suite.channel, created.secret)
    await imported(demo, row(model="fast"))
    (entry,) = await entries(demo)
    assert (await refused(bound.GetCacheEntry(id=entry.id)))[0] == Code.NOT_FOUND
    assert (await refused(bound.DisputeCacheEntry(id=entry.id)))[0] == Code.NOT_FOUND
    for call in (
        bound.ListCacheEntries(),
        bound.DeleteCacheEntries(ids=[entry.id]),
        bound.DeleteCacheEntries(every_entry=True),
        bound.ShredCacheTenant(),
        bound.RotateCacheKeys(),
    ):
        assert (await refused(call))[:2] == (Code.PERMISSION_DENIED, "MODEL_NOT_PERMITTED")
    ((outcome, _),) = await imported(bound, row(model="fast"))
    assert outcome == "REFUSED"
    assert await imported(bound, row(model="safe")) == [("STORED", "")]
    assert len(await entries(bound, model="safe")) == 1


# What is taken out


@pytest.mark.parametrize(("wanted", "count"), [({"tag": "faq"}, 2), ({"model": "safe"}, 1), ({"every_entry": True}, 3)])
async def test_a_dry_run_counts_what_is_deleted_later(demo, cache, wanted, count):
    await imported(
        demo, row(tags=["faq"]), row(question="How long does delivery take?", tags=["faq"]), row(model="safe")
    )
    assert (await demo.DeleteCacheEntries(dry_run=True, **wanted)).deleted_entries == count
    assert len(cache.kept) == 3
    assert (await demo.DeleteCacheEntries(**wanted)).deleted_entries == count
    assert len(cache.kept) == 3 - count
    (action, _, outcome, details), *_ = await audited(demo)
    assert (action, outcome, "dry_run" in details) == ("cache.delete", "ok", False)


@pytest.mark.parametrize("wanted", [{}, {"every_entry": True, "tag": "faq"}])
async def test_deleting_says_what_it_means(demo, cache, wanted):
    await imported(demo, row())
    code, reason, _ = await refused(demo.DeleteCacheEntries(**wanted))
    assert (code, reason, len(cache.kept)) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST", 1)


async def test_a_disputed_entry_is_gone(demo, cache):
    await imported(demo, row())
    (entry,) = await entries(demo)
    await demo.DisputeCacheEntry(id=entry.id)
    assert cache.kept == []
    assert (await refused(demo.DisputeCacheEntry(id=entry.id)))[0] == Code.NOT_FOUND
    assert [(action, outcome) for action, _, outcome, _ in await audited(demo)][:2] == [
        ("cache.dispute", "resource_not_found"),
        ("cache.dispute", "ok"),
    ]


async def test_a_tenant_that_is_gone_can_be_shredded(operator, cache):
    cache.keep("gone", QUESTION, ANSWER)
    assert (await operator.ShredCacheTenant(tenant="gone")).deleted_entries == 1
    assert (await refused(operator.ShredCacheTenant(tenant="gone")))[0] == Code.NOT_FOUND


async def test_keys_are_rotated_of_one_tenant_or_of_all(operator, demo, cache):
    await imported(demo, row())
    await imported(operator, row(), tenant="other")
    assert (await demo.RotateCacheKeys()).tenants == 1
    assert (await operator.RotateCacheKeys()).tenants >= 2
    # What was sealed before is read as before.
    assert [entry.answer for entry in cache.kept] == [ANSWER, ANSWER]


# What it says


async def test_a_verdict_is_explained_and_nothing_kept(operator, demo, cache):
    stored, asked = "Can I return it within 30 days?", "Can I return it within 45 days?"
    told = await operator.ExplainCache(stored=stored, asked=asked)
    assert (told.served, told.reason) == (False, "number")
    assert "30" in told.detail
    assert "45" in told.detail
    assert told.floor < told.similarity < 1
    assert (await demo.ExplainCache(stored=QUESTION, asked=QUESTION)).served
    assert (await refused(demo.ExplainCache(stored="a", asked=" ")))[0] == Code.INVALID_ARGUMENT
    assert cache.kept == []


async def test_counts_have_the_meanings_part(operator, cache):
    cache.told = Stats(semantic_hits=4, refused_by_guard={"number": 2}, judged_hits=200, semantic_entries=0)
    told = await operator.GetCacheStats()
    assert (told.semantic_hits, dict(told.refused_by_guard), told.judged_hits) == (4, {"number": 2}, 200)
    assert told.HasField("semantic_entries")


async def test_what_was_said_and_answered_is_in_no_audit_entry(operator, demo):
    await imported(demo, row())
    await demo.ExplainCache(stored=QUESTION, asked=ANSWER)
    await entries(demo, with_content=True)
    told = json.dumps(await audited(demo))
    assert QUESTION not in told
    assert ANSWER not in told


async def test_where_the_cache_is_off_there_is_nothing_to_administer(serve, document):
    document["cache"]["mode"] = "off"
    suite = await serve()
    operator = Administrator(suite.channel, suite.OPERATOR_KEY)
    assert (await operator.GetCacheStats()).semantic_hits == 0
