"""The exact tiers, and behind them the tier of meaning, as one cache."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Literal

import msgspec

from penstock_cache.domain.cache import ExactCache, Found
from penstock_cache.domain.meaning.administration import Administration
from penstock_cache.domain.meaning.keeping import Keeper
from penstock_cache.domain.meaning.screening import passing_of
from penstock_cache.domain.meaning.tier import MeaningTier, World
from penstock_common.contract.cache import LookupRequest, Origin, Scope, Stats, StoreRequest
from penstock_common.llm.events import merge_deltas
from penstock_common.llm.personal import plain


class LayeredCache:
    """A ``ResponseCache``: what no equal request has an answer to, the tier of meaning is asked for.

    What is stored goes into the exact tiers at once, and by meaning in the background.
    """

    def __init__(
        self, exact: ExactCache, tier: MeaningTier, keeper: Keeper, administration: Administration, world: World
    ) -> None:
        self._exact = exact
        self._tier = tier
        self._keeper = keeper
        self._administration = administration
        self._world = world

    async def lookup(self, request: LookupRequest, until: float = math.inf) -> Found:
        """Return the answer to an equal request, or to one of the same meaning, in time for who waits ``until`` then."""
        found = await self._exact.lookup(request)
        if found.hit is not None or found.bypass_reason or request.afresh:
            return found
        sight = await self._tier.look(request, until)
        if sight.hit is not None:
            return Found(
                sight.hit,
                "alias" if sight.is_alias else "semantic",
                vector=sight.vector,
                vector_model=sight.vector_model,
            )
        return Found(
            generation=found.generation,
            miss_reason=sight.reason,
            near=sight.near,
            vector=sight.vector,
            vector_model=sight.vector_model,
        )

    async def store(self, request: StoreRequest) -> str:
        """Keep the answer; return why it was refused, or nothing where it was not."""
        passing = _passing_of(request)
        if passing == "random":
            self._world.counts.not_stored[passing] += 1
            return "It is asked for another answer each time."
        if passing == "moment":
            request = msgspec.structs.replace(request, ttl=_MOMENT)
        refusal_reason = await self._exact.store(request)
        if not refusal_reason:
            generation = request.generation or await self._exact.present_generation(request.scope)
            self._keeper.keep_later(request, tuple(merge_deltas(request.events)), generation)
        return refusal_reason

    async def invalidate(self, scope: Scope) -> int:
        """Void every entry of the scope; return how many were deleted, of the tiers that had most.

        Raises:
            ServiceUnavailable: if entries may still serve.
        """
        # The generation first: what comes in meanwhile is of the old one, and goes.
        exact = await self._exact.invalidate(scope)
        return max(exact, await self._administration.delete_scope(scope))

    def keep_stale(self, longest: timedelta) -> None:
        """Keep what is stored from now on longer or shorter beyond its time."""
        self._exact.keep_stale(longest)
        self._keeper.keep_stale(longest)

    def stats(self) -> Stats:
        """Return the counts since this process started."""
        counts = self._world.counts
        return msgspec.structs.replace(
            self._exact.stats(),
            semantic_hits=counts.hits,
            refused_by_guard=dict(counts.refused),
            not_compared=dict(counts.not_compared),
            embedded=self._world.vectors.embedded,
            judged_hits=counts.judged_hits,
            false_hits=counts.false_hits,
            saved_tokens=counts.saved_tokens,
            saved_nano_usd=counts.saved_nano_usd,
            semantic_entries=counts.entries,
            semantic_trouble=self._world.troubles.latest,
        )


def _passing_of(request: StoreRequest) -> Literal["moment", "random"] | None:
    """Return why the answer is soon no longer right; nothing where somebody who may know says how long it lives."""
    meaning = request.probe.meaning
    is_told = request.ttl is not None or request.origin is not Origin.ANSWERED
    if meaning is None or is_told or len(meaning.text) > _MOST_READ_CHARACTERS:
        return None
    return passing_of(plain(meaning.text))


_MOMENT = timedelta(seconds=60)
# A longer text tells what its answer depends on.
_MOST_READ_CHARACTERS = 500
