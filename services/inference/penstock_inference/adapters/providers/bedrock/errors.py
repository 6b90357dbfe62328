"""What Bedrock's errors mean, by the name of their type: as a response, and within a stream.

https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

import msgspec

from penstock_common.http.retrying import retry_after
from penstock_inference.adapters.providers.http.errors import failure_of_response
from penstock_inference.domain.failure import AttemptFailed, FailureKind

_TYPE_HEADER = "x-amzn-errortype"
_CREDENTIALS = frozenset(
    {
        "accessdeniedexception", "expiredtoken", "expiredtokenexception", "incompletesignature",
        "incompletesignatureexception", "invalidclienttokenid", "invalidsignatureexception",
        "missingauthenticationtoken", "missingauthenticationtokenexception", "notauthorized", "optinrequired",
        "requestexpired", "signaturedoesnotmatch", "unrecognizedclientexception",
    }
)  # fmt: skip
_THROTTLING = frozenset({"throttlingexception", "throttledexception", "toomanyrequestsexception", "throttling"})
_STATUS = {
    "validationexception": 400,
    "internalserverexception": 500,
    "internalfailure": 500,
    "modelerrorexception": 424,
    "modelnotreadyexception": 429,
    "modelstreamerrorexception": 424,
    "modeltimeoutexception": 408,
    "serviceunavailableexception": 503,
    "serviceunavailable": 503,
}
"""Of errors that come without a status, in a stream."""
_PASSING = frozenset(_STATUS) - {"validationexception"}
# It is the account that has no such model, whoever's key it is.
_NO_ACCESS_TO_MODEL = re.compile("access to the model", re.IGNORECASE)
_NO_SUCH_MODEL = re.compile(
    r"model identifier is invalid|on-demand throughput isn.t supported|model version has reached the end",
    re.IGNORECASE,
)
_OF_THE_DAY = re.compile(r"tokens per day|daily", re.IGNORECASE)
# In words that are Bedrock's alone: the window of the model that refuses in its vendor's words is found with the others'.
_TOO_LONG = re.compile(
    r"input is too long|exceeds? (?:the )?(?:context|maximum (?:number of )?(?:input )?tokens?)|too many input tokens"
    r"|input length and `?max_tokens`? exceed",
    re.IGNORECASE,
)


class _ErrorBody(msgspec.Struct):
    message: object = None
    other_message: object = msgspec.field(default=None, name="Message")
    type: object = msgspec.field(default=None, name="__type")
    code: object = None


_BODY = msgspec.json.Decoder(_ErrorBody)
_NOTHING = _ErrorBody()


def failure_of_error(status: int, headers: Mapping[str, str], body: bytes) -> AttemptFailed:
    """Return what a response with an error status means."""
    said = _said(body)
    kind = _kind_of(headers.get(_TYPE_HEADER, "") or _text(said.type) or _text(said.code))
    return _failure(kind, status, headers, _text(said.message) or _text(said.other_message))


def failure_of_frame(headers: Mapping[str, str], payload: bytes) -> AttemptFailed:
    """Return what a frame means that is no event: an exception of the service's, or an error of the stream's."""
    said = _said(payload)
    name = headers.get(":exception-type", "") or headers.get(":error-code", "") or _text(said.type)
    message = _text(said.message) or _text(said.other_message) or headers.get(":error-message", "")
    kind = _kind_of(name)
    return _failure(kind, _STATUS.get(kind, HTTPStatus.INTERNAL_SERVER_ERROR), {}, message)


def _failure(kind: str, status: int, headers: Mapping[str, str], message: str) -> AttemptFailed:
    wait = retry_after(headers)
    if kind in _CREDENTIALS:
        if _NO_ACCESS_TO_MODEL.search(message):
            return AttemptFailed(FailureKind.MISCONFIGURED, "our account there has no access to the model")
        return AttemptFailed(FailureKind.CREDENTIALS, "the upstream refused our credentials")
    if kind == "servicequotaexceededexception" or (kind in _THROTTLING and _OF_THE_DAY.search(message)):
        return AttemptFailed(FailureKind.QUOTA, "our account there has no quota left")
    if kind in _THROTTLING:
        return AttemptFailed(FailureKind.RATE_LIMITED, "the upstream's rate limit was reached", wait)
    if kind in _PASSING:
        return AttemptFailed(FailureKind.SERVER_ERROR, f"the upstream answered {status} ({kind})", wait)
    if kind == "resourcenotfoundexception" or _NO_SUCH_MODEL.search(message):
        return AttemptFailed(FailureKind.MISCONFIGURED, "the upstream has no such model, or not in this way")
    failure = failure_of_response(status, headers, msgspec.json.encode({"error": {"message": message}}))
    if failure.kind is FailureKind.BAD_REQUEST and _TOO_LONG.search(message):
        failure.kind = FailureKind.CONTEXT_LENGTH
    return failure


def _said(body: bytes) -> _ErrorBody:
    try:
        return _BODY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _NOTHING


def _kind_of(name: str) -> str:
    """Return an error's type without its namespace and address, in lower case."""
    return name.partition(":")[0].rpartition("#")[2].strip().lower()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
