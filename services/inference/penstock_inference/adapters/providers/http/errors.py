"""What OpenAI's and its imitators' errors mean: by status, header, body and in-band event."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import cast

import msgspec

from penstock_common.http.failures import ConnectionCut, ConnectTimedOut, HttpFailure, NotHttp, TlsFailed
from penstock_common.http.retrying import may_pass, seconds_in
from penstock_common.http.retrying import retry_after as retry_after_in
from penstock_inference.adapters.providers.http.json_text import Unreadable, value_of
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.watchdog import silence

MAX_MESSAGE_CHARACTERS = 300
_LONGEST_NUMBER = 12


class _Detail(msgspec.Struct):
    """One of Google's details: an ``ErrorInfo`` has a reason, a ``RetryInfo`` a delay such as ``34s``."""

    reason: str = ""
    retry_delay: str = msgspec.field(default="", name="retryDelay")


class _DetailsWithCode(msgspec.Struct):
    """Anthropic's details."""

    error_code: object = None


class _ErrorBody(msgspec.Struct):
    """The parts of ``error`` that decide; vendors disagree on the types of all of them."""

    message: object = None
    type: object = None
    code: object = None
    status: object = None
    param: object = None
    innererror: dict[str, object] | None = None
    details: msgspec.Raw = msgspec.Raw()


class _Envelope(msgspec.Struct):
    error: _ErrorBody | str | None = None
    type: object = None
    code: object = None
    message: object = None
    detail: object = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)
# Google's server wraps the errors of its OpenAI-compatible endpoint into an array.
_ENVELOPES = msgspec.json.Decoder(list[_Envelope])
_DETAILS = msgspec.json.Decoder(list[_Detail])
_CODE = msgspec.json.Decoder(_DetailsWithCode)

# The windows and sizes that servers put into their messages (OpenAI, vLLM, SGLang, llama.cpp, Anthropic, Gemini).
_CONTEXT_LENGTH = re.compile(
    r"context[ _]length|context window|context size|context limit|maximum model length|prompt is too long|too many tokens"
    r"|input (?:is|are) too long|input token count .{0,40}exceeds",
    re.IGNORECASE,
)
_MAX_TOKENS = re.compile(
    r"(?:maximum (?:context length|model length)|context (?:length|size|window))"
    r"(?: is| of)?(?: only)? ?\(?(\d[\d,]*)|> ?(\d[\d,]*)|maximum number of tokens allowed \(?(\d[\d,]*)",
    re.IGNORECASE,
)
_INPUT_TOKENS = re.compile(
    r"(?:resulted in|you requested|request has|contains|prompt is too long:|length|context limit:|input token count) \(?(?:about )?(\d[\d,]*)",
    re.IGNORECASE,
)

_NO_CREDIT = re.compile("credit balance is too low|reached your specified .{0,20}usage limits", re.IGNORECASE)
# Anthropic's words, which the clouds that serve Claude repeat: the same history is refused again and again.
_THINKING = re.compile(
    r"invalid .?signature.? in .?thinking|thinking.{0,80}cannot be modified|expected .?thinking.{0,40}but found"
    r"|must start with a thinking block",
    re.IGNORECASE,
)
THINKING = "thinking"
"""The parameter of a failure by the thinking that was handed back: whoever asks again, asks without it."""
_TOO_LARGE = re.compile("request too large", re.IGNORECASE)

_REFUSED_CODES = frozenset({"content_filter", "content_policy_violation", "responsibleaipolicyviolation"})
_CREDENTIAL_REASONS = frozenset({"api_key_invalid", "api_key_expired", "access_token_expired"})
_QUOTA_CODES = frozenset(
    {
        "insufficient_quota", "billing_hard_limit_reached", "enforced_spend_limit_reached", "contract_spend_limit_reached",
        "linked_organization_spend_limit_reached",
    }
)  # fmt: skip

_MESSAGE_FIELDS = ("message", "detail", "msg", "error_msg", "error_message", "errorMessage", "reason")
_CODE_FIELDS = ("code", "status_code", "statusCode", "error_code", "errorCode", "status")
_GOOD_CODES = (0, "0", 200, "200", "ok", "success")
_DEEPEST_ERROR = 8

_OF_THE_REQUEST = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY)
_ERROR_STATUS = re.compile(r"[45]\d\d")

_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "billing_error": 402,
    "not_found_error": 404,
    "notfounderror": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "tokens": 429,
    "requests": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def failure_of_exchange(error: HttpFailure) -> AttemptFailed:
    """Return what it means that no answer came, or not all of it."""
    if isinstance(error, ConnectTimedOut):
        return silence("connect")
    if isinstance(error, TlsFailed):
        return AttemptFailed(FailureKind.CERTIFICATE, "no trusted TLS connection")
    if isinstance(error, NotHttp):
        return AttemptFailed(FailureKind.MALFORMED, "the upstream does not speak HTTP")
    if isinstance(error, ConnectionCut) and error.began:
        return AttemptFailed(FailureKind.CUT, "the connection was cut")
    return AttemptFailed(FailureKind.CONNECT, "no connection")


def failure_of_response(status: int, headers: Mapping[str, str], body: bytes) -> AttemptFailed:
    """Return what a response with an error status means."""
    error = error_in(body) or _ErrorBody()
    retry_after = retry_after_in(headers)
    return _failure(status, error, _retry_delay(error) if retry_after is None else retry_after)


def failure_in_band(error: _ErrorBody) -> AttemptFailed:
    """Return what an error inside a response of status 200 means: the same as by its status."""
    return _failure(_status_of(error), error, None)


def error_in(body: bytes) -> _ErrorBody | None:
    """Return the error object that a JSON body carries, or None."""
    try:
        envelope = _ENVELOPES.decode(body)[0] if body.lstrip().startswith(b"[") else _ENVELOPE.decode(body)
    except IndexError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _error_of_any_shape(body)
    if isinstance(envelope.error, str):
        return _ErrorBody(message=envelope.error)
    if envelope.error is None and (envelope.message or envelope.detail):
        return _ErrorBody(message=envelope.message or envelope.detail, type=envelope.type, code=envelope.code)
    return envelope.error if envelope.error is not None else _error_of_any_shape(body)


def named_error(payload: bytes) -> AttemptFailed:
    """Return what an event means that says of itself that it is an error, in whatever words."""
    error = error_in(payload)
    if error is None:
        return AttemptFailed(FailureKind.SERVER_ERROR, "the upstream reported an error")
    return failure_in_band(error)


def error_without_choices(payload: bytes) -> _ErrorBody | None:
    """Return the error that a chunk without choices is; None where it says nothing, or is a sign of life."""
    try:
        value = value_of(payload)
    except Unreadable:
        return None
    if not isinstance(value, dict):
        return None
    said = cast("dict[str, object]", value)
    code = next((said[name] for name in _CODE_FIELDS if said.get(name)), None)
    names_itself = "error" in (said.get("object"), said.get("type"), said.get("status"))
    told = said.get("errors") or said.get("detail") or (_told(said) and code not in _GOOD_CODES and code)
    return error_in(payload) or _ErrorBody() if names_itself or told else None


def _error_of_any_shape(body: bytes) -> _ErrorBody | None:
    """Return the error in a body whose fields have other names, or types, than the usual."""
    try:
        value = value_of(body)
    except Unreadable:
        return None
    for _ in range(_DEEPEST_ERROR):
        if isinstance(value, list):
            value = next(iter(cast("list[object]", value)), None)
        inner = cast("dict[str, object]", value) if isinstance(value, dict) else {}
        if not (inner.get("error") or inner.get("errors")):
            break
        value = inner.get("error") or inner.get("errors")
    if isinstance(value, str) and value:
        return _ErrorBody(message=value)
    if value is True:
        value = value_of(body)
    if not isinstance(value, dict):
        return None
    said = cast("dict[str, object]", value)
    code = next((said[name] for name in _CODE_FIELDS if said.get(name)), None)
    message = _told(said)
    if not message and not code:
        return None
    return _ErrorBody(message=message, type=said.get("type"), code=code, param=said.get("param"))


def _told(said: dict[str, object]) -> str:
    """Return what an error says; a list of faults (FastAPI's) says what its first does."""
    for name in _MESSAGE_FIELDS:
        told = said.get(name)
        if isinstance(told, list) and told:
            told = cast("list[object]", told)[0]
        if isinstance(told, dict):
            told = _told(cast("dict[str, object]", told))
        if isinstance(told, str) and told:
            return told
    return ""


def _failure(status: int, error: _ErrorBody, retry_after: timedelta | None) -> AttemptFailed:
    message = _printable(error.message)
    words = {_word(error.code), _word(error.type), _inner_code(error)}
    if any(detail.reason.lower() in _CREDENTIAL_REASONS for detail in _details(error)):
        return AttemptFailed(FailureKind.CREDENTIALS, "the upstream refused our credentials")
    if status == HTTPStatus.PAYMENT_REQUIRED or words & _QUOTA_CODES or _NO_CREDIT.search(message):
        return AttemptFailed(FailureKind.QUOTA, "our account there has no quota left")
    if status in _OF_THE_REQUEST or "context_length_exceeded" in words:
        return _failure_of_request(error, message, words)
    if status == HTTPStatus.TOO_MANY_REQUESTS and _TOO_LARGE.match(message):
        # More than a minute's tokens in one request: no wait helps it, and nobody else is refused.
        return AttemptFailed(FailureKind.BAD_REQUEST, message)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return AttemptFailed(FailureKind.RATE_LIMITED, "the upstream's rate limit was reached", retry_after)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return AttemptFailed(FailureKind.CREDENTIALS, "the upstream refused our credentials")
    if may_pass(status):
        return AttemptFailed(FailureKind.SERVER_ERROR, f"the upstream answered {status}", retry_after)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return AttemptFailed(FailureKind.MISCONFIGURED, "the upstream redirects; redirects are not followed")
    return AttemptFailed(FailureKind.MISCONFIGURED, f"the upstream answered {status}")


def _failure_of_request(error: _ErrorBody, message: str, words: set[str]) -> AttemptFailed:
    if words & _REFUSED_CODES:
        return AttemptFailed(FailureKind.REFUSED, message or "the upstream's content filter refused")
    if "context_length_exceeded" in words or _CONTEXT_LENGTH.search(message):
        return AttemptFailed(
            FailureKind.CONTEXT_LENGTH,
            message or "the conversation is too long",
            input_tokens=_number(_INPUT_TOKENS, message),
            max_input_tokens=_number(_MAX_TOKENS, message),
        )
    parameter = error.param if isinstance(error.param, str) else THINKING if _THINKING.search(message) else ""
    return AttemptFailed(FailureKind.BAD_REQUEST, message or "the upstream refused the request", parameter=parameter)


def _status_of(error: _ErrorBody) -> int:
    for field in (error.code, error.status):
        if _ERROR_STATUS.fullmatch(str(field)):
            return int(str(field))
    code, kind = _word(error.code), _word(error.type)
    if code in _REFUSED_CODES:
        return HTTPStatus.BAD_REQUEST
    return _STATUS_OF_TYPE.get(code) or _STATUS_OF_TYPE.get(kind) or HTTPStatus.INTERNAL_SERVER_ERROR


def _word(value: object) -> str:
    return value.lower() if isinstance(value, str) else ""


def _inner_code(error: _ErrorBody) -> str:
    """Return Azure's inner code, or that of Anthropic's details, which says what the outer one does not."""
    if error.innererror:
        return _word(error.innererror.get("code"))
    try:
        return _word(_CODE.decode(error.details).error_code) if error.details else ""
    except msgspec.DecodeError:
        return ""


def _details(error: _ErrorBody) -> list[_Detail]:
    try:
        return _DETAILS.decode(error.details) if error.details else []
    except msgspec.DecodeError:
        return []


def _retry_delay(error: _ErrorBody) -> timedelta | None:
    """Return the delay of a ``google.rpc.RetryInfo`` among the details; None where there is none."""
    for detail in _details(error):
        seconds = seconds_in(detail.retry_delay.removesuffix("s"))
        if seconds is not None:
            return timedelta(seconds=seconds)
    return None


def _printable(message: object) -> str:
    """Return an upstream's message fit for a caller: one line, bounded."""
    text = " ".join(str(message).split()) if isinstance(message, str) else ""
    return text if len(text) <= MAX_MESSAGE_CHARACTERS else f"{text[: MAX_MESSAGE_CHARACTERS - 1]}…"


def _number(pattern: re.Pattern[str], message: str) -> int:
    match = pattern.search(message)
    found = next((group for group in match.groups() if group), "") if match else ""
    return int(found.replace(",", "")) if found and len(found) < _LONGEST_NUMBER else 0
