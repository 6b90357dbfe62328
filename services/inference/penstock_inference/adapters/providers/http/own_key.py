"""Our key at an upstream, kept out of what its errors say to callers."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile

from penstock_inference.domain.failure import AttemptFailed

SHORTEST_PIECE = 8
"""Characters of a key's beginning that are taken for it: fewer stand in ordinary words, and give little away."""
_IN_ITS_PLACE = "[key]"


def without_key(failure: AttemptFailed, key: str) -> AttemptFailed:
    """Return the failure; where an upstream repeats our key, or begins to, another that does not."""
    if len(key) < SHORTEST_PIECE or key[:SHORTEST_PIECE] not in f"{failure.detail} {failure.parameter}":
        return failure
    return replace(failure, detail=_concealed(failure.detail, key), parameter=_concealed(failure.parameter, key))


def _concealed(text: str, key: str) -> str:
    begins = key[:SHORTEST_PIECE]
    before, found, rest = text.partition(begins)
    parts = [before]
    while found:
        # As far as it goes on like the key: messages are cut short, by the upstream or by us.
        pairs = zip(rest, key[SHORTEST_PIECE:], strict=False)
        alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        before, found, rest = rest[alike:].partition(begins)
        parts += (_IN_ITS_PLACE, before)
    return "".join(parts)
