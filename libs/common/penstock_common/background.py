"""Work that nobody waits for, but that somebody owns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

StartWork = Callable[[Coroutine[Any, Any, None]], None]


@asynccontextmanager
async def background_work() -> AsyncGenerator[StartWork, None]:
    """Yield a starter of coroutines; all of them end before this context does, and one that fails ends it."""
    async with asyncio.TaskGroup() as group:

        def start(work: Coroutine[Any, Any, None]) -> None:
            group.create_task(work)

        yield start
