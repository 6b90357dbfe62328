"""What the inference service is asked, and what it answers: an answer's events in batches, or the models it can run."""

from __future__ import annotations

from enum import Enum

from penstock_common.llm.types import Candidate, GenerationInput, Plan, Value
from penstock_common.priority import Priority


class GenerateRequest(Value, frozen=True):
    """What to generate, and who may answer.

    ``whole``: the caller is told the answer once all of it is there. ``batches``:
    it reads several events of one response, as every caller of this version does.
    ``may_recover``: should the answer break off after some of it was sent, another
    attempt makes it whole. ``may_hedge``: should its first token be late, another may
    be asked beside who was.
    """

    input: GenerationInput
    plan: Plan
    whole: bool = False
    batches: bool = True
    may_recover: bool = True
    may_hedge: bool = True
    priority: Priority = Priority.DEFAULT


class ModelState(Enum):
    """Whether a model can answer now; the value is what people read."""

    UNTOLD = ""
    """The upstream does not tell."""
    READY = "ready"
    LOADING = "loading"
    UNLOADING = "unloading"
    UNAVAILABLE = "unavailable"


class RunnableModel(Value, frozen=True):
    """A model of the catalogue with what its upstream says of it; its capabilities in the configuration's words."""

    candidate: Candidate
    context_window_tokens: int = 0
    capabilities: frozenset[str] = frozenset()
    state: ModelState = ModelState.UNTOLD
    state_reason: str = ""
    is_controllable: bool = False
