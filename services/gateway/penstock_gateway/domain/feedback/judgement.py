"""What somebody makes of an answer, and the bounds of what may be said."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from penstock_common.errors import InvalidRequest
from penstock_common.llm.types import RequestContext
from penstock_gateway.domain.life.validation import validate_context

MAX_COMMENT_CHARACTERS = 1024
MAX_IDEMPOTENCY_CHARACTERS = 128

# What answers carry: chatcmpl- and cmpl- on OpenAI's surface, nothing over gRPC.
_OWN_ANSWER = re.compile(r"(?:[a-z]{1,16}[-_])?([0-9a-f]{24})")
# What a request may be called.
_ANY_ANSWER = re.compile(r"[A-Za-z0-9._-]{1,128}")


class Thumb(StrEnum):
    """Up or down."""

    UP = "up"
    DOWN = "down"


class Reason(StrEnum):
    """What was wrong with an answer, or right."""

    WRONG = "wrong"
    INCOMPLETE = "incomplete"
    IRRELEVANT = "irrelevant"
    UNSAFE = "unsafe"
    TOO_SLOW = "too_slow"
    STYLE = "style"
    REFUSED = "refused"
    OTHER = "other"


_NOT_OF_THE_CONTENT = (Reason.TOO_SLOW, Reason.STYLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is said; ``score`` from 0 for bad to 1 for good, ``correction`` what the answer should have been."""

    thumb: Thumb | None = None
    score: float | None = None
    correction: str = ""
    reason: Reason | None = None
    comment: str = ""
    user: str = ""
    tags: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def value(self) -> float | None:
        """How good the answer is found, between 0 and 1; None where neither a score nor a thumb says so."""
        if self.score is not None:
            return self.score
        return None if self.thumb is None else float(self.thumb is Thumb.UP)

    @property
    def disputes(self) -> bool:
        """Whether it says that the answer itself is bad, and not how it came or reads."""
        return self.thumb is Thumb.DOWN and self.reason not in _NOT_OF_THE_CONTENT

    def after(self, earlier: Judgement | None) -> Judgement:
        """Return what its author thinks now: one that values nothing adds to what was said before."""
        if earlier is None or self.value is not None:
            return self
        return replace(
            self,
            thumb=earlier.thumb,
            score=earlier.score,
            correction=self.correction or earlier.correction,
            reason=self.reason or earlier.reason,
            comment=self.comment or earlier.comment,
            tags={**earlier.tags, **self.tags},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An answer, as far as feedback cares; ``prompt`` is the prompt and version that it was made with.

    ``entry_id`` is the cache's entry that it was given from, by meaning; ``was_cached``: it was given before.
    """

    generation_id: str
    tenant: str
    public_model: str
    upstream: str
    model: str
    task: str = ""
    prompt: str = ""
    entry_id: str = ""
    was_cached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """A judgement as it is kept: of what, by whom, when. ``id`` grows; 0 before it is kept.

    ``author`` tells who it is whose later word counts. ``said`` is the digest of what was sent, for ``idempotency_key``.
    """

    judged: Judged
    judgement: Judgement
    author: str
    key_id: str
    created_at: datetime
    id: int = 0
    idempotency_key: str = ""
    said: str = ""
    disputed_entry: str = ""
    """The cache's entry that it led to dispute."""


def named_answer(text: str) -> tuple[str, bool]:
    """Return the id by which an answer is looked for, and whether it is of our own making; empty where it can be none's."""
    own = _OWN_ANSWER.fullmatch(text)
    if own:
        return own.group(1), True
    return (text, False) if _ANY_ANSWER.fullmatch(text) else ("", False)


def check(judgement: Judgement, max_correction_characters: int) -> None:
    """Check what somebody says.

    Raises:
        InvalidRequest: if nothing is said, or something is out of bounds.
    """
    validate_context(RequestContext(user=judgement.user, tags=judgement.tags))
    if judgement == Judgement(user=judgement.user, tags=judgement.tags):
        raise InvalidRequest("Say something: thumb, score, correction, reason or comment.", field="thumb")
    score = judgement.score
    if score is not None and not (math.isfinite(score) and 0 <= score <= 1):
        raise InvalidRequest("score must be between 0 and 1.", field="score")
    _check_text("correction", judgement.correction, max_correction_characters)
    _check_text("comment", judgement.comment, MAX_COMMENT_CHARACTERS)


def check_idempotency_key(key: str) -> None:
    """Check what a client calls its request.

    Raises:
        InvalidRequest: if it is too long, or no printable ASCII.
    """
    if len(key) > MAX_IDEMPOTENCY_CHARACTERS or not (key.isascii() and key.isprintable()):
        raise InvalidRequest(
            f"idempotency_key must have at most {MAX_IDEMPOTENCY_CHARACTERS} printable ASCII characters.",
            field="idempotency_key",
        )


def _check_text(field_name: str, text: str, most: int) -> None:
    if len(text) > most:
        raise InvalidRequest(
            f"{field_name} must have at most {most} characters, not {len(text)}: shorten it.", field=field_name
        )
    if "\x00" in text:
        raise InvalidRequest(f"{field_name} must not hold the character NUL.", field=field_name)
