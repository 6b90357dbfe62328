"""EmbeddingService: convert, call, convert."""

from __future__ import annotations

import time
from typing import Any

from penstock.embedding.v1 import embedding_service_pb2 as pb
from penstock.embedding.v1.embedding_service_pb2_grpc import EmbeddingServiceServicer
from penstock_common.llm.convert import unit_prices_to_proto
from penstock_common.telemetry.steps import Steps
from penstock_embedding.domain.embedder import EmbedCall, Embedded, Embedder


class EmbeddingServicer(EmbeddingServiceServicer):
    """Serves one ``Embedder``."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def Embed(self, request: pb.EmbedRequest, context: Any) -> pb.EmbedResponse:
        """Return one vector per input, in their order."""
        steps = Steps()
        call = EmbedCall(request.inputs, request.model, request.dimensions, _deadline(context))
        try:
            with steps.step("embedding.embed", inputs=len(request.inputs)) as step:
                embedded = await self._embedder.embed(call)
                step.attributes["input_tokens"] = embedded.input_tokens
            return self._response(embedded)
        finally:
            context.set_trailing_metadata((steps.to_metadata(),))

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        """Return the one model."""
        offer = self._embedder.offer
        model = pb.Model(name=self._embedder.model_name, context_window_tokens=offer.context_window_tokens)
        return pb.ListModelsResponse(models=[model])

    def _response(self, embedded: Embedded) -> pb.EmbedResponse:
        pairs = zip(embedded.vectors, embedded.truncated, strict=True)
        offer = self._embedder.offer
        return pb.EmbedResponse(
            model=self._embedder.model_name,
            embeddings=[pb.Embedding(values=vector, truncated=truncated) for vector, truncated in pairs],
            input_tokens=embedded.input_tokens,
            model_revision=self._embedder.model_revision,
            unit_prices=unit_prices_to_proto(offer.unit_prices),
            upstream=offer.upstream,
        )


def _deadline(context: Any) -> float | None:
    seconds: float | None = context.time_remaining()
    # Without a deadline grpcio reports one in the far future, which is as good.
    return None if seconds is None else time.monotonic() + seconds
