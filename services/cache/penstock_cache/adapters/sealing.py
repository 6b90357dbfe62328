"""Keys derived by purpose, and the cipher of what the cache keeps."""

from __future__ import annotations

from penstock_common import sealing
from penstock_common.sealing import KEY_BYTES, NONCE_BYTES, key_version

__all__ = ["KEY_BYTES", "NONCE_BYTES", "RecordSealer", "derive_key", "key_version"]


def derive_key(secret: bytes, purpose: bytes) -> bytes:
    """Return 32 bytes for one purpose of the cache's."""
    return sealing.derived_key(secret, b"penstock cache v1\0" + purpose)


class RecordSealer(sealing.RecordSealer):
    """Seals the cache's records by one version of a tenant's key."""

    def __init__(self, key: bytes, version: int) -> None:
        super().__init__(key, version, b"penstock cache record")
