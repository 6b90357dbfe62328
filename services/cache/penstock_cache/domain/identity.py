"""When two requests are the same to the cache: the exact key of a probe within a scope."""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

import msgspec

from penstock_cache.domain.entry import EntryKey
from penstock_common.contract.cache import Probe, Scope


class Identity:
    """Makes exact keys: HMAC-SHA256 over tenant, model and the request's digest.

    Keyed, so that whoever reads the store cannot test whether somebody asked
    a given question.
    """

    def __init__(self, key: bytes) -> None:
        self._keyed = hmac.new(key, None, hashlib.sha256)
        # Who looks up a request in vain stores its answer next.
        self._digest_of = lru_cache(_REMEMBERED)(self._digest)

    def key(self, scope: Scope, probe: Probe) -> EntryKey:
        """Return where the answer to the probed request lies."""
        return EntryKey(scope, self._digest_of(scope.tenant, scope.model, probe.digest))

    def _digest(self, tenant: str, model: str, digest: bytes) -> bytes:
        # Copying a keyed state spares the two hash blocks of the key.
        keyed = self._keyed.copy()
        # Each part goes with its length, so that no two can run into one another.
        keyed.update(_ENCODER.encode((tenant, model, digest)))
        return keyed.digest()


_REMEMBERED = 1024
_ENCODER = msgspec.msgpack.Encoder()
