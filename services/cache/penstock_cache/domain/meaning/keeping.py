"""Keeping answers by meaning, and learning from the near entry that was not served; nobody waits for either."""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NamedTuple

from penstock_cache.domain.meaning.answers import Sameness, compare_texts, compare_vectors, cosine_of
from penstock_cache.domain.meaning.audience import group_for, refusal_of, user_digest
from penstock_cache.domain.meaning.entry import Body, Card, Group, MeaningEntry, answer_text, entry_id_of, spent
from penstock_cache.domain.meaning.occupancy import Place
from penstock_cache.domain.meaning.policy import Bounds, Policies
from penstock_cache.domain.meaning.ports import StartWork, VectorMaker
from penstock_cache.domain.meaning.shelf import BACKGROUND_SECONDS, Shelf
from penstock_cache.domain.meaning.tier import FAILURES, World
from penstock_common.contract.cache import Meaning, Near, Origin, Scope, StoreRequest
from penstock_common.llm.types import GenerationEvent

GenerationOf = Callable[[Scope], Awaitable[str]]
"""Asks for a scope's present generation anew."""


class Answer(NamedTuple):
    """What is to be kept, and for whom."""

    request: StoreRequest
    meaning: Meaning
    events: tuple[GenerationEvent, ...]
    generation: str


class _Spot(NamedTuple):
    shelf: Shelf
    group: Group
    entry_id: str
    user: str
    vector: array[float]
    maker: VectorMaker


class Keeper:
    """Keeps answers in the background, at most ``Bounds.max_waiting`` at a time."""

    def __init__(
        self, world: World, policies: Policies, bounds: Bounds, generation_of: GenerationOf, start: StartWork
    ) -> None:
        self._world = world
        self._policies = policies
        self._bounds = bounds
        self._generation_of = generation_of
        self._start = start
        self._waiting = 0
        self._longest_stale = bounds.stale
        self._now = world.clocks[0]
        self.stored_since: set[str] = set()
        """Tenants that have stored since somebody last emptied this."""

    def keep_stale(self, longest: timedelta) -> None:
        """Keep what is stored from now on for at most so long beyond its time."""
        self._longest_stale = longest

    def keep_later(self, request: StoreRequest, events: tuple[GenerationEvent, ...], generation: str) -> None:
        """Have an answer kept that the exact tiers have taken; ``events`` are in canonical form."""
        meaning, counts = request.probe.meaning, self._world.counts
        if not self._policies.of(request.scope.model).is_on:
            refusal = "off"
        elif self._waiting >= self._bounds.max_waiting:
            refusal = "busy"
        else:
            refusal = refusal_of(meaning, self._world.vectors.window_tokens)
        if refusal or meaning is None:
            counts.not_stored[refusal or "form"] += 1
            return
        self._waiting += 1
        self._start(self._keep_counted(Answer(request, meaning, events, generation)))

    async def _keep_counted(self, answer: Answer) -> None:
        try:
            await self.keep(answer)
        except FAILURES as error:
            self._world.troubles.note(error)
            self._world.counts.not_stored["away"] += 1
        finally:
            self._waiting -= 1

    async def keep(self, answer: Answer) -> None:
        """Keep an answer as an entry, or as another wording of the near one.

        Raises:
            EmbeddingUnavailable, PointsUnavailable, KeysUnavailable: if it cannot be kept now.
        """
        world, scope = self._world, answer.request.scope
        embedded = await world.vectors.of(scope.tenant, answer.meaning, BACKGROUND_SECONDS)
        if not embedded.is_whole:
            world.counts.not_stored["too_long"] += 1
            return
        shelf = await world.library.shelf(scope.tenant, embedded.maker)
        group = group_for(shelf.keys, scope.model, answer.meaning)
        entry_id = entry_id_of(shelf.keys, group, answer.meaning.text)
        user = user_digest(shelf.keys, answer.meaning.user)
        place = _Spot(shelf, group, entry_id, user, embedded.vector, embedded.maker)
        present = (await shelf.get([entry_id])).get(entry_id)
        near = answer.request.near
        if near is None and present is not None and present.is_alias:
            # Its wording was known as another's; asked afresh, the answer shows whether it still is.
            near = Near(present.card.root, 1.0, 1.0)
        root = (await shelf.get([near.entry_id])).get(near.entry_id) if near is not None else None
        is_other = root is not None and root.id != entry_id and root.card.group == group.digest
        if near is not None and root is not None and is_other and await self._learn(answer, place, near, root):
            return
        await self._put_own(answer, place, present)

    async def _learn(self, answer: Answer, place: _Spot, near: Near, root: MeaningEntry) -> bool:
        """Compare two answers; return whether the wording has become one of the near entry's."""
        sameness = await self._compared(answer, root)
        self._world.counts.evidence[sameness.value] += 1
        if sameness is Sameness.UNSURE:
            return False
        is_same = sameness is Sameness.SAME
        evidence = root.evidence.with_one(near.score, is_same=is_same)
        is_another_user = is_same and place.user != root.card.user
        await place.shelf.change(
            root.id, {"evidence": evidence.to_text(), "is_confirmed": int(root.card.is_confirmed or is_another_user)}
        )
        if not is_same or root.card.fresh_until <= self._now():
            return False
        body = Body(root.body.tenant, root.body.model, answer.meaning.text, (), root.body.tags, answer.meaning.user)
        card = Card(
            root=root.id,
            group=place.group.digest,
            model=root.card.model,
            user=place.user,
            tags=root.card.tags,
            origin=Origin.ALIAS.value,
            is_private=int(place.group.is_private),
            is_confirmed=root.card.is_confirmed,
            created_at=self._now(),
            fresh_until=root.card.fresh_until,
            kept_until=root.card.kept_until,
        )
        await self._put(answer, place, card, body)
        self._world.counts.aliases += 1
        return True

    async def _compared(self, answer: Answer, root: MeaningEntry) -> Sameness:
        one, other = answer_text(answer.events), answer_text(root.body.events)
        told = compare_texts(one, other)
        if told is not None:
            return told
        first, second = await self._world.vectors.of_answers(one, other, BACKGROUND_SECONDS)
        if not first.is_whole or not second.is_whole:
            return Sameness.UNSURE
        return compare_vectors(one, other, cosine_of(first.vector, second.vector))

    async def _put_own(self, answer: Answer, place: _Spot, present: MeaningEntry | None) -> None:
        request, scope, now = answer.request, answer.request.scope, self._now()
        created_at = now if request.created_at is None else min(request.created_at, now)
        life = self._bounds.life if request.ttl is None else min(request.ttl, self._bounds.life)
        fresh_until = now + life.total_seconds()
        stale = min(request.stale_for, self._longest_stale).total_seconds() if request.stale_for is not None else 0.0
        tokens, nano_usd = spent(answer.events)
        card = Card(
            root=place.entry_id,
            group=place.group.digest,
            model=model_digest(place.shelf, scope.model),
            user=place.user,
            tags=tuple(tag_digest(place.shelf, tag) for tag in request.tags),
            origin=request.origin.value,
            is_private=int(place.group.is_private),
            is_confirmed=int(self._is_confirmed(answer, place, present)),
            created_at=created_at,
            fresh_until=fresh_until,
            kept_until=fresh_until + stale,
            hits=0 if present is None else present.card.hits,
            tokens=tokens,
            nano_usd=nano_usd,
            evidence="" if present is None else present.card.evidence,
        )
        body = Body(scope.tenant, scope.model, answer.meaning.text, answer.events, request.tags, answer.meaning.user)
        await self._put(answer, place, card, body)
        self._world.counts.stored += 1

    def _is_confirmed(self, answer: Answer, place: _Spot, present: MeaningEntry | None) -> bool:
        """Return whether another user had the same answer to the same text before."""
        if present is None or present.is_alias:
            return False
        is_same = compare_texts(answer_text(answer.events), answer_text(present.body.events)) is Sameness.SAME
        return is_same and (bool(present.card.is_confirmed) or present.card.user != place.user)

    async def _put(self, answer: Answer, place: _Spot, card: Card, body: Body) -> None:
        scope = answer.request.scope
        if not await self._is_current(answer):
            return
        await place.shelf.put(place.entry_id, card, body, place.vector)
        if not await self._is_current(answer):
            # It was invalidated in between, and what invalidates deletes after it has changed the generation.
            await place.shelf.delete(place.shelf.where(ids=[place.entry_id]))
            return
        for name in (place.shelf.keys.name, card.group):
            self._world.occupancy.filled(Place(place.maker, name))
        self.stored_since.add(scope.tenant)

    async def _is_current(self, answer: Answer) -> bool:
        generation = await self._generation_of(answer.request.scope)
        is_current = not answer.generation or not generation or generation == answer.generation
        if not is_current:
            self._world.counts.not_stored["invalidated"] += 1
        return is_current


def model_digest(shelf: Shelf, model: str) -> str:
    """Return what the store calls a public model."""
    return shelf.keys.digest("model", model.encode())


def tag_digest(shelf: Shelf, tag: str) -> str:
    """Return what the store calls a tag."""
    return shelf.keys.digest("tag", tag.encode())
