"""A chat request as surfaces hand it in, and what is known of it when it has ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from penstock_common.llm.types import GenerationInput, RequestContext
from penstock_common.telemetry.steps import Step, Steps
from penstock_common.telemetry.trace_context import TraceContext
from penstock_gateway.domain.embedding_call import EmbeddingCall
from penstock_gateway.domain.identity import Caller
from penstock_gateway.domain.settlement import LedgerRow


@dataclass(frozen=True, slots=True)
class CacheControl:
    """How the cache takes part; the words of HTTP's Cache-Control."""

    no_store: bool = False
    no_cache: bool = False
    only_if_cached: bool = False
    max_age: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCall:
    """An authenticated request, as every surface hands it in.

    ``request_id`` may be the caller's own; ``generation_id`` is ours, unique,
    and what the bill is kept under. ``timeout`` is what the caller grants.
    """

    request_id: str
    generation_id: str
    surface: str
    caller: Caller
    input: GenerationInput
    timeout: timedelta
    trace: TraceContext
    steps: Steps
    started_ns: int
    context: RequestContext = RequestContext()
    cache_control: CacheControl = CacheControl()


@dataclass(frozen=True, slots=True)
class CacheOutcome:
    """What the cache did: ``hit``, ``miss`` or ``bypass``."""

    status: str = "bypass"
    tier: str = ""
    similarity: float = 0.0

    def __str__(self) -> str:
        if self.status != "hit":
            return self.status
        return f"hit; tier={self.tier}; similarity={self.similarity:.2f}"


@dataclass(frozen=True, slots=True)
class EndedExchange:
    """Everything there is to say about a request that has ended.

    ``public_model`` is empty until the name that the caller chose is known to be a model's.
    """

    call: ChatCall | EmbeddingCall
    row: LedgerRow
    public_model: str
    steps: list[Step]
    ended_ns: int
    error: BaseException | None
