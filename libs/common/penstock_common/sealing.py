"""Records that are sealed with AES-256-GCM, each under a key of its own.

From the key of a tenant comes the key of each record (HKDF-Expand, RFC 5869,
2.3, over a random salt), so that no key encrypts twice and there is no bound on
how many records a tenant may have. A random key of its own, wrapped beside the
record, would open by the same key of the tenant and take 60 bytes more.
"""

from __future__ import annotations

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from penstock_common.secrecy import KeyGone, Unreadable

FORMAT = b"\x02"
KEY_BYTES = 32
NONCE_BYTES = 12
VERSION_BYTES = 6
_SALT_BYTES = 16
_HEAD_BYTES = len(FORMAT) + VERSION_BYTES
_RANDOM_BYTES = _SALT_BYTES + NONCE_BYTES
_NONCE_AT = _HEAD_BYTES + _SALT_BYTES
_CONTENT_AT = _NONCE_AT + NONCE_BYTES


def derived_key(secret: bytes, info: bytes) -> bytes:
    """Return 32 bytes for one purpose: HKDF-SHA256 (RFC 5869), without salt, as the secret is random."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(secret)


class RecordSealer:
    """Seals records by one version of a tenant's key."""

    def __init__(self, key: bytes, version: int, purpose: bytes) -> None:
        """``purpose`` tells these records from others that are sealed by the same key."""
        self._key = key
        self._purpose = purpose
        self._head = FORMAT + version.to_bytes(VERSION_BYTES)

    def seal(self, bound_to: bytes, content: bytes) -> bytes:
        """Return format, key version, salt, nonce and ciphertext with tag (AES-256-GCM), bound to all of that too."""
        head, random = self._head, os.urandom(_RANDOM_BYTES)
        # Here and below the record's key is spelled out: every answer that is kept comes by.
        cipher = AESGCM(hmac.digest(self._key, self._purpose + random[:_SALT_BYTES] + b"\x01", "sha256"))
        return head + random + cipher.encrypt(random[_SALT_BYTES:], content, head + bound_to)

    def open(self, bound_to: bytes, sealed: bytes) -> bytes:
        """Return the content of a record of this version.

        Raises:
            Unreadable: if another key sealed it, or it is bound to something else, or was changed.
        """
        salt, nonce = sealed[_HEAD_BYTES:_NONCE_AT], sealed[_NONCE_AT:_CONTENT_AT]
        cipher = AESGCM(hmac.digest(self._key, self._purpose + salt + b"\x01", "sha256"))
        try:
            return cipher.decrypt(nonce, sealed[_CONTENT_AT:], self._head + bound_to)
        except (InvalidTag, ValueError):
            raise Unreadable("the record does not open with this tenant's key") from None


def key_version(sealed: bytes) -> int:
    """Return the version of the key that sealed a record.

    Raises:
        KeyGone: if it is no record of this format.
    """
    if sealed[:1] != FORMAT:
        raise KeyGone("the record is of another format")
    return int.from_bytes(sealed[1:_HEAD_BYTES])
