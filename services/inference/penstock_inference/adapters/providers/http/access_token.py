"""A token that lives for a while: asked for once by all who wait, and renewed before it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec

from penstock_inference.domain.failure import AttemptFailed, FailureKind

_LOG = logging.getLogger(__name__)

RENEWED_AFTER_SHARE = 0.8
"""Of a token's life: then another is asked for, while it goes on serving."""
_PAUSE_SECONDS = 10.0
"""Between two tries while the old token serves."""


class Token(msgspec.Struct, frozen=True):
    """A token and how long it lives from now."""

    text: str
    seconds: float


class AccessToken:
    """Keeps one; ``current`` is the last, '' before there is any."""

    def __init__(self, obtain: Callable[[], Awaitable[Token]], clock: Callable[[], float] = time.monotonic) -> None:
        """Take who obtains one; whatever it raises, there is none to be had."""
        self._obtain = obtain
        self._clock = clock
        self.current = ""
        self._ends_at = self._renewed_at = 0.0
        self._renewal: asyncio.Task[None] | None = None

    async def get(self) -> str:
        """Return a token that serves.

        Raises:
            AttemptFailed: where none is to be had.
        """
        now = self._clock()
        if now >= self._ends_at:
            # One who waits and leaves takes it from nobody else.
            await asyncio.shield(self._renewing())
        elif now >= self._renewed_at:
            self._renewing()
        return self.current

    def refused(self, token: str) -> None:
        """Take it that a token does not serve, however long it was to live."""
        if token == self.current:
            self._ends_at = 0.0

    async def aclose(self) -> None:
        """End what is still being asked for."""
        if self._renewal is not None:
            self._renewal.cancel()
            with suppress(asyncio.CancelledError, AttemptFailed):
                await self._renewal

    def _renewing(self) -> asyncio.Task[None]:
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.get_running_loop().create_task(self._renew())
            # Nobody need wait for it.
            self._renewal.add_done_callback(_seen)
        return self._renewal

    async def _renew(self) -> None:
        try:
            token = await self._obtain()
        except Exception as error:
            # What a vendor's library raises beside is of our own surroundings, too: it is for the operator.
            _LOG.warning("access_token_not_renewed: %s", getattr(error, "detail", error))
            self._renewed_at = self._clock() + _PAUSE_SECONDS
            if isinstance(error, AttemptFailed):
                raise
            raise AttemptFailed(FailureKind.CREDENTIALS, "no access token could be had") from error
        now = self._clock()
        self.current = token.text
        self._ends_at = now + token.seconds
        self._renewed_at = now + token.seconds * RENEWED_AFTER_SHARE


def _seen(task: asyncio.Task[None]) -> None:
    """Look at how a renewal ended that perhaps nobody waits for."""
    if not task.cancelled():
        task.exception()
