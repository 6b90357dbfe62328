"""An embedding model of providers that speak OpenAI's format: one, or several that serve the same model and revision.

Callers' texts are not mixed: providers batch by themselves, and what each
caller owes is what the provider counted for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from penstock_common.errors import DeadlineExceeded, Overloaded
from penstock_common.http.client import HttpClient
from penstock_common.llm.estimate import estimated_tokens
from penstock_embedding.adapters.providers.openai.request import MAX_INPUTS, pieces
from penstock_embedding.adapters.providers.openai.upstream import ProviderPlace, ProviderUpstream
from penstock_embedding.domain.account import Account
from penstock_embedding.domain.embedder import Embedded
from penstock_embedding.domain.failover import Failover
from penstock_embedding.domain.upstream import FailoverObserver, FailoverPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderModel:
    """Whom to ask for which model, in the order of preference; ``revision`` is what is declared of all of them.

    Without one, a provider's name for the model is all that is known of it.
    """

    name: str
    places: tuple[ProviderPlace, ...]
    revision: str = ""
    policy: FailoverPolicy = FailoverPolicy()
    max_in_flight: int = 256
    max_inputs: int = MAX_INPUTS


class ProviderEmbeddings:
    """An ``EmbeddingModel``; ``failover`` tells how its providers stand."""

    def __init__(self, failover: Failover[list[str]], model: ProviderModel) -> None:
        self.failover = failover
        self._model = model
        self._in_flight = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, model: ProviderModel, observer: FailoverObserver) -> AsyncGenerator[ProviderEmbeddings, None]:
        """Yield the model; on exit, close its connections.

        Raises:
            ConfigurationError: if an address or a key cannot be one.
        """
        async with HttpClient() as client:
            upstreams = [ProviderUpstream(place, client) for place in model.places]
            yield cls(Failover(upstreams, model.policy, observer), model)

    @property
    def name(self) -> str:
        """The name of the model."""
        return self._model.name

    @property
    def revision(self) -> str:
        """What is declared, or else the provider's name for the model, by which its vectors go."""
        first = self._model.places[0]
        return self._model.revision or f"{first.upstream}/{first.model}"

    async def embed(
        self, texts: Sequence[str], deadline: float | None, account: Account, *, background: bool = False
    ) -> Embedded:
        """Return the texts' vectors, as ``EmbeddingModel`` says; a provider has room for all at once.

        Raises:
            UpstreamFailed, UpstreamTimeout, Overloaded: if no provider answers properly.
        """
        if self._in_flight >= self._model.max_in_flight:
            raise Overloaded(f"{self._in_flight} requests wait for the providers of embeddings. Try again.")
        self._in_flight += 1
        try:
            async with asyncio.timeout(None if deadline is None else max(0.0, deadline - time.monotonic())):
                return await self._pieces(texts, deadline, account)
        except TimeoutError:
            raise DeadlineExceeded("The provider did not answer before the request's deadline.") from None
        finally:
            self._in_flight -= 1

    async def _pieces(self, texts: Sequence[str], deadline: float | None, account: Account) -> Embedded:
        embedded = Embedded([], [False] * len(texts), 0)
        for piece in pieces(texts, self._model.max_inputs):
            estimate = sum(map(estimated_tokens, piece))
            answer = await self.failover.ask(piece, estimate, account, deadline)
            embedded.vectors.extend(answer.vectors)
            embedded = embedded._replace(input_tokens=embedded.input_tokens + (answer.tokens or estimate))
        return embedded
