"""Looking by meaning: screen, embed, find what is near, have it judged, decide."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from penstock_cache.domain.guard.guard import Candidate
from penstock_cache.domain.guard.verdict import Verdict
from penstock_cache.domain.meaning.audience import group_for, is_shared_with, refusal_of, user_digest
from penstock_cache.domain.meaning.counts import MeaningCounts
from penstock_cache.domain.meaning.decision import Seen, decide
from penstock_cache.domain.meaning.entry import MeaningEntry
from penstock_cache.domain.meaning.hits import HitBook
from penstock_cache.domain.meaning.occupancy import Occupancy, Place
from penstock_cache.domain.meaning.policy import Bounds, Policies, Policy
from penstock_cache.domain.meaning.ports import EmbeddingUnavailable, Judge, Meter, VectorMaker
from penstock_cache.domain.meaning.shelf import Library, Neighbour, Shelf
from penstock_cache.domain.meaning.single import single
from penstock_cache.domain.meaning.time_limit import TimeLeft
from penstock_cache.domain.meaning.trouble import Troubles
from penstock_cache.domain.meaning.vectors import TextVectors
from penstock_cache.domain.secrecy import KeysUnavailable
from penstock_common.contract.cache import Hit, LookupRequest, Meaning, Near, Origin
from penstock_common.points.store import PointsUnavailable

RETURN_SECONDS = 0.01
"""What is left of an asker's time for the answer to reach it: nobody waits for a hit that comes later."""
FAILURES = (EmbeddingUnavailable, PointsUnavailable, KeysUnavailable, TimeoutError)


class Sight(NamedTuple):
    """What looking by meaning has brought: a hit, or why not, and what was near; the text's vector where one was made."""

    hit: Hit | None = None
    reason: str = ""
    near: Near | None = None
    vector: bytes = b""
    vector_model: str = ""
    is_alias: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """What the tier works with."""

    vectors: TextVectors
    library: Library
    judge: Judge
    occupancy: Occupancy
    counts: MeaningCounts
    hits: HitBook
    troubles: Troubles
    meter: Meter
    clocks: tuple[Callable[[], float], Callable[[], float]]
    """Wall clock (Unix seconds) and monotonic clock."""


class Judged(NamedTuple):
    """A near entry, whose answer it has (``root``), and what was decided."""

    neighbour: Neighbour
    root: MeaningEntry
    verdict: Verdict
    is_served: bool
    reason: str
    threshold: float


class MeaningTier:
    """Finds answers to the same question in other words. Nothing of its trouble reaches a caller: it misses, in time."""

    def __init__(self, world: World, policies: Policies, bounds: Bounds) -> None:
        self._world = world
        self.policies = policies
        self._bounds = bounds
        self._now, self._monotonic = world.clocks

    async def look(self, request: LookupRequest, until: float = math.inf) -> Sight:
        """Return what is found for a request that no equal one was answered before, in time for who waits ``until`` then."""
        began = self._monotonic()
        counts = self._world.counts
        seconds = min(self._bounds.timeout.total_seconds(), until - RETURN_SECONDS - began)
        try:
            sight = await self._look(request, TimeLeft(seconds, self._monotonic))
        except FAILURES as error:
            self._world.troubles.note(error)
            counts.not_compared["away"] += 1
            return _AWAY
        if sight.vector:
            self._world.meter.looked(self._monotonic() - began, is_hit=sight.hit is not None)
        return sight

    async def _look(self, request: LookupRequest, left: TimeLeft) -> Sight:
        world, scope, meaning = self._world, request.scope, request.probe.meaning
        policy = self.policies.of(scope.model)
        refusal = "off" if not policy.is_on else refusal_of(meaning, world.vectors.window_tokens)
        if refusal or meaning is None:
            return self._not_compared(refusal or "form")
        maker = world.vectors.maker
        if maker is None:
            raise EmbeddingUnavailable("The embedding service has not answered yet.", service="embedding")
        shelf = await left.bound(lambda: world.library.shelf(scope.tenant, maker))
        group = group_for(shelf.keys, scope.model, meaning).digest
        if not await self._is_occupied(shelf, maker, group, left):
            self._not_compared("empty")
            return _NOTHING
        embedded = await world.vectors.of(scope.tenant, meaning, left.seconds())
        if not embedded.is_whole:
            return self._not_compared("too_long")
        if embedded.maker != maker:
            # The model has changed this moment; what it has made before is compared with none of the new.
            raise EmbeddingUnavailable("The embedding model has changed.", service="embedding")
        over_at = self._now() - (request.stale_for.total_seconds() if request.stale_for is not None else 0.0)
        neighbours = await shelf.nearest(
            embedded.vector,
            shelf.where(group=group, fresh_after=max(over_at, 0.0)),
            limit=self._bounds.candidates,
            floor=policy.floor,
            seconds=left.seconds(),
        )
        judged = await self._judged(shelf, request, neighbours, policy, left)
        world.troubles.clear()
        return self._sight(judged, meaning, embedded.vector, maker.label)

    async def _is_occupied(self, shelf: Shelf, maker: VectorMaker, group: str, left: TimeLeft) -> bool:
        has = self._world.occupancy.has
        tenant = Place(maker, shelf.keys.name)
        # Where a tenant has nothing, each of its conversations would be asked for.
        return await has(tenant, lambda: shelf.count(shelf.where(), left.seconds())) and await has(
            Place(maker, group), lambda: shelf.count(shelf.where(group=group), left.seconds())
        )

    async def _judged(
        self, shelf: Shelf, request: LookupRequest, neighbours: Sequence[Neighbour], policy: Policy, left: TimeLeft
    ) -> list[Judged]:
        meaning = request.probe.meaning
        assert meaning is not None
        oldest = None if request.max_age is None else self._now() - request.max_age.total_seconds()
        roots = await roots_of(shelf, [neighbour.entry for neighbour in neighbours], left.seconds())
        chosen = [
            (neighbour, root)
            for neighbour in neighbours
            if (root := roots.get(neighbour.entry.card.root)) is not None
            and root.card.fresh_until > 0.0
            and (oldest is None or root.card.created_at >= oldest)
        ]
        if not chosen:
            return []
        user = user_digest(shelf.keys, meaning.user)
        return await self._judge(meaning.text, chosen, user, policy, left)

    async def _judge(
        self,
        asked: str,
        chosen: Sequence[tuple[Neighbour, MeaningEntry]],
        user: str,
        policy: Policy,
        left: TimeLeft,
    ) -> list[Judged]:
        """Return what is decided of near entries and their roots, the nearest first, up to the first that is served.

        Raises:
            TimeoutError: if no time is left before the first.
        """
        left.seconds()
        judged: list[Judged] = []
        for neighbour, root in chosen:
            # One at a time: a verdict takes as long as the rest of the look-up, and the first one often serves.
            pair = Candidate(neighbour.entry.body.question, neighbour.similarity)
            (verdict,) = await self._world.judge.judge_many(asked, [pair])
            judged.append(_decided(neighbour, root, verdict, user, policy))
            if judged[-1].is_served or left.is_over:
                break
        return judged

    def _sight(self, judged: Sequence[Judged], meaning: Meaning, vector: array[float], label: str) -> Sight:
        if not judged:
            return Sight(vector=vector.tobytes(), vector_model=label)
        if judged[-1].is_served:
            return self._hit(judged[-1])._replace(vector=vector.tobytes(), vector_model=label)
        reason = judged[0].reason
        self._world.counts.refused[reason] += 1
        doubtful = [each for each in judged if not each.verdict.is_vetoed]
        near = None
        if doubtful:
            best = max(doubtful, key=lambda each: each.verdict.score)
            near = Near(best.root.id, single(best.neighbour.similarity), single(best.verdict.score))
        return Sight(reason=reason, near=near, vector=vector.tobytes(), vector_model=label)

    def _hit(self, best: Judged) -> Sight:
        counts, root = self._world.counts, best.root
        counts.hits += 1
        counts.alias_hits += best.neighbour.entry.is_alias
        counts.saved_tokens += root.card.tokens
        counts.saved_nano_usd += root.card.nano_usd
        self._world.hits.note(root.body.tenant, root.id)
        is_alias = best.neighbour.entry.is_alias
        return Sight(
            Hit(
                events=root.body.events,
                created_at=root.card.created_at,
                similarity=single(min(best.neighbour.similarity, 1.0)),
                entry_id=root.id,
                by_meaning=True,
                origin=Origin.ALIAS if is_alias else Origin(root.card.origin),
            ),
            is_alias=is_alias,
        )

    def _not_compared(self, reason: str) -> Sight:
        self._world.counts.not_compared[reason] += 1
        return Sight(reason=reason if reason != "form" else "")


async def roots_of(shelf: Shelf, entries: Sequence[MeaningEntry], seconds: float) -> dict[str, MeaningEntry]:
    """Return the entries whose answers these have, by their ids."""
    roots = {entry.id: entry for entry in entries if not entry.is_alias}
    missing = {entry.card.root for entry in entries} - roots.keys()
    return roots | await shelf.get(sorted(missing), seconds)


def _decided(neighbour: Neighbour, root: MeaningEntry, verdict: Verdict, user: str, policy: Policy) -> Judged:
    seen = Seen(root.evidence, is_shared_with(root, user))
    decision = decide(verdict.score, seen, policy.threshold, policy.strict, policy.max_error)
    is_served = decision.is_served and not verdict.is_vetoed
    # What the guard has against it says more than that it was not enough.
    says_more = verdict.is_vetoed or (decision.reason == "cold" and verdict.reason not in ("same", "unsure"))
    reason = "" if is_served else verdict.reason if says_more else decision.reason
    return Judged(neighbour, root, verdict, is_served, reason, decision.threshold)


_AWAY = Sight(reason="away")
_NOTHING = Sight()
