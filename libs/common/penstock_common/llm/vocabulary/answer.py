"""What is answered: the events of a generation."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import final

from penstock_common.llm.vocabulary.conversation import Opaque, Value
from penstock_common.llm.vocabulary.plan import Candidate, UnitPrices, Usage


class FinishReason(Enum):
    """Why the model stopped."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


@final
class Started(Value, frozen=True, tag="started"):
    """An upstream accepted the request and its first content has come.

    ``unit_prices`` are what an interrupted answer is billed at; ``dropped`` are
    the fields that the upstream was asked without.
    """

    generation_id: str
    answered_by: Candidate
    unit_prices: UnitPrices = UnitPrices()
    dropped: tuple[str, ...] = ()


@final
class TextDelta(Value, frozen=True, tag="text_delta"):
    """Text to append to a choice; never empty, but with citations alone.

    ``logprobs_json``: its tokens with their probabilities, an array;
    ``citations_json``: what it refers to, an array; ``is_refusal``: it says that the model will not answer.
    """

    text: str
    choice: int = 0
    logprobs_json: str = ""
    citations_json: str = ""
    is_refusal: bool = False


@final
class ReasoningDelta(Value, frozen=True, tag="reasoning_delta"):
    """Text to append to the reasoning trace, and what proves it; never empty.

    A signature, or hidden content, ends one block of the trace; see ``Reasoning``.
    """

    text: str = ""
    signature: bytes = b""
    choice: int = 0
    extra_json: str = ""
    hidden: bytes = b""
    origin: str = ""


@final
class ToolCallDelta(Value, frozen=True, tag="tool_call_delta"):
    """A fragment of one tool call of a choice; ``id``, ``name`` and ``is_custom`` come on the first one only."""

    index: int
    id: str = ""
    name: str = ""
    arguments_json_fragment: str = ""
    extra_json: str = ""
    choice: int = 0
    is_custom: bool = False
    origin: str = ""


@final
class ChoiceFinished(Value, frozen=True, tag="choice_finished"):
    """One of the choices after the first is complete; the first is when the generation is."""

    choice: int
    reason: FinishReason


@final
class OpaqueDelta(Value, frozen=True, tag="opaque_delta"):
    """A whole block that only the provider's own format knows."""

    block: Opaque
    choice: int = 0


class RecoveryWay(Enum):
    """How another attempt took over: it went on from what had been sent, or answered anew and began with it."""

    CONTINUED = "continued"
    REGENERATED = "regenerated"


class Recovery(Value, frozen=True):
    """An attempt broke off after some of the answer had been sent, and another made it whole.

    ``cause`` is as in the trace; ``usage`` (estimated) and cost are the broken attempt's.
    """

    broke: Candidate
    cause: str
    way: RecoveryWay
    delivered_characters: int = 0
    usage: Usage = Usage()
    cost_nano_usd: int = 0


class Degradation(Enum):
    """What a caller is given in the place of the model's own answer, where the model's candidates have all failed.

    The answer of another public model, one that was kept for longer than it is fresh, or a text of the operator's. Or that
    of another public model where a budget has no room for this one.
    """

    SMALLER_MODEL = "smaller_model"
    STALE = "stale"
    TEMPLATE = "template"
    BUDGET = "budget"


STOPPED_BY_BUDGET = "budget"
STOPPED_BY_GUARDRAIL = "guardrail"


class StopDetails(Value, frozen=True):
    """What a provider said of the end beyond the reason: its ``word`` for it, and of a refusal what it is about, and why."""

    word: str = ""
    category: str = ""
    explanation: str = ""


@final
class Finished(Value, frozen=True, tag="finished"):
    """The generation is complete. ``cost_nano_usd`` holds that of the ``recoveries``, which happened in their order.

    ``degraded`` is None where it is the model's own answer; ``service_tier`` is the provider's word, or ``''``. ``stopped_by``
    says who ended it before the model did: ``STOPPED_BY_BUDGET``, ``STOPPED_BY_GUARDRAIL``, or nobody. ``unread`` is what the
    provider's own format said beside, as ``llm.unread`` has it; None where it said nothing, or nobody may look at it.
    """

    reason: FinishReason
    answered_by: Candidate
    matched_stop: str = ""
    attempts: int = 0
    cost_nano_usd: int = 0
    unit_prices: UnitPrices = UnitPrices()
    recoveries: tuple[Recovery, ...] = ()
    degraded: Degradation | None = None
    stop_details: StopDetails | None = None
    service_tier: str = ""
    stopped_by: str = ""
    unread: Opaque | None = None

    @property
    def known_cost_nano_usd(self) -> int | None:
        """The cost; None where nobody knows the price of all that it was made of."""
        return None if self.unit_prices.is_unknown else self.cost_nano_usd


ContentEvent = TextDelta | ReasoningDelta | ToolCallDelta | OpaqueDelta | ChoiceFinished


GenerationEvent = Started | TextDelta | ReasoningDelta | ToolCallDelta | OpaqueDelta | ChoiceFinished | Usage | Finished


Batch = Sequence[GenerationEvent]
"""The events that were there at once; never empty."""
