"""What is handed over to be judged by a person, and the desk that takes it."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

MAX_TEXT = 65_536
"""Characters that are kept of a text, and of what it stood beside; the rest is cut (see ``shortened``)."""


class Source(StrEnum):
    """Who asks for a judgement."""

    RULE = "rule"
    """A guardrail's rule."""
    FEEDBACK = "feedback"
    """Somebody who was given the answer."""
    DISPUTE = "dispute"
    """Somebody who was given it from the cache, whose entry is removed for that."""
    CALLER = "caller"
    """An application, by OpenReview."""


class Surface(StrEnum):
    """Where the text was found."""

    INPUT = "input"
    TOOL_RESULT = "tool_result"
    DOCUMENT = "document"
    OUTPUT = "output"
    TOOL_CALL = "tool_call"


class Found(msgspec.Struct, frozen=True):
    """A part of the text that a rule has found, and what it takes it to be; code points, ``end`` not included."""

    kind: str
    start: int
    end: int


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """A text that a person is to judge.

    ``context`` is what it stood beside, such as the question, or the passages that an answer is to follow from. ``user`` is
    whom the request speaks for, ``user_id`` whose key it was. ``hold``: the text was held back until somebody decides.
    """

    tenant: str
    key_id: str
    source: Source
    surface: Surface
    text: str
    context: str = ""
    found: tuple[Found, ...] = ()
    rule: str = ""
    rule_version: str = ""
    public_model: str = ""
    user: str = ""
    user_id: str = ""
    request_id: str = ""
    generation_id: str = ""
    hold: bool = False


def shortened(flag: Flag) -> Flag:
    """Return a flag with as much of its texts as is kept: of a long one the part that has what was found first."""
    text, found, start = flag.text, flag.found, 0
    if len(text) <= MAX_TEXT and len(flag.context) <= MAX_TEXT:
        return flag
    if found and found[0].end > MAX_TEXT:
        start = max(0, min(found[0].start - MAX_TEXT // 2, len(text) - MAX_TEXT))
    end = start + MAX_TEXT
    kept = [Found(one.kind, max(one.start, start) - start, min(one.end, end) - start) for one in found]
    return msgspec.structs.replace(
        flag,
        text=text[start:end],
        context=flag.context[:MAX_TEXT],
        found=tuple(one for one in kept if one.start < one.end),
    )


class ReviewDesk(Protocol):
    """Takes flags."""

    async def flag(self, flag: Flag) -> str:
        """Return the id of the item that the flag became, which is kept by then; empty where the queue is full.

        Raises:
            ServiceUnavailable: if the database does not answer.
        """
        ...
