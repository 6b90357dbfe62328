"""Tokens of Microsoft Entra, in the place of a key, by Microsoft's own library."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from penstock_inference.adapters.providers.http.access_token import Token
from penstock_inference.domain.failure import AttemptFailed, FailureKind

SCOPES = {
    "v1": "https://ai.azure.com/.default",
    "deployments": "https://cognitiveservices.azure.com/.default",
}
"""What a token is asked for, by the form of the resource's paths."""
_LOG = logging.getLogger(__name__)


class EntraToken(Protocol):
    """A token; ``expires_on`` is in Unix seconds."""

    @property
    def token(self) -> str:
        """The token."""
        ...

    @property
    def expires_on(self) -> int:
        """When it ends."""
        ...


class Credential(Protocol):
    """What azure-identity gives."""

    def get_token(self, *scopes: str) -> EntraToken:
        """Return a token; blocks."""
        ...

    def close(self) -> None:
        """Close its connections."""
        ...


def default_credential() -> Credential:
    """Return the credential of whatever this process runs as."""
    # Read where an upstream asks with it, and nowhere else: it brings libraries of its own.
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()


class EntraCredential:
    """Asks for tokens off the loop, as the library blocks."""

    def __init__(
        self, scope: str, credential: Callable[[], Credential] | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._scope = scope
        self._make = credential or default_credential
        self._now = now
        self._credential: Credential | None = None

    async def obtain(self) -> Token:
        """Return a token.

        Raises:
            AttemptFailed: CREDENTIALS, where none is had.
        """
        try:
            known = await asyncio.to_thread(self._had)
        except Exception as error:
            # What the library says is long, and of our own surroundings: it is for the operator.
            _LOG.warning("entra_token_failed scope=%s: %s", self._scope, error)
            raise AttemptFailed(FailureKind.CREDENTIALS, "no token of Microsoft Entra could be had") from error
        return Token(known.token, known.expires_on - self._now())

    async def aclose(self) -> None:
        """Close the library's connections."""
        if self._credential is not None:
            await asyncio.to_thread(self._credential.close)

    def _had(self) -> EntraToken:
        if self._credential is None:
            self._credential = self._make()
        return self._credential.get_token(self._scope)
