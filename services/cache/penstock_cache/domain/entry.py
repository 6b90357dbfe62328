"""A cached answer, and the key it lies under."""

from __future__ import annotations

import msgspec

from penstock_common.contract.cache import Hit, Scope


class EntryKey(msgspec.Struct, frozen=True, gc=False):
    """Where an answer lies: its scope, and the digest of the request within it."""

    scope: Scope
    digest: bytes


class Entry(msgspec.Struct, frozen=True, gc=False):
    """An answer as the hit that it is returned as; ``fresh_until`` in Unix seconds, which it may be kept beyond.

    ``generation`` is the scope's at the time of storing: an invalidation
    changes the scope's, and the entry is void.
    """

    hit: Hit
    fresh_until: float
    generation: str
