"""The ids of kept answers: which tenant each is of can be proved, so that no other is ever looked for."""

from __future__ import annotations

import hmac
import re

PREFIX = "resp_"
_PROOF_DIGITS = 24
"""96 bits: nobody hits one by guessing, however often."""
_ID = re.compile(rf"{PREFIX}(?P<name>[0-9a-f]{{16,64}}?)(?P<proof>[0-9a-f]{{{_PROOF_DIGITS}}})")
_MOST_CHARACTERS = 128


class ResponseIds:
    """Makes ids, and tells a tenant's own from all others; ``key`` is for nothing else, and that of all processes."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, tenant: str, name: str) -> str:
        """Return the id of a tenant's answer; ``name`` is hexadecimal, and no other answer's."""
        return f"{PREFIX}{name}{self._proof(tenant, name)}"

    def is_of(self, tenant: str, response_id: str) -> bool:
        """Return whether this was made here for the tenant; no other id needs to be looked for."""
        if len(response_id) > _MOST_CHARACTERS:
            return False
        match = _ID.fullmatch(response_id)
        return match is not None and hmac.compare_digest(self._proof(tenant, match["name"]), match["proof"])

    def _proof(self, tenant: str, name: str) -> str:
        digest = hmac.digest(self._key, name.encode() + b"\0" + tenant.encode(), "sha256")
        return digest.hex()[:_PROOF_DIGITS]
