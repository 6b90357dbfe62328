"""The embedding service, as far as choosing a model goes; one that fails is left alone for a moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from penstock_common.contract.embedding import EmbedRequest
from penstock_common.contract.wire.embedding import EMBED
from penstock_common.errors import PenstockError
from penstock_common.outage import OutageGate
from penstock_common.rpc.client import Channel, is_time_left

COOL_DOWN = timedelta(seconds=1)


class EmbeddingClient:
    """Asks the service behind a channel, for no longer than ``timeout``."""

    def __init__(self, channel: Channel, timeout: timedelta, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._channel = channel
        self._timeout_seconds = timeout.total_seconds()
        self._gate = OutageGate("embedding prompts for the router", COOL_DOWN, monotonic)

    async def vector_of(self, text: str) -> Sequence[float] | None:
        """Return the unit vector of a text; None where it cannot be had in time."""
        if not self._gate.may_try():
            return None
        try:
            response = await self._channel.call(EMBED, EmbedRequest((text,)), timeout=self._timeout_seconds)
        except PenstockError as error:
            # A request that has run out of its own time says nothing of the service.
            if is_time_left():
                self._gate.failed(error)
            return None
        self._gate.succeeded()
        return response.vectors[0].values if response.vectors else None
