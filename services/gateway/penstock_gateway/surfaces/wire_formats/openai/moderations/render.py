"""Renders verdicts in OpenAI's format."""

from __future__ import annotations

import msgspec

from penstock_common.contract.questions import ModerateResponse, Verdict
from penstock_gateway.surfaces.wire_formats.openai.moderations import wire

_encode = msgspec.json.Encoder().encode


def render_moderation(response: ModerateResponse, answer_id: str) -> bytes:
    """Return the answer's body."""
    results = [_result(verdict) for verdict in response.verdicts]
    return _encode(wire.Moderation(f"modr-{answer_id}", response.model, results))


def _result(verdict: Verdict) -> wire.ModerationResult:
    return wire.ModerationResult(
        flagged=verdict.flagged,
        categories={one.name: one.flagged for one in verdict.categories},
        category_scores={one.name: one.score for one in verdict.categories},
        category_applied_input_types={one.name: one.input_types for one in verdict.categories},
    )
