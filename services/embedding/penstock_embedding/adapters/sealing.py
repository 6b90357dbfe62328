"""The seal of what is kept of documents: each tenant's opens for that tenant alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from penstock_common.sealing import VERSION_BYTES, RecordSealer, derived_key, key_version
from penstock_common.secrecy import KeyGone

_TENANTS = 4096


class DocumentSealer:
    """Seals with AES-256-GCM, by keys that are derived from a secret (HKDF) for each tenant."""

    def __init__(self, secret: bytes, older: Sequence[bytes] = ()) -> None:
        """``older`` secrets are those whose records are still read."""
        secrets = {_version_of(each): each for each in (*older, secret)}
        self._newest = _version_of(secret)
        self._versions = frozenset(secrets)

        @lru_cache(_TENANTS)
        def sealer(tenant: str, version: int) -> RecordSealer:
            return _sealer(secrets[version], tenant, version)

        self._sealer = sealer

    def seal(self, tenant: str, bound_to: bytes, content: bytes) -> bytes:
        """Return the content encrypted, bound to tenant and place."""
        return self._sealer(tenant, self._newest).seal(bound_to, content)

    def open(self, tenant: str, bound_to: bytes, sealed: bytes) -> bytes:
        """Return the content.

        Raises:
            Unreadable: if it is not this tenant's or not of this place, was changed, or its key is gone.
        """
        version = key_version(sealed)
        if version not in self._versions:
            raise KeyGone(
                "it was sealed by another 'secrets.knowledge_key_file': name that in 'old_knowledge_key_files'"
            )
        return self._sealer(tenant, version).open(bound_to, sealed)


def _version_of(secret: bytes) -> int:
    return int.from_bytes(derived_key(secret, b"penstock knowledge v1\0key id")[:VERSION_BYTES])


def _sealer(secret: bytes, tenant: str, version: int) -> RecordSealer:
    key = derived_key(secret, b"penstock knowledge v1\0tenant\0" + tenant.encode())
    return RecordSealer(key, version, b"penstock knowledge record")
