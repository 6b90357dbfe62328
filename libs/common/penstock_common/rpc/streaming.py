"""Reading a stream of the public API, by a generated stub, without ever leaving it running."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def cancelled_on_exit(call: Any) -> AsyncGenerator[Any, None]:
    """Yield the gRPC call; cancel it on the way out, whatever the way.

    Leaving an ``async for`` over it does not: the upstream would generate tokens for nobody.
    """
    try:
        yield call
    finally:
        call.cancel()
