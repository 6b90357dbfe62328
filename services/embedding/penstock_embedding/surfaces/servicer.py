"""EmbeddingService: ask the domain, say how it went."""

from __future__ import annotations

from array import array

from penstock_common.contract.embedding import EmbedRequest, EmbedResponse, TextVector
from penstock_common.llm.types import ModelInfo
from penstock_common.rpc.server_call import ServerCall
from penstock_embedding.domain.embedder import EmbedCall, Embedded, Embedder, ModelOffer


class EmbeddingServicer:
    """Serves one ``Embedder``."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def embed(self, request: EmbedRequest, call: ServerCall) -> EmbedResponse:
        """Return one vector per text, in their order."""
        # Of a change of prices meanwhile a request that runs knows nothing.
        offer = self._embedder.offer
        asked = EmbedCall(request.texts, request.model, request.dimensions, call.deadline)
        with call.steps.step("embedding.embed", inputs=len(request.texts)) as step:
            embedded = await self._embedder.embed(asked)
            step.attributes["input_tokens"] = embedded.input_tokens
        return self._response(embedded, offer)

    async def list_models(self, request: None, call: ServerCall) -> tuple[ModelInfo, ...]:
        """Return the one model."""
        window_tokens = self._embedder.offer.context_window_tokens
        return (
            ModelInfo(
                name=self._embedder.model_name, capabilities=("embeddings",), context_window_tokens=window_tokens
            ),
        )

    def _response(self, embedded: Embedded, offer: ModelOffer) -> EmbedResponse:
        pairs = zip(embedded.vectors, embedded.truncated, strict=True)
        return EmbedResponse(
            vectors=[TextVector(array("f", vector), truncated) for vector, truncated in pairs],
            model=self._embedder.model_name,
            revision=self._embedder.model_revision,
            upstream=offer.upstream,
            input_tokens=embedded.input_tokens,
            unit_prices=offer.unit_prices,
        )
