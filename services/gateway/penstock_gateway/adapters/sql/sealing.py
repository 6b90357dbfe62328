"""The seal of what is kept of tenants' requests, answers and webhooks: each tenant's opens for that tenant alone."""

from __future__ import annotations

from functools import lru_cache

from penstock_common.sealing import VERSION_BYTES, RecordSealer, derived_key

_TENANTS = 4096


class TenantSealer:
    """Seals with AES-256-GCM, by keys that are derived (HKDF) for each tenant from the secret that API keys are digested with."""

    def __init__(self, secret: bytes) -> None:
        # The words stay as they were when only jobs were sealed: what is kept opens by them.
        version = int.from_bytes(derived_key(secret, b"penstock jobs v1\0key id")[:VERSION_BYTES])

        @lru_cache(_TENANTS)
        def sealer(tenant: str) -> RecordSealer:
            key = derived_key(secret, b"penstock jobs v1\0tenant\0" + tenant.encode())
            return RecordSealer(key, version, b"penstock jobs record")

        self._sealer = sealer

    def seal(self, tenant: str, place: str, content: bytes) -> bytes:
        """Return the content encrypted, bound to tenant and place."""
        return self._sealer(tenant).seal(place.encode(), content)

    def open(self, tenant: str, place: str, sealed: bytes) -> bytes:
        """Return the content.

        Raises:
            Unreadable: if it is not this tenant's or not of this place, was changed, or was sealed by another secret.
        """
        return self._sealer(tenant).open(place.encode(), sealed)
