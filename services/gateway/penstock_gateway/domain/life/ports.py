"""What the life of a request needs of the other services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from penstock_common.contract.cache import LookupRequest, LookupResponse, StoreRequest
from penstock_common.contract.embedding import EmbedRequest, EmbedResponse
from penstock_common.contract.inference import GenerateRequest
from penstock_common.contract.questions import ModerateRequest, ModerateResponse, RerankRequest, RerankResponse
from penstock_common.contract.relay import RelayPlace, RelayRequest, RelayResponse, RelayTerms
from penstock_common.contract.router import RouteRequest
from penstock_common.llm.types import Batch, ModelInfo, Plan, RouteExplanation
from penstock_common.telemetry.steps import Step


class AnswerCache(Protocol):
    """Answers worth reusing, walled off by tenant."""

    async def look_up(self, request: LookupRequest, steps: list[Step]) -> LookupResponse:
        """Return what is known. A cache that fails is a cache that misses: this never raises."""
        ...

    async def keep(self, request: StoreRequest) -> None:
        """Keep a complete, clean answer, without making anybody wait; a failure is logged and forgotten."""
        ...


class Router(Protocol):
    """Decides which models may answer."""

    async def route(self, request: RouteRequest, steps: list[Step]) -> Plan:
        """Return a plan, or raise the domain error that says why there is none."""
        ...

    async def explain(self, request: RouteRequest) -> RouteExplanation:
        """Return how a request would be routed now; raises ``ModelNotFound`` where nobody has the model's name."""
        ...

    async def models(self) -> Sequence[ModelInfo]:
        """Return every public model, sorted by name."""
        ...


class AnswerStream(Protocol):
    """An answer's events in batches, in the contract's order. Whoever opens it closes it."""

    def __aiter__(self) -> AsyncIterator[Batch]:
        """Iterate once."""
        ...

    async def aclose(self) -> None:
        """End it, and whatever works on it."""
        ...


class Generator(Protocol):
    """Runs a plan."""

    def generate(self, request: GenerateRequest, steps: list[Step], timeout: float | None = None) -> AnswerStream:
        """Return the answer, which takes ``timeout`` seconds at most; closing it ends the upstream's work.

        The attempts that were made are added to ``steps``, however it ended.
        """
        ...


class QuestionAnswerer(Protocol):
    """Asks what is no conversation, by a plan."""

    async def rerank(self, request: RerankRequest, steps: list[Step]) -> RerankResponse:
        """Return the ranking, or raise the domain error that says why there is none; the attempts are added to ``steps``."""
        ...

    async def moderate(self, request: ModerateRequest, steps: list[Step]) -> ModerateResponse:
        """Return the verdicts; as ``rerank``."""
        ...


class Relay(Protocol):
    """Passes requests to upstreams as they are."""

    async def find(self, place: RelayPlace) -> RelayTerms:
        """Return under which terms a request would pass; raises ``ResourceNotFound`` where it would not."""
        ...

    def exchange(self, requests: AsyncIterator[RelayRequest], steps: list[Step]) -> RelayedAnswer:
        """Return the answer; closing it ends the exchange with the upstream. What was done is added to ``steps``."""
        ...


class RelayedAnswer(Protocol):
    """An answer that passes back: its head, then pieces."""

    def __aiter__(self) -> AsyncIterator[RelayResponse]:
        """Iterate once, in one task."""
        ...

    async def aclose(self) -> None:
        """End the exchange."""
        ...


class TextEmbedder(Protocol):
    """The embedding service."""

    async def embed(self, request: EmbedRequest, steps: list[Step]) -> EmbedResponse:
        """Return the vectors, or raise the domain error that says why there are none.

        The steps that were taken are added to ``steps``, however it ended.
        """
        ...

    async def models(self) -> Sequence[ModelInfo]:
        """Return the models that may be asked for; none while the service is away."""
        ...
