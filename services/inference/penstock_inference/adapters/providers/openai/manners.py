"""What a server turned out to refuse, or to want, of requests that are right by OpenAI's format.

It is learnt from a refusal that says so, where the request without it was
taken, and believed for a while: servers are mended, too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from enum import Enum
from http import HTTPStatus

from penstock_inference.adapters.providers.http.errors import error_in
from penstock_inference.adapters.providers.openai.dialect import Dialect


class Manner(Enum):
    """One way in which requests of one model have to differ."""

    WHOLE_ONLY = "no streams"
    STREAMS_ONLY = "nothing but streams"
    NO_STREAM_OPTIONS = "no stream_options"
    NO_EXTRAS = "nothing of what an answer carried beside its text"
    SIGNED_CALLS = "a signature on every turn that calls"
    REASONED_TURNS = "the reasoning of every turn, even where it is lost"


MANNERS_REMEMBERED = timedelta(minutes=10)
"""A server that was updated is asked in the usual way after at most this long."""

Manners = frozenset[Manner]
NONE: Manners = frozenset()

_REFUSALS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.NOT_IMPLEMENTED,
)
_OPTIONS = re.compile(r"stream_options|include_usage", re.IGNORECASE)
_STREAM = re.compile(r"\bstream(?:ing|ed)?\b", re.IGNORECASE)
# Gemini's and DeepSeek's words for what clients lost on the way.
_SIGNATURE_MISSING = re.compile(r"missing a .?thought_?signature", re.IGNORECASE)
_REASONING_MISSING = re.compile(r"reasoning_content.{0,60}(?:must be|required|pass(?:ed)? back|missing)", re.IGNORECASE)
_EXTRAS = re.compile(
    r"reasoning_content|reasoning_details|thinking_blocks|extra_content|messages\S*\W+reasoning\b", re.IGNORECASE
)
_READ_CHARACTERS = 4096


def manner_of_refusal(status: int, body: bytes, *, whole: bool) -> Manner | None:
    """Return what a refusal says the request should have been like, None where it says no such thing."""
    if status not in _REFUSALS:
        return None
    error = error_in(body)
    text = body.decode("utf-8", "replace") if error is None else f"{error.param} {error.message}"
    text = text[:_READ_CHARACTERS]
    if _OPTIONS.search(text):
        return Manner.NO_STREAM_OPTIONS
    if _SIGNATURE_MISSING.search(text):
        return Manner.SIGNED_CALLS
    if _REASONING_MISSING.search(text):
        return Manner.REASONED_TURNS
    if _EXTRAS.search(text):
        return Manner.NO_EXTRAS
    if _STREAM.search(text):
        return Manner.STREAMS_ONLY if whole else Manner.WHOLE_ONLY
    return None


def would_differ(manners: Manners, manner: Manner) -> bool:
    """Return whether a request that keeps to this as well would be another one."""
    either = {Manner.WHOLE_ONLY, Manner.STREAMS_ONLY}
    return manner not in manners and not (manner in either and manners & either)


class LearntManners:
    """What was learnt of one upstream's models; a lesson is forgotten after ``seconds``."""

    def __init__(self, dialect: Dialect, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self.usual = dialect
        """The dialect of requests to models of which nothing was learnt."""
        self._seconds = seconds
        self._now = now
        self.learnt: dict[str, tuple[Manners, float]] = {}
        """By model, and until when; mostly empty."""

    def of(self, model: str) -> Manners:
        """Return what is known of a model."""
        manners, until = self.learnt.get(model, (NONE, 0.0))
        if manners and until <= self._now():
            del self.learnt[model]
            return NONE
        return manners

    def learn(self, model: str, manners: Manners) -> None:
        """Believe for a while what made a model answer."""
        self.learnt[model] = manners, self._now() + self._seconds

    def dialect(self, manners: Manners) -> Dialect:
        """Return the dialect of requests that keep to them."""
        return replace(
            self.usual,
            stream_options=self.usual.stream_options and Manner.NO_STREAM_OPTIONS not in manners,
            extras=self.usual.extras and Manner.NO_EXTRAS not in manners,
            signed_calls=Manner.SIGNED_CALLS in manners,
            reasoned_turns=Manner.REASONED_TURNS in manners,
        )


def asks_whole(manners: Manners, *, wanted: bool) -> bool:
    """Return whether an answer is asked for in one piece, where that is ``wanted`` or not."""
    if Manner.WHOLE_ONLY in manners:
        return True
    return wanted and Manner.STREAMS_ONLY not in manners
