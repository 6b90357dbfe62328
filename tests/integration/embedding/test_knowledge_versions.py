"""Index versions: built beside the one that serves, kept current, compared, switched to and back."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import sys
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import update

sys.path.insert(0, str(Path(__file__).parent))

from knowledge_world import TENANT, HashModel, HashModels, Words, open_world, until  # noqa: E402

from penstock_common.contract import knowledge_calls as calls
from penstock_common.contract.knowledge import (
    EvaluationQuery,
    IndexSpec,
    RelevantDocument,
    SearchOptions,
    Splitter,
)
from penstock_common.errors import (
    ModelNotFound,
    Overloaded,
    ResourceExists,
    ResourceNotFound,
    ResourceState,
    ServiceUnavailable,
)
from penstock_embedding.adapters.sql.tables import documents, indexes
from penstock_embedding.adapters.sql.versions import SqlVersions
from penstock_embedding.domain.retrieval.analysis import ANALYSIS_VERSION

ONE = IndexSpec("one", Splitter("recursive", 32, 0))
TWO = IndexSpec("two", Splitter("recursive", 64, 0))
WORDS = ["alpha", "beta", "gamma", "delta", "omega", "sigma"]


@pytest.fixture
async def world(tmp_path):
    async with open_world(f"sqlite:///{tmp_path}/k.db", tmp_path) as world:
        await begin(world)
        yield world


async def begin(world):
    await world.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="kb", spec=ONE))
    for word in WORDS:
        await put(world, word, f"{word} {word} {word}\n" * 4)
    await take_all(world)


async def put(world, id_, text):
    request = calls.PutDocumentRequest(tenant=TENANT, base="kb", id=id_, content=text.encode())
    return await world.documents.put_document(request)


async def take_all(world):
    while await world.ingest.take_one():
        pass


async def build(world, spec=TWO):
    return (await world.indexes.build_index(calls.BuildIndexRequest(TENANT, "kb", spec))).index


async def built(world):
    """Build what is to be built, to its end."""
    while await world.builder.build_some():
        pass


async def switch(world, version=0, *, force=False):
    request = calls.SwitchIndexRequest(TENANT, "kb", version, force)
    return (await world.indexes.switch_index(request)).index


async def states(world):
    told = await world.indexes.list_indexes(calls.ListIndexesRequest(TENANT, "kb"))
    return {index.number: index.state for index in told.indexes}


async def found(world, query, version=0):
    options = SearchOptions(limit=50, index_version=version)
    request = calls.SearchRequest(tenant=TENANT, bases=["kb"], query=query, options=options)
    result = await world.searcher.search(request, None)
    return result.searched[0].version, [hit.chunk.document for hit in result.hits]


async def ask(world, words=WORDS):
    queries = [EvaluationQuery(word, [RelevantDocument(word, 3)]) for word in words]
    await world.indexes.put_evaluation(calls.PutEvaluationRequest(TENANT, "kb", queries))


async def test_a_version_is_built_beside_the_one_that_serves_and_switched_to_and_back(world):
    index = await build(world)
    assert (index.number, index.state, index.documents_total, index.model_revision) == (2, "building", 6, "two-b")
    assert (await found(world, "alpha"))[0] == 1
    with pytest.raises(ResourceState, match="is building"):
        await found(world, "alpha", 2)
    with pytest.raises(ResourceState, match="is being built"):
        await build(world, IndexSpec("noise", TWO.splitter))
    with pytest.raises(ResourceState, match="building"):
        await switch(world, 2)
    await built(world)
    assert await states(world) == {2: "ready", 1: "serving"}
    assert len((await found(world, "alpha", 2))[1]) == 12
    await ask(world)
    assert (await switch(world, 2)).state == "serving"
    assert (await found(world, "alpha"))[0] == 2
    quality = (await world.indexes.list_indexes(calls.ListIndexesRequest(TENANT, "kb"))).indexes[0].quality
    assert [(one.queries, one.mode) for one in quality] == [(6, "hybrid"), (6, "hybrid_rerank")]
    assert (await world.documents.get_document(calls.GetDocumentRequest(TENANT, "kb", "beta"))).document.chunks == 2
    assert (await switch(world)).number == 1
    assert (await found(world, "alpha"))[0] == 1


async def test_writes_go_into_every_version_also_after_the_switch_and_deletions_from_every_one(world):
    await build(world)
    # Before the build, while it is open, and after it.
    await put(world, "alpha", "alpha first\n")
    await take_all(world)
    await built(world)
    await put(world, "new", "novel novel\n")
    await world.documents.delete_document(calls.DeleteDocumentRequest(TENANT, "kb", "beta"))
    await take_all(world)
    await switch(world, 2, force=True)
    await put(world, "late", "tardy tardy\n")
    await world.documents.delete_document(calls.DeleteDocumentRequest(TENANT, "kb", "gamma"))
    await take_all(world)
    expected = {"alpha", "new", "delta", "omega", "sigma", "late"}
    for version in (1, 2):
        assert set((await found(world, "alpha", version))[1]) == expected
        index = await world.catalogue.index(TENANT, "kb", version)
        assert index.chunks == len((await found(world, "alpha", version))[1])
    await switch(world)
    assert set((await found(world, "alpha"))[1]) == expected


async def test_what_changes_while_it_is_built_is_built_as_it_is_in_the_end(world):
    at_it, go_on = asyncio.Event(), asyncio.Event()

    async def gate(texts):
        at_it.set()
        await go_on.wait()

    two = world.models.model("two")
    two.gate = gate
    await build(world)
    building = asyncio.create_task(built(world))
    await at_it.wait()
    # The one that is being embedded comes first by its id.
    await world.documents.delete_document(calls.DeleteDocumentRequest(TENANT, "kb", "alpha"))
    two.gate = None
    await put(world, "beta", "changed changed\n")
    await take_all(world)
    go_on.set()
    await building
    assert await states(world) == {2: "ready", 1: "serving"}
    assert set((await found(world, "x", 2))[1]) == {"beta", "gamma", "delta", "omega", "sigma"}
    await world.sweeper.sweep()
    left = {(point["document"], point["version"]) for point in world.vectors.points().values()}
    assert ("alpha", 1) not in left
    assert ("beta", 1) not in left


class Blunted(HashModel):
    """Finds nothing apart."""

    def _vector(self, text):
        from array import array

        return array("f", [1.0] + [0.0] * (self.size - 1))


async def test_a_version_that_finds_worse_is_refused_and_an_equal_one_is_not(tmp_path):
    models = HashModels({"one": HashModel("one", "a"), "two": HashModel("two", "b"), "blunt": Blunted("blunt")})
    async with open_world(f"sqlite:///{tmp_path}/k.db", tmp_path, models=models) as world:
        await begin(world)
        await build(world, IndexSpec("blunt", ONE.splitter))
        await built(world)
        with pytest.raises(ResourceState, match="Nobody can say .* has 0 questions, and 3 are needed"):
            await switch(world, 2)
        await ask(world)
        with pytest.raises(ResourceState, match=r"finds worse than version 1: nDCG at 10 falls by 0\.\d+"):
            await switch(world, 2)
        assert (await found(world, "alpha"))[0] == 1
        assert (await switch(world, 2, force=True)).number == 2
        assert (await switch(world)).number == 1
        await world.indexes.drop_index(calls.DropIndexRequest(TENANT, "kb", 2))
        await build(world, IndexSpec("two", ONE.splitter))
        await built(world)
        assert (await switch(world, 3)).number == 3


async def test_a_version_is_judged_in_each_mode_and_by_whole_searches_alone(world):
    await build(world)
    await built(world)
    await ask(world)
    inner = world.searcher

    class Searcher:
        worse: str = ""
        degraded: int = 0

        async def search(self, request, deadline):
            options = request.options
            result = await inner.search(request, deadline)
            if options.index_version == 2 and options.mode == self.worse:
                result = msgspec.structs.replace(result, hits=())
            if options.index_version == self.degraded:
                result = msgspec.structs.replace(result, degraded=["dense"])
            return result

    searcher = Searcher()
    world.indexes = dataclasses.replace(world.indexes, searcher=searcher)
    for mode in ("hybrid", "hybrid_rerank"):
        searcher.worse = mode
        with pytest.raises(ResourceState, match=rf"finds worse .* \({mode}\)"):
            await switch(world, 2)
    searcher.worse, searcher.degraded = "", 2
    with pytest.raises(ServiceUnavailable, match="without dense"):
        await switch(world, 2)
    assert (await found(world, "alpha"))[0] == 1
    # What serves may be without a part for good, which is why it is to be replaced.
    searcher.degraded = 1
    assert (await switch(world, 2)).number == 2


async def test_a_return_needs_no_model(world):
    await build(world)
    await built(world)
    await switch(world, 2, force=True)
    world.models.models = {"other": HashModel("other")}
    assert (await switch(world)).number == 1


async def test_a_model_that_makes_other_vectors_by_now_is_not_mixed_in(world):
    world.models.models = {**world.models.models, "one": HashModel("one", "changed")}
    await put(world, "alpha", "alpha anew\n")
    await take_all(world)
    document = (await world.documents.get_document(calls.GetDocumentRequest(TENANT, "kb", "alpha"))).document
    assert document.failure.reason == "model"
    assert "'one-a'" in document.failure.message
    assert "'one-changed'" in document.failure.message


async def test_a_kept_version_whose_model_has_gone_does_not_hold_documents_up(world):
    await build(world)
    await built(world)
    world.models.models = {"one": world.models.model("one")}
    await put(world, "alpha", "alpha anew\n")
    await take_all(world)
    assert await states(world) == {2: "failed", 1: "serving"}
    assert (
        await world.documents.get_document(calls.GetDocumentRequest(TENANT, "kb", "alpha"))
    ).document.state == "ready"
    with pytest.raises(ResourceState, match="failed"):
        await switch(world, 2, force=True)


async def test_versions_are_refused_that_cannot_be_or_are_there(world):
    with pytest.raises(ModelNotFound):
        await build(world, IndexSpec("nothing", ONE.splitter))
    with pytest.raises(ResourceExists, match="same model and splitter"):
        await build(world, ONE)
    again = calls.BuildIndexRequest(TENANT, "kb", ONE, again=True)
    assert (await world.indexes.build_index(again)).index.number == 2
    await world.indexes.drop_index(calls.DropIndexRequest(TENANT, "kb", 2))
    with pytest.raises(ResourceState, match="No version has served before"):
        await switch(world)
    with pytest.raises(ResourceNotFound):
        await switch(world, 9, force=True)
    with pytest.raises(ResourceState, match="serves"):
        await world.indexes.drop_index(calls.DropIndexRequest(TENANT, "kb", 1))
    assert not (await world.indexes.drop_index(calls.DropIndexRequest(TENANT, "kb", 9))).existed


async def test_a_build_that_is_dropped_ends_and_leaves_nothing(world):
    at_it, go_on = asyncio.Event(), asyncio.Event()

    async def gate(texts):
        at_it.set()
        await go_on.wait()

    world.models.model("two").gate = gate
    await build(world)
    building = asyncio.create_task(built(world))
    await at_it.wait()
    assert (await world.indexes.drop_index(calls.DropIndexRequest(TENANT, "kb", 2))).existed
    go_on.set()
    await building
    await world.sweeper.sweep()
    assert {tuple(point["index"]) for point in world.vectors.points().values()} == {(TENANT, "kb", 1)}
    assert await states(world) == {1: "serving"}


async def test_a_provider_that_is_busy_slows_a_build_down(world, monkeypatch):
    busy = iter([Overloaded("Too fast.")])

    async def gate(texts):
        for error in busy:
            raise error

    monkeypatch.setattr("penstock_embedding.domain.knowledge.building._FIRST_PAUSE_SECONDS", 0.0)
    world.models.model("two").gate = gate
    await build(world)
    await built(world)
    assert (await states(world))[2] == "ready"


async def test_a_version_that_waits_for_its_provider_holds_no_other_up(world):
    async def gate(texts):
        raise Overloaded("Too fast.")

    world.models.model("two").gate = gate
    await build(world)
    await world.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="other", spec=ONE))
    await world.indexes.build_index(calls.BuildIndexRequest(TENANT, "other", IndexSpec("noise", ONE.splitter)))
    await built(world)
    assert (await states(world))[2] == "building"
    other = await world.indexes.list_indexes(calls.ListIndexesRequest(TENANT, "other"))
    assert other.indexes[0].state == "ready"


async def test_labels_that_change_while_a_version_is_built_reach_its_vectors(world):
    at_it, go_on = asyncio.Event(), asyncio.Event()

    async def gate(texts):
        at_it.set()
        await go_on.wait()

    world.models.model("two").gate = gate
    await build(world)
    building = asyncio.create_task(built(world))
    await at_it.wait()
    changed = calls.ChangeDocumentRequest(tenant=TENANT, base="kb", id="alpha", labels=["hr"], replace_labels=True)
    await world.documents.change_document(changed)
    go_on.set()
    await building
    await world.sweeper.sweep()
    points = [point for point in world.vectors.points().values() if point["document"] == "alpha"]
    assert {(point["index"][2], *point["labels"]) for point in points} == {(1, "hr"), (2, "hr")}


async def test_a_switch_is_of_what_was_compared_and_makes_another_base_of_it(world):
    await build(world)
    await built(world)
    before = await world.catalogue.index(TENANT, "kb")
    with pytest.raises(ResourceState, match="Meanwhile version 1 serves"):
        await world.versions.switch(TENANT, "kb", 2, 7)
    assert (await world.catalogue.index(TENANT, "kb")) == before
    await world.versions.switch(TENANT, "kb", 2, 1)
    after = await world.catalogue.index(TENANT, "kb")
    # Whoever keeps what was found does not find it under the new version.
    assert (after.version, after.generation) == (2, before.generation + 1)


async def test_a_version_that_serves_does_not_fail(world):
    serving = await world.catalogue.index(TENANT, "kb")
    await world.versions.fail(serving, "Its model is gone.")
    assert await states(world) == {1: "serving"}
    assert (await found(world, "alpha"))[0] == 1


async def test_a_base_that_was_deleted_is_none(world):
    await world.documents.delete_base(calls.DeleteBaseRequest(TENANT, "kb"))
    with pytest.raises(ResourceNotFound, match="no knowledge base 'kb'"):
        await world.catalogue.index(TENANT, "kb")


async def test_who_has_a_version_keeps_it_from_others_until_its_lease_ends(world):
    await build(world)
    other = SqlVersions(world.database, "other")
    assert await world.versions.take(30) is not None
    assert await other.take(30) is None
    taken = await world.versions.take(30)
    await other.put_back(taken, 0.0)
    assert await other.take(30) is None
    await world.versions.put_back(taken, 60.0)
    # Until then it is nobody's, not even of who had it.
    assert await world.versions.take(30) is None
    await world.versions.put_back(taken, 0.0)
    assert await world.versions.take(30) is None


async def test_a_document_goes_into_a_version_that_is_begun_while_it_is_embedded(world):
    at_it, go_on = asyncio.Event(), asyncio.Event()

    async def gate(texts):
        at_it.set()
        await go_on.wait()

    world.models.model("one").gate = gate
    await put(world, "novel", "novel novel\n")
    taking = asyncio.create_task(world.ingest.take_one())
    await at_it.wait()
    await build(world)
    await built(world)
    assert (await states(world))[2] == "ready"
    go_on.set()
    await taking
    for version in (1, 2):
        assert "novel" in (await found(world, "novel", version))[1]


async def test_chunks_are_believed_of_the_version_of_a_document_that_is_found(world):
    index = await world.catalogue.index(TENANT, "kb")
    request = calls.ListChunksRequest(TENANT, "kb", "alpha")
    ids = [chunk.id for chunk in (await world.documents.list_chunks(request)).chunks]
    assert len(await world.catalogue.chunks(index, ids)) == len(ids) > 0
    async with world.database.writing() as connection:
        await connection.execute(update(documents).where(documents.c.id == "alpha").values(current=2))
    assert await world.catalogue.chunks(index, ids) == {}


async def test_failures_that_something_lies_between_do_not_add_up(world, monkeypatch):
    for number in range(4):
        await put(world, f"more{number}", "more\n")
    await take_all(world)
    outcomes = iter("FFFF" + "." * 8 + "FFFF" + "..")

    async def gate(texts):
        if next(outcomes) == "F":
            raise ZeroDivisionError

    monkeypatch.setattr("penstock_embedding.domain.knowledge.building._FIRST_PAUSE_SECONDS", 0.0)
    world.models.model("two").gate = gate
    await build(world)
    await built(world)
    assert (await states(world))[2] == "ready"


async def test_versions_are_built_in_turns(world):
    await build(world)
    await world.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="other", spec=ONE))
    await world.indexes.build_index(calls.BuildIndexRequest(TENANT, "other", IndexSpec("two", ONE.splitter)))
    turns = [(await world.versions.take(30)).base for _ in range(4)]
    assert turns == ["kb", "other", "kb", "other"]


async def test_a_build_that_nobody_can_do_fails_in_the_end_and_tells_why(world, monkeypatch):
    failures = 0

    async def gate(texts):
        nonlocal failures
        failures += 1
        raise ZeroDivisionError("what nobody has foreseen")

    monkeypatch.setattr("penstock_embedding.domain.knowledge.building._FIRST_PAUSE_SECONDS", 0.0)
    world.models.model("two").gate = gate
    await build(world)
    await built(world)
    index = (await world.indexes.list_indexes(calls.ListIndexesRequest(TENANT, "kb"))).indexes[0]
    assert (index.state, index.error) == ("failed", "It failed 5 times: what nobody has foreseen")
    assert failures == 5
    assert (await found(world, "alpha"))[0] == 1


async def test_old_versions_are_collected_and_none_that_serves(world):
    for number in range(3):
        await build(world, IndexSpec("two", Splitter("recursive", 32 * (number + 2), 0)))
        await built(world)
        await switch(world, number + 2, force=True)
    assert await world.versions.collect(2, timedelta(days=7)) == 1
    assert await states(world) == {4: "serving", 3: "ready", 2: "ready"}
    assert await world.versions.collect(2, timedelta(0)) == 2
    assert await states(world) == {4: "serving"}
    await world.sweeper.sweep()
    assert {point["index"][2] for point in world.vectors.points().values()} == {4}


async def test_versions_that_have_failed_are_collected_once_nobody_has_to_know(world):
    for number in (2, 3):
        await build(world, IndexSpec("two", Splitter("recursive", 32 * number, 0)))
        await built(world)
    failed = await world.catalogue.index(TENANT, "kb", 2)
    await world.versions.fail(failed, "Its model is gone.")
    assert await world.versions.collect(1, timedelta(days=7)) == 0
    assert await states(world) == {3: "ready", 2: "failed", 1: "serving"}
    assert await world.versions.collect(1, timedelta(0)) == 1
    assert await states(world) == {3: "ready", 1: "serving"}
    await world.sweeper.sweep()
    assert {point["index"][2] for point in world.vectors.points().values()} == {1, 3}


async def test_a_switch_under_searches_and_writes_fails_none_and_mixes_none(tmp_path):
    async with open_world(f"sqlite:///{tmp_path}/k.db", tmp_path, runs=True) as world:
        await world.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id="kb", spec=ONE))
        for word in WORDS:
            await put(world, word, f"{word} {word} {word}\n" * 4)

        async def all_there():
            base = (await world.documents.get_base(calls.GetBaseRequest(TENANT, "kb"))).base
            return base.documents == len(WORDS)

        await until(all_there)
        chunks_of = {1: 4, 2: 2}
        answers: list[int] = []

        async def search(number):
            version, documents = await found(world, WORDS[number % len(WORDS)])
            answers.append(version)
            # A mixed answer would have another number of chunks of a document.
            for word in WORDS[1:]:
                assert documents.count(word) == chunks_of[version]

        async def write(number):
            await put(world, "alpha", f"alpha {number}\n" * 4)

        is_switched = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            await build(world)

            async def load():
                # Open loop: each begins whatever became of those before, and some after the switch.
                for number in itertools.count():
                    if number >= 60 and is_switched.is_set():
                        return
                    group.create_task(search(number))
                    if number % 10 == 0:
                        group.create_task(write(number))
                    await asyncio.sleep(0.02)

            loading = group.create_task(load())

            async def is_ready():
                return (await states(world)).get(2) == "ready"

            await until(is_ready)
            await switch(world, 2, force=True)
            await switch(world)
            await switch(world, 2, force=True)
            is_switched.set()
            await loading
            await search(0)
        assert len(answers) >= 61
        assert answers[-1] == 2
        assert set(answers) <= {1, 2}


async def test_an_index_whose_words_were_made_in_another_way_is_told_apart_and_can_be_built_anew(world):
    catalogue = world.catalogue
    assert (await catalogue.index(TENANT, "kb")).analysis == ANALYSIS_VERSION
    with pytest.raises(ResourceExists):
        await build(world, ONE)
    async with world.database.writing() as connection:
        await connection.execute(update(indexes).values(analysis=ANALYSIS_VERSION - 1))
    assert (await catalogue.index(TENANT, "kb")).analysis == ANALYSIS_VERSION - 1
    assert (await build(world, ONE)).number == 2
    while await world.builder.build_some():
        pass
    assert (await catalogue.index(TENANT, "kb", 2)).analysis == ANALYSIS_VERSION


def test_words_stand_for_tokens():
    assert Words().count(["one two"]) == [2]
