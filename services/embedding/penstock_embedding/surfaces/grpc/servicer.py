"""EmbeddingService: convert, call, convert."""

from __future__ import annotations

import time
from typing import Any

from penstock.embedding.v1 import embedding_service_pb2 as pb
from penstock.embedding.v1.embedding_service_pb2_grpc import EmbeddingServiceServicer
from penstock_common.telemetry.steps import Steps
from penstock_embedding.domain.embedder import Embedded, Embedder


class EmbeddingServicer(EmbeddingServiceServicer):
    """Serves one ``Embedder``."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def Embed(self, request: pb.EmbedRequest, context: Any) -> pb.EmbedResponse:
        """Return one vector per input, in their order."""
        steps = Steps()
        try:
            with steps.step("embedding.embed", inputs=len(request.inputs)) as step:
                embedded = await self._embedder.embed(request.inputs, request.model, _deadline(context))
                step.attributes["input_tokens"] = embedded.input_tokens
            return self._response(embedded)
        finally:
            context.set_trailing_metadata((steps.to_metadata(),))

    def _response(self, embedded: Embedded) -> pb.EmbedResponse:
        pairs = zip(embedded.vectors, embedded.truncated, strict=True)
        return pb.EmbedResponse(
            model=self._embedder.model_name,
            embeddings=[pb.Embedding(values=vector, truncated=truncated) for vector, truncated in pairs],
            input_tokens=embedded.input_tokens,
            model_revision=self._embedder.model_revision,
        )


def _deadline(context: Any) -> float | None:
    seconds: float | None = context.time_remaining()
    # Without a deadline grpcio reports one in the far future, which is as good.
    return None if seconds is None else time.monotonic() + seconds
