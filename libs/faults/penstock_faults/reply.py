"""What a script answers to one conversation: all of its answer, what follows a beginning that it was given, or a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock_faults.script import Error, Prefill

PREFILL_REFUSED = Error(
    message="This model does not support assistant message prefill. The conversation must end with a user message.",
    type="invalid_request_error",
    param="messages",
)
"""As models that take no prefix say it."""


def tokens_of(tokens: Sequence[str], prefix: str, prefill: Prefill, *, asked_to_continue: bool) -> Sequence[str] | None:
    """Return the tokens of the reply to a conversation that ends in ``prefix``; None where that is refused."""
    if not prefix:
        return tokens
    if prefill == "refuses":
        return None
    if prefill == "ignores" or (prefill == "when_asked" and not asked_to_continue):
        return tokens
    return _after(tokens, prefix)


def _after(tokens: Sequence[str], prefix: str) -> Sequence[str]:
    """Return what follows the prefix; all of it where the answer does not begin so."""
    if not "".join(tokens).startswith(prefix):
        return tokens
    rest = len(prefix)
    for index, token in enumerate(tokens):
        if rest < len(token):
            return (token[rest:], *tokens[index + 1 :])
        rest -= len(token)
    return ()


def prefix_of(turns: Any, role: str = "assistant", content: str = "content") -> str:
    """Return the text of an assistant's turn that ends a conversation; empty where none does.

    ``role`` is what it is called, ``content`` where its text or its parts are.
    """
    if not isinstance(turns, list) or not turns:
        return ""
    last: Any = turns[-1]
    if not isinstance(last, dict) or last.get("role") != role:
        return ""
    said: Any = last.get(content)
    if isinstance(said, str):
        return said
    if isinstance(said, list):
        return "".join(str(part.get("text", "")) for part in said if isinstance(part, dict) and not part.get("thought"))
    return ""
