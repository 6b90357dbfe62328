"""Taking feedback in: whose answer it is of, how much of it a key may give, and what an answer from the cache learns of it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

import msgspec
import structlog

from penstock_common.contract.cache import Dispute, Scope
from penstock_common.errors import InvalidRequest, RateLimited, ResourceExists, ResourceNotFound, ServiceUnavailable
from penstock_gateway.domain.administration import bounds
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import utc_now
from penstock_gateway.domain.feedback.judgement import (
    Feedback,
    Judged,
    Judgement,
    check,
    check_idempotency_key,
    named_answer,
)
from penstock_gateway.domain.feedback.ports import Answers, Disputed, FeedbackStore

FEEDBACK_PER_MINUTE = "feedback_per_minute"
FEEDBACK_OF_AN_ANSWER = "feedback_of_an_answer"

_MINUTE = timedelta(minutes=1)
_LOOKS = 5

_log = structlog.get_logger(__name__)

Now = Callable[[], datetime]
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GivingRule:
    """The bounds of what one may give."""

    per_minute: int = 120
    """Of one key."""
    per_answer: int = 100
    """Of one answer, whoever says it."""
    max_correction_characters: int = 16_384
    patience: timedelta = timedelta(milliseconds=500)
    """How long an answer is waited for that the ledger does not know yet."""
    disputes_cache: bool = True
    """Whether a thumb down disputes the cache's entry that the answer came from."""


class GivingObserver(Protocol):
    """Counts what is given."""

    def given(self, feedback: Feedback) -> None:
        """See feedback that was kept."""
        ...

    def disputed(self, outcome: str) -> None:
        """See an entry disputed: ``removed``, ``gone`` or ``failed``."""
        ...


class GivenObserver(Protocol):
    """Hears of feedback that was kept."""

    async def given(self, feedback: Feedback) -> None:
        """See it; never fail."""
        ...


class NobodyHears:
    """Implements ``GivenObserver`` where nobody does."""

    async def given(self, feedback: Feedback) -> None:
        """See nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivingParts:
    """Where feedback goes, and where its answers are known."""

    store: FeedbackStore
    answers: Answers
    entries: Disputed
    observer: GivingObserver
    flags: GivenObserver = NobodyHears()
    """Whoever has reviewers look at some of it."""
    rule: GivingRule = GivingRule()
    now: Now = utc_now
    sleep: Sleep = field(default=asyncio.sleep)


class FeedbackBook:
    """Takes feedback in, each once, and overwrites nothing."""

    def __init__(self, parts: GivingParts) -> None:
        self._parts = parts

    async def give(
        self, actor: Actor, tenant: str, answer_id: str, judgement: Judgement, idempotency_key: str = ""
    ) -> Feedback:
        """Keep what the actor says of an answer, and return it; what was sent before is returned as it was kept.

        Raises:
            InvalidRequest: if it says nothing, or what is out of bounds.
            ResourceNotFound: if the tenant has no such answer, or the actor's key may not use its model.
            ResourceExists: if the key has sent other words under the idempotency key.
            RateLimited: if the key gives too much, or the answer has too much.
            ServiceUnavailable: if the database does not answer.
        """
        owner = bounds.required_tenant(actor.meant(tenant))
        check(judgement, self._parts.rule.max_correction_characters)
        check_idempotency_key(idempotency_key)
        said = _digest(answer_id, judgement)
        before = await self._sent_before(actor, owner, idempotency_key, said)
        if before is not None:
            return before
        await self._check_pace(actor, owner)
        judged = await self._answer(actor, owner, answer_id)
        await self._check_room(judged)
        feedback = await self._formed(actor, judged, judgement)
        kept = await self._parts.store.add(replace(feedback, idempotency_key=idempotency_key, said=said))
        if kept is None:
            # Sent twice at once, and the other was first.
            return await self._sent_before(actor, owner, idempotency_key, said) or feedback
        self._parts.observer.given(kept)
        await self._parts.flags.given(kept)
        return kept

    async def _formed(self, actor: Actor, judged: Judged, judgement: Judgement) -> Feedback:
        author = _author(actor, judgement)
        earlier = await self._parts.store.latest_of(judged, author)
        whole = judgement.after(None if earlier is None else earlier.judgement)
        disputed = await self._dispute(judged, whole, author)
        now = self._parts.now()
        return Feedback(
            judged=judged,
            judgement=whole,
            author=author,
            key_id=actor.key_id,
            created_at=now,
            disputed_entry=disputed,
        )

    async def _sent_before(self, actor: Actor, tenant: str, idempotency_key: str, said: str) -> Feedback | None:
        if not idempotency_key:
            return None
        before = await self._parts.store.sent_before(actor.key_id, tenant, idempotency_key)
        if before is not None and before.said != said:
            raise ResourceExists(
                f"The idempotency key '{idempotency_key}' was used for other feedback: take a new one.",
                kind="idempotency key",
                name=idempotency_key,
            )
        return before

    async def _check_pace(self, actor: Actor, tenant: str) -> None:
        most = self._parts.rule.per_minute
        given = await self._parts.store.count_of_key(actor.key_id, tenant, self._parts.now() - _MINUTE)
        if given >= most:
            raise RateLimited(
                f"An API key may give feedback {most} times a minute. Try again in a minute.",
                limit=FEEDBACK_PER_MINUTE,
                retry_after=_MINUTE,
            )

    async def _check_room(self, judged: Judged) -> None:
        most = self._parts.rule.per_answer
        if await self._parts.store.count_of_answer(judged) >= most:
            raise InvalidRequest(
                f"There is feedback of this answer {most} times already, which is the most that is kept of one.",
                field="generation_id",
            )

    async def _answer(self, actor: Actor, tenant: str, answer_id: str) -> Judged:
        """Return the answer; one of our own ids may be on its way to the ledger, and is waited for a moment."""
        wanted, is_own = named_answer(answer_id)
        if not wanted:
            raise _unknown(answer_id)
        pause = self._parts.rule.patience.total_seconds() / _LOOKS
        for look in range(_LOOKS + 1 if is_own else 1):
            if look:
                await self._parts.sleep(pause)
            judged = await self._parts.answers.find(tenant, wanted)
            if judged is not None:
                if actor.models and judged.public_model not in actor.models:
                    break
                return judged
        raise _unknown(answer_id)

    async def _dispute(self, judged: Judged, judgement: Judgement, author: str) -> str:
        """Dispute the entry that the answer came from, once for an author; return its id where that was done."""
        entry_id = judged.entry_id
        if not (entry_id and judgement.disputes and self._parts.rule.disputes_cache):
            return ""
        if await self._parts.store.has_disputed(judged.tenant, author, entry_id):
            return ""
        try:
            scope = Scope(judged.tenant, judged.public_model)
            was_there = await self._parts.entries.dispute(Dispute(scope, entry_id))
        except ServiceUnavailable as error:
            # The judgement counts all the same; said again, it disputes again.
            _log.warning("feedback_not_disputed", entry=entry_id, reason=str(error))
            self._parts.observer.disputed("failed")
            return ""
        self._parts.observer.disputed("removed" if was_there else "gone")
        return entry_id


def _author(actor: Actor, judgement: Judgement) -> str:
    if judgement.user:
        return f"user:{judgement.user}"
    return f"member:{actor.user_id}" if actor.user_id else f"key:{actor.key_id}"


def _digest(answer_id: str, judgement: Judgement) -> str:
    """Return what tells what was sent from anything else."""
    return hashlib.sha256(msgspec.json.encode([answer_id, judgement], order="deterministic")).hexdigest()


def _unknown(answer_id: str) -> ResourceNotFound:
    name = answer_id[:128]
    return ResourceNotFound(
        f"There is no answer '{name}'. Name the id that an answer carries (chatcmpl-…), or its x-request-id, once the "
        "answer has ended.",
        kind="answer",
        name=name,
    )
