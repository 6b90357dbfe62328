"""Where the other services of the suite are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from penstock_gateway.adapters.services.cache import CacheClient, NoCache
from penstock_gateway.adapters.services.embedding import EmbeddingClient, NoEmbedding
from penstock_gateway.adapters.services.wire import WireInputs


@dataclass(frozen=True, slots=True)
class Channels:
    """The services the gateway calls, over either transport. What is None is not there: nothing is cached, or embedded."""

    router: Any
    inference: Any
    cache: Any = None
    embedding: Any = None
    collectors: Sequence[Any] = ()
    """What services in this process measure, as prometheus_client's collectors."""

    def cache_client(
        self, inputs: WireInputs, lookup_timeout: timedelta, store_timeout: timedelta
    ) -> CacheClient | NoCache:
        """Return the cache as the domain knows it."""
        if self.cache is None:
            return NoCache()
        return CacheClient(self.cache, inputs, lookup_timeout, store_timeout)

    def embedding_client(self, list_timeout: timedelta) -> EmbeddingClient | NoEmbedding:
        """Return the embedding service as the domain knows it."""
        return NoEmbedding() if self.embedding is None else EmbeddingClient(self.embedding, list_timeout)
