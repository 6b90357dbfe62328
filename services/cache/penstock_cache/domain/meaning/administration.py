"""What people ask of the entries that are matched by meaning: to see, delete, explain and dispute them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from penstock_cache.domain.guard.guard import Candidate
from penstock_cache.domain.meaning.answers import cosine_of
from penstock_cache.domain.meaning.audience import user_digest
from penstock_cache.domain.meaning.decision import Seen, decide
from penstock_cache.domain.meaning.entry import Body, MeaningEntry, answer_text, origin_of, scope_of, sealed
from penstock_cache.domain.meaning.evidence import threshold_of
from penstock_cache.domain.meaning.keeping import model_digest, tag_digest
from penstock_cache.domain.meaning.policy import Bounds, Policies, Policy
from penstock_cache.domain.meaning.screening import refusal
from penstock_cache.domain.meaning.shelf import BACKGROUND_SECONDS, Shelf
from penstock_cache.domain.meaning.single import single
from penstock_cache.domain.meaning.tier import World
from penstock_cache.domain.secrecy import KeysUnavailable
from penstock_common.contract.cache import (
    Deletion,
    Dispute,
    EntryFilter,
    EntryPage,
    EntryQuery,
    EntryRecord,
    ExplainRequest,
    Explanation,
    Scope,
)
from penstock_common.errors import ServiceUnavailable
from penstock_common.points.store import Where

VoidExact = Callable[[Scope], Awaitable[int]]
"""Voids what the exact tiers have of a scope, in every process within a second."""
MOST_ON_A_PAGE = 1000
USUAL_PAGE_SIZE = 100
DISPUTED_SCORE = 1.0


class Administration:
    """Of one tenant at a time. What is deleted goes from the exact tiers, too: they void all of the entry's model.

    Raises:
        ServiceUnavailable: if the store, the keys or the embedding service do not answer.
    """

    def __init__(self, world: World, policies: Policies, bounds: Bounds, void_exact: VoidExact) -> None:
        self._world = world
        self._policies = policies
        self._bounds = bounds
        self._void_exact = void_exact
        self._now = world.clocks[0]

    async def list(self, query: EntryQuery) -> EntryPage:
        """Return a page of entries, in the order of their ids."""
        maker = self._world.vectors.maker
        if maker is None:
            raise ServiceUnavailable("The embedding service has not answered yet; ask again.", service="embedding")
        async with _keys_told():
            shelf = await self._world.library.shelf(query.filter.scope.tenant, maker)
        size = min(query.page_size or USUAL_PAGE_SIZE, MOST_ON_A_PAGE)
        entries, after = await shelf.page(_where(shelf, query.filter), size, _well_formed(query.page_token))
        return EntryPage(tuple([self._record(entry, with_content=query.with_content) for entry in entries]), after)

    async def delete(self, deletion: Deletion) -> int:
        """Delete what the filter names with its other wordings, of every embedding model, or count it."""
        chosen, count = deletion.filter, 0
        if not deletion.dry_run:
            # First: what comes in meanwhile is of the old generation, and goes.
            await self._void(await self._scopes_of(chosen))
        async for shelf in self._shelves(chosen.scope.tenant):
            count += await self._delete_chosen(shelf, chosen, dry_run=deletion.dry_run)
        return count

    async def _delete_chosen(self, shelf: Shelf, chosen: EntryFilter, *, dry_run: bool) -> int:
        where = _where(shelf, chosen)
        if chosen.entry_ids or chosen.user:
            entries = await self._chosen(shelf, where)
            count, everything = len(entries), shelf.where(ids=sorted(entries))
        else:
            # By tag and model their other wordings are among them.
            count, everything = await shelf.count(where), where
        if not dry_run:
            await shelf.delete(everything)
            if not chosen.entry_ids:
                # What was found wrong is counted no more, and goes all the same.
                await shelf.delete(where._replace(above={}))
        return count

    async def _scopes_of(self, chosen: EntryFilter) -> set[Scope]:
        """Return whose equal requests are answered no more: equality knows no ids, tags or users."""
        if not chosen.entry_ids:
            return {chosen.scope}
        scopes: set[Scope] = set()
        async for shelf in self._shelves(chosen.scope.tenant):
            scopes |= {scope_of(entry) for entry in (await self._chosen(shelf, _where(shelf, chosen))).values()}
        return scopes

    async def delete_scope(self, scope: Scope) -> int:
        """Delete all entries of a scope."""
        count = 0
        self._world.vectors.forget()
        if not scope.tenant:
            return await self._delete_of_every_tenant(scope.model)
        async for shelf in self._shelves(scope.tenant):
            equal = {"model": model_digest(shelf, scope.model)} if scope.model else {}
            count += await shelf.delete(Where(shelf.keys.name, equal))
        return count

    async def _delete_of_every_tenant(self, model: str) -> int:
        library = self._world.library
        await library.register(self._world.vectors.maker, anew=True)
        if not model:
            return sum([await points.sweep("kept_until", _END_OF_TIME) for points in library.every_points()])
        count = 0
        async with _keys_told():
            # Each tenant's keys call a model something else.
            async for keys in library.keys.every():
                for points in library.every_points():
                    shelf = Shelf(points, keys, "")
                    count += await shelf.delete(Where(keys.name, {"model": model_digest(shelf, model)}))
        return count

    async def dispute(self, dispute: Dispute) -> bool:
        """Remove an entry that was wrong, with its wordings; return whether there was one.

        Its evidence stays, so that the same wording, stored anew, is served to nobody by meaning.
        """
        ids = [_well_formed(dispute.entry_id)] if _well_formed(dispute.entry_id) else []
        async for shelf in self._shelves(dispute.scope.tenant):
            root = await _served_root(shelf, ids)
            if root is None:
                continue
            # First: an answer that is being kept meanwhile would take its place.
            await self._void({scope_of(root)})
            await self._disown(shelf, await _served_root(shelf, ids) or root)
            self._world.counts.judged_hits += 1
            self._world.counts.false_hits += 1
            return True
        return False

    async def _disown(self, shelf: Shelf, root: MeaningEntry) -> None:
        aliases = [entry.id async for entry in shelf.all(shelf.where(root=root.id)) if entry.id != root.id]
        empty = Body(root.body.tenant, root.body.model, root.body.question, (), (), root.body.user)
        await shelf.change(
            root.id,
            {
                "fresh_until": 0.0,
                "kept_until": self._now() + self._bounds.life.total_seconds(),
                "evidence": root.evidence.with_one(DISPUTED_SCORE, is_same=False).to_text(),
                "body": sealed(shelf.keys, root.id, empty),
            },
        )
        await shelf.delete(shelf.where(ids=aliases))

    async def explain(self, request: ExplainRequest) -> Explanation:
        """Return whether an answer to one text would be served to another, by what decides it live."""
        policy = self._policies.of(request.scope.model)
        window = self._world.vectors.window_tokens
        refused = "off" if not policy.is_on else refusal(request.stored, _SOMEBODY, window)
        refused = refused or refusal(request.asked, _SOMEBODY, window)
        if refused:
            return Explanation(False, reason=refused, threshold=single(policy.threshold), floor=single(policy.floor))
        tenant = request.scope.tenant
        stored = await self._world.vectors.of_text(tenant, request.stored, BACKGROUND_SECONDS)
        asked = await self._world.vectors.of_text(tenant, request.asked, BACKGROUND_SECONDS)
        if not (stored.is_whole and asked.is_whole):
            return Explanation(False, reason="too_long", threshold=single(policy.threshold), floor=single(policy.floor))
        return await self._explained(request, cosine_of(stored.vector, asked.vector), policy)

    async def _explained(self, request: ExplainRequest, similarity: float, policy: Policy) -> Explanation:
        if similarity < policy.floor:
            return Explanation(
                False,
                reason="unlike",
                similarity=single(similarity),
                threshold=single(policy.threshold),
                floor=single(policy.floor),
            )
        (verdict,) = await self._world.judge.judge_many(request.asked, [Candidate(request.stored, similarity)])
        decision = decide(verdict.score, Seen(), policy.threshold, policy.strict, policy.max_error)
        served = decision.is_served and not verdict.is_vetoed
        says_more = served or verdict.is_vetoed or verdict.reason not in ("same", "unsure")
        return Explanation(
            served,
            reason=verdict.reason if says_more else decision.reason,
            detail=verdict.detail,
            similarity=single(similarity),
            score=single(verdict.score),
            threshold=single(decision.threshold),
            floor=single(policy.floor),
        )

    async def _shelves(self, tenant: str) -> AsyncGenerator[Shelf, None]:
        async with _keys_told():
            await self._world.library.register(self._world.vectors.maker, anew=True)
            for maker in self._world.library.makers:
                yield await self._world.library.shelf(tenant, maker)

    async def _chosen(self, shelf: Shelf, where: Where) -> dict[str, MeaningEntry]:
        """Return entries and their other wordings, by their ids."""
        entries = {entry.id: entry async for entry in shelf.all(where)}
        for root in [entry for entry in entries.values() if not entry.is_alias]:
            async for alias in shelf.all(shelf.where(root=root.id)):
                entries[alias.id] = alias
        return entries

    async def _void(self, scopes: Iterable[Scope]) -> None:
        for scope in sorted(scopes):
            await self._void_exact(scope)

    def _record(self, entry: MeaningEntry, *, with_content: bool) -> EntryRecord:
        card, policy = entry.card, self._policies.of(entry.body.model)
        evidence = entry.evidence
        return EntryRecord(
            entry_id=entry.id,
            model=entry.body.model,
            question=entry.body.question if with_content else "",
            answer=answer_text(entry.body.events) if with_content else "",
            tags=entry.body.tags,
            is_private=bool(card.is_private),
            created_at=card.created_at,
            expires_at=card.fresh_until,
            origin=origin_of(card),
            hits=card.hits,
            threshold=single(threshold_of(evidence, policy.threshold, policy.max_error)),
            evidence_same=evidence.same,
            evidence_different=evidence.different,
            alias_of=card.root if entry.is_alias else "",
            saved_tokens=card.hits * card.tokens,
            saved_nano_usd=card.hits * card.nano_usd,
        )


def _where(shelf: Shelf, chosen: EntryFilter) -> Where:
    equal: dict[str, str] = {}
    if chosen.scope.model:
        equal["model"] = model_digest(shelf, chosen.scope.model)
    if chosen.tag:
        equal["tags"] = tag_digest(shelf, chosen.tag)
    if chosen.user:
        equal["user"] = user_digest(shelf.keys, chosen.user)
    ids = None
    if chosen.entry_ids:
        ids = sorted({entry_id for entry_id in chosen.entry_ids if _well_formed(entry_id)})
    # What was found wrong is kept for its evidence, and is no entry any more.
    return Where(shelf.keys.name, equal, {"fresh_until": 0.0}, ids=ids)


async def _served_root(shelf: Shelf, ids: Sequence[str]) -> MeaningEntry | None:
    """Return the entry whose answer one of these ids has, unless that was found wrong already."""
    for found in (await shelf.get(ids)).values():
        root = (await shelf.get([found.card.root])).get(found.card.root)
        if root is not None and root.card.fresh_until > 0.0:
            return root
    return None


def _well_formed(entry_id: str) -> str:
    """Return the id, or nothing where it can be no entry's."""
    try:
        return entry_id if str(uuid.UUID(entry_id)) == entry_id else ""
    except ValueError:
        return ""


@asynccontextmanager
async def _keys_told() -> AsyncGenerator[None, None]:
    try:
        yield
    except KeysUnavailable as error:
        raise ServiceUnavailable(f"The cache's keys cannot be used: {error}", service="cache") from error


_SOMEBODY = "somebody"
_END_OF_TIME = 1e15
