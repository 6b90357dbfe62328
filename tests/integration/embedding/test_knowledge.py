"""Documents: taken in whole, replaced at once, found by whom they are for, and gone when they are deleted."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import update

from penstock_common.contract import knowledge_calls as calls
from penstock_common.contract.knowledge import (
    Attribute,
    AttributeValue,
    DocumentFailure,
    IndexSpec,
    SearchOptions,
    Splitter,
)
from penstock_common.errors import (
    InvalidRequest,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    ResourceChanged,
    ResourceExists,
    ResourceNotFound,
    ResourceState,
    ServiceUnavailable,
)
from penstock_embedding.adapters.sql.tables import pending
from penstock_embedding.domain.documents.parsed import Parsed
from penstock_embedding.domain.knowledge.records import Made, Readout

sys.path.insert(0, str(Path(__file__).parent))

from knowledge_world import TENANT, analyse, open_world, until  # noqa: E402

SMALL = IndexSpec("one", Splitter("recursive", 32, 0))


@pytest.fixture
async def world(tmp_path):
    async with open_world(f"sqlite:///{tmp_path}/k.db", tmp_path) as world:
        await world.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="kb", spec=SMALL))
        yield world


@pytest.fixture
async def either_world(database_url, tmp_path):
    async with open_world(database_url, tmp_path) as world:
        await world.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="kb", spec=SMALL))
        yield world


async def put(world, id_, text, **said):
    request = calls.PutDocumentRequest(tenant=TENANT, base="kb", id=id_, content=text.encode(), **said)
    return await world.documents.put_document(request)


async def take_all(world):
    while await world.ingest.take_one():
        pass


async def get(world, id_):
    return (await world.documents.get_document(calls.GetDocumentRequest(TENANT, "kb", id_))).document


async def base(world):
    return (await world.documents.get_base(calls.GetBaseRequest(TENANT, "kb"))).base


async def texts(world, id_):
    request = calls.ListChunksRequest(TENANT, "kb", id_, page_size=100)
    return [chunk.text for chunk in (await world.documents.list_chunks(request)).chunks]


async def found(world, query, version=0):
    options = SearchOptions(limit=50, index_version=version)
    request = calls.SearchRequest(tenant=TENANT, bases=["kb"], query=query, options=options)
    return await world.searcher.search(request, None)


def lines(word, count):
    return "".join(f"{word} line {number}\n" for number in range(count))


async def test_a_document_is_pending_until_it_is_found_whole(world):
    accepted = await put(world, "a", lines("alpha", 10), title="A")
    assert (accepted.document.state, accepted.document.version, accepted.unchanged) == ("pending", 1, False)
    assert not (await found(world, "alpha")).hits
    await take_all(world)
    document = await get(world, "a")
    assert (document.state, document.chunks, document.title, document.language) == ("ready", 10, "A", "en")
    assert "".join(await texts(world, "a")) == lines("alpha", 10)
    hits = (await found(world, "alpha")).hits
    assert len(hits) == 10
    assert all(lines("alpha", 10)[hit.chunk.start : hit.chunk.end] == hit.chunk.text for hit in hits)
    told = await base(world)
    assert (told.documents, told.chunks, told.documents_pending, told.bytes) == (1, 10, 0, len(lines("alpha", 10)))


async def test_what_replaces_a_document_leaves_nothing_of_it_also_where_it_is_shorter(either_world):
    world = either_world
    await put(world, "a", lines("alpha", 10))
    await take_all(world)
    before = await base(world)
    await put(world, "a", lines("beta", 3))
    # The old one is found until the new one is.
    assert len((await found(world, "alpha")).hits) == 10
    await take_all(world)
    assert await texts(world, "a") == [f"beta line {number}\n" for number in range(3)]
    assert len(world.vectors.points()) == 3
    after = await base(world)
    assert after.chunks == 3
    assert after.generation > before.generation
    index = await world.catalogue.index(TENANT, "kb")
    assert index.chunks == 3


async def test_counts_of_words_are_those_of_the_chunks_that_there_are(either_world):
    world = either_world
    await put(world, "a", lines("alpha", 4))
    await put(world, "b", lines("beta", 2))
    await take_all(world)
    await put(world, "a", lines("gamma", 1))
    await take_all(world)
    terms = {word: next(iter(analyse(word, ""))) for word in ("alpha", "beta", "gamma", "line")}
    index = await world.catalogue.index(TENANT, "kb")
    counts = await world.catalogue.term_counts(index, list(terms.values()))
    told = {word: counts.get(term, 0) for word, term in terms.items()}
    assert told == {"alpha": 0, "beta": 2, "gamma": 1, "line": 3}


async def test_the_same_again_is_unchanged_and_embeds_nothing(world):
    await put(world, "a", lines("alpha", 3), labels=["hr"])
    await take_all(world)
    embedded = world.models.model("one").embedded
    again = await put(world, "a", lines("alpha", 3), labels=["hr"])
    assert (again.unchanged, again.document.version, again.document.state) == (True, 1, "ready")
    relabelled = await put(world, "a", lines("alpha", 3), labels=["legal"])
    assert (relabelled.unchanged, list(relabelled.document.labels)) == (True, ["legal"])
    await take_all(world)
    assert world.models.model("one").embedded == embedded
    assert {tuple(point["labels"]) for point in world.vectors.points().values()} == {("legal",)}
    # Elsewhere it is another document.
    assert not (await put(world, "b", lines("alpha", 3))).unchanged


async def test_labels_hold_from_their_acknowledgement_also_of_what_is_pending(world):
    await put(world, "a", lines("alpha", 3))
    await take_all(world)
    await put(world, "a", lines("beta", 3), labels=["hr"])
    hits = (await found(world, "alpha")).hits
    index = await world.catalogue.index(TENANT, "kb")
    chunks = await world.catalogue.chunks(index, [hit.chunk.id for hit in hits])
    assert {tuple(one.labels) for one in chunks.values()} == {("hr",)}
    await take_all(world)
    changed = calls.ChangeDocumentRequest(tenant=TENANT, base="kb", id="a", labels=[], replace_labels=True)
    assert (await world.documents.change_document(changed)).document.labels == ()
    assert {tuple(point["labels"]) for point in world.vectors.points().values()} == {("*",)}


async def test_labels_that_change_while_a_document_is_embedded_reach_its_vectors(either_world):
    world = either_world
    began, go_on = asyncio.Event(), asyncio.Event()

    async def gate(texts):
        began.set()
        await go_on.wait()

    world.models.model("one").gate = gate
    await put(world, "a", lines("alpha", 2))
    taking = asyncio.create_task(world.ingest.take_one())
    await began.wait()
    changed = calls.ChangeDocumentRequest(tenant=TENANT, base="kb", id="a", labels=["hr"], replace_labels=True)
    await world.documents.change_document(changed)
    go_on.set()
    await taking
    assert {tuple(point["labels"]) for point in world.vectors.points().values()} == {("hr",)}


async def test_a_slow_version_never_comes_over_a_later_one(database_url, tmp_path):
    if not database_url.startswith("postgresql"):
        database_url = f"sqlite:///{tmp_path}/shared.db"
    async with (
        open_world(database_url, tmp_path, owner="slow") as slow,
        open_world(database_url, tmp_path, owner="fast") as fast,
    ):
        await slow.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="kb", spec=SMALL))
        began, go_on = asyncio.Event(), asyncio.Event()

        async def gate(texts):
            began.set()
            await go_on.wait()

        slow.models.model("one").gate = gate
        await put(slow, "a", lines("alpha", 5))
        taking = asyncio.create_task(slow.ingest.take_one())
        await began.wait()
        await put(fast, "a", lines("beta", 2))
        await take_all(fast)
        go_on.set()
        await taking
        assert await texts(fast, "a") == ["beta line 0\n", "beta line 1\n"]
        await fast.sweeper.sweep()
        assert {point["version"] for point in fast.vectors.points().values()} == {2}


@pytest.mark.parametrize("how", ["delete", "cancel", "delete base"])
async def test_what_is_ended_while_it_is_embedded_is_not_found(either_world, how):
    world = either_world
    began, go_on = asyncio.Event(), asyncio.Event()

    async def gate(texts):
        began.set()
        await go_on.wait()

    await put(world, "a", lines("alpha", 5))
    await take_all(world)
    world.models.model("one").gate = gate
    await put(world, "a", lines("beta", 5))
    taking = asyncio.create_task(world.ingest.take_one())
    await began.wait()
    if how == "delete":
        assert (await world.documents.delete_document(calls.DeleteDocumentRequest(TENANT, "kb", "a"))).existed
    elif how == "cancel":
        cancelled = calls.ChangeDocumentRequest(tenant=TENANT, base="kb", id="a", cancel=True)
        assert (await world.documents.change_document(cancelled)).document.state == "cancelled"
    else:
        assert (await world.documents.delete_base(calls.DeleteBaseRequest(TENANT, "kb"))).existed
    go_on.set()
    await taking
    await world.sweeper.sweep()
    if how == "cancel":
        # The version before is still found.
        assert {hit.chunk.text.split()[0] for hit in (await found(world, "beta")).hits} == {"alpha"}
        with pytest.raises(ResourceState, match="has ended"):
            await world.documents.change_document(cancelled)
        return
    assert not world.vectors.points()
    with pytest.raises(ResourceNotFound):
        await get(world, "a")


async def test_what_was_deleted_and_put_again_is_a_later_version(either_world):
    world = either_world
    await put(world, "a", lines("alpha", 5))
    await take_all(world)
    assert (await world.documents.delete_document(calls.DeleteDocumentRequest(TENANT, "kb", "a"))).existed
    assert not (await world.documents.delete_document(calls.DeleteDocumentRequest(TENANT, "kb", "a"))).existed
    assert not world.vectors.points()
    assert not (await found(world, "alpha")).hits
    again = await put(world, "a", lines("alpha", 5))
    assert (again.document.version, again.unchanged) == (2, False)
    await take_all(world)
    assert len((await found(world, "alpha")).hits) == 5


async def test_a_failure_says_why_and_leaves_the_version_before_found(world):
    await put(world, "a", lines("alpha", 2))
    await take_all(world)
    await put(world, "a", "BROKEN")
    await take_all(world)
    document = await get(world, "a")
    assert document.state == "failed"
    assert (document.failure.reason, document.failure.place) == ("broken", "page 3")
    assert len((await found(world, "alpha")).hits) == 2
    # It does not stand in the way of another try.
    assert not (await put(world, "a", "BROKEN")).unchanged
    await put(world, "a", lines("beta", 1))
    await take_all(world)
    assert await texts(world, "a") == ["beta line 0\n"]


async def test_a_store_that_is_away_is_tried_again_and_not_for_ever(tmp_path):
    database_url = f"sqlite:///{tmp_path}/k.db"
    async with open_world(database_url, tmp_path, attempts=3) as world:
        await world.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="kb", spec=SMALL))
        world.vectors.away = True
        await put(world, "a", lines("alpha", 2))
        await world.ingest.take_one()
        assert (await get(world, "a")).state == "pending"
        world.vectors.away = False
        await take_all(world)
        assert (await get(world, "a")).state == "ready"
        world.vectors.away = True
        await put(world, "a", lines("beta", 2))
        await take_all(world)
        failed = await get(world, "a")
        assert (failed.state, failed.failure.reason) == ("failed", "unavailable")
        assert "3 times" in failed.failure.message


async def test_vectors_that_could_not_be_deleted_go_later_and_are_not_believed(world):
    await put(world, "a", lines("alpha", 2))
    await take_all(world)
    world.vectors.away = True
    assert (await world.documents.delete_document(calls.DeleteDocumentRequest(TENANT, "kb", "a"))).existed
    assert len(world.vectors.points()) == 2
    world.vectors.away = False
    assert not (await found(world, "alpha")).hits
    await world.sweeper.sweep()
    assert not world.vectors.points()


async def test_a_version_that_was_not_seen_is_not_replaced(world):
    await put(world, "a", lines("alpha", 1))
    with pytest.raises(ResourceChanged, match="has version 1, not 3"):
        await put(world, "a", lines("beta", 1), if_version=3)
    with pytest.raises(ResourceChanged, match="has version 0"):
        await put(world, "new", lines("beta", 1), if_version=1)
    assert (await put(world, "a", lines("beta", 1), if_version=1)).document.version == 2


async def test_tenants_have_limits_and_no_sight_of_each_other(tmp_path):
    database_url = f"sqlite:///{tmp_path}/k.db"
    small = {"max_documents_of_a_tenant": 2, "max_bytes_of_a_tenant": 60, "max_bases_of_a_tenant": 1}
    async with open_world(database_url, tmp_path, **small, max_document_bytes=50) as world:
        await world.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="kb", spec=SMALL))
        with pytest.raises(QuotaExhausted, match="1 knowledge bases"):
            await world.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="kb2", spec=SMALL))
        with pytest.raises(ResourceExists):
            await world.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="kb", create_only=True))
        with pytest.raises(InvalidRequest, match="at most 50"):
            await put(world, "a", "x" * 51)
        await put(world, "a", "x" * 30)
        with pytest.raises(QuotaExhausted, match="60 bytes"):
            await put(world, "b", "x" * 31)
        await put(world, "b", "x" * 30)
        with pytest.raises(QuotaExhausted, match="2 documents"):
            await put(world, "c", "x")
        await put(world, "a", "y" * 30)
        for asked in (
            world.documents.get_document(calls.GetDocumentRequest("other", "kb", "a")),
            world.documents.get_document(calls.GetDocumentRequest("other", "nothing", "a")),
        ):
            with pytest.raises(ResourceNotFound, match="no knowledge base"):
                await asked
        assert not (await world.documents.delete_base(calls.DeleteBaseRequest("other", "kb"))).existed
        assert not (await world.documents.list_bases(calls.ListBasesRequest("other"))).bases


async def test_pages_go_on_behind_an_id_in_both_directions(either_world):
    world = either_world
    for id_ in ("b", "a", "B", "c"):
        await put(world, id_, f"text of {id_}")
    seen: list[str] = []
    token = ""
    while True:
        page = await world.documents.list_documents(
            calls.ListDocumentsRequest(TENANT, "kb", page_size=3, page_token=token)
        )
        seen += [one.id for one in page.documents]
        token = page.next_page_token
        if not token:
            break
    assert seen == ["B", "a", "b", "c"]
    backwards = calls.ListDocumentsRequest(TENANT, "kb", page_size=2, descending=True, page_token="b")
    assert [one.id for one in (await world.documents.list_documents(backwards)).documents] == ["a", "B"]
    some = calls.ListDocumentsRequest(TENANT, "kb", ids=["a", "nothing", "c"], state="pending")
    assert [one.id for one in (await world.documents.list_documents(some)).documents] == ["a", "c"]


async def test_originals_are_had_again_where_they_are_kept_and_nothing_lies_open(tmp_path):
    database_url = f"sqlite:///{tmp_path}/k.db"
    secret = "Saffron-Umbrella"
    for keeps in (False, True):
        folder = tmp_path / str(keeps)
        folder.mkdir()
        url = database_url if keeps else f"sqlite:///{folder}/own.db"
        async with open_world(url, folder, keep_originals=keeps) as world:
            await world.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="kb", spec=SMALL))
            await put(world, "a", f"{secret}\n", filename="a.txt", title="plain")
            await take_all(world)
            original = world.documents.get_original(calls.GetOriginalRequest(TENANT, "kb", "a"))
            if keeps:
                answer = await original
                assert (answer.content, answer.filename) == (f"{secret}\n".encode(), "a.txt")
                assert (await get(world, "a")).original_kept
            else:
                with pytest.raises(ResourceNotFound):
                    await original
        for path in folder.glob("*.db*"):
            assert secret.encode() not in path.read_bytes()


async def test_attributes_that_are_not_theirs_to_set_are_refused(world):
    flag = AttributeValue(flag=True)
    for name in ("tenant", "labels", "version"):
        with pytest.raises(InvalidRequest, match="not yours to set") as refused:
            await put(world, "a", "text", attributes=[Attribute("ok", flag), Attribute(name, flag)])
        assert refused.value.field == "attributes[1].name"
    with pytest.raises(InvalidRequest, match="not '\\*'"):
        await put(world, "a", "text", labels=["*"])


async def test_progress_ends_when_nothing_is_pending(tmp_path):
    database_url = f"sqlite:///{tmp_path}/k.db"
    async with open_world(database_url, tmp_path, runs=True) as world:
        await world.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="kb", spec=SMALL))
        for number in range(12):
            await put(world, f"d{number}", lines(f"word{number}", 5))
        await put(world, "bad", "BROKEN")
        told = [progress async for progress in world.watch.ingest(TENANT, "kb")]
        last = told[-1]
        assert (last.documents_total, last.documents_done, last.documents_failed) == (13, 12, 1)
        assert (last.chunks, last.vectors, last.bytes_done, last.seconds_left) == (60, 60, last.bytes_total, 0.0)
        assert [one.documents_done for one in told] == sorted(one.documents_done for one in told)


async def test_a_small_document_does_not_wait_until_large_ones_end(database_url, tmp_path):
    large = lines("large", 20)
    settings = {"ingest_concurrency": 2, "ingest_small_bytes": len(large) - 1}
    go_on = asyncio.Event()
    async with open_world(database_url, tmp_path, runs=True, **settings) as world:

        async def gate(texts):
            if any("large" in text for text in texts):
                await go_on.wait()

        world.models.model("one").gate = gate
        await world.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="kb", spec=SMALL))
        for name in ("a", "b", "c"):
            await put(world, name, large)
        await put(world, "small", lines("alpha", 3))

        async def is_ready():
            return (await get(world, "small")).state == "ready"

        await until(is_ready)
        assert (await base(world)).documents_pending == 3
        assert await world.taking.seconds_to_next(len(large) - 1) is None
        go_on.set()

        async def all_are():
            return not (await base(world)).documents_pending

        await until(all_are)


async def test_a_document_of_a_base_that_is_made_anew_is_not_the_one_of_before(world):
    began, go_on = asyncio.Event(), asyncio.Event()

    async def gate(texts):
        if any("old" in text for text in texts):
            began.set()
            await go_on.wait()

    world.models.model("one").gate = gate
    await put(world, "a", lines("old", 2))
    before = asyncio.create_task(world.ingest.take_one())
    await began.wait()
    await world.documents.delete_base(calls.DeleteBaseRequest(TENANT, "kb"))
    await world.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="kb", spec=SMALL))
    await put(world, "a", lines("new", 2))
    # The same owner is at both, of the same id and number.
    taken = await world.taking.take(30, 20)
    assert taken is not None and taken.version == 1
    go_on.set()
    await before
    assert (await get(world, "a")).state == "pending"
    await world.taking.put_back(taken, 0.0, tried=False)
    await take_all(world)
    assert await texts(world, "a") == ["new line 0\n", "new line 1\n"]


async def test_what_is_put_back_waits_for_its_time_and_is_an_attempt_where_it_was_tried(either_world):
    taking = either_world.taking
    await put(either_world, "a", lines("alpha", 2))
    first = await taking.take(30, 20)
    await taking.put_back(first, 0.0, tried=False)
    second = await taking.take(30, 20)
    await taking.put_back(second, 0.0, tried=True)
    third = await taking.take(30, 20)
    assert [one.attempts for one in (first, second, third)] == [1, 1, 2]
    await taking.put_back(third, 60.0, tried=True)
    assert await taking.take(30, 20) is None
    assert 50 < await taking.seconds_to_next() <= 60


async def test_who_has_lost_the_lease_changes_nothing(database_url, tmp_path):
    if not database_url.startswith("postgresql"):
        database_url = f"sqlite:///{tmp_path}/shared.db"
    async with (
        open_world(database_url, tmp_path, owner="late") as late,
        open_world(database_url, tmp_path, owner="next") as following,
    ):
        await late.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="kb", spec=SMALL))
        await put(late, "a", lines("alpha", 2))
        lost = await late.taking.take(-1, 20)
        held = await following.taking.take(30, 20)
        assert lost is not None and held is not None
        await late.taking.renew(-1, [lost.key])
        await late.taking.put_back(lost, 0.0, tried=True)
        await late.taking.fail(lost, DocumentFailure("broken", "It is broken."))
        index = (await late.taking.live_indexes(TENANT, "kb"))[0]
        assert await late.taking.make_current(lost, [Made(index, [], {})], _readout()) is None
        assert await late.taking.take(30, 20) is None
        assert (await get(late, "a")).state == "pending"
        await following.taking.put_back(held, 0.0, tried=False)
        await take_all(following)
        assert (await get(late, "a")).chunks == 2


async def test_who_ends_in_order_leaves_what_it_was_at_to_others_at_once(world):
    began = asyncio.Event()

    async def gate(texts):
        began.set()
        await asyncio.Event().wait()

    world.models.model("one").gate = gate
    await put(world, "a", lines("alpha", 2))
    taking = asyncio.create_task(world.ingest.take_one())
    await began.wait()
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    taken = await world.taking.take(30, 20)
    assert taken is not None and taken.attempts == 1


async def test_a_document_waits_as_long_as_its_model_is_busy(tmp_path):
    busy = iter([Overloaded("Too much waits."), RateLimited("Too fast."), Overloaded("Too much waits.")])
    async with open_world(f"sqlite:///{tmp_path}/k.db", tmp_path, attempts=1) as world:

        async def gate(texts):
            for error in busy:
                raise error

        world.models.model("one").gate = gate
        await world.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="kb", spec=SMALL))
        await put(world, "a", lines("alpha", 2))
        await take_all(world)
        assert (await get(world, "a")).state == "ready"


async def test_the_next_process_at_a_file_waits_for_no_lease(tmp_path):
    url = f"sqlite:///{tmp_path}/k.db"
    async with open_world(url, tmp_path, owner="killed") as world:
        await world.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="kb", spec=SMALL))
        await put(world, "a", lines("alpha", 2))
        assert await world.taking.take(30, 20) is not None
    async with open_world(url, tmp_path, owner="next") as world:
        assert await world.taking.take(30, 20) is None
        await world.taking.free_all()
        assert await world.taking.take(30, 20) is not None


async def test_what_is_under_way_of_one_document_ends_with_it_and_not_with_another(world):
    began, go_on = asyncio.Event(), asyncio.Event()

    async def gate(texts):
        if any("slow" in text for text in texts) and world.ingest.vectors_under_way:
            began.set()
            await go_on.wait()

    world.models.model("one").gate = gate
    await put(world, "a", lines("slow", 70))
    slow = asyncio.create_task(world.ingest.take_one())
    await began.wait()
    assert world.ingest.vectors_under_way == {(TENANT, "kb"): 64}
    await put(world, "b", lines("fast", 3))
    await take_all(world)
    assert world.ingest.vectors_under_way == {(TENANT, "kb"): 64}
    go_on.set()
    await slow
    assert world.ingest.vectors_under_way == {}


async def test_another_process_takes_over_what_a_dead_one_was_at(postgres, tmp_path):
    url = postgres.create_database()
    async with open_world(url, tmp_path, owner="dead", lease="1s") as dead:
        await dead.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="kb", spec=SMALL))
        await put(dead, "a", lines("alpha", 3))
        taken = await dead.taking.take(0.05, 20)
        assert taken is not None
        async with open_world(url, tmp_path, owner="alive") as alive:
            # Until its lease is over nobody else takes it.
            first = await alive.taking.take(30, 20)
            assert first is None or first.attempts == 2
            if first is None:

                async def took_over():
                    return await alive.ingest.take_one()

                await until(took_over)
            else:
                await alive.taking.put_back(first, 0, tried=False)
                await take_all(alive)
            assert (await get(alive, "a")).state == "ready"
            # Who comes back late changes nothing.
            assert await dead.taking.make_current(taken, [], _readout()) is None
            assert len(await texts(alive, "a")) == 3


async def end_leases(world, seconds):
    async with world.database.writing() as connection:
        await connection.execute(update(pending).values(leased_until=time.time() + seconds))


async def test_only_what_is_worked_on_is_held_for_longer(tmp_path):
    async with open_world(f"sqlite:///{tmp_path}/k.db", tmp_path, lease="1s") as world:
        await world.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="kb", spec=SMALL))
        await put(world, "a", "BROKEN")
        fail = world.taking.fail

        async def lost(taken, failure):
            world.taking.fail = fail
            raise ServiceUnavailable("The database of documents does not answer.", service="sql")

        world.taking.fail = lost
        with pytest.raises(ServiceUnavailable):
            await world.ingest.take_one()
        # Nobody is at it now; were it held, it would never be taken again.
        await end_leases(world, 0.1)
        await world.ingest.renew()
        assert await world.taking.seconds_to_next() <= 0.1

        async def failed():
            await world.ingest.take_one()
            return (await get(world, "a")).state == "failed"

        await until(failed)


async def test_what_is_worked_on_is_held_for_longer(world):
    began, go_on = asyncio.Event(), asyncio.Event()

    async def gate(texts):
        began.set()
        await go_on.wait()

    world.models.model("one").gate = gate
    await put(world, "a", lines("alpha", 2))
    taking = asyncio.create_task(world.ingest.take_one())
    await began.wait()
    await end_leases(world, -1)
    await world.ingest.renew()
    assert await world.taking.seconds_to_next() > 10
    assert await world.taking.take(30, 20) is None
    go_on.set()
    await taking


def _readout():
    return Readout(Parsed("", "text/plain"), "", "")


async def test_what_ends_the_process_each_time_fails_in_the_end(tmp_path):
    database_url = f"sqlite:///{tmp_path}/k.db"
    async with open_world(database_url, tmp_path, attempts=2) as world:
        await world.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="kb", spec=SMALL))
        await put(world, "a", lines("alpha", 3))
        for _ in range(2):
            assert await world.taking.take(-1, 2) is not None
        await take_all(world)
        document = await get(world, "a")
        assert (document.state, document.failure.reason) == ("failed", "crashed")


async def test_a_search_shows_nothing_of_what_became_current_after_it_began(world):
    await put(world, "a", lines("alpha", 3))
    await take_all(world)
    before = await world.catalogue.index(TENANT, "kb")
    await put(world, "a", lines("beta", 3))
    await take_all(world)
    now = await world.catalogue.index(TENANT, "kb")
    ids = [hit.chunk.id for hit in (await found(world, "beta")).hits]
    assert len(await world.catalogue.chunks(now, ids)) == 3
    assert not await world.catalogue.chunks(before, ids)


async def test_a_search_that_a_commit_came_between_is_done_once_more(world):
    await put(world, "a", lines("alpha", 3))
    await take_all(world)
    inner, searched = world.searcher._searcher, 0

    class Slow:
        async def search(self, request, deadline):
            nonlocal searched
            searched += 1
            result = await inner.search(request, deadline)
            if searched == 1:
                await put(world, "a", lines("beta", 2))
                await take_all(world)
            return result

    world.searcher._searcher = Slow()
    result = await found(world, "beta")
    assert searched == 2
    assert sorted(hit.chunk.text for hit in result.hits) == ["beta line 0\n", "beta line 1\n"]


async def test_what_is_sealed_opens_for_its_tenant_place_and_key_alone():
    from penstock_common.secrecy import KeyGone, Unreadable
    from penstock_embedding.adapters.sealing import DocumentSealer

    old, new = b"o" * 32, b"n" * 32
    sealed = DocumentSealer(old).seal("acme", b"here", b"text")
    turned = DocumentSealer(new, [old])
    assert turned.open("acme", b"here", sealed) == b"text"
    assert DocumentSealer(new).open("acme", b"here", turned.seal("acme", b"here", b"text")) == b"text"
    for tenant, place in (("other", b"here"), ("acme", b"there")):
        with pytest.raises(Unreadable):
            turned.open(tenant, place, sealed)
    with pytest.raises(KeyGone, match="old_knowledge_key_files"):
        DocumentSealer(new).open("acme", b"here", sealed)
