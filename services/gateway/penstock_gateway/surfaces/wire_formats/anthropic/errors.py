"""Renders the suite's errors as Anthropic's, so that the vendor's SDK raises what its users catch.

``{"type": "error", "error": {"type", "message"}}``, with the types of
https://platform.claude.com/docs/en/api/errors. ``x-should-retry: false`` stops the SDK, and Claude Code, from repeating
what was already retried here, or what only an operator can mend.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from penstock_common import errors
from penstock_common.status import retry_after_seconds
from penstock_gateway.domain.life.admission import BudgetExceeded, TurnedAway
from penstock_gateway.surfaces.wire_formats.format import ErrorResponse, Family
from penstock_gateway.surfaces.wire_formats.refusals import limit_header
from penstock_gateway.surfaces.wire_formats.sse import on_one_line

_CONTENT_TYPE = (b"content-type", b"application/json")
_NO_RETRY = (b"x-should-retry", b"false")
# Nothing was done for the request: the edge may give it to another gateway. It keeps the header to itself.
_REFUSED = (b"x-penstock-refused", b"1")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class _Form:
    status: int
    type: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


_FORMS: dict[type[errors.PenstockError], _Form] = {
    errors.InvalidRequest: _Form(400, "invalid_request_error"),
    errors.UnsupportedParameter: _Form(400, "invalid_request_error"),
    errors.ContextLengthExceeded: _Form(400, "invalid_request_error"),
    errors.ContentRefused: _Form(400, "invalid_request_error"),
    errors.GuardrailRefused: _Form(400, "invalid_request_error"),
    errors.InvalidCredentials: _Form(401, "authentication_error"),
    errors.ScopeMissing: _Form(403, "permission_error"),
    errors.PeerNotPermitted: _Form(500, "api_error"),
    errors.RightsExceeded: _Form(403, "permission_error"),
    errors.AddressNotPermitted: _Form(403, "permission_error"),
    errors.ModelNotPermitted: _Form(403, "permission_error"),
    errors.ModelNotFound: _Form(404, "not_found_error"),
    errors.NotCached: _Form(404, "not_found_error"),
    errors.NothingRelevant: _Form(404, "not_found_error"),
    errors.ResourceNotFound: _Form(404, "not_found_error"),
    errors.ResourceExists: _Form(409, "conflict_error"),
    errors.ResourceState: _Form(400, "invalid_request_error"),
    errors.ResourceChanged: _Form(409, "conflict_error"),
    errors.IdempotencyKeyReused: _Form(422, "invalid_request_error"),
    errors.IdempotencyInProgress: _Form(409, "conflict_error"),
    errors.RateLimited: _Form(429, "rate_limit_error"),
    errors.QuotaExhausted: _Form(429, "rate_limit_error", (_NO_RETRY,)),
    errors.Overloaded: _Form(529, "overloaded_error"),
    errors.ServiceUnavailable: _Form(529, "overloaded_error"),
    errors.NoHealthyUpstream: _Form(529, "overloaded_error", (_NO_RETRY,)),
    errors.UpstreamFailed: _Form(502, "api_error", (_NO_RETRY,)),
    errors.UpstreamTimeout: _Form(504, "timeout_error", (_NO_RETRY,)),
    errors.DeadlineExceeded: _Form(504, "timeout_error", (_NO_RETRY,)),
    errors.InternalError: _Form(500, "api_error"),
}

_RETRIED = (errors.RateLimited, errors.Overloaded, errors.ServiceUnavailable, errors.IdempotencyInProgress)

# The contract's paths, to Anthropic's; applied in order, each where it matches.
_PATHS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^context\.user$", "metadata.user_id"),
        (r"^input\.sampling\.max_output_tokens$", "max_tokens"),
        (r"^input\.sampling\.stop\b", "stop_sequences"),
        (r"^input\.sampling\.reasoning_effort$", "output_config.effort"),
        (r"^input\.(sampling|extra_json|hints_json)\.", ""),
        (r"^input\.tool_choice\.parallel$", "tool_choice.disable_parallel_tool_use"),
        (r"^input\.tool_choice\.tool_name$", "tool_choice.name"),
        (r"^input\.tool_choice\.mode$", "tool_choice"),
        (r"^input\.(tools\[\d+\])\.parameters_json$", r"\1.input_schema"),
        (r"^input\.response_format\.json_schema\.schema_json$", "output_config.format.schema"),
        (r"^input\.response_format\b.*", "output_config.format"),
        # A turn here may be several there, so its number would mislead.
        (r"^input\.messages\b.*", "messages"),
        (r"^input\.", ""),
    )
)


def error_response(error: errors.PenstockError) -> ErrorResponse:
    """Return the HTTP answer that tells the error: status, body, headers."""
    form = _form(error)
    headers = (_CONTENT_TYPE, *form.headers, *_retry_headers(error), *limit_header(error))
    return ErrorResponse(form.status, error_body(error), headers)


def error_body(error: errors.PenstockError) -> bytes:
    """Return ``{"type": "error", "error": {"type", "message"}}``."""
    content: dict[str, Any] = {"type": _form(error).type, "message": _in_our_words(error)}
    if isinstance(error, BudgetExceeded):
        # What Claude Code takes for the end, and shows, instead of trying ten times.
        content["details"] = {"error_code": "enforced_spend_limit_reached"}
    return _encode({"type": "error", "error": content})


def error_event(error: errors.PenstockError) -> bytes:
    """Return the frame that ends a stream which failed after its headers were sent."""
    return b"event: error\ndata: %b\n\n" % on_one_line(error_body(error))


def named(field: str) -> str:
    """Return Anthropic's name of a field given by the contract's path; a name of Anthropic's comes back as it is."""
    if not field.startswith(("input.", "context.")):
        return field
    for pattern, replacement in _PATHS:
        field = pattern.sub(replacement, field)
    return field


def _form(error: errors.PenstockError) -> _Form:
    return next((_FORMS[kind] for kind in type(error).__mro__ if kind in _FORMS), _FORMS[errors.InternalError])


def _in_our_words(error: errors.PenstockError) -> str:
    """Return the message with the contract's path of the field made the format's, which is what the caller wrote."""
    if isinstance(error, errors.UnsupportedParameter):
        field = error.parameter
    else:
        field = error.field if isinstance(error, errors.InvalidRequest) else ""
    name = named(field)
    if not field or name == field:
        return error.message
    if error.message.startswith(field):
        return f"'{name}'{error.message[len(field) :]}"
    return error.message.replace(field, f"'{name}'")


def _retry_headers(error: errors.PenstockError) -> tuple[tuple[bytes, bytes], ...]:
    if not isinstance(error, _RETRIED):
        return ()
    headers = ((b"retry-after", b"%d" % retry_after_seconds(error.retry_after)),)
    return (*headers, _REFUSED) if isinstance(error, TurnedAway) else headers


def _request_id_line(request_id: str) -> bytes:
    return b"request-id: %b\r\n" % request_id.encode()


ANTHROPIC = Family("anthropic", error_response, error_event, _request_id_line)
