"""Nothing is left behind by what deletes, invalidates or disputes, whatever is being kept meanwhile; and a look-up ends in time."""

from __future__ import annotations

import math
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from penstock_cache.adapters.embedding import EmbeddingClient
from penstock_cache.domain.entries import NoEntries
from penstock_cache.domain.meaning.policy import Policy
from penstock_cache.domain.meaning.ports import EmbeddingUnavailable, VectorMaker
from penstock_cache.domain.meaning.shelf import Library, collection_of
from penstock_cache.domain.meaning.time_limit import TimeLeft
from penstock_cache.domain.shared import NoSharedTier
from penstock_common.contract.cache import (
    Deletion,
    Dispute,
    EntryFilter,
    EntryQuery,
    LookupRequest,
    Near,
    Scope,
    StoreRequest,
)
from penstock_common.errors import ResourceState
from penstock_common.points.edge.engine import open_edge
from penstock_common.points.edge.messages import Settings
from penstock_common.points.gated import Patience
from penstock_common.points.store import Collection, Engine, Where

sys.path.insert(0, str(Path(__file__).parent))

from meaning_kit import SCOPE, Said, Semantic, answered, asked, embedding_channel, prepared, probe  # noqa: E402

pytestmark = pytest.mark.asyncio(loop_scope="module")
CAPITAL, REWORDED = "What is the capital city of France?", "Which city is France's capital?"
TENANT = Scope("acme", "")
PATIENCE = Patience(timedelta(seconds=30), timedelta(seconds=30), timedelta(0))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedding() -> AsyncIterator[EmbeddingClient]:
    async with embedding_channel(Path("~/.cache/penstock/models").expanduser()) as channel:
        yield await prepared(channel)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    async with open_edge(tmp_path_factory.mktemp("points") / "edge", Settings(), PATIENCE) as edge:
        yield edge


@pytest.fixture
def semantic(engine: Engine, embedding: EmbeddingClient) -> Semantic:
    """A cache with keys of its own, so that nothing of another test is its tenants'."""
    return Semantic(engine, embedding, judge=Said(0.95))


async def points_of(semantic: Semantic, tenant: str = "acme") -> int:
    """Return how many points the store has of a tenant, whatever they are."""
    keys = await semantic.keys.of(tenant)
    return sum([await points.count(Where(keys.name)) for points in semantic.world.library.every_points()])


async def store(semantic: Semantic, scope: Scope = SCOPE, **more: Any) -> None:
    """Store an answer, which is kept by meaning once the cache settles."""
    request = StoreRequest(scope, probe(asked(CAPITAL, model=scope.model)), answered("Paris."), **more)
    assert await semantic.cache.store(request) == ""


class _Meanwhile:
    """Points in front of which something happens, once, between the last question before a write and the write."""

    def __init__(self, points: Any, work: list[Callable[[], Awaitable[Any]]]) -> None:
        self._points = points
        self._work = work

    def __getattr__(self, name: str) -> Any:
        return getattr(self._points, name)

    async def put(self, points: Any, **more: Any) -> None:
        while self._work:
            await self._work.pop()()
        await self._points.put(points, **more)


class _Interrupted:
    """An engine whose next write of an entry comes after some other work."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.work: list[Callable[[], Awaitable[Any]]] = []

    def points(self, collection: Collection) -> Any:
        points = self._engine.points(collection)
        return _Meanwhile(points, self.work) if collection.purpose == "cache" else points


CHANGES = {
    "invalidated": lambda semantic: semantic.cache.invalidate(SCOPE),
    "all invalidated": lambda semantic: semantic.cache.invalidate(Scope("", "")),
    "deleted by tag": lambda semantic: semantic.administration.delete(Deletion(EntryFilter(TENANT, tag="geo"))),
    "deleted by user": lambda semantic: semantic.administration.delete(Deletion(EntryFilter(TENANT, user="ann"))),
    "deleted by model": lambda semantic: semantic.administration.delete(Deletion(EntryFilter(SCOPE))),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_an_answer_that_waits_to_be_kept_while_its_like_are_deleted_stays_out(
    engine: Engine, embedding: EmbeddingClient, change: str
) -> None:
    interrupted = _Interrupted(engine)
    semantic = Semantic(interrupted, embedding, judge=Said(0.95))
    await store(semantic, tags=("geo",))
    await CHANGES[change](semantic)
    written: list[bool] = []

    async def note() -> None:
        written.append(True)

    interrupted.work.append(note)
    await semantic.settle()
    assert not written, "not for a moment"
    assert await points_of(semantic) == 0
    assert (await semantic.ask(asked(CAPITAL))).hit is None


@pytest.mark.parametrize("change", CHANGES)
async def test_an_answer_that_is_being_kept_while_its_like_are_deleted_goes_again(
    engine: Engine, embedding: EmbeddingClient, change: str
) -> None:
    interrupted = _Interrupted(engine)
    semantic = Semantic(interrupted, embedding, judge=Said(0.95))
    await store(semantic, tags=("geo",))
    interrupted.work.append(lambda: CHANGES[change](semantic))
    await semantic.settle()
    assert not interrupted.work
    assert await points_of(semantic) == 0
    assert semantic.counts.not_stored["invalidated"] == 1


async def test_deleting_by_id_reaches_what_is_being_kept_anew_under_it(
    engine: Engine, embedding: EmbeddingClient
) -> None:
    interrupted = _Interrupted(engine)
    semantic = Semantic(interrupted, embedding, judge=Said(0.95))
    await semantic.answer(asked(CAPITAL), "Paris.")
    (record,) = (await semantic.administration.list(EntryQuery(EntryFilter(SCOPE)))).entries
    wanted = Deletion(EntryFilter(TENANT, entry_ids=(record.entry_id,)))
    await store(semantic)
    interrupted.work.append(lambda: semantic.administration.delete(wanted))
    await semantic.settle()
    assert await points_of(semantic) == 0


async def test_what_is_disputed_while_it_is_kept_anew_is_served_to_nobody(
    engine: Engine, embedding: EmbeddingClient
) -> None:
    interrupted = _Interrupted(engine)
    semantic = Semantic(interrupted, embedding, judge=Said(0.95))
    await semantic.answer(asked(CAPITAL), "Lyon.")
    (record,) = (await semantic.administration.list(EntryQuery(EntryFilter(SCOPE)))).entries
    await store(semantic)
    interrupted.work.append(lambda: semantic.administration.dispute(Dispute(SCOPE, record.entry_id)))
    await semantic.settle()
    assert (await semantic.ask(asked(REWORDED))).hit is None
    assert (await semantic.administration.list(EntryQuery(EntryFilter(SCOPE)))).entries == ()


@pytest.mark.parametrize("by", [{"tag": "geo"}, {"user": "ann"}])
async def test_deleting_by_what_equality_does_not_know_takes_every_equal_answer_of_the_scope(
    engine: Engine, embedding: EmbeddingClient, by: dict[str, str]
) -> None:
    """What is kept by equality alone has no tags; it must not outlive what was deleted by one."""
    semantic = Semantic(engine, embedding, policy=Policy(is_on=False))
    await semantic.answer(asked(CAPITAL), "Paris.", tags=("geo",), user="ann")
    assert (await semantic.ask(asked(CAPITAL))).hit is not None
    assert await semantic.administration.delete(Deletion(EntryFilter(TENANT, **by), dry_run=True)) == 0
    assert (await semantic.ask(asked(CAPITAL))).hit is not None
    await semantic.administration.delete(Deletion(EntryFilter(TENANT, **by)))
    assert (await semantic.ask(asked(CAPITAL))).hit is None


async def test_what_was_found_wrong_goes_with_all_that_is_deleted(semantic: Semantic) -> None:
    await semantic.answer(asked(CAPITAL), "Lyon.")
    (record,) = (await semantic.administration.list(EntryQuery(EntryFilter(SCOPE)))).entries
    assert await semantic.administration.dispute(Dispute(SCOPE, record.entry_id))
    assert await points_of(semantic) == 1
    assert await semantic.administration.delete(Deletion(EntryFilter(TENANT))) == 0
    assert await points_of(semantic) == 0


async def test_one_model_of_every_tenant_is_invalidated_and_no_other_model(semantic: Semantic) -> None:
    scopes = [Scope(tenant, model) for tenant in ("acme", "rival") for model in ("fast", "large")]
    for scope in scopes:
        await semantic.answer(asked(CAPITAL, model=scope.model), "Paris.", scope)
    assert await semantic.cache.invalidate(Scope("", "fast")) == 2
    for scope in scopes:
        found = await semantic.ask(asked(REWORDED, model=scope.model), scope)
        assert (found.hit is not None) == (scope.model == "large"), scope
    assert [await points_of(semantic, tenant) for tenant in ("acme", "rival")] == [1, 1]


async def test_a_key_ring_that_nobody_can_use_keeps_none_from_being_invalidated(semantic: Semantic) -> None:
    await semantic.answer(asked(CAPITAL), "Paris.")
    names = await semantic.keys.read_names()
    await semantic.keys._store.replace(names("broken"), b"", b"no ring")
    assert await semantic.cache.invalidate(Scope("", "fast")) == 1


async def test_deleting_reaches_a_maker_of_vectors_that_another_process_has_registered(
    semantic: Semantic, engine: Engine, embedding: EmbeddingClient
) -> None:
    """As in an update of the model, while replicas of both versions run."""
    await semantic.answer(asked(CAPITAL), "Paris.")
    await semantic.upkeep.turn()
    assert embedding.maker is not None
    newer = VectorMaker(embedding.maker.name, "newer", embedding.maker.dimension)
    theirs = Library(engine, semantic.keys)
    await theirs.register(newer)
    keys = await semantic.keys.of("acme")
    mine = engine.points(collection_of(embedding.maker))
    (point,) = await mine.get(keys.name, [(await mine.scroll(Where(keys.name), limit=1)).points[0].id])
    await engine.points(collection_of(newer)).put([point])
    await semantic.cache.invalidate(SCOPE)
    assert await engine.points(collection_of(newer)).count(Where(keys.name)) == 0


async def test_nobodys_wording_becomes_one_of_an_entry_that_it_may_not_meet(semantic: Semantic) -> None:
    """Whatever a look-up, or who says that he had one, has told of what is near."""
    await semantic.answer(asked("What is my account balance?"), "Ten dollars.", user="ann")
    (anns,) = (await semantic.administration.list(EntryQuery(EntryFilter(SCOPE)))).entries
    assert anns.is_private
    for text, user in (("How much is in my account?", "bob"), (CAPITAL, "ann")):
        request = StoreRequest(
            SCOPE, probe(asked(text), user), answered("Ten dollars."), near=Near(anns.entry_id, 0.9, 0.9)
        )
        assert await semantic.cache.store(request) == ""
        await semantic.settle()
    entries = (await semantic.administration.list(EntryQuery(EntryFilter(SCOPE)))).entries
    assert len(entries) == 3
    assert [entry.alias_of for entry in entries] == [""] * 3


class _Unlearned(NoSharedTier):
    """Generations that cannot be read for a while, as where Redis is away."""

    is_away = True

    async def generation(self, scope: Scope) -> str:
        return "" if self.is_away else await super().generation(scope)


async def test_an_answer_that_was_begun_when_generations_were_unknown_is_not_kept_once_they_are_known(
    engine: Engine, embedding: EmbeddingClient
) -> None:
    shared = _Unlearned()
    semantic = Semantic(engine, embedding, judge=Said(0.95), shared=shared)
    missed = await semantic.ask(asked(CAPITAL))
    assert missed.generation
    await semantic.answer(asked(CAPITAL), "Paris.", missed=missed)
    # While nobody can invalidate, memory serves.
    assert (await semantic.ask(asked(CAPITAL))).tier == "memory"
    begun = await semantic.ask(asked("How high is Mont Blanc?"))
    shared.is_away = False
    await semantic.cache.invalidate(SCOPE)
    request = StoreRequest(
        SCOPE, probe(asked("How high is Mont Blanc?")), answered("High."), generation=begun.generation
    )
    assert "invalidated" in await semantic.cache.store(request)


async def test_who_asks_afresh_is_told_the_generation_alone(semantic: Semantic) -> None:
    await semantic.answer(asked(CAPITAL), "Paris.")
    for text in (CAPITAL, REWORDED):
        found = await semantic.cache.lookup(LookupRequest(SCOPE, probe(asked(text)), afresh=True))
        assert (found.hit, found.near, found.vector) == (None, None, b"")
        assert found.generation == await semantic.exact.generation(SCOPE)
    await semantic.cache.invalidate(SCOPE)
    late = StoreRequest(SCOPE, probe(asked(CAPITAL)), answered("Paris."), generation=found.generation)
    assert "invalidated" in await semantic.cache.store(late)


async def test_looking_ends_in_time_for_who_waits_no_longer(semantic: Semantic) -> None:
    await semantic.answer(asked(CAPITAL), "Paris.")
    request = LookupRequest(SCOPE, probe(asked(REWORDED)))
    embedded = semantic.world.vectors.embedded
    late = await semantic.cache.lookup(request, semantic.clock.now + 0.005)
    assert (late.hit, late.miss_reason, bool(late.generation)) == (None, "away", True)
    assert semantic.world.vectors.embedded == embedded
    assert (await semantic.cache.lookup(request, semantic.clock.now + 30)).hit is not None
    assert (await semantic.cache.lookup(request, math.inf)).hit is not None


async def test_a_failure_that_is_over_is_told_no_more_although_nobody_looks(semantic: Semantic) -> None:
    late = await semantic.cache.lookup(LookupRequest(SCOPE, probe(asked(CAPITAL))), semantic.clock.now)
    assert late.miss_reason == "away"
    assert semantic.cache.stats().semantic_trouble
    await semantic.upkeep.turn()
    assert not semantic.cache.stats().semantic_trouble


class _Slow(Said):
    """A judge who takes a while."""

    def __init__(self, semantic: Semantic, seconds: float) -> None:
        super().__init__(0.0)
        self._semantic = semantic
        self._seconds = seconds
        self.judged = 0

    async def judge_many(self, asked: str, candidates: Any) -> Any:
        self.judged += len(candidates)
        self._semantic.clock.now += self._seconds
        return await super().judge_many(asked, candidates)


async def test_no_further_entry_is_judged_once_the_time_is_over(semantic: Semantic) -> None:
    for text in (CAPITAL, "Name the capital of France."):
        await semantic.answer(asked(text), "Paris.")
    for seconds, judged in ((0.0, 2), (1.0, 1)):
        slow = _Slow(semantic, seconds)
        object.__setattr__(semantic.world, "judge", slow)
        found = await semantic.cache.lookup(LookupRequest(SCOPE, probe(asked(REWORDED))), semantic.clock.now + 0.5)
        assert (found.hit, slow.judged) == (None, judged)


async def test_work_for_which_no_time_is_left_is_not_begun() -> None:
    begun: list[bool] = []

    async def work() -> None:
        begun.append(True)

    with pytest.raises(TimeoutError):
        await TimeLeft(0.0, lambda: 1.0).bound(work)
    assert not begun


async def test_an_embedding_service_that_is_late_for_some_serves_the_others(embedding: EmbeddingClient) -> None:
    for number in range(20):
        with pytest.raises(EmbeddingUnavailable, match="deadline"):
            await embedding.embed([f"text {number}"], 0.0)
        assert len(await embedding.embed([f"text {number}"], 30.0)) == 1


async def test_where_nothing_is_matched_by_meaning_only_a_scope_can_be_cleared() -> None:
    entries = NoEntries()
    for chosen in (EntryFilter(TENANT, tag="geo"), EntryFilter(TENANT, user="ann"), EntryFilter(SCOPE)):
        with pytest.raises(ResourceState, match="penstock cache clear"):
            await entries.delete(Deletion(chosen))
    assert await entries.delete(Deletion(EntryFilter(TENANT, entry_ids=("1",)))) == 0
