"""Models that judge a question and a passage together."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from penstock_embedding.domain.retrieval.learned import LearnedReranker, own_weights
from penstock_embedding.domain.retrieval.reranking import Reranker


async def open_reranker(model: str, stack: AsyncExitStack) -> Reranker:
    """Return the cross-encoder in a directory or of the hub; without a name our own, which needs no model.

    Raises:
        ConfigurationError: if there is none, or it cannot be run.
    """
    if not model:
        return LearnedReranker(own_weights())
    # A cross-encoder is seldom named, and brings ONNX Runtime.
    from penstock_embedding.adapters.rerank.cross_encoder import CrossEncoder

    return await stack.enter_async_context(CrossEncoder.open(Path(model), model))
