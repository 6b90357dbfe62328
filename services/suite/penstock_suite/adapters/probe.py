"""Asking something outside, again and again, whether it is ready."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

Probe = Callable[[], Awaitable[bool]]

_POLL_SECONDS = 0.02


def _never() -> bool:
    return False


async def came_true(probe: Probe, patience: timedelta, is_hopeless: Callable[[], bool] = _never) -> bool:
    """Return whether ``probe`` was true within ``patience``; false at once when it is hopeless to go on."""
    end = time.monotonic() + patience.total_seconds()
    while not await probe():
        if is_hopeless() or time.monotonic() > end:
            return False
        # Nothing outside tells us when it is ready.
        await asyncio.sleep(_POLL_SECONDS)
    return True
