"""The table between domain errors and ``google.rpc.Status``, read both ways."""

from __future__ import annotations

import dataclasses
import math
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from penstock.errors.v1 import error_reason_pb2 as reasons
from penstock_common import errors

DOMAIN = "penstock.dev"
STATUS_DETAILS_KEY = "grpc-status-details-bin"

_PREFIX = "ERROR_REASON_"

# A status travels as metadata, of which many clients take 8 KiB at most; beyond that they lose the whole status.
# A text counts up to five times: percent-encoded in grpc-message, and twice in base64 in the details.
_MAX_MESSAGE_BYTES = 1024
_MAX_VALUE_BYTES = 256
_ELLIPSIS = "…"
# Fields that travel in a detail of their own.
_OF_DETAILS = ("message", "retry_after", "violations")

# error, its gRPC status, its reason
_TABLE: tuple[tuple[type[errors.PenstockError], grpc.StatusCode, int], ...] = (
    (errors.InvalidRequest, grpc.StatusCode.INVALID_ARGUMENT, reasons.ERROR_REASON_INVALID_REQUEST),
    (errors.UnsupportedParameter, grpc.StatusCode.INVALID_ARGUMENT, reasons.ERROR_REASON_UNSUPPORTED_PARAMETER),
    (errors.ContextLengthExceeded, grpc.StatusCode.INVALID_ARGUMENT, reasons.ERROR_REASON_CONTEXT_LENGTH_EXCEEDED),
    (errors.InvalidCredentials, grpc.StatusCode.UNAUTHENTICATED, reasons.ERROR_REASON_INVALID_CREDENTIALS),
    (errors.ScopeMissing, grpc.StatusCode.PERMISSION_DENIED, reasons.ERROR_REASON_SCOPE_MISSING),
    (errors.AddressNotPermitted, grpc.StatusCode.PERMISSION_DENIED, reasons.ERROR_REASON_ADDRESS_NOT_PERMITTED),
    (errors.RightsExceeded, grpc.StatusCode.PERMISSION_DENIED, reasons.ERROR_REASON_RIGHTS_EXCEEDED),
    (errors.PeerNotPermitted, grpc.StatusCode.PERMISSION_DENIED, reasons.ERROR_REASON_PEER_NOT_PERMITTED),
    (errors.ModelNotPermitted, grpc.StatusCode.PERMISSION_DENIED, reasons.ERROR_REASON_MODEL_NOT_PERMITTED),
    (errors.ModelNotFound, grpc.StatusCode.NOT_FOUND, reasons.ERROR_REASON_MODEL_NOT_FOUND),
    (errors.NotCached, grpc.StatusCode.NOT_FOUND, reasons.ERROR_REASON_NOT_CACHED),
    (errors.NothingRelevant, grpc.StatusCode.NOT_FOUND, reasons.ERROR_REASON_NOTHING_RELEVANT),
    (errors.ResourceNotFound, grpc.StatusCode.NOT_FOUND, reasons.ERROR_REASON_RESOURCE_NOT_FOUND),
    (errors.ResourceExists, grpc.StatusCode.ALREADY_EXISTS, reasons.ERROR_REASON_RESOURCE_EXISTS),
    (errors.ResourceState, grpc.StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_RESOURCE_STATE),
    (errors.ResourceChanged, grpc.StatusCode.ABORTED, reasons.ERROR_REASON_RESOURCE_CHANGED),
    (
        errors.IdempotencyKeyReused,
        grpc.StatusCode.FAILED_PRECONDITION,
        reasons.ERROR_REASON_IDEMPOTENCY_KEY_REUSED,
    ),
    (errors.IdempotencyInProgress, grpc.StatusCode.ABORTED, reasons.ERROR_REASON_IDEMPOTENCY_IN_PROGRESS),
    (errors.RateLimited, grpc.StatusCode.RESOURCE_EXHAUSTED, reasons.ERROR_REASON_RATE_LIMITED),
    (errors.QuotaExhausted, grpc.StatusCode.RESOURCE_EXHAUSTED, reasons.ERROR_REASON_QUOTA_EXHAUSTED),
    (errors.Overloaded, grpc.StatusCode.UNAVAILABLE, reasons.ERROR_REASON_OVERLOADED),
    (errors.ServiceUnavailable, grpc.StatusCode.UNAVAILABLE, reasons.ERROR_REASON_SERVICE_UNAVAILABLE),
    (errors.NoHealthyUpstream, grpc.StatusCode.UNAVAILABLE, reasons.ERROR_REASON_NO_HEALTHY_UPSTREAM),
    (errors.UpstreamFailed, grpc.StatusCode.UNAVAILABLE, reasons.ERROR_REASON_UPSTREAM_FAILED),
    (errors.UpstreamTimeout, grpc.StatusCode.DEADLINE_EXCEEDED, reasons.ERROR_REASON_UPSTREAM_TIMEOUT),
    (errors.ContentRefused, grpc.StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_CONTENT_REFUSED),
    (errors.GuardrailRefused, grpc.StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_GUARDRAIL_REFUSED),
    (errors.DeadlineExceeded, grpc.StatusCode.DEADLINE_EXCEEDED, reasons.ERROR_REASON_DEADLINE_EXCEEDED),
    (errors.InternalError, grpc.StatusCode.INTERNAL, reasons.ERROR_REASON_INTERNAL),
)

_BY_ERROR = {error: (code, reason) for error, code, reason in _TABLE}
_BY_REASON = {reasons.ErrorReason.Name(reason).removeprefix(_PREFIX): error for error, _, reason in _TABLE}
_RPC_CODE = {code: getattr(code_pb2, code.name) for code in grpc.StatusCode}


def code_of(error: errors.PenstockError) -> grpc.StatusCode:
    """Return the gRPC status code of a domain error."""
    return _entry(error)[0]


def reason_of(error: errors.PenstockError) -> str:
    """Return the ErrorInfo reason, such as ``RATE_LIMITED``."""
    return reasons.ErrorReason.Name(_entry(error)[1]).removeprefix(_PREFIX)


def status_from_error(error: errors.PenstockError) -> status_pb2.Status:
    """Return the ``google.rpc.Status`` with every detail the error carries; long texts are cut."""
    message = _shortened(error.message, _MAX_MESSAGE_BYTES)
    status = status_pb2.Status(code=_RPC_CODE[code_of(error)], message=message)
    details: list[Any] = [
        error_details_pb2.ErrorInfo(reason=reason_of(error), domain=DOMAIN, metadata=_metadata(error))
    ]
    retry_after: timedelta | None = getattr(error, "retry_after", None)
    if retry_after is not None:
        details.append(_retry_info(retry_after))
    if isinstance(error, errors.RateLimited | errors.QuotaExhausted):
        details.append(_quota_failure(error, message))
    field = getattr(error, "field", "") or getattr(error, "parameter", "")
    if field:
        field = _shortened(field, _MAX_VALUE_BYTES)
        bad = error_details_pb2.BadRequest.FieldViolation(field=field, description=message)
        details.append(error_details_pb2.BadRequest(field_violations=[bad]))
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def error_from_status(status: status_pb2.Status) -> errors.PenstockError | None:
    """Return the domain error that a status carries, or None where it carries none of ours."""
    info = error_details_pb2.ErrorInfo()
    retry = error_details_pb2.RetryInfo()
    quota = error_details_pb2.QuotaFailure()
    retry_after: timedelta | None = None
    found = False
    for detail in status.details:
        if detail.Unpack(info):
            found = info.domain == DOMAIN
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToTimedelta()
        else:
            detail.Unpack(quota)
    error_type = _BY_REASON.get(info.reason) if found else None
    if error_type is None:
        return None
    fields: dict[str, Any] = {"message": status.message}
    for field in dataclasses.fields(error_type):
        if field.name == "retry_after" and retry_after is not None:
            fields["retry_after"] = retry_after
        elif field.name in info.metadata:
            raw = info.metadata[field.name]
            fields[field.name] = int(raw) if field.type == "int" else raw
    error = error_type(**fields)
    if isinstance(error, errors.RateLimited | errors.QuotaExhausted):
        told = tuple([errors.Violation(each.subject, each.description) for each in quota.violations])
        # One that only says again what the error does is none of its own.
        error.violations = () if told == (_implied(error),) else told
    return error


def error_from_rpc(error: grpc.aio.AioRpcError) -> errors.PenstockError | None:
    """Return the domain error that a failed call carries, or None where it carries none of ours."""
    for key, value in error.trailing_metadata() or ():
        if key == STATUS_DETAILS_KEY:
            raw = value if isinstance(value, bytes) else value.encode()
            return error_from_status(status_pb2.Status.FromString(raw))
    return None


def error_of_reason(reason: str, message: str) -> errors.PenstockError:
    """Return the domain error of an ErrorInfo reason, such as ``RATE_LIMITED``; an internal one where there is none such."""
    return _BY_REASON.get(reason, errors.InternalError)(message)


def retry_after_seconds(retry_after: timedelta) -> int:
    """Return whole seconds for a ``Retry-After`` header: rounded up, at least 1."""
    return max(1, math.ceil(retry_after.total_seconds()))


def _entry(error: errors.PenstockError) -> tuple[grpc.StatusCode, int]:
    """Return the table's entry of the error's class, or of the nearest class above it."""
    return next(_BY_ERROR[kind] for kind in type(error).__mro__ if kind in _BY_ERROR)


def _metadata(error: errors.PenstockError) -> dict[str, str]:
    values = {field.name: getattr(error, field.name) for field in dataclasses.fields(error)}
    return {
        name: _shortened(str(value), _MAX_VALUE_BYTES)
        for name, value in values.items()
        if name not in _OF_DETAILS and value
    }


def _shortened(text: str, max_bytes: int) -> str:
    """Return the text as protobuf takes it, cut with an ellipsis where it has more than ``max_bytes`` in UTF-8."""
    # Half a surrogate pair, which JSON can hold, is no UTF-8.
    encoded = text.encode(errors="replace")
    if len(encoded) > max_bytes:
        return encoded[: max_bytes - len(_ELLIPSIS.encode())].decode(errors="ignore") + _ELLIPSIS
    return encoded.decode()


def _implied(error: errors.RateLimited | errors.QuotaExhausted, message: str | None = None) -> errors.Violation:
    """Return the violation of an error that has none of its own."""
    return errors.Violation(error.scope or error.limit, _shortened(message or error.message, _MAX_VALUE_BYTES))


def _quota_failure(error: errors.RateLimited | errors.QuotaExhausted, message: str) -> error_details_pb2.QuotaFailure:
    told = error.violations or (_implied(error, message),)
    return error_details_pb2.QuotaFailure(
        violations=[
            error_details_pb2.QuotaFailure.Violation(
                subject=_shortened(each.scope, _MAX_VALUE_BYTES),
                description=_shortened(each.description, _MAX_VALUE_BYTES),
            )
            for each in told[: errors.MAX_VIOLATIONS]
        ]
    )


def _retry_info(retry_after: timedelta) -> error_details_pb2.RetryInfo:
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromTimedelta(retry_after)
    return info
