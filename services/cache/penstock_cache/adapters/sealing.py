"""Keys derived by purpose, and the cipher of what lies at rest.

From the key of a tenant comes the key of each record (HKDF-Expand, RFC 5869,
2.3, over a random salt), so that no key encrypts twice and there is no bound on
how many records a tenant may have. A random key of its own, wrapped beside the
record, would open by the same key of the tenant and take 60 bytes more.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from penstock_cache.domain.secrecy import Unreadable

FORMAT = b"\x02"
KEY_BYTES = 32
NONCE_BYTES = 12
_VERSION_BYTES = 4
_SALT_BYTES = 16
_HEAD_BYTES = len(FORMAT) + _VERSION_BYTES
_CONTENT_AT = _HEAD_BYTES + _SALT_BYTES + NONCE_BYTES
_RECORD_KEY = b"penstock cache record"


def derive_key(secret: bytes, purpose: bytes) -> bytes:
    """Return 32 bytes for one purpose: HKDF-SHA256 (RFC 5869), without salt, as the secret is random."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"penstock cache v1\0" + purpose).derive(secret)


def seal_record(key: bytes, version: int, bound_to: bytes, content: bytes) -> bytes:
    """Return format, key version, salt, nonce and ciphertext with tag (AES-256-GCM), bound to all of that too."""
    head, random = FORMAT + version.to_bytes(_VERSION_BYTES), os.urandom(_SALT_BYTES + NONCE_BYTES)
    sealed = _cipher(key, random[:_SALT_BYTES]).encrypt(random[_SALT_BYTES:], content, head + bound_to)
    return head + random + sealed


def key_version(sealed: bytes) -> int:
    """Return the version of the key that sealed a record.

    Raises:
        Unreadable: if it is no record of this format.
    """
    if sealed[:1] != FORMAT or len(sealed) <= _CONTENT_AT:
        raise Unreadable("the record is of another format")
    return int.from_bytes(sealed[1:_HEAD_BYTES])


def open_record(key: bytes, bound_to: bytes, sealed: bytes) -> bytes:
    """Return the content of a record of this format.

    Raises:
        Unreadable: if another key sealed it, or it is bound to something else, or was changed.
    """
    salt = sealed[_HEAD_BYTES : _HEAD_BYTES + _SALT_BYTES]
    nonce = sealed[_HEAD_BYTES + _SALT_BYTES : _CONTENT_AT]
    try:
        return _cipher(key, salt).decrypt(nonce, sealed[_CONTENT_AT:], sealed[:_HEAD_BYTES] + bound_to)
    except (InvalidTag, ValueError):
        raise Unreadable("the record does not open with this tenant's key") from None


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(hmac.digest(key, _RECORD_KEY + salt + b"\x01", hashlib.sha256))
