"""The key of a file that wraps keys."""

from __future__ import annotations

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from penstock_cache.adapters.sealing import NONCE_BYTES, derive_key
from penstock_cache.domain.envelope import WrongKek

_ID_BYTES = 8
_WRAPPED_FORMAT = b"\x01"


class FileKek:
    """Wraps with AES-256-GCM under a key derived from a secret; unwraps also what older secrets wrapped.

    What is wrapped names its key by a derived id, so that a wrong one is told from damage.
    """

    def __init__(self, secret: bytes, older: Sequence[bytes] = ()) -> None:
        ids = [derive_key(each, b"kek id")[:_ID_BYTES] for each in (secret, *older)]
        self._current = ids[0]
        self._ciphers = {id_: AESGCM(derive_key(each, b"kek")) for id_, each in zip(ids, (secret, *older), strict=True)}

    async def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return the key encrypted, as ``Kek`` says."""
        head, nonce = _WRAPPED_FORMAT + self._current, os.urandom(NONCE_BYTES)
        return head + nonce + self._ciphers[self._current].encrypt(nonce, key, head + context)

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return what was wrapped, as ``Kek`` says."""
        head, sealed = wrapped[: 1 + _ID_BYTES], wrapped[1 + _ID_BYTES :]
        cipher = self._ciphers.get(head[1:])
        if cipher is None or head[:1] != _WRAPPED_FORMAT:
            raise WrongKek(
                "the cache's keys were wrapped by another 'secrets.cache_key_file': name that one in "
                "'secrets.old_cache_key_files'"
            )
        try:
            return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], head + context)
        except (InvalidTag, ValueError):
            raise WrongKek("a wrapped key of the cache was changed, or belongs elsewhere") from None

    def is_current(self, wrapped: bytes) -> bool:
        """Return whether the first secret wrapped it, as ``Kek`` says."""
        return wrapped[1 : 1 + _ID_BYTES] == self._current
