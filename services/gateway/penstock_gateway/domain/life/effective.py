"""From the caller's input to the effective one, which the cache, the router and the models see.

The caller's input is never changed: steps make the effective input from it, in
an order that the composition root sets. Every edit of a step is deterministic
per conversation and append-only: asked again with the same conversation and more
turns, it edits what was there in the same way. Providers check signed thinking
against the whole prefix and price cached prefixes at a tenth, so an edit that
moves breaks answers, or bills.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from penstock_common.llm.types import GenerationInput
from penstock_gateway.domain.life.compression import CompressionTold, ContextCompression
from penstock_gateway.domain.life.order import Call, ChatOrder


class InputStep(Protocol):
    """One step from the caller's input to the effective one; ``name`` is what a trace calls it."""

    name: str

    async def apply(self, request: GenerationInput, call: Call[ChatOrder]) -> GenerationInput:
        """Return the input with this step's edits, itself where there are none; or raise the error that refuses it."""
        ...


async def effective_input(
    call: Call[ChatOrder], steps: Sequence[InputStep], compression: ContextCompression | None
) -> tuple[GenerationInput, CompressionTold | None]:
    """Return what the steps make of the caller's input; each is recorded.

    Compression comes last, and only for requests that are to be compressed: what it says of them is None for others.

    Raises:
        PenstockError: if a step refuses it.
    """
    request = call.order.input
    for step in steps:
        call.steps.next(step.name)
        request = await step.apply(request, call)
    asked = call.order.compress
    if compression is None or asked is False or (asked is None and call.order.input.model not in compression.models):
        return request, None
    step = call.steps.next(compression.name)
    request, told = await compression.apply(request, call)
    step.attributes = {"tokens_before": told.tokens_before, "tokens": told.tokens, "reason": told.reason}
    return request, told
