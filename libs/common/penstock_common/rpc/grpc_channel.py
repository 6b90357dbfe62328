"""A channel of grpcio whose calls are gone once they are over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc


def grpc_channel(
    target: str, options: Sequence[tuple[str, Any]], credentials: grpc.ChannelCredentials | None = None
) -> grpc.aio.Channel:
    """Return a channel to ``target``, in the clear without ``credentials``.

    Of grpcio 1.83 each call holds itself by a callback that takes it out of the channel's weak set of calls, and so stays,
    with all that was sent and received, until the garbage collector comes by. A weak set needs no such callback.
    """
    channel: Any = (
        grpc.aio.insecure_channel(target, options=options)
        if credentials is None
        else grpc.aio.secure_channel(target, credentials, options=options)
    )
    if hasattr(channel, "_register_call") and hasattr(channel, "_active_calls"):
        channel._register_call = channel._active_calls.add  # noqa: SLF001 - there is no public way
    return channel
