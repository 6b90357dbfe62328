"""What the errors within a response mean: of an ``error`` event, and of a response that ``failed``."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import msgspec

from penstock_common.http.retrying import seconds_in
from penstock_inference.adapters.providers.http.errors import error_in, failure_in_band
from penstock_inference.domain.failure import AttemptFailed, FailureKind

# https://platform.openai.com/docs/api-reference/responses/object, as of openai-python 3.52, and what Codex knows besides.
_KINDS = {
    "server_error": FailureKind.SERVER_ERROR,
    "server_is_overloaded": FailureKind.SERVER_ERROR,
    "slow_down": FailureKind.SERVER_ERROR,
    "vector_store_timeout": FailureKind.SERVER_ERROR,
    "rate_limit_exceeded": FailureKind.RATE_LIMITED,
    "usage_not_included": FailureKind.QUOTA,
    "invalid_prompt": FailureKind.BAD_REQUEST,
    "data_residency_mismatch": FailureKind.BAD_REQUEST,
    "failed_to_download_image": FailureKind.BAD_REQUEST,
}
_POLICY, _OF_AN_IMAGE = "policy", "image"
_WAIT = re.compile(r"try again in (\d+(?:\.\d+)?) ?(ms|s)\b", re.IGNORECASE)


class _Code(msgspec.Struct):
    code: object = None
    message: object = None


class _Nested(_Code):
    error: _Code | None = None


_ERROR = msgspec.json.Decoder(_Nested)


def failure_of_event(payload: bytes) -> AttemptFailed:
    """Return what an ``error`` event means, whose fields stand flat beside its type, within ``error``, or both."""
    error = error_in(payload)
    if error is None:
        return AttemptFailed(FailureKind.SERVER_ERROR, "the upstream reported an error")
    return _known(payload, failure_in_band(error))


def failure_of_response(error: msgspec.Raw) -> AttemptFailed:
    """Return what it means that a response failed."""
    return failure_of_event(b'{"error":%b}' % bytes(error) if error else b"")


def _known(payload: bytes, failure: AttemptFailed) -> AttemptFailed:
    """Return the failure with the kind that its code has here; codes of all OpenAI's interfaces are known already."""
    try:
        said = _ERROR.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return failure
    error = said.error or said
    code = error.code.lower() if isinstance(error.code, str) else ""
    message = " ".join(error.message.split()) if isinstance(error.message, str) else ""
    kind = _KINDS.get(code)
    if kind is None and _POLICY in code:
        kind = FailureKind.REFUSED
    elif kind is None and _OF_AN_IMAGE in code:
        kind = FailureKind.BAD_REQUEST
    if kind is FailureKind.RATE_LIMITED:
        return replace(
            failure, kind=kind, detail="the upstream's rate limit was reached", retry_after=_wait_in(message)
        )
    if kind is None or kind is failure.kind:
        return failure
    of_request = kind in (FailureKind.BAD_REQUEST, FailureKind.REFUSED)
    return replace(failure, kind=kind, detail=message[:300] if of_request and message else f"the upstream says {code}")


def _wait_in(message: str) -> timedelta | None:
    """Return the wait that a message names, as clients of this format read it."""
    found = _WAIT.search(message)
    seconds = seconds_in(found[1]) if found else None
    if found is None or seconds is None:
        return None
    return timedelta(milliseconds=seconds) if found[2].lower() == "ms" else timedelta(seconds=seconds)
