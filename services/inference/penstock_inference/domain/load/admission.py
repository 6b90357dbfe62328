"""How a request gets into an upstream that has limits: at once, in its turn, or not in time."""

from __future__ import annotations

from penstock_common.llm.estimate import estimated_input_tokens
from penstock_common.llm.types import GenerationInput
from penstock_common.priority import Priority
from penstock_common.rpc.scope import CURRENT_SCOPE
from penstock_common.telemetry.steps import Steps, end
from penstock_inference.domain.catalogue import Model
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.load.gate import Gate, Permit

SATURATED = AttemptFailed(
    FailureKind.SATURATED, "its limits are reached, and it did not become this request's turn in time"
)


async def permit_at(
    gate: Gate, model: Model, value: GenerationInput, priority: Priority, wait_seconds: float
) -> Permit | None:
    """Return the permit of the request that is served, once it fits; None where that takes longer, or it is shed.

    It counts with its prompt and the answer that it allows, as providers count beforehand: no more than the model's window,
    whatever the request says.
    """
    tokens = _tokens_of(gate, model, value)
    if gate.try_enter(priority, tokens) or await gate.try_enter_once_told(priority, tokens):
        return Permit(gate, tokens)
    if await gate.enter(CURRENT_SCOPE.get().tenant, priority, tokens, wait_seconds):
        return Permit(gate, tokens, has_waited=True)
    return None


def permit_at_once(gate: Gate, model: Model, value: GenerationInput, priority: Priority) -> Permit | None:
    """Return the permit of a request that need not be made; None where it does not fit just now."""
    tokens = _tokens_of(gate, model, value)
    return Permit(gate, tokens) if gate.try_enter(priority, tokens) else None


def _tokens_of(gate: Gate, model: Model, value: GenerationInput) -> int:
    if not gate.counts_tokens:
        return 0
    tokens = estimated_input_tokens(value) + (value.sampling.max_output_tokens or 0)
    return min(tokens, model.context_window_tokens or tokens)


def record_shed(model: Model, steps: Steps) -> None:
    """Record that a model was not asked, because its upstream's limits did not let the request in."""
    candidate = model.candidate
    step = steps.begin("attempt", upstream=candidate.upstream, model=candidate.model, provider=model.provider)
    step.attributes.update(outcome=SATURATED.outcome, asked=False, fault="request")
    end(step)
