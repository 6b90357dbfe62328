"""Ending a call with an error, without keeping what has led to it.

grpcio keeps the exception of ``abort`` beside its call. The exception's traceback has the frames that it went through, and
those have the call: a circle of some fifty objects for each refused call, with the message that it was refused for, until
the garbage collector looks for it.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc


async def abort(
    context: Any, code: grpc.StatusCode, details: str, trailing: tuple[tuple[str, str | bytes], ...]
) -> None:
    """End the call; raises AbortError, which forgets where it has been once gRPC has it."""
    try:
        await context.abort(code, details, trailing)
    except grpc.aio.AbortError as aborted:
        # Until it has left the call's task, every frame on its way is added.
        asyncio.get_running_loop().call_soon(_forget, aborted)
        raise


def _forget(aborted: BaseException) -> None:
    aborted.__traceback__ = aborted.__context__ = aborted.__cause__ = None
