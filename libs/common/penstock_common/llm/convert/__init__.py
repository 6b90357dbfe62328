"""Maps the vocabulary to ``penstock.llm.v1`` and back.

``X_to_proto`` and ``X_from_proto`` are inverse on everything the contract can
say. An enum value that this version does not know is read as unset.
"""

from __future__ import annotations

from penstock_common.llm.convert.events import (
    degradation_to_proto,
    event_from_proto,
    event_to_proto,
    finish_reason_to_proto,
    usage_from_proto,
    usage_to_proto,
)
from penstock_common.llm.convert.input import (
    UnknownRoleError,
    context_from_proto,
    input_from_proto,
    input_to_proto,
    message_from_proto,
    message_to_proto,
    part_from_proto,
    part_to_proto,
)
from penstock_common.llm.convert.plan import (
    candidate_from_proto,
    candidate_to_proto,
    explanation_from_proto,
    explanation_to_proto,
    plan_from_proto,
    plan_to_proto,
    unit_prices_from_proto,
    unit_prices_to_proto,
)

__all__ = [
    "UnknownRoleError",
    "candidate_from_proto",
    "candidate_to_proto",
    "context_from_proto",
    "degradation_to_proto",
    "event_from_proto",
    "event_to_proto",
    "explanation_from_proto",
    "explanation_to_proto",
    "finish_reason_to_proto",
    "input_from_proto",
    "input_to_proto",
    "message_from_proto",
    "message_to_proto",
    "part_from_proto",
    "part_to_proto",
    "plan_from_proto",
    "plan_to_proto",
    "unit_prices_from_proto",
    "unit_prices_to_proto",
    "usage_from_proto",
    "usage_to_proto",
]
