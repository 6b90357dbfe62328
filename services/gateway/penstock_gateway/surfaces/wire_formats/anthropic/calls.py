"""What Anthropic's formats tell of a call beside its name and arguments: whose it is, the model's own or that of its code."""

from __future__ import annotations

from typing import Any

import msgspec

_DIRECT = {"type": "direct"}
_KEPT = ("caller", "toolset_name")
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def call_block(identity: str, name: str, arguments: Any, extra_json: str) -> dict[str, Any]:
    """Return the block of a call; ``extra_json`` is what came beside it, in whatever vendor's words."""
    beside = _MEMBERS.decode(extra_json) if extra_json else {}
    block = {"type": "tool_use", "id": identity, "name": name, "input": arguments, "caller": _DIRECT}
    return block | {member: beside[member] for member in _KEPT if member in beside}


def beside_a_call(caller: msgspec.Raw) -> str:
    """Return what of a call's block goes back to a provider of this format: one object; '' where it is the model's own call."""
    kind = msgspec.json.decode(caller)
    if not isinstance(kind, dict) or kind == _DIRECT:
        return ""
    return f'{{"caller":{bytes(caller).decode()}}}'
