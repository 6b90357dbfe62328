"""What the cache has to do with one request: it is looked into before anybody is asked, and given the answer afterwards."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta

import msgspec

from penstock_common.contract.cache import (
    MAX_MEANING_CHARACTERS,
    Hit,
    LookupRequest,
    Near,
    Probe,
    Scope,
    StoreRequest,
    meaning_of,
    probe_of,
)
from penstock_common.llm.types import Batch, Finished, FinishReason, GenerationInput, Message, Plan, Role, Text
from penstock_gateway.domain.life.cache_outcome import BYPASS, MISS, NO_CACHE, NO_STORE, SEVERAL, CacheOutcome
from penstock_gateway.domain.life.flights import FlightKey
from penstock_gateway.domain.life.order import Call, ChatOrder
from penstock_gateway.domain.life.ports import AnswerCache
from penstock_gateway.domain.life.retrieval import Grounds

# SHA-256 takes a millisecond for so many bytes; what takes longer is done beside the loop.
_MUCH_TO_DIGEST_BYTES = 1024 * 1024
# An answer of another than the first candidate must not outlive the outage that caused it.
SUBSTITUTE_ANSWER_TTL = timedelta(seconds=60)


_ONE = (None, 1)


class CacheVisit:
    """One request's dealings with the cache."""

    __slots__ = (
        "_by_meaning",
        "_cache",
        "_call",
        "_generation",
        "_is_shared",
        "_near",
        "_unmatched",
        "grounds",
        "outcome",
        "probe",
        "scope",
    )

    def __init__(self, call: Call[ChatOrder], cache: AnswerCache, *, by_meaning: bool) -> None:
        """``by_meaning``: the cache matches requests by meaning, too."""
        self.grounds: Grounds | None = None
        """What was found for the request, which is part of what it is."""
        self.outcome = BYPASS
        self.scope = Scope(call.order.tenant, call.order.input.model)
        self.probe: Probe | None = None
        """None until it is needed."""
        self._by_meaning = by_meaning
        self._cache = cache
        self._call = call
        self._generation = ""
        # A miss that is no bypass: the answer would do for others.
        self._is_shared = False
        self._near: Near | None = None
        # Why nothing of it can be matched by meaning, where that shows in the request.
        self._unmatched = ""

    async def look_up(self, effective: GenerationInput, plan: Plan) -> Hit | None:
        """Return the answer that was given before, if there is one that will do; where none will, learn what one is kept with.

        Nobody looks where a kept answer would not do: the caller said so, or wants several because they differ.
        """
        control = self._call.order.cache_control
        if control.no_store or effective.sampling.choices not in _ONE:
            self.outcome = NO_STORE if control.no_store else SEVERAL
            return None
        step = self._call.steps.next("cache.lookup")
        probe = self.probe = await self._probe_of(effective, plan)
        request = LookupRequest(scope=self.scope, probe=probe, max_age=control.max_age, afresh=control.no_cache)
        found = await self._cache.look_up(request, step.children)
        hit = found.hit
        if control.no_cache:
            self._generation, self.outcome = found.generation, NO_CACHE
            step.attributes = {"result": "bypass", "reason": found.bypass_reason or "no-cache"}
            return None
        if hit is not None:
            self.outcome = hit_outcome(hit, effective)
            told = step.attributes = {"result": "hit", "tier": self.outcome.tier, "similarity": hit.similarity}
            if hit.entry_id:
                told["entry"] = hit.entry_id
            return hit
        if found.bypass_reason:
            self.outcome = CacheOutcome(reason=found.miss_reason)
        else:
            reason = found.miss_reason or self._unmatched
            self.outcome = CacheOutcome("miss", reason=reason) if reason else MISS
            self._generation, self._near = found.generation, found.near
            self._is_shared = True
        step.attributes = {"result": self.outcome.status, "reason": found.bypass_reason or found.miss_reason}
        return None

    def flight(self) -> FlightKey | None:
        """Whose answer would be this request's, if it were generated now; None where nobody else's may be."""
        order, probe = self._call.order, self.probe
        if probe is None or not self._is_shared or not order.may_recover:
            return None
        private = order.cache_control.private
        user = (order.context.user or order.key_id) if private else ""
        return FlightKey(order.tenant, order.input.model, probe.digest, self._generation, user)

    def may_keep(self, finished: Finished, outcome: CacheOutcome, effective: GenerationInput) -> bool:
        """Return whether an answer may be kept: it is whole, one model's, which was asked for it, and nobody forbids it.

        ``outcome`` is what came of looking for one.
        """
        control = self._call.order.cache_control
        is_clean = finished.reason is FinishReason.STOP and not finished.recoveries and finished.degraded is None
        is_new = outcome.status == "miss" or control.no_cache
        return is_clean and is_new and not control.no_store and effective.sampling.choices in _ONE

    async def keep(
        self,
        effective: GenerationInput,
        plan: Plan,
        events: Batch,
        *,
        is_substitute: bool = False,
        stale_for: timedelta | None = None,
    ) -> None:
        """Give the cache a complete, clean answer, which for ``is_substitute`` is another than the first candidate's.

        Where the cache had not answered before, it is not given: nobody could say what was invalidated since.
        """
        if not self._generation:
            return
        control = self._call.order.cache_control
        await self._cache.keep(
            StoreRequest(
                scope=self.scope,
                probe=self.probe or await self._probe_of(effective, plan),
                events=events,
                ttl=_shorter(control.ttl, SUBSTITUTE_ANSWER_TTL if is_substitute else None),
                generation=self._generation,
                stale_for=None if is_substitute else stale_for,
                tags=control.tags,
                near=self._near,
            )
        )

    async def _probe_of(self, effective: GenerationInput, plan: Plan) -> Probe:
        regions = self._call.caller.tenant.regions
        if self._call.place.held_bytes > _MUCH_TO_DIGEST_BYTES:
            probe = await asyncio.to_thread(probe_of, effective, plan.route_digest, regions)
        else:
            probe = probe_of(effective, plan.route_digest, regions)
        order, asked = self._call.order, effective
        if self.grounds is not None:
            asked = self.grounds.asked
            probe = msgspec.structs.replace(probe, digest=_and(probe.digest, self.grounds.digest))
        if order.cache_control.private or (order.context.user and is_about_a_person(asked)):
            probe = self._of_this_user(probe)
        return self._with_meaning(probe, asked, plan) if self._by_meaning else probe

    def _of_this_user(self, probe: Probe) -> Probe:
        """Return a probe that is no other user's; where nobody knows the user, no other key's."""
        order = self._call.order
        whose = ("user", order.context.user) if order.context.user else ("key", order.key_id)
        digest = hashlib.sha256(msgspec.msgpack.encode((probe.digest, whose))).digest()
        return msgspec.structs.replace(probe, digest=digest)

    def _with_meaning(self, probe: Probe, asked: GenerationInput, plan: Plan) -> Probe:
        """Return the probe with what of it is matched by meaning: of ``asked``, in which no passage stands."""
        order = self._call.order
        if order.cache_control.exact:
            self._unmatched = "exact"
            return probe
        if self._call.place.held_bytes > _MUCH_TO_DIGEST_BYTES:
            self._unmatched = "too_long"
            return probe
        meaning = meaning_of(asked, plan.route_digest, self._call.caller.tenant.regions, user=order.context.user)
        if meaning is None:
            self._unmatched = "too_long" if is_too_long(asked) else "form"
            return probe
        if self.grounds is not None:
            fingerprint = _and(meaning.fingerprint, self.grounds.digest)
            meaning = msgspec.structs.replace(meaning, fingerprint=fingerprint)
        if order.cache_control.private:
            meaning = msgspec.structs.replace(meaning, is_private=True)
        return msgspec.structs.replace(probe, meaning=meaning)


def _and(identity: bytes, grounds: bytes) -> bytes:
    return hashlib.sha256(identity + grounds).digest()


def is_too_long(request: GenerationInput) -> bool:
    """Return whether a last turn of text alone has more of it than is matched by meaning."""
    last = request.messages[-1]
    return last.role is Role.USER and len(_text_of(last)) > MAX_MEANING_CHARACTERS


def _text_of(turn: Message) -> str:
    return "\n".join([part.text for part in turn.parts if isinstance(part, Text)])


def is_about_a_person(request: GenerationInput) -> bool:
    """Return whether the last turn speaks of a person; a text that is too long to be read is taken for one that does."""
    # Who names no user does not need it.
    from penstock_common.llm.personal import is_personal

    text = _text_of(request.messages[-1])
    return len(text) > MAX_MEANING_CHARACTERS or is_personal(text)


def hit_outcome(hit: Hit, effective: GenerationInput, *, is_stale: bool = False) -> CacheOutcome:
    """Return how a hit is told."""
    return CacheOutcome(
        "hit",
        "semantic" if hit.by_meaning else "exact",
        hit.similarity,
        effective.sampling.temperature is None,
        is_stale,
        entry_id=hit.entry_id,
        created_at=hit.created_at,
        origin=hit.origin.value,
    )


def stale_outcome(effective: GenerationInput) -> CacheOutcome:
    """Return how it is told that an answer past its time stands in for the model's own."""
    return CacheOutcome("hit", "exact", 1.0, effective.sampling.temperature is None, is_stale=True)


def followed_outcome(effective: GenerationInput) -> CacheOutcome:
    """Return how it is told that an equal request's answer is given, which is being generated."""
    return CacheOutcome("hit", "flight", 1.0, effective.sampling.temperature is None)


def _shorter(one: timedelta | None, other: timedelta | None) -> timedelta | None:
    return one if other is None else other if one is None else min(one, other)
