"""What becomes of a request's fields that an upstream does not take."""

from __future__ import annotations

import msgspec

from penstock_common.llm.types import UnsupportedFields
from penstock_inference.domain.failure import unsupported

_SHOWN_CHARACTERS = 64
_MOST_SHOWN = 20
# What callers of Anthropic's format say with nearly every request, and only its own providers can follow: how they keep a
# long conversation short or cheap; and callers of OpenAI's Responses: how reasoning, and what its tools found, is to be told.
# Another upstream answers as well without.
_ADVICE = frozenset(
    {"anthropic_beta", "cache_control", "context_management", "diagnostics", "include", "reasoning_summary"}
)


class FieldPolicy(msgspec.Struct):
    """Decides of each such field of one attempt; ``dropped`` are the names of those left out so far."""

    mode: UnsupportedFields = UnsupportedFields.REFUSE
    dropped: tuple[str, ...] = ()

    def sends(self, name: str, path: str, why: str = "is not supported") -> bool:
        """Return whether a field is sent all the same; ``name`` is the provider's, ``path`` the contract's.

        What is only advice, and another format's, is left out whatever the mode.

        Raises:
            AttemptFailed: UNSUPPORTED, where the field may not be left out.
        """
        if name in _ADVICE:
            self.drop(name)
            return False
        if self.mode is UnsupportedFields.REFUSE:
            raise unsupported(path, why, may_be_dropped=True)
        if self.mode is UnsupportedFields.PASS:
            return True
        self.drop(name)
        return False

    def drop(self, name: str) -> None:
        """Note that a field is left out."""
        if len(self.dropped) < _MOST_SHOWN and name not in self.dropped:
            self.dropped = (*self.dropped, name[:_SHOWN_CHARACTERS])
