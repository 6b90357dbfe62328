"""What Google's errors mean beyond what HTTP's status says: quotas of a day, refused signatures, faults of the project.

https://google.aip.dev/193: ``{"error": {code, message, status, details}}``, by some surfaces within an array.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus

import msgspec

from penstock_inference.adapters.providers.http.errors import THINKING, error_in, failure_of_response
from penstock_inference.domain.failure import AttemptFailed, FailureKind

_REFUSED_SIGNATURE = re.compile(
    r"(?:invalid|corrupted) thought[ _]?signature|thought[ _]?signature is (?:not valid|invalid|corrupted)",
    re.IGNORECASE,
)
_OF_A_DAY = re.compile(r"per_?day", re.IGNORECASE)
_CLIENT_CLOSED = 499
# The HTTP statuses of gRPC's codes: https://cloud.google.com/apis/design/errors
_STATUS_OF = {
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400, "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "ALREADY_EXISTS": 409, "ABORTED": 409, "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 503, "DATA_LOSS": 500, "UNKNOWN": 500, "INTERNAL": 500, "UNIMPLEMENTED": 501, "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}  # fmt: skip


class _Violation(msgspec.Struct, rename="camel"):
    quota_id: str = ""
    quota_metric: str = ""


class _Detail(msgspec.Struct):
    violations: list[_Violation] = []


_DETAILS = msgspec.json.Decoder(list[_Detail])


def failure_of(status: int, headers: Mapping[str, str], body: bytes) -> AttemptFailed:
    """Return what a response with an error status means; within one of success the error's own status counts."""
    error = error_in(body)
    if error is None:
        return failure_of_response(status, headers, body)
    if status < HTTPStatus.BAD_REQUEST:
        status = _status_of(error.code, error.status)
    if status == _CLIENT_CLOSED:
        # It gave up by itself: we did not.
        status = HTTPStatus.SERVICE_UNAVAILABLE
    failure = failure_of_response(status, headers, body)
    if failure.kind is FailureKind.RATE_LIMITED and _is_of_a_day(error.details):
        return AttemptFailed(FailureKind.QUOTA, "our account there has no quota left for today")
    if failure.kind is not FailureKind.BAD_REQUEST:
        return failure
    if _REFUSED_SIGNATURE.search(failure.detail):
        return replace(failure, parameter=THINKING)
    if error.status == "FAILED_PRECONDITION":
        # Of the project: its place, or its billing.
        return AttemptFailed(FailureKind.MISCONFIGURED, failure.detail)
    return failure


def failure_in_band(payload: bytes) -> AttemptFailed:
    """Return what an error inside an answer of status 200 means."""
    if error_in(payload) is None:
        return AttemptFailed(FailureKind.SERVER_ERROR, "the upstream reported an error")
    return failure_of(HTTPStatus.OK, {}, payload)


def _status_of(code: object, word: object) -> int:
    if isinstance(code, int) and code >= HTTPStatus.BAD_REQUEST:
        return code
    return _STATUS_OF.get(word if isinstance(word, str) else "", HTTPStatus.INTERNAL_SERVER_ERROR)


def _is_of_a_day(details: msgspec.Raw) -> bool:
    """Return whether a quota of a day is among those that are used up: no wait that is worth it helps."""
    try:
        told = _DETAILS.decode(details) if details else []
    except msgspec.DecodeError:
        return False
    return any(_OF_A_DAY.search(f"{one.quota_id} {one.quota_metric}") for detail in told for one in detail.violations)
