"""Keys of the cache, derived from one secret; and the cipher of what lies in Redis."""

from __future__ import annotations

import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from penstock_cache.domain.entry import EntryKey

FORMAT_VERSION = b"\x01"
NONCE_BYTES = 12
_MAX_TENANT_KEYS = 4096


class UnsealingError(Exception):
    """The bytes were not sealed by this secret, for this tenant, under this key."""


def derive_key(secret: bytes, purpose: bytes) -> bytes:
    """Return 32 bytes for one purpose: HKDF-SHA256 (RFC 5869), without salt, as the secret is random."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"penstock cache v1\0" + purpose).derive(secret)


class EntrySealer:
    """Seals entries with AES-256-GCM under a key of their tenant.

    Tenant and entry key are associated data: an entry that was moved under
    another key, or to another tenant, does not open. Nonces are random, which
    bears 2^32 entries a tenant (NIST SP 800-38D, 8.3).
    """

    def __init__(self, secret: bytes) -> None:
        @lru_cache(maxsize=_MAX_TENANT_KEYS)
        def cipher(tenant: str) -> AESGCM:
            return AESGCM(derive_key(secret, b"entry\0" + tenant.encode()))

        self._cipher = cipher

    def seal(self, key: EntryKey, content: bytes) -> bytes:
        """Return format version, nonce and ciphertext with tag."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._cipher(key.scope.tenant).encrypt(nonce, content, _associated_data(key))
        return FORMAT_VERSION + nonce + sealed

    def unseal(self, key: EntryKey, sealed: bytes) -> bytes:
        """Return the content.

        Raises:
            UnsealingError: if it is of another format, tenant or key, or was changed.
        """
        if sealed[:1] != FORMAT_VERSION:
            raise UnsealingError("the entry is of another format")
        nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return self._cipher(key.scope.tenant).decrypt(nonce, ciphertext, _associated_data(key))
        except (InvalidTag, ValueError):
            raise UnsealingError("the entry does not open with this tenant's key") from None


def _associated_data(key: EntryKey) -> bytes:
    # The digest has a fixed length, so the two cannot run into one another.
    return FORMAT_VERSION + key.digest + key.scope.tenant.encode()
