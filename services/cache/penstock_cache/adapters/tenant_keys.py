"""What the unwrapped keys of one tenant do."""

from __future__ import annotations

import hashlib
import hmac
from array import array

from penstock_cache.adapters.sealing import RecordSealer, derive_key, key_version
from penstock_cache.adapters.turning import Turning
from penstock_cache.domain.secrecy import KeyGone

_MAX_KINDS = 64


class TenantKeys:
    """A tenant's ``TenantSecrets``: sealing keys by version, and one secret that no rotation changes."""

    def __init__(self, name: str, sealing: dict[int, bytes], lasting: bytes) -> None:
        self.name = name
        self._sealers = {version: RecordSealer(key, version) for version, key in sealing.items()}
        self._newest = self._sealers[max(sealing)]
        self._places: dict[str, bytes] = {}
        self._digest_key = derive_key(lasting, b"digest")
        self._turning_key = derive_key(lasting, b"turning")
        self._turnings: dict[int, Turning] = {}

    def seal(self, kind: str, entry_id: str, content: bytes) -> bytes:
        """Return the content encrypted, as ``TenantSecrets`` says."""
        return self._newest.seal((self._places.get(kind) or self._place(kind)) + entry_id.encode(), content)

    def unseal(self, kind: str, entry_id: str, sealed: bytes) -> bytes:
        """Return the content, as ``TenantSecrets`` says."""
        sealer = self._sealers.get(key_version(sealed))
        if sealer is None:
            raise KeyGone("the record was sealed by a key that is gone")
        return sealer.open((self._places.get(kind) or self._place(kind)) + entry_id.encode(), sealed)

    def digest(self, purpose: str, content: bytes) -> str:
        """Return a keyed hash, as ``TenantSecrets`` says."""
        return hmac.digest(self._digest_key, _measured(purpose) + content, hashlib.sha256).hex()

    def turned(self, vector: array[float]) -> array[float]:
        """Return the vector turned, as ``TenantSecrets`` says."""
        turning = self._turnings.get(len(vector))
        if turning is None:
            turning = self._turnings[len(vector)] = Turning(self._turning_key, len(vector))
        return turning(vector)

    def _place(self, kind: str) -> bytes:
        """Return what a record is bound to, before its id; kinds are few, and the program's own."""
        place = _measured(self.name) + _measured(kind)
        if len(self._places) < _MAX_KINDS:
            self._places[kind] = place
        return place


def _measured(text: str) -> bytes:
    """Return the text with its length before it, so that it cannot run into what follows."""
    encoded = text.encode()
    return len(encoded).to_bytes(4) + encoded
