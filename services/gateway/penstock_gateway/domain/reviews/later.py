"""Flags that nobody waits for: kept beside the request that they are of."""

from __future__ import annotations

import asyncio
from contextvars import Context

import structlog

from penstock_gateway.domain.reviews.flag import Flag, ReviewDesk, shortened

MOST_PENDING = 1024
"""Flags that wait for the database at once, of whichever tenants; further ones are dropped, and logged."""
MOST_CHARACTERS = 8_388_608
"""Of the texts of all of them."""
PATIENCE_SECONDS = 30.0
"""For one of them, and for all of them at the end."""
_log = structlog.get_logger(__name__)


class LaterDesk:
    """Implements ``ReviewDesk``: waits for what is held, and keeps all else beside. Close it, so that what is pending is kept."""

    def __init__(
        self,
        desk: ReviewDesk,
        most_pending: int = MOST_PENDING,
        patience: float = PATIENCE_SECONDS,
        most_characters: int = MOST_CHARACTERS,
    ) -> None:
        self._desk, self._most, self._patience = desk, most_pending, patience
        self._pending: set[asyncio.Task[None]] = set()
        self._room = most_characters

    async def flag(self, flag: Flag) -> str:
        """Return the id of the item that the flag became, if its text is held; else nothing, at once. See the port."""
        if flag.hold:
            return await self._desk.flag(flag)
        flag = shortened(flag)
        size = len(flag.text) + len(flag.context)
        if len(self._pending) >= self._most or size > self._room:
            _log.warning("review_dropped", tenant=flag.tenant, rule=flag.rule, reason="too many are pending")
            return ""
        self._room -= size
        # Of its own time: the request's may be over first.
        task = asyncio.get_running_loop().create_task(self._keep(flag, size), context=Context())
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        return ""

    async def close(self) -> None:
        """Wait for what is pending, up to ``patience`` seconds."""
        if self._pending:
            _, left = await asyncio.wait(self._pending, timeout=self._patience)
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left)

    async def _keep(self, flag: Flag, size: int) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._desk.flag(flag)
        except Exception as error:  # noqa: BLE001 - nobody waits who could be told
            _log.warning("review_dropped", tenant=flag.tenant, rule=flag.rule, reason=type(error).__name__)
        finally:
            self._room += size
