"""What the life of a request needs of the other services."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from penstock_common.contract.cache import LookupRequest, LookupResponse, StoreRequest
from penstock_common.contract.embedding import EmbedRequest, EmbedResponse
from penstock_common.contract.inference import GenerateRequest
from penstock_common.contract.router import RouteRequest
from penstock_common.llm.types import ModelInfo, Plan, RouteExplanation
from penstock_common.telemetry.steps import Step

if TYPE_CHECKING:
    from penstock_gateway.domain.life.sources import AnswerStream


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


class Generator(Protocol):
    """Runs a plan."""

    def generate(self, request: GenerateRequest, steps: list[Step], timeout: float | None = None) -> AnswerStream:
        """Return the answer, which takes ``timeout`` seconds at most; closing it ends the upstream's work.

        The attempts that were made are added to ``steps``, however it ended.
        """
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
