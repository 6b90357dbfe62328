"""Ids for calls that Gemini gave none: by their place in the conversation, so that asking again gives them again."""

from __future__ import annotations

from collections.abc import Iterable

from penstock_common.llm.types import Message


class CallIds:
    """The ids of one answer's calls; none is one that a call of the conversation, or of the answer, has."""

    __slots__ = ("_next", "_taken")

    def __init__(self, conversation: Iterable[Message]) -> None:
        earlier = [call.id for message in conversation for call in message.tool_calls]
        self._next = len(earlier)
        self._taken = set(earlier)

    def of(self, given: str) -> str:
        """Return the id of the next call; ``given`` is the provider's own, or ''."""
        identity = given if given and given not in self._taken else self._minted()
        self._next += 1
        self._taken.add(identity)
        return identity

    def _minted(self) -> str:
        number = self._next
        while (identity := f"call_{number}") in self._taken:
            number += 1
        return identity
