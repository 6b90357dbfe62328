"""Renders the suite's errors as OpenAI's, so that the vendor's SDK raises what its users catch.

Types and codes are those of https://platform.openai.com/docs/guides/error-codes
where OpenAI has the case, and speak for themselves where it has not.
``x-should-retry: false`` stops the SDK from repeating what was already retried
here, which would multiply the attempts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import msgspec

from penstock_common import errors
from penstock_common.status import retry_after_seconds
from penstock_gateway.domain.life.admission import BudgetExceeded, BudgetReserved, TurnedAway
from penstock_gateway.domain.responses.keeping import PreviousResponseNotFound
from penstock_gateway.surfaces.wire_formats.format import ErrorResponse, Family
from penstock_gateway.surfaces.wire_formats.refusals import limit_header
from penstock_gateway.surfaces.wire_formats.sse import on_one_line

_CONTENT_TYPE = (b"content-type", b"application/json")
_NO_RETRY = (b"x-should-retry", b"false")
_RETRY = (b"x-should-retry", b"true")
_SDKS_PATIENCE = timedelta(seconds=120)
_CHALLENGE = (b"www-authenticate", b"Bearer")


@dataclass(frozen=True, slots=True)
class _Form:
    status: int
    type: str
    code: str | None
    param: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Names(NamedTuple):
    """A format's names of fields: by the contract's path, and in the place of chat's where nothing else says which."""

    param_from_field: Callable[[str], str]
    usual: Mapping[str, str]


_FORMS: dict[type[errors.PenstockError], _Form] = {
    errors.InvalidRequest: _Form(400, "invalid_request_error", None),
    errors.UnsupportedParameter: _Form(400, "invalid_request_error", "unsupported_parameter"),
    errors.ContextLengthExceeded: _Form(400, "invalid_request_error", "context_length_exceeded", "messages"),
    errors.ContentRefused: _Form(400, "invalid_request_error", "content_policy_violation"),
    errors.GuardrailRefused: _Form(400, "invalid_request_error", "content_filter"),
    errors.InvalidCredentials: _Form(401, "authentication_error", "invalid_api_key", headers=(_CHALLENGE,)),
    errors.ScopeMissing: _Form(403, "permission_error", "missing_scope"),
    # The caller has a key, and no part in it: a setting inside the suite is wrong.
    errors.PeerNotPermitted: _Form(503, "server_error", "peer_not_permitted"),
    errors.RightsExceeded: _Form(403, "permission_error", "rights_exceeded"),
    errors.AddressNotPermitted: _Form(403, "permission_error", "address_not_permitted"),
    errors.ModelNotPermitted: _Form(403, "permission_error", "model_not_permitted", "model"),
    errors.ModelNotFound: _Form(404, "invalid_request_error", "model_not_found", "model"),
    errors.NotCached: _Form(404, "not_found_error", "not_cached"),
    errors.NothingRelevant: _Form(404, "not_found_error", "nothing_relevant"),
    errors.ResourceNotFound: _Form(404, "not_found_error", "resource_not_found"),
    PreviousResponseNotFound: _Form(
        404, "invalid_request_error", "previous_response_not_found", "previous_response_id"
    ),
    errors.ResourceExists: _Form(409, "invalid_request_error", "resource_exists"),
    errors.ResourceState: _Form(400, "invalid_request_error", "resource_state"),
    errors.ResourceChanged: _Form(409, "invalid_request_error", "resource_changed"),
    errors.IdempotencyKeyReused: _Form(422, "invalid_request_error", "idempotency_key_reused", "Idempotency-Key"),
    errors.IdempotencyInProgress: _Form(
        409, "invalid_request_error", "idempotency_in_progress", "Idempotency-Key", (_RETRY,)
    ),
    errors.RateLimited: _Form(429, "rate_limit_error", "rate_limit_exceeded"),
    BudgetReserved: _Form(429, "rate_limit_error", "budget_reserved"),
    BudgetExceeded: _Form(429, "insufficient_quota", "budget_exceeded", headers=(_NO_RETRY,)),
    errors.QuotaExhausted: _Form(429, "insufficient_quota", "insufficient_quota", headers=(_NO_RETRY,)),
    errors.Overloaded: _Form(503, "server_error", "overloaded"),
    errors.ServiceUnavailable: _Form(503, "server_error", "service_unavailable"),
    errors.NoHealthyUpstream: _Form(503, "server_error", "no_healthy_upstream", headers=(_NO_RETRY,)),
    errors.UpstreamFailed: _Form(502, "server_error", "upstream_failed", headers=(_NO_RETRY,)),
    errors.UpstreamTimeout: _Form(504, "server_error", "upstream_timeout", headers=(_NO_RETRY,)),
    # The time that the caller granted is over; a retry would be granted none.
    errors.DeadlineExceeded: _Form(504, "server_error", "deadline_exceeded", headers=(_NO_RETRY,)),
    errors.InternalError: _Form(500, "server_error", "internal_error"),
}

_RETRIED = (errors.RateLimited, errors.Overloaded, errors.ServiceUnavailable, errors.IdempotencyInProgress)

# Nothing was done for the request: the edge may give it to another gateway. It keeps the header to itself.
_REFUSED = (b"x-penstock-refused", b"1")

# The contract's paths, to OpenAI's; applied in order, each where it matches.
_PATHS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^context\.user$", "user"),
        (r"^context\.tags\b", "metadata"),
        (r"^input\.sampling\.max_output_tokens$", "max_tokens"),
        (r"^input\.sampling\.choices$", "n"),
        (r"^input\.(sampling|extra_json|hints_json)\.", ""),
        (r"^input\.tool_choice\.parallel$", "parallel_tool_calls"),
        (r"^input\.tool_choice\.tool_name$", "tool_choice.function.name"),
        (r"^input\.tool_choice\.mode$", "tool_choice"),
        (r"^input\.tool_choice\.allowed_tools(\[\d+\])?$", r"tool_choice.allowed_tools.tools\1"),
        (r"^input\.(tools\[\d+\])\.custom_json$", r"\1.custom"),
        (r"^input\.(tools\[\d+\])\.parameters_json$", r"\1.function.parameters"),
        (r"^input\.(tools\[\d+\])\.(name|description|strict)$", r"\1.function.\2"),
        (r"^input\.(response_format\.json_schema)\.schema_json$", r"\1.schema"),
        (r"^input\.(messages\[\d+\]\.tool_calls\[\d+\])\.name$", r"\1.function.name"),
        (r"^input\.(messages\[\d+\]\.tool_calls\[\d+\])\.arguments_json$", r"\1.function.arguments"),
        (r"^input\.(messages\[\d+\])\.parts", r"\1.content"),
        (r"(\.content\[\d+\])\.image\.(url|data|media_type)$", r"\1.image_url.url"),
        (r"(\.content\[\d+\])\.image\b", r"\1.image_url"),
        (r"(\.content\[\d+\]\.file)\.(data|media_type)$", r"\1.file_data"),
        (r"(\.content\[\d+\]\.file)\.name$", r"\1.filename"),
        (r"^input\.", ""),
    )
)


def error_response(error: errors.PenstockError, *, names: Names | None = None) -> ErrorResponse:
    """Return the HTTP answer that tells the error: status, body, headers."""
    form = _form(error)
    headers = (_CONTENT_TYPE, *form.headers, *_retry_headers(error), *limit_header(error))
    return ErrorResponse(form.status, error_body(error, names), headers)


def error_body(error: errors.PenstockError, names: Names | None = None) -> bytes:
    """Return ``{"error": {"message", "type", "param", "code"}}``."""
    return msgspec.json.encode({"error": error_parts(error, names)})


def error_parts(error: errors.PenstockError, names: Names | None = None) -> dict[str, str | None]:
    """Return what an error's body says, by member; ``names`` are those of another format than chat's."""
    form, field = _form(error), _field(error)
    param = param_from_field(field) if names is None else names.param_from_field(field)
    usual = form.param
    if names is not None and usual is not None:
        usual = names.usual.get(usual, usual)
    return {
        "message": _in_our_words(error.message, field, param),
        "type": form.type,
        "param": param or usual,
        "code": form.code,
    }


def error_event(error: errors.PenstockError, *, names: Names | None = None) -> bytes:
    """Return the frame that ends a stream which failed after its headers were sent."""
    return b"data: %b\n\n" % on_one_line(error_body(error, names))


def param_from_field(field: str) -> str:
    """Return OpenAI's name of a field given by the contract's path; a name of OpenAI's comes back as it is.

    ``extra_json`` has no name there and comes back empty.
    """
    if field in ("input.extra_json", "input.hints_json"):
        return ""
    if field.startswith("inputs"):
        return "input" + field.removeprefix("inputs")
    if field.startswith("contents"):
        return "input"
    if field == "max_tokens_per_document":
        return "max_tokens_per_doc"
    if field.startswith("knowledge.options."):
        return "knowledge." + field.removeprefix("knowledge.options.")
    if not field.startswith(("input.", "context.")):
        return field
    for pattern, replacement in _PATHS:
        field = pattern.sub(replacement, field)
    return field


def _form(error: errors.PenstockError) -> _Form:
    return next((_FORMS[kind] for kind in type(error).__mro__ if kind in _FORMS), _FORMS[errors.InternalError])


def _field(error: errors.PenstockError) -> str:
    if isinstance(error, errors.UnsupportedParameter):
        return error.parameter
    return error.field if isinstance(error, errors.InvalidRequest) else ""


def _in_our_words(message: str, field: str, param: str) -> str:
    """Return the message with the contract's path of the field made the format's, which is what the caller wrote."""
    if not field:
        return message
    name = f"'{param}'" if param else "What this format does not know"
    if message.startswith(field):
        return name + message[len(field) :]
    return message if field == param else message.replace(field, name)


def _retry_headers(error: errors.PenstockError) -> tuple[tuple[bytes, bytes], ...]:
    if not isinstance(error, _RETRIED):
        return ()
    after = error.retry_after
    # The SDK prefers the milliseconds, and takes no wait of 0 from either.
    milliseconds = max(1, -(-after // timedelta(milliseconds=1)))
    headers = ((b"retry-after", b"%d" % retry_after_seconds(after)), (b"retry-after-ms", b"%d" % milliseconds))
    if isinstance(error, errors.RateLimited):
        # A wait that is longer than the SDK has patience for would only be cut short.
        headers = (*headers, _RETRY if after <= _SDKS_PATIENCE else _NO_RETRY)
    return (*headers, _REFUSED) if isinstance(error, TurnedAway) else headers


OPENAI = Family("openai", error_response, error_event)
