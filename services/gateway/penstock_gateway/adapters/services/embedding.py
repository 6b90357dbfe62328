"""The embedding service as a port."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc

from penstock.embedding.v1 import embedding_service_pb2 as pb
from penstock.embedding.v1 import embedding_service_pb2_grpc
from penstock_common.errors import ModelNotFound, ServiceUnavailable
from penstock_common.llm.convert import unit_prices_from_proto
from penstock_common.rpc.channel import translated
from penstock_common.telemetry.steps import Step, steps_from_metadata
from penstock_gateway.domain.embedding_call import CAPABILITY, EmbeddedTexts, EmbeddingInput, TextVector
from penstock_gateway.domain.ports import ModelInfo

if TYPE_CHECKING:
    from penstock.embedding.v1.embedding_service_pb2_grpc import EmbeddingServiceAsyncStub

_SERVICE = "embedding"


class EmbeddingClient:
    """Implements ``embedding_call.TextEmbedder`` over a stub; the request's deadline is the call's."""

    def __init__(self, channel: Any, list_timeout: timedelta) -> None:
        self._stub: EmbeddingServiceAsyncStub = embedding_service_pb2_grpc.EmbeddingServiceStub(channel)  # type: ignore[assignment]  # one class serves both at run time
        self._list_seconds = list_timeout.total_seconds()

    async def embed(self, request: EmbeddingInput, steps: list[Step]) -> EmbeddedTexts:
        """Return the vectors, or raise the domain error that says why there are none."""
        message = pb.EmbedRequest(model=request.model, inputs=request.texts, dimensions=request.dimensions)
        call = self._stub.Embed(message)
        try:
            response = await call
            steps += steps_from_metadata(await call.trailing_metadata())
        except grpc.aio.AioRpcError as error:
            steps += steps_from_metadata(error.trailing_metadata())
            raise translated(error, _SERVICE) from error
        return EmbeddedTexts(
            vectors=[TextVector(embedding.values, embedding.truncated) for embedding in response.embeddings],
            model=response.model,
            revision=response.model_revision,
            upstream=response.upstream,
            input_tokens=response.input_tokens,
            unit_prices=unit_prices_from_proto(response.unit_prices),
        )

    async def models(self) -> list[ModelInfo]:
        """Return the service's models; none while it is away, so that the others can still be listed."""
        try:
            response = await self._stub.ListModels(pb.ListModelsRequest(), timeout=self._list_seconds)
        except grpc.aio.AioRpcError as error:
            known = translated(error, _SERVICE)
            if isinstance(known, ServiceUnavailable) or error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                return []
            raise known from error
        return [ModelInfo(model.name, (CAPABILITY,), model.context_window_tokens) for model in response.models]


class NoEmbedding:
    """Implements ``embedding_call.TextEmbedder`` where no embedding service is configured."""

    async def embed(self, request: EmbeddingInput, steps: list[Step]) -> EmbeddedTexts:
        """Refuse.

        Raises:
            ModelNotFound: always.
        """
        raise ModelNotFound("No embedding model is served here.", model=request.model)

    async def models(self) -> list[ModelInfo]:
        """Return no model."""
        return []
