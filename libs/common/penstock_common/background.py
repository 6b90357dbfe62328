"""Work that nobody waits for, but that somebody owns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog

_log = structlog.get_logger(__name__)

StartWork = Callable[[Coroutine[Any, Any, None]], None]


@asynccontextmanager
async def background_work() -> AsyncGenerator[StartWork, None]:
    """Yield a starter of coroutines; all of them end before this context does. One that fails is logged."""
    async with asyncio.TaskGroup() as group:

        def start(work: Coroutine[Any, Any, None]) -> None:
            group.create_task(_logged(work))

        yield start


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None, None]:
    """Have a coroutine run that never returns; it is cancelled, and has ended, when this context ends.

    If it fails, whoever holds the context is cancelled and sees the failure.
    """
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        try:
            yield
        finally:
            task.cancel()


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001 - nobody waits for it, so nobody else would hear of it
        _log.error("background_work_failed", exc_info=error)
