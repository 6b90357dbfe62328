"""Ids for calls that Gemini gave none: by their place in the conversation, and by the signature that they came with.

The same answer has the same ids whenever it is read. Two answers to one question, of which each is
signed in its own way, have others, so that what is kept of the one is not taken for the other's.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from penstock_common.llm.types import Message

_DIGEST_BYTES = 6


class CallIds:
    """The ids of one answer's calls; none is one that a call of the conversation, or of the answer, has."""

    __slots__ = ("_mark", "_next", "_taken")

    def __init__(self, conversation: Iterable[Message]) -> None:
        earlier = [call.id for message in conversation for call in message.tool_calls]
        self._next = len(earlier)
        self._taken = set(earlier)
        self._mark = ""

    def of(self, given: str, signature: str) -> str:
        """Return the id of the next call; ``given`` is the provider's own, or ''. Calls made at once have one signature."""
        if signature:
            self._mark = f"_{blake2b(signature.encode(), digest_size=_DIGEST_BYTES).hexdigest()}"
        identity = given if given and given not in self._taken else self._minted()
        self._next += 1
        self._taken.add(identity)
        return identity

    def _minted(self) -> str:
        number = self._next
        while (identity := f"call_{number}{self._mark}") in self._taken:
            number += 1
        return identity
