"""How a request would be routed, as the command shows it."""

from __future__ import annotations

import msgspec


class RouteQuestion(msgspec.Struct, frozen=True):
    """A prompt, the public model that it is for, and the request's tags. An empty model means ``auto``."""

    prompt: str
    model: str = "auto"
    tags: dict[str, str] = {}


class CandidateRow(msgspec.Struct, frozen=True):
    """A candidate: its place in the plan (None: it is not asked), or what speaks against it."""

    model: str
    candidate: str
    rank: int | None
    objection: str
    region: str
    context_window_tokens: int
    input_usd: float | None
    """For a million tokens; None where nobody knows."""
    output_usd: float | None
    condition: str
    latency_ms: float | None


class RouteDecision(msgspec.Struct, frozen=True):
    """Which model was chosen, and by what."""

    model: str
    by: str
    task: str
    complexity: str
    task_confidence: float
    complexity_confidence: float
    abstains: bool
    by_vector: bool
    classifier: str
    passed_over: list[str]


class RouteExplanation(msgspec.Struct, frozen=True):
    """The whole; without a plan ``refusal`` says why there is none."""

    reason: str
    refusal: str
    decision: RouteDecision | None
    candidates: list[CandidateRow]
