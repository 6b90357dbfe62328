"""Which replica has the beginning of a conversation in its KV cache already: the one that was asked for its first turn."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from penstock_common.llm.types import GenerationInput, Role

_MOST_CHARACTERS = 4096
"""Of one turn: what is alike for so long is alike for the cache."""
_DIGEST_BYTES = 8


def beginning_of(given: GenerationInput) -> bytes:
    """Return the same bytes for every turn of one conversation: those of its tools, instructions and first question."""
    digest = blake2b(digest_size=_DIGEST_BYTES)
    for tool in given.tools:
        digest.update(tool.name.encode() + b"\0")
    for message in given.messages:
        digest.update(message.text[:_MOST_CHARACTERS].encode("utf-8", "surrogatepass") + b"\0")
        if message.role is Role.USER:
            break
    return digest.digest()


def first_of(beginning: bytes, names: Sequence[bytes]) -> int:
    """Return which of the names a beginning belongs to; it moves only where that one comes or goes.

    Rendezvous hashing: Thaler and Ravishankar, "A name-based mapping scheme for rendezvous", 1996.
    """
    weights = [blake2b(name, digest_size=_DIGEST_BYTES, key=beginning).digest() for name in names]
    return max(range(len(weights)), key=weights.__getitem__)
