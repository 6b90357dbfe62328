"""Tokens of Microsoft Entra, in the place of a key."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from penstock_inference.domain.failure import AttemptFailed, FailureKind

RENEWED_SECONDS_BEFORE = 300.0
"""A token with less than this left is renewed: as azure-core does."""
SCOPES = {
    "v1": "https://ai.azure.com/.default",
    "deployments": "https://cognitiveservices.azure.com/.default",
}
"""What a token is asked for, by the form of the resource's paths."""
_LOG = logging.getLogger(__name__)


class AccessToken(Protocol):
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

    def get_token(self, *scopes: str) -> AccessToken:
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


class EntraTokens:
    """Has a token, and renews it before its end: once for all who wait, and off the loop, as the library blocks."""

    def __init__(
        self, scope: str, credential: Callable[[], Credential] | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._scope = scope
        self._make = credential or default_credential
        self._now = now
        self._credential: Credential | None = None
        self._known: AccessToken | None = None
        self._renewal: asyncio.Task[AccessToken] | None = None

    async def token(self) -> str:
        """Return a token that is good for a while yet.

        Raises:
            AttemptFailed: CREDENTIALS, where none is had.
        """
        known = self._known
        if known is not None and known.expires_on - self._now() > RENEWED_SECONDS_BEFORE:
            return known.token
        try:
            return (await self._renewed()).token
        except AttemptFailed:
            if known is not None and known.expires_on > self._now():
                return known.token
            raise

    def forget(self) -> None:
        """Have the next request ask for another: this one was refused."""
        self._known = None

    async def aclose(self) -> None:
        """Ask for nothing more."""
        renewal, self._renewal = self._renewal, None
        if renewal is not None:
            renewal.cancel()
            with suppress(asyncio.CancelledError, AttemptFailed):
                await renewal
        if self._credential is not None:
            await asyncio.to_thread(self._credential.close)

    async def _renewed(self) -> AccessToken:
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._renew())
            # Whoever waited for it may be gone by then.
            self._renewal.add_done_callback(_have_seen)
        # Who gives up leaves the others waiting.
        return await asyncio.shield(self._renewal)

    async def _renew(self) -> AccessToken:
        try:
            self._known = await asyncio.to_thread(self._had)
        except Exception as error:
            # What the library says is long, and of our own surroundings: it is for the operator.
            _LOG.warning("entra_token_failed scope=%s: %s", self._scope, error)
            raise AttemptFailed(FailureKind.CREDENTIALS, "no token of Microsoft Entra could be had") from error
        finally:
            self._renewal = None
        return self._known

    def _had(self) -> AccessToken:
        if self._credential is None:
            self._credential = self._make()
        return self._credential.get_token(self._scope)


def _have_seen(task: asyncio.Task[AccessToken]) -> None:
    if not task.cancelled():
        task.exception()
