"""Vectors as the service makes them: in batches of similar length."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock_embedding.adapters.model_worker import BlockingModel
from penstock_embedding.domain.batching import BatchBounds, QueuedCall, TextQueue


def batched_vectors(model: BlockingModel, texts: list[str]) -> Any:
    queue = TextQueue(BatchBounds())
    queue.put(QueuedCall(0, None), model.prepare(texts))
    vectors: list[Any] = [None] * len(texts)
    while batch := queue.take(0, 0).batch:
        for queued, vector in zip(batch, model.run([queued.text for queued in batch]), strict=True):
            vectors[queued.position] = vector
    return np.array(vectors, np.float32)
