"""Reading another service's stream without ever leaving it running."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

ResponseT = TypeVar("ResponseT")


@asynccontextmanager
async def cancelled_on_exit(call: Any) -> AsyncGenerator[Any, None]:
    """Yield the call; cancel it on the way out, whatever the way.

    Leaving an ``async for`` over a gRPC call does not cancel it: the upstream
    would generate tokens for nobody. In-process calls also have ``aclose``,
    which waits until the servicer's ``finally`` has run.
    """
    try:
        yield call
    finally:
        call.cancel()
        aclose: Callable[[], Awaitable[None]] | None = getattr(call, "aclose", None)
        if aclose is not None:
            await aclose()
