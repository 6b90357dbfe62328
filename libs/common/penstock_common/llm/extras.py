"""What a provider gives beside an answer's text and calls, and may want back with the next turn.

Gemini signs its calls (``extra_content``) and refuses them without the
signature; OpenRouter gives the parts of a reasoning trace (``reasoning_details``),
LiteLLM its blocks (``thinking_blocks``). Nothing of it is read here. It travels as one
JSON object of the fields' names and values: ``extra_json``.
"""

from __future__ import annotations

import json
from typing import Any, cast

TURN_FIELDS = ("reasoning_details", "thinking_blocks", "extra_content")
"""Of an assistant's turn."""
CALL_FIELDS = ("extra_content",)
"""Of a call."""

_TEXTS = ("text", "summary", "data", "thinking")


def joined_extras(first: str, second: str) -> str:
    """Return what two objects that followed each other say together: lists joined, objects united, the last word kept.

    A list's neighbours that are pieces of one part (of one type and index) become one. ``second`` is kept verbatim
    where ``first`` is empty, and the other way round.
    """
    if not first or not second:
        return first or second
    try:
        joined = _joined(json.loads(first), json.loads(second))
    except (ValueError, RecursionError):
        return second
    return json.dumps(joined, ensure_ascii=False, separators=(",", ":"))


def _joined(first: Any, second: Any) -> Any:
    if isinstance(first, dict) and isinstance(second, dict):
        known, new = cast("dict[str, Any]", first), cast("dict[str, Any]", second)
        return {
            **known,
            **{name: _joined(known[name], value) if name in known else value for name, value in new.items()},
        }
    if isinstance(first, list) and isinstance(second, list):
        parts = [*cast("list[Any]", first)]
        for part in cast("list[Any]", second):
            if parts and _continue_each_other(parts[-1], part):
                parts[-1] = _one_part(parts[-1], part)
            else:
                parts.append(part)
        return parts
    return first if second is None else second


def _continue_each_other(first: Any, second: Any) -> bool:
    if not isinstance(first, dict) or not isinstance(second, dict):
        return False
    known, new = cast("dict[str, Any]", first), cast("dict[str, Any]", second)
    return (
        "index" in known
        and known["index"] == new.get("index")
        and known.get("type") == new.get("type")
        # A signature ends a part, and an identity of its own begins one.
        and not known.get("signature")
        and new.get("id") in (None, known.get("id"))
    )


def _one_part(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    part = {**first, **{name: value for name, value in second.items() if value is not None}}
    for name in _TEXTS:
        before, after = first.get(name), second.get(name)
        if isinstance(before, str) and isinstance(after, str):
            part[name] = before + after
    return part
