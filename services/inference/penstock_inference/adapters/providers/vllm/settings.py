"""A vLLM server, as the configuration describes it."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Self

from pydantic import model_validator

from penstock_common.configuration import Secret
from penstock_common.faults import refuse
from penstock_common.rpc.scope import RequestScope
from penstock_inference.adapters.providers.openai.dialect import DIALECTS, Dialect
from penstock_inference.adapters.providers.openai.settings import OpenAISettings

_SHORTEST_SECRET = 32
# It gave and took ``reasoning_content`` once, and reads it no more.
_DIALECT = replace(DIALECTS["vllm"], reasoning_field="reasoning", nulls=False)


class VllmSettings(OpenAISettings):
    """Your own server, or several of one model."""

    cache_salt_secret: Secret = Secret("")
    """32 characters or more that nobody knows. With it each tenant has a part of the server's prefix cache of its own
    (``cache_salt``, made of the secret and the tenant), so that no tenant learns from an answer's speed what others asked.
    Another secret, and the cache begins anew."""
    sends_priority: bool = False
    """Whether requests say how much they matter (``priority``: 1 for critical ones, 2, and 3 for sheddable ones). Only for
    servers that run with ``--scheduling-policy priority``; others refuse it."""

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        if 0 < len(self.cache_salt_secret.get_secret_value()) < _SHORTEST_SECRET:
            refuse([(("cache_salt_secret",), f"it must have {_SHORTEST_SECRET} characters or more, or none")])
        return self

    def dialect(self) -> Dialect:
        """Return how it differs from others that speak the format."""
        fields = _FieldsOfScope(self.cache_salt_secret.get_secret_value(), self.sends_priority)
        return replace(_DIALECT, fields_of_scope=fields) if fields.are_any else _DIALECT


class _FieldsOfScope:
    """Makes the fields that depend on who asks."""

    def __init__(self, secret: str, sends_priority: bool) -> None:
        self._secret = secret.encode()
        self._sends_priority = sends_priority

    @property
    def are_any(self) -> bool:
        """Whether there is one."""
        return bool(self._secret) or self._sends_priority

    def __call__(self, scope: RequestScope) -> Mapping[str, object]:
        """Return them; equal ones for equal tenants."""
        fields: dict[str, object] = {}
        if self._secret:
            fields["cache_salt"] = hmac.digest(self._secret, scope.tenant.encode(), "sha256").hex()
        if self._sends_priority:
            # Whoever is lower is first, there as here.
            fields["priority"] = int(scope.priority)
        return fields
