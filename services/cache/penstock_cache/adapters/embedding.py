"""The embedding service as an ``Embedding``; one that fails is left alone for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from penstock_cache.domain.meaning.ports import Embedded, EmbeddingUnavailable, VectorMaker
from penstock_common.contract.embedding import EmbedRequest, EmbedResponse
from penstock_common.contract.wire.embedding import EMBED, LIST_MODELS
from penstock_common.errors import (
    DeadlineExceeded,
    InternalError,
    NoHealthyUpstream,
    Overloaded,
    PenstockError,
    ServiceUnavailable,
    UpstreamFailed,
    UpstreamTimeout,
)
from penstock_common.outage import OutageGate
from penstock_common.rpc.client import Channel, is_time_left

COOL_DOWN = timedelta(seconds=1)
_FIRST_TEXT = "ready"
# A model that is loaded when it is first asked takes seconds.
_PATIENCE_SECONDS = 60.0
_AGAIN_SECONDS = 1.0
_OUTAGES = (ServiceUnavailable, Overloaded, InternalError, NoHealthyUpstream, UpstreamFailed)
# Texts that wait for others are late, and soon are not.
_DELAYS = (DeadlineExceeded, UpstreamTimeout)


class EmbeddingClient:
    """Asks the service behind a channel."""

    def __init__(self, channel: Channel, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._channel = channel
        self._gate = OutageGate("embedding texts for the cache", COOL_DOWN, monotonic)
        self._maker: VectorMaker | None = None
        self._window_tokens = 0

    @property
    def maker(self) -> VectorMaker | None:
        """Who made the latest vectors."""
        return self._maker

    @property
    def window_tokens(self) -> int:
        """How many tokens of a text the model reads, as the service says."""
        return self._window_tokens

    async def embed(self, texts: Sequence[str], seconds: float) -> list[Embedded]:
        """Return the texts' vectors, as ``Embedding`` says."""
        if not self._gate.may_try():
            raise EmbeddingUnavailable("The embedding service has failed and is left alone for a moment.")
        try:
            response = await self._channel.call(EMBED, EmbedRequest(tuple(texts)), timeout=seconds)
        except (*_OUTAGES, *_DELAYS) as error:
            # A request that has run out of its own time says nothing of the service.
            if is_time_left():
                self._note(error, seconds)
            raise EmbeddingUnavailable(f"The embedding service: {error.message}", service="embedding") from error
        except PenstockError as error:
            raise EmbeddingUnavailable(f"The embedding service: {error.message}", service="embedding") from error
        self._gate.succeeded()
        return self._embedded(response, len(texts))

    async def prepare(self) -> None:
        """Have a first text embedded, however long that takes: requests then find a model that is loaded and known."""
        while True:
            try:
                await self.embed([_FIRST_TEXT], _PATIENCE_SECONDS)
                await self._learn_window()
            except PenstockError:
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return

    async def _learn_window(self) -> None:
        for model in await self._channel.call(LIST_MODELS, None, timeout=_PATIENCE_SECONDS):
            if self._maker is not None and model.name == self._maker.name:
                self._window_tokens = model.context_window_tokens or 0

    def _note(self, error: PenstockError, seconds: float) -> None:
        if isinstance(error, _DELAYS):
            self._gate.late(error, seconds)
        else:
            self._gate.failed(error)

    def _embedded(self, response: EmbedResponse, texts: int) -> list[Embedded]:
        vectors = response.vectors
        if len(vectors) != texts or not all(vector.values for vector in vectors):
            raise EmbeddingUnavailable("The embedding service has made other vectors than asked for.")
        maker = VectorMaker(response.model, response.revision, len(vectors[0].values))
        self._maker = maker
        return [Embedded(vector.values, not vector.truncated, maker) for vector in vectors]
