from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from penstock_cache.adapters.embedding import EmbeddingClient
from penstock_cache.domain.guard.guard import Guard
from penstock_cache.domain.meaning.policy import Bounds, Policy
from penstock_cache.domain.meaning.shelf import collection_of
from penstock_common.contract.cache import (
    Deletion,
    Dispute,
    EntryFilter,
    EntryQuery,
    ExplainRequest,
    LookupRequest,
    Origin,
    Scope,
    StoreRequest,
)
from penstock_common.errors import PenstockError
from penstock_common.points.edge.engine import open_edge
from penstock_common.points.edge.messages import Settings
from penstock_common.points.gated import Patience
from penstock_common.points.store import Engine, Points, PointsUnavailable, Where

sys.path.insert(0, str(Path(__file__).parent))

from meaning_kit import SCOPE, Said, Semantic, answered, asked, embedding_channel, prepared, probe  # noqa: E402

pytestmark = pytest.mark.asyncio(loop_scope="module")
CAPITAL, REWORDED = "What is the capital city of France?", "Which city is France's capital?"
OTHER = "What is the capital city of Germany?"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedding() -> AsyncIterator[EmbeddingClient]:
    async with embedding_channel(Path("~/.cache/penstock/models").expanduser()) as channel:
        yield await prepared(channel)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    async with open_edge(tmp_path_factory.mktemp("points") / "edge", Settings(), PATIENCE) as edge:
        yield edge


PATIENCE = Patience(timedelta(seconds=30), timedelta(seconds=30), timedelta(0))


@pytest.fixture
def semantic(engine: Engine, embedding: EmbeddingClient) -> Semantic:
    """A cache with keys of its own, so that nothing of another test is its tenants'."""
    return Semantic(engine, embedding, judge=Said(0.95))


@pytest.fixture
def wary(engine: Engine, embedding: EmbeddingClient) -> Semantic:
    """The same with a judge who is sure of nothing."""
    return Semantic(engine, embedding, judge=Said(0.7))


async def test_a_question_in_other_words_is_answered_again_and_another_question_is_not(
    engine: Engine, embedding: EmbeddingClient
) -> None:
    semantic = Semantic(engine, embedding, judge=Guard())
    await semantic.answer(asked(CAPITAL), "Paris.")
    found = await semantic.ask(asked("What is the capital  city of France?"))
    assert found.hit is not None and found.hit.by_meaning
    assert 0.9 < found.hit.similarity <= 1.0
    assert (found.tier, found.hit.events[1].text) == ("semantic", "Paris.")
    other = await semantic.ask(asked(OTHER))
    assert other.hit is None and other.miss_reason == "entity"
    stats = semantic.cache.stats()
    assert (stats.semantic_hits, stats.refused_by_guard, stats.saved_tokens, stats.saved_nano_usd) == (
        1,
        {"entity": 1},
        17,
        4000,
    )


async def test_an_equal_request_is_never_embedded(semantic: Semantic) -> None:
    await semantic.answer(asked(CAPITAL), "Paris.")
    before = semantic.world.vectors.embedded
    found = await semantic.ask(asked(CAPITAL))
    assert found.tier == "memory" and semantic.world.vectors.embedded == before


async def test_nothing_is_embedded_where_nothing_can_be_found(semantic: Semantic) -> None:
    for request in (asked(CAPITAL), asked("What is the weather in Oslo today?"), asked("yes", "a", "b")):
        assert (await semantic.ask(request)).hit is None
    assert semantic.world.vectors.embedded == 0
    assert semantic.cache.stats().not_compared == {"empty": 1, "moment": 1, "dependent": 1}


async def test_a_text_is_embedded_once_for_look_up_and_store(semantic: Semantic) -> None:
    await semantic.answer(asked(CAPITAL), "Paris.")
    before = semantic.world.vectors.embedded
    missed = await semantic.ask(asked("How high is Mont Blanc?"))
    await semantic.answer(asked("How high is Mont Blanc?"), "4,806 m.", missed=missed)
    assert semantic.world.vectors.embedded == before + 1
    assert len(missed.vector) == 4 * 384 and missed.vector_model.startswith("all-MiniLM-L6-v2@")


@pytest.mark.parametrize(
    "stored",
    [
        (asked(CAPITAL, system="Answer in French."), SCOPE),
        (asked(CAPITAL, "Hello", "Hello!"), SCOPE),
        (asked(CAPITAL, model="large"), Scope("acme", "large")),
        (asked(CAPITAL), Scope("rival", "fast")),
    ],
)
async def test_other_context_models_and_tenants_are_never_compared(semantic: Semantic, stored: Any) -> None:
    request, scope = stored
    await semantic.answer(request, "Paris.", scope)
    await semantic.answer(asked("How high is Mont Blanc?"), "4,806 m.")
    found = await semantic.ask(asked(REWORDED))
    assert found.hit is None and found.near is None


class _Unfiltered:
    """An engine whose searches forget every condition."""

    def __init__(self, engine: Engine, tenants: list[str]) -> None:
        self._engine = engine
        self._tenants = tenants

    def points(self, collection: Any) -> Any:
        return _UnfilteredPoints(self._engine.points(collection), self._tenants)


class _UnfilteredPoints:
    def __init__(self, points: Points, tenants: list[str]) -> None:
        self._points = points
        self._tenants = tenants

    def __getattr__(self, name: str) -> Any:
        return getattr(self._points, name)

    async def count(self, where: Where, *, timeout: float | None = None) -> int:
        return 1

    async def nearest(self, vector: Any, where: Where, **more: Any) -> Any:
        more |= {"floor": -1.0}
        found = [await self._points.nearest(vector, Where(tenant), **more) for tenant in self._tenants]
        return [scored for each in found for scored in each]


async def test_a_foreign_entry_does_not_open_where_the_filter_is_gone(
    engine: Engine, embedding: EmbeddingClient
) -> None:
    honest = Semantic(engine, embedding, judge=Said(1.0))
    await honest.answer(asked(CAPITAL), "Paris.", Scope("rival", "fast"))
    names = [(await honest.keys.of(tenant)).name for tenant in ("rival", "acme")]
    mutated = Semantic(_Unfiltered(engine, names), embedding, judge=Said(1.0), keys=honest.keys)
    for number in range(50):
        assert (await mutated.ask(asked(f"{CAPITAL} {number}"), Scope("acme", "fast"))).hit is None
    assert (await mutated.ask(asked(REWORDED), Scope("rival", "fast"))).hit is not None


async def test_a_near_miss_with_the_same_answer_becomes_another_wording(wary: Semantic) -> None:
    await wary.answer(asked(CAPITAL), "Paris.")
    missed = await wary.ask(asked(REWORDED))
    assert missed.hit is None and missed.near is not None and missed.miss_reason == "cold"
    await wary.answer(asked(REWORDED), "paris", missed=missed)
    wary.world.judge.score = 1.0  # type: ignore[attr-defined]  # the same words are the same to the guard
    found = await wary.ask(asked(REWORDED + " "))
    assert found.hit is not None
    assert (found.tier, found.hit.origin, found.hit.events[1].text) == ("alias", Origin.ALIAS, "Paris.")
    page = await wary.administration.list(EntryQuery(EntryFilter(SCOPE), with_content=True))
    records = {record.question: record for record in page.entries}
    assert records[REWORDED].alias_of == records[CAPITAL].entry_id
    assert (records[CAPITAL].evidence_same, records[CAPITAL].evidence_different) == (1, 0)
    assert found.hit.entry_id == records[CAPITAL].entry_id


async def test_a_near_miss_with_another_answer_counts_against_the_entry(wary: Semantic) -> None:
    await wary.answer(asked(CAPITAL), "Paris.")
    missed = await wary.ask(asked(OTHER))
    await wary.answer(asked(OTHER), "Berlin.", missed=missed)
    page = await wary.administration.list(EntryQuery(EntryFilter(SCOPE), with_content=True))
    assert {record.question: record.alias_of for record in page.entries} == {CAPITAL: "", OTHER: ""}
    assert {record.question: record.evidence_different for record in page.entries} == {CAPITAL: 1, OTHER: 0}


async def test_answers_of_which_nobody_can_tell_teach_nothing(wary: Semantic) -> None:
    await wary.answer(asked(CAPITAL), "The capital of France is Paris, a city on the Seine with a long history.")
    missed = await wary.ask(asked(REWORDED))
    await wary.answer(asked(REWORDED), "It depends on what you mean by a capital.", missed=missed)
    assert wary.counts.evidence["same"] == 0
    assert wary.counts.stored == 2


async def test_what_another_user_alone_has_seen_needs_a_surer_guard(semantic: Semantic) -> None:
    await semantic.answer(asked(CAPITAL), "Paris.", user="ann")
    assert (await semantic.ask(asked(REWORDED), user="ann")).hit is not None
    refused = await semantic.ask(asked(REWORDED), user="bob")
    assert (refused.hit, refused.miss_reason) == (None, "user")
    await semantic.answer(asked(REWORDED), "Paris.", user="bob", missed=refused)
    assert (await semantic.ask(asked("Name the capital city of France."), user="cem")).hit is not None


async def test_where_nobody_says_who_asks_the_tenant_is_one_user(semantic: Semantic) -> None:
    await semantic.answer(asked(CAPITAL), "Paris.")
    assert (await semantic.ask(asked(REWORDED))).hit is not None


async def test_what_is_about_a_person_serves_that_person_alone(semantic: Semantic) -> None:
    mine, reworded = "What is my account balance with you?", "What's my account balance with you please?"
    await semantic.answer(asked(mine), "12 euros.")
    assert semantic.counts.not_stored["personal"] == 1
    await semantic.answer(asked(mine), "12 euros.", user="ann")
    assert (await semantic.ask(asked(reworded), user="bob")).hit is None
    assert (await semantic.ask(asked(reworded), user="ann")).hit is not None


async def test_what_the_caller_calls_private_serves_that_user_alone(semantic: Semantic) -> None:
    request = asked(CAPITAL)
    store = StoreRequest(SCOPE, probe(request, "ann", is_private=True), answered("Paris."))
    assert await semantic.cache.store(store) == ""
    await semantic.settle()
    for user, is_hit in (("ann", True), ("bob", False)):
        found = await semantic.cache.lookup(LookupRequest(SCOPE, probe(asked(REWORDED), user, is_private=True)))
        assert (found.hit is not None) is is_hit
    assert (await semantic.ask(asked(REWORDED), user="bob")).hit is None


async def test_an_entry_serves_until_its_time_is_over_and_stale_where_that_is_asked_for(semantic: Semantic) -> None:
    await semantic.answer(asked(CAPITAL), "Paris.", ttl=timedelta(seconds=60), stale_for=timedelta(hours=1))
    semantic.clock.now += 61
    assert (await semantic.ask(asked(REWORDED))).hit is None
    assert (await semantic.ask(asked(REWORDED), stale_for=timedelta(minutes=5))).hit is not None
    await semantic.upkeep.turn()
    semantic.clock.now += 3600
    await semantic.upkeep.turn()
    shelf = await semantic.world.library.shelf("acme", semantic.world.vectors.maker)  # type: ignore[arg-type]
    assert await shelf.count(shelf.where()) == 0


async def test_an_entry_older_than_the_caller_wants_is_not_served(semantic: Semantic) -> None:
    await semantic.answer(asked(CAPITAL), "Paris.")
    semantic.clock.now += 100
    assert (await semantic.ask(asked(REWORDED), max_age=timedelta(seconds=99))).hit is None
    assert (await semantic.ask(asked(REWORDED), max_age=timedelta(seconds=101))).hit is not None


async def test_an_answer_that_comes_after_an_invalidation_stays_out(semantic: Semantic) -> None:
    missed = await semantic.ask(asked(CAPITAL))
    assert (
        await semantic.cache.store(
            StoreRequest(SCOPE, probe(asked(CAPITAL)), answered("Paris."), generation=missed.generation)
        )
        == ""
    )
    await semantic.cache.invalidate(SCOPE)
    await semantic.settle()
    assert (await semantic.ask(asked(REWORDED))).hit is None
    assert semantic.counts.not_stored["invalidated"] == 1


async def test_invalidating_deletes_what_lies_in_the_scope_and_nothing_else(semantic: Semantic) -> None:
    for scope in (SCOPE, Scope("acme", "large"), Scope("rival", "fast")):
        await semantic.answer(asked(CAPITAL, model=scope.model), "Paris.", scope)
    await semantic.cache.invalidate(SCOPE)
    assert (await semantic.ask(asked(REWORDED))).hit is None
    assert (await semantic.ask(asked(REWORDED, model="large"), Scope("acme", "large"))).hit is not None
    await semantic.cache.invalidate(Scope("acme", ""))
    assert (await semantic.ask(asked(REWORDED, model="large"), Scope("acme", "large"))).hit is None
    assert (await semantic.ask(asked(REWORDED), Scope("rival", "fast"))).hit is not None


@pytest.mark.parametrize("by", ["id", "tag", "user", "model"])
async def test_deleting_counts_first_then_takes_wordings_and_exact_copies_along(wary: Semantic, by: str) -> None:
    await wary.answer(asked(CAPITAL), "Paris.", user="ann", tags=("geo", "faq"))
    missed = await wary.ask(asked(REWORDED), user="ann")
    await wary.answer(asked(REWORDED), "Paris.", user="ann", missed=missed)
    await wary.answer(asked("How high is Mont Blanc?", model="large"), "High.", Scope("acme", "large"), user="bob")
    page = await wary.administration.list(EntryQuery(EntryFilter(SCOPE)))
    root = next(record.entry_id for record in page.entries if not record.alias_of)
    chosen = {
        "id": EntryFilter(Scope("acme", ""), entry_ids=(root, "no id", "11111111-2222-3333-4444-555555555555")),
        "tag": EntryFilter(Scope("acme", ""), tag="geo"),
        "user": EntryFilter(Scope("acme", ""), user="ann"),
        "model": EntryFilter(SCOPE),
    }[by]
    assert await wary.administration.delete(Deletion(chosen, dry_run=True)) == 2
    assert (await wary.ask(asked(CAPITAL))).tier == "memory"
    assert await wary.administration.delete(Deletion(chosen)) == 2
    assert (await wary.ask(asked(CAPITAL))).hit is None
    left = await wary.administration.list(EntryQuery(EntryFilter(Scope("acme", ""))))
    assert [record.model for record in left.entries] == ["large"]
    assert await wary.administration.delete(Deletion(chosen)) == 0


async def test_nobody_deletes_or_sees_another_tenants_entries(semantic: Semantic) -> None:
    await semantic.answer(asked(CAPITAL), "Paris.")
    (record,) = (await semantic.administration.list(EntryQuery(EntryFilter(SCOPE)))).entries
    rival = EntryFilter(Scope("rival", ""), entry_ids=(record.entry_id,))
    assert await semantic.administration.delete(Deletion(rival)) == 0
    assert (await semantic.administration.list(EntryQuery(rival))).entries == ()
    assert not await semantic.administration.dispute(Dispute(rival.scope, record.entry_id))
    assert (record.question, record.answer) == ("", "")


async def test_pages_are_disjoint_and_complete(semantic: Semantic) -> None:
    for number in range(5):
        await semantic.answer(asked(f"What is the square root of {number}?"), str(number))
    seen, token = [], ""
    while True:
        page = await semantic.administration.list(EntryQuery(EntryFilter(SCOPE), page_size=2, page_token=token))
        seen += [record.entry_id for record in page.entries]
        token = page.next_page_token
        if not token:
            break
    assert len(seen) == len(set(seen)) == 5


async def test_a_disputed_entry_is_gone_and_does_not_come_back_by_being_stored_again(semantic: Semantic) -> None:
    await semantic.answer(asked(CAPITAL), "Lyon.")
    found = await semantic.ask(asked(REWORDED))
    assert found.hit is not None
    assert await semantic.administration.dispute(Dispute(SCOPE, found.hit.entry_id))
    assert (await semantic.ask(asked(REWORDED))).hit is None
    assert (await semantic.ask(asked(CAPITAL))).hit is None
    assert (await semantic.administration.list(EntryQuery(EntryFilter(SCOPE)))).entries == ()
    assert not await semantic.administration.dispute(Dispute(SCOPE, found.hit.entry_id))
    stats = semantic.cache.stats()
    assert (stats.judged_hits, stats.false_hits) == (1, 1)
    await semantic.answer(asked(CAPITAL), "Lyon.")
    again = await semantic.ask(asked(REWORDED))
    assert (again.hit, again.miss_reason) == (None, "learned")


async def test_explaining_says_what_a_request_would_be_told(engine: Engine, embedding: EmbeddingClient) -> None:
    semantic = Semantic(engine, embedding, judge=Guard())
    await semantic.answer(asked(CAPITAL), "Paris.")
    for text in ("what is the capital city of france", REWORDED, OTHER, "How do I bake bread at home?", "latest news?"):
        found = await semantic.ask(asked(text))
        told = await semantic.administration.explain(ExplainRequest(SCOPE, CAPITAL, text))
        assert told.served == (found.hit is not None), text
        if not told.served and told.reason != "unlike":
            assert told.reason == found.miss_reason


async def test_too_long_a_text_is_neither_looked_up_nor_kept(semantic: Semantic) -> None:
    await semantic.answer(asked(CAPITAL), "Paris.")
    long = "Please explain internationalisation of antidisestablishmentarianism " * 60
    found = await semantic.ask(asked(long))
    assert (found.hit, found.miss_reason) == (None, "too_long")
    await semantic.answer(asked(long), "No.", missed=found)
    assert semantic.counts.not_stored["too_long"] == 1


async def test_the_least_worth_go_where_there_are_too_many(engine: Engine, embedding: EmbeddingClient) -> None:
    bounds = Bounds(timeout=timedelta(seconds=30), max_entries_of_a_tenant=10)
    semantic = Semantic(engine, embedding, judge=Said(0.95), bounds=bounds)
    for number in range(12):
        await semantic.answer(asked(f"Who invented thing number {number} of the museum?"), f"Inventor {number}.")
        semantic.clock.now += 3600
    found = await semantic.ask(asked("Who was it that invented thing number 0 of the museum?"))
    assert found.hit is not None
    await semantic.upkeep.turn()
    records = (await semantic.administration.list(EntryQuery(EntryFilter(SCOPE), with_content=True))).entries
    assert len(records) == 9 and semantic.counts.evicted == 3
    assert any(record.hits == 1 and record.saved_tokens == 17 for record in records)


async def test_another_embedding_model_meets_none_of_the_old_entries(
    engine: Engine, embedding: EmbeddingClient
) -> None:
    old = Semantic(engine, embedding, judge=Said(0.95))
    await old.upkeep.turn()
    await old.answer(asked(CAPITAL), "Paris.", tags=("geo",))
    new = Semantic(engine, _Renamed(embedding), judge=Said(0.95), keys=old.keys)
    await new.upkeep.turn()
    assert (await new.ask(asked(REWORDED))).hit is None
    assert (await old.ask(asked(REWORDED))).hit is not None
    assert await new.administration.delete(Deletion(EntryFilter(Scope("acme", ""), tag="geo"))) == 1
    assert (await old.ask(asked(REWORDED))).hit is None


class _Renamed:
    """The same model under another revision."""

    def __init__(self, embedding: EmbeddingClient) -> None:
        self._embedding = embedding

    @property
    def maker(self) -> Any:
        return self._embedding.maker._replace(revision="other")  # type: ignore[union-attr]

    @property
    def window_tokens(self) -> int:
        return self._embedding.window_tokens

    async def embed(self, texts: Any, seconds: float) -> Any:
        return [each._replace(maker=self.maker) for each in await self._embedding.embed(texts, seconds)]


class _Dead:
    """A channel to nobody, which counts."""

    calls = 0

    async def call(self, *_: Any, **__: Any) -> Any:
        self.calls += 1
        raise PenstockErrorOf("gone")


class PenstockErrorOf(PointsUnavailable):
    pass


async def test_a_dead_embedding_service_is_a_miss_and_asked_once(
    engine: Engine, embedding: EmbeddingClient, semantic: Semantic
) -> None:
    await semantic.answer(asked(CAPITAL), "Paris.")
    dead = _Dead()
    client = EmbeddingClient(dead, semantic.clock)  # type: ignore[arg-type]
    client._maker = embedding.maker
    other = Semantic(engine, client, judge=Said(0.95), keys=semantic.keys)
    for _ in range(5):
        found = await other.ask(asked(REWORDED))
        assert (found.hit, found.miss_reason) == (None, "away")
    assert dead.calls == 1
    assert "embedding service" in other.cache.stats().semantic_trouble
    assert (await semantic.ask(asked(REWORDED))).hit is not None


class _Stuck:
    """An engine that never answers in time."""

    def points(self, collection: Any) -> Any:
        return self

    def __getattr__(self, name: str) -> Any:
        async def never(*_: Any, timeout: float | None = None, **__: Any) -> Any:
            await asyncio.sleep(0)
            raise PointsUnavailable(f"did not answer within {timeout}", service="qdrant")

        return never


async def test_a_vector_store_that_does_not_answer_is_a_miss(embedding: EmbeddingClient) -> None:
    semantic = Semantic(_Stuck(), embedding)  # type: ignore[arg-type]
    found = await semantic.ask(asked(CAPITAL))
    assert (found.hit, found.miss_reason) == (None, "away")
    await semantic.answer(asked(CAPITAL), "Paris.", missed=found)
    assert (await semantic.ask(asked(CAPITAL))).tier == "memory"
    assert semantic.counts.not_stored["away"] == 1
    with pytest.raises(PenstockError):
        await semantic.cache.invalidate(SCOPE)


async def test_nothing_of_an_entry_is_readable_in_the_store(
    engine: Engine, embedding: EmbeddingClient, semantic: Semantic
) -> None:
    canary = "What does the zanzibarian hexwort canary sing about at night?"
    await semantic.answer(asked(canary), "Of the quixotic moonpool.", user="annabel", tags=("secretproject",))
    assert embedding.maker is not None
    points = engine.points(collection_of(embedding.maker))
    keys = await semantic.keys.of("acme")
    page = await points.scroll(Where(keys.name), limit=10)
    assert page.points
    text = str(page.points).lower()
    for word in ("hexwort", "moonpool", "annabel", "secretproject", "acme", "fast"):
        assert word not in text
    (point,) = await points.get(keys.name, [page.points[0].id])
    (plain,) = await embedding.embed([canary], 30.0)
    assert sum(a * b for a, b in zip(point.vector, plain.vector, strict=True)) < 0.5


async def test_a_model_whose_policy_is_exact_is_not_matched(engine: Engine, embedding: EmbeddingClient) -> None:
    semantic = Semantic(engine, embedding, judge=Said(0.95), policy=Policy(is_on=False))
    await semantic.answer(asked(CAPITAL), "Paris.")
    assert (await semantic.ask(asked(REWORDED))).miss_reason == "off"
    assert semantic.counts.not_stored == {"off": 1}


RANDOM, MOMENT = "Give me a random number", "What time is it in Lima?"


def said(text: str, answer: str, **more: Any) -> StoreRequest:
    return StoreRequest(SCOPE, probe(asked(text)), answered(answer), **more)


async def tiers(semantic: Semantic, *texts: str) -> list[str]:
    return [(await semantic.ask(asked(text))).tier for text in texts]


async def test_what_is_to_be_another_each_time_is_not_kept_and_what_is_of_the_moment_for_a_minute(
    semantic: Semantic,
) -> None:
    assert await semantic.cache.store(said(RANDOM, "7")) == "It is asked for another answer each time."
    assert await semantic.cache.store(said(MOMENT, "Noon.")) == ""
    assert await semantic.cache.store(said(CAPITAL, "Paris.")) == ""
    await semantic.settle()
    assert await tiers(semantic, RANDOM, MOMENT, CAPITAL) == ["", "memory", "memory"]
    semantic.clock.now += 61
    assert await tiers(semantic, MOMENT, CAPITAL) == ["", "memory"]


async def test_who_says_how_long_an_answer_lives_is_believed(semantic: Semantic) -> None:
    assert await semantic.cache.store(said(RANDOM, "7", ttl=timedelta(seconds=90))) == ""
    assert await semantic.cache.store(said(MOMENT, "Noon.", origin=Origin.IMPORTED)) == ""
    await semantic.settle()
    semantic.clock.now += 61
    assert await tiers(semantic, RANDOM, MOMENT) == ["memory", "memory"]
