"""A request for vectors as surfaces hand it in, and what the embedding service makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, Protocol

from penstock_common.llm.types import RequestContext, UnitPrices
from penstock_common.telemetry.steps import Step, Steps
from penstock_common.telemetry.trace_context import TraceContext
from penstock_gateway.domain.identity import Caller
from penstock_gateway.domain.ports import ModelInfo

CAPABILITY = "embeddings"


@dataclass(frozen=True, slots=True)
class EmbeddingInput:
    """Texts, and how long their vectors are to be: 0 is as long as the model makes them."""

    model: str
    texts: Sequence[str]
    dimensions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingCall:
    """An authenticated request, as every surface hands it in; its fields are those of ``ChatCall``."""

    request_id: str
    generation_id: str
    surface: str
    caller: Caller
    input: EmbeddingInput
    timeout: timedelta
    trace: TraceContext
    steps: Steps
    started_ns: int
    context: RequestContext = RequestContext()


class TextVector(NamedTuple):
    """One input's vector; ``truncated`` if only the input's head fits the model's window."""

    values: Sequence[float]
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedTexts:
    """Vectors in the order of the inputs, who made them, and what they are billed at."""

    vectors: Sequence[TextVector]
    model: str
    revision: str
    upstream: str
    input_tokens: int
    unit_prices: UnitPrices = UnitPrices()


class TextEmbedder(Protocol):
    """The embedding service."""

    async def embed(self, request: EmbeddingInput, steps: list[Step]) -> EmbeddedTexts:
        """Return the vectors, or raise the domain error that says why there are none.

        The steps that were taken are added to ``steps``, however it ended.
        """
        ...

    async def models(self) -> list[ModelInfo]:
        """Return the models that may be asked for; none while the service is away."""
        ...
