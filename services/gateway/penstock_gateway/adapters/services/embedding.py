"""The embedding service as a port."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from penstock_common.contract.embedding import EmbedRequest, EmbedResponse
from penstock_common.contract.wire.embedding import EMBED, LIST_MODELS
from penstock_common.errors import DeadlineExceeded, ModelNotFound, Overloaded, ServiceUnavailable
from penstock_common.llm.types import ModelInfo
from penstock_common.rpc.client import Channel
from penstock_common.telemetry.steps import Step


class EmbeddingClient:
    """Implements ``ports.TextEmbedder``; the request's deadline is the call's."""

    def __init__(self, channel: Channel, list_timeout: timedelta) -> None:
        self._channel = channel
        self._list_seconds = list_timeout.total_seconds()

    async def embed(self, request: EmbedRequest, steps: list[Step]) -> EmbedResponse:
        """Return the vectors, or raise the domain error that says why there are none."""
        return await self._channel.call(EMBED, request, steps=steps)

    async def models(self) -> Sequence[ModelInfo]:
        """Return the service's models; none while it is away or full, so that the others can still be listed."""
        try:
            return await self._channel.call(LIST_MODELS, None, timeout=self._list_seconds)
        except (ServiceUnavailable, Overloaded, DeadlineExceeded):
            return ()


class NoEmbedding:
    """Implements ``ports.TextEmbedder`` where no embedding service is configured."""

    async def embed(self, request: EmbedRequest, steps: list[Step]) -> EmbedResponse:
        """Refuse.

        Raises:
            ModelNotFound: always.
        """
        raise ModelNotFound("No embedding model is served here.", model=request.model)

    async def models(self) -> Sequence[ModelInfo]:
        """Return no model."""
        return ()
