"""The response itself, as whole answers and the snapshots of streams have it; every member is always there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from penstock_common.llm.types import Finished, FinishReason, Usage
from penstock_gateway.surfaces.wire_formats.openai.responses import response_wire as wire
from penstock_gateway.surfaces.wire_formats.openai.responses.form import ResponseForm

ID_PREFIX = "resp_"
_INCOMPLETE = {FinishReason.LENGTH: "max_output_tokens", FinishReason.CONTENT_FILTER: "content_filter"}


def is_complete(finished: Finished) -> bool:
    """Return whether an answer came to its own end."""
    return finished.reason not in _INCOMPLETE


def snapshot(told: tuple[str, int, str], form: ResponseForm, status: str, **more: Any) -> wire.Response:
    """Return the response; ``told`` are its id, its creation in Unix seconds and its model, ``more`` what has come of it."""
    response_id, created, model = told
    members = {**form.members, **more}
    return wire.Response(id=response_id, created_at=created, status=status, model=model, **members)


def ended(
    told: tuple[str, int, str], form: ResponseForm, finished: Finished, usage: Usage | None, output: Sequence[Any]
) -> wire.Response:
    """Return the response as it is when its answer has ended."""
    why = _INCOMPLETE.get(finished.reason)
    more: dict[str, Any] = {"output": output, "usage": usage_of(usage or Usage())}
    more["service_tier"] = finished.service_tier or "default"
    if why is not None:
        return snapshot(told, form, "incomplete", incomplete_details={"reason": why}, **more)
    return snapshot(told, form, "completed", completed_at=max(told[1], form.ended_at or int(time.time())), **more)


def usage_of(usage: Usage) -> wire.Usage:
    """Return the tokens, both details among them."""
    return wire.Usage(
        input_tokens=usage.input_tokens,
        input_tokens_details=wire.InputDetails(
            cached_tokens=usage.cached_input_tokens, cache_write_tokens=usage.cache_write_input_tokens
        ),
        output_tokens=usage.output_tokens,
        output_tokens_details=wire.OutputDetails(reasoning_tokens=usage.reasoning_tokens),
        total_tokens=usage.input_tokens + usage.output_tokens,
    )
