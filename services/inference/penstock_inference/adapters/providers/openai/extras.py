"""Keeps what an answer carries beside its text, and hands it back: reasoning, signatures, whatever it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from penstock_common.llm.extras import CALL_FIELDS, TURN_FIELDS
from penstock_common.llm.types import Message, Reasoning
from penstock_inference.adapters.providers.http.verbatim import members
from penstock_inference.adapters.providers.openai.dialect import Dialect

# Google's own for calls whose signature is lost: https://ai.google.dev/gemini-api/docs/thought-signatures
_UNSIGNED = {"google": {"thought_signature": "skip_thought_signature_validator"}}
MAX_EXTRA_BYTES = 1024 * 1024
"""Bound on what is kept of one chunk; more is left out."""
_NOTHING = (b"", b"null", b"{}", b"[]", b'""')


def extra_json_of(fields: Iterable[tuple[str, msgspec.Raw]]) -> str:
    """Return one JSON object, on one line, of those fields that say anything; '' where none does."""
    told = [f'"{name}":{bytes(raw).decode("utf-8", "replace")}' for name, raw in fields if bytes(raw) not in _NOTHING]
    extra = f"{{{','.join(told)}}}" if told else ""
    # The ends of lines in a JSON text are blanks.
    return extra.replace("\n", " ").replace("\r", " ") if len(extra) <= MAX_EXTRA_BYTES else ""


def add_extras(turn: dict[str, Any], message: Message, dialect: Dialect) -> None:
    """Add to an assistant's turn what the server takes back, or wants.

    Raises:
        AttemptFailed: BAD_REQUEST for extras that are no JSON object.
    """
    calls: list[dict[str, Any]] = turn.get("tool_calls", [])
    if dialect.extras:
        for part in message.parts:
            if isinstance(part, Reasoning):
                _add_reasoning(turn, part, dialect.reasoning_field)
        for call, known in zip(calls, message.tool_calls, strict=True):
            _add_members(call, known.extra_json, CALL_FIELDS)
    if dialect.reasoned_turns:
        turn.setdefault("reasoning_content", "")
    if dialect.signed_calls and calls and not any("extra_content" in call for call in calls):
        # The first call's is the turn's.
        calls[0]["extra_content"] = _UNSIGNED


def _add_reasoning(turn: dict[str, Any], part: Reasoning, field: str) -> None:
    if part.text:
        turn[field] = turn.get(field, "") + part.text
    _add_members(turn, part.extra_json, TURN_FIELDS)


def _add_members(target: dict[str, Any], extra_json: str, names: tuple[str, ...]) -> None:
    if not extra_json:
        return
    extra = members(extra_json, "extra_json")
    target.update({name: extra[name] for name in names if name in extra})
