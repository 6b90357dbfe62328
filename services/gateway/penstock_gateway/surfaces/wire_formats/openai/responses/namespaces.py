"""Functions within namespaces, as Codex has them, under names of their own, which models and other providers know.

A name is made of both and can be found again; where both are too long for one its end is a digest.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from penstock_gateway.surfaces.wire_formats.openai.responses import request_wire as wire

NAMESPACE = "namespace"
_BETWEEN = "__"
_MOST_CHARACTERS = 64
_DIGEST_BYTES = 4


def flat_name(namespace: str | None, name: str) -> str:
    """Return the one name of a function; without a namespace it is its own."""
    if not namespace:
        return name
    whole = f"{namespace}{_BETWEEN}{name}"
    if len(whole) <= _MOST_CHARACTERS:
        return whole
    digest = blake2b(whole.encode(errors="replace"), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{whole[: _MOST_CHARACTERS - len(digest) - 1]}_{digest}"


def names_within(tools: Sequence[wire.Tool]) -> dict[str, tuple[str, str]]:
    """Return the namespace, and the name in it, of each function that has one, by its one name."""
    return {
        flat_name(tool.name, inner.name): (tool.name, inner.name)
        for tool in tools
        if tool.type == NAMESPACE and tool.name
        for inner in tool.tools or ()
        if inner.name
    }
