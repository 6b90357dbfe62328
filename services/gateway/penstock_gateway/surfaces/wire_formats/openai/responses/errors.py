"""Errors in OpenAI's form with the names of this format's fields, and the codes of responses that failed."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import partial
from typing import Any

from penstock_common import errors
from penstock_gateway.surfaces.wire_formats.format import Family
from penstock_gateway.surfaces.wire_formats.openai.errors import OPENAI, Names, error_event, error_parts, error_response

# The contract's paths, to this format's; applied in order, each where it matches.
_PATHS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^context\.user$", "user"),
        (r"^context\.tags\b", "metadata"),
        (r"^input\.messages\b.*$", "input"),
        (r"^input\.sampling\.reasoning_effort$", "reasoning.effort"),
        (r"^input\.extra_json\.verbosity$", "text.verbosity"),
        (r"^input\.(sampling|extra_json|hints_json)\.", ""),
        (r"^input\.tool_choice\.parallel$", "parallel_tool_calls"),
        (r"^input\.tool_choice\.tool_name$", "tool_choice.name"),
        (r"^input\.tool_choice\.mode$", "tool_choice"),
        (r"^input\.tool_choice\.allowed_tools(\[\d+\])?$", r"tool_choice.tools\1"),
        (r"^input\.(tools\[\d+\])\.custom_json$", r"\1.format"),
        (r"^input\.(tools\[\d+\])\.parameters_json$", r"\1.parameters"),
        (r"^input\.(tools\[\d+\])\.opaque\b.*$", r"\1"),
        (r"^input\.response_format\.json_schema\.schema_json$", "text.format.schema"),
        (r"^input\.response_format\.json_schema\b", "text.format"),
        (r"^input\.response_format\.json_object$", "text.format"),
        (r"^input\.", ""),
    )
)

# What Codex and others act on: the first kind that an error is of. Other codes are tried again.
_CODES: tuple[tuple[type[errors.PenstockError], str], ...] = (
    (errors.ContextLengthExceeded, "context_length_exceeded"),
    (errors.QuotaExhausted, "insufficient_quota"),
    (errors.RateLimited, "rate_limit_exceeded"),
    (errors.Overloaded, "server_is_overloaded"),
    (errors.ServiceUnavailable, "server_is_overloaded"),
    (errors.ContentRefused, "invalid_prompt"),
    (errors.InvalidRequest, "invalid_prompt"),
    (errors.UnsupportedParameter, "invalid_prompt"),
)
_MILLISECOND = timedelta(milliseconds=1)


def param_from_field(field: str) -> str:
    """Return this format's name of a field given by the contract's path; a name of this format's comes back as it is."""
    if field in ("input.extra_json", "input.hints_json"):
        return ""
    if field.startswith("knowledge.options."):
        return "knowledge." + field.removeprefix("knowledge.options.")
    if not field.startswith(("input.", "context.")):
        return field
    for pattern, replacement in _PATHS:
        field = pattern.sub(replacement, field)
    return field


_NAMES = Names(param_from_field, {"messages": "input"})


def failure_of(error: errors.PenstockError) -> dict[str, Any]:
    """Return ``type``, ``code``, ``message`` and ``param`` of an error that ends a response."""
    told = error_parts(error, _NAMES)
    message = told["message"] or ""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), "server_error")
    if code == "rate_limit_exceeded" and isinstance(error, errors.RateLimited):
        # Codex reads the wait here.
        message += f" Please try again in {max(1, -(-error.retry_after // _MILLISECOND))}ms."
    return {**told, "message": message, "code": code}


RESPONSES = Family(OPENAI.name, partial(error_response, names=_NAMES), partial(error_event, names=_NAMES))
"""OpenAI's family, with the names of this format's fields."""
