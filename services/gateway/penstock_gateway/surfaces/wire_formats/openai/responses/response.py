"""The response itself, as whole answers and the snapshots of streams have it; every member is always there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from penstock_common.llm.types import Finished, FinishReason, Usage
from penstock_gateway.surfaces.wire_formats.openai.responses.form import ResponseForm

ID_PREFIX = "resp_"
_INCOMPLETE = {FinishReason.LENGTH: "max_output_tokens", FinishReason.CONTENT_FILTER: "content_filter"}


def is_complete(finished: Finished) -> bool:
    """Return whether an answer came to its own end."""
    return finished.reason not in _INCOMPLETE


def snapshot(told: tuple[str, int, str], form: ResponseForm, status: str, **more: Any) -> dict[str, Any]:
    """Return the response; ``told`` are its id, its creation in Unix seconds and its model, ``more`` what has come of it."""
    response_id, created, model = told
    return {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "status": status,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": (),
        "usage": None,
        **form.members,
        **more,
    }


def ended(
    told: tuple[str, int, str], form: ResponseForm, finished: Finished, usage: Usage | None, output: Sequence[Any]
) -> dict[str, Any]:
    """Return the response as it is when its answer has ended."""
    why, more = _INCOMPLETE.get(finished.reason), {"output": output, "usage": usage_of(usage or Usage())}
    more["service_tier"] = finished.service_tier or "default"
    if why is not None:
        return snapshot(told, form, "incomplete", incomplete_details={"reason": why}, **more)
    return snapshot(told, form, "completed", completed_at=max(told[1], form.ended_at or int(time.time())), **more)


def usage_of(usage: Usage) -> dict[str, Any]:
    """Return the tokens, both details among them."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.cache_write_input_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
