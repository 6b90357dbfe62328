"""What is searched for: the question of a conversation, in the caller's own words."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_common.llm.types import Message, Role

MAX_QUERY_LENGTH = 4096
"""What one search takes."""
_ALONE_LENGTH = 400
"""A longer turn says by itself what it is about."""
_BEFORE_LENGTH = 400


def last_question(messages: Sequence[Message]) -> int | None:
    """Return the place of the last user's turn; None where there is none."""
    places = (at for at in range(len(messages) - 1, -1, -1) if messages[at].role is Role.USER)
    return next(places, None)


def query_of(messages: Sequence[Message]) -> str:
    """Return what to search for: the last user's turn; behind the one before it where it is short, as follow-ups are.

    It is the same for the same turns. Of a long one the end counts, where questions stand.
    """
    at = last_question(messages)
    if at is None:
        return ""
    asked = messages[at].text.strip()[-MAX_QUERY_LENGTH:].strip()
    before = last_question(messages[:at])
    if before is None or not asked or len(asked) > _ALONE_LENGTH:
        return asked
    earlier = messages[before].text.strip()[-_BEFORE_LENGTH:].strip()
    return f"{earlier}\n{asked}" if earlier else asked
