"""What the errors of OpenAI and its imitators mean."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from penstock_inference.adapters.providers.http.errors import (
    MAX_MESSAGE_CHARACTERS,
    error_in,
    failure_in_band,
    failure_of_response,
)
from penstock_inference.domain.failure import FailureKind


def body(**error: Any) -> bytes:
    """Return an error body."""
    return json.dumps({"error": error}).encode()


@pytest.mark.parametrize(
    ("status", "raw", "kind"),
    [
        (400, body(message="bad seed"), FailureKind.BAD_REQUEST),
        (422, b'{"detail":[{"loc":["body"]}]}', FailureKind.BAD_REQUEST),
        (400, body(code="context_length_exceeded"), FailureKind.CONTEXT_LENGTH),
        (400, body(code="content_policy_violation"), FailureKind.REFUSED),
        (400, body(code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"}), FailureKind.REFUSED),
        (400, body(innererror={"code": "ResponsibleAIPolicyViolation"}), FailureKind.REFUSED),
        (400, body(type="invalid_request_error", message="Your credit balance is too low to access the API."),
         FailureKind.QUOTA),
        (402, body(message="Insufficient Balance"), FailureKind.QUOTA),
        (401, b"", FailureKind.CREDENTIALS),
        (403, b"<html>", FailureKind.CREDENTIALS),
        (404, body(code="model_not_found"), FailureKind.MISCONFIGURED),
        (405, b"", FailureKind.MISCONFIGURED),
        (408, b"", FailureKind.SERVER_ERROR),
        (429, body(code="insufficient_quota"), FailureKind.QUOTA),
        (429, b"not json", FailureKind.RATE_LIMITED),
        (429, body(code="rate_limit_exceeded", message="Request too large for gpt-4o: Limit 30000, Requested 41000."),
         FailureKind.BAD_REQUEST),
        (500, b"", FailureKind.SERVER_ERROR),
        (529, body(type="overloaded_error"), FailureKind.SERVER_ERROR),
        (307, b"", FailureKind.MISCONFIGURED),
        (204, b"", FailureKind.MISCONFIGURED),
        # Gemini's endpoint: an array, and 400 for a wrong key.
        (400, b"[%b]" % body(code=400, status="INVALID_ARGUMENT", details=[{"reason": "API_KEY_INVALID"}]),
         FailureKind.CREDENTIALS),
        (400, b"[%b]" % body(code=400, message="Unknown name", status="INVALID_ARGUMENT"), FailureKind.BAD_REQUEST),
        (429, b"[%b]" % body(code=429, status="RESOURCE_EXHAUSTED"), FailureKind.RATE_LIMITED),
        (503, b"[]", FailureKind.SERVER_ERROR),
        (400, body(message="bad", details="of no known form"), FailureKind.BAD_REQUEST),
    ],
)  # fmt: skip
def test_status_and_body_give_the_kind(status: int, raw: bytes, kind: FailureKind) -> None:
    assert failure_of_response(status, {}, raw).kind is kind


@pytest.mark.parametrize(
    ("message", "sizes"),
    [
        ("This model's maximum context length is 128,000 tokens. However, your messages resulted in 130001 tokens.",
         (130001, 128000)),
        ("maximum context length is 2048 tokens. However, you requested 2100 tokens (2000 in the messages).",
         (2100, 2048)),
        ("The decoder prompt (length 1234) is longer than the maximum model length of 1000.", (1234, 1000)),
        ("prompt is too long: 208310 tokens > 200000 maximum", (208310, 200000)),
        ("the request exceeds the available context size", (0, 0)),
        ("The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).", (1100000, 1048576)),
    ],
)  # fmt: skip
def test_a_conversation_too_long_is_known_by_its_words(message: str, sizes: tuple[int, int]) -> None:
    failure = failure_of_response(400, {}, body(message=message))
    assert failure.kind is FailureKind.CONTEXT_LENGTH
    assert (failure.input_tokens, failure.max_input_tokens) == sizes


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 429}, FailureKind.RATE_LIMITED),
        ({"code": "429"}, FailureKind.RATE_LIMITED),
        ({"status": 503}, FailureKind.SERVER_ERROR),
        ({"type": "rate_limit_exceeded"}, FailureKind.RATE_LIMITED),
        ({"type": "overloaded_error"}, FailureKind.SERVER_ERROR),
        ({"type": "authentication_error"}, FailureKind.CREDENTIALS),
        ({"type": "invalid_request_error"}, FailureKind.BAD_REQUEST),
        ({"type": "BadRequestError", "code": 400}, FailureKind.BAD_REQUEST),
        ({"code": "context_length_exceeded"}, FailureKind.CONTEXT_LENGTH),
        ({"code": "content_filter"}, FailureKind.REFUSED),
        ({"code": "insufficient_quota"}, FailureKind.QUOTA),
        ({"message": "something"}, FailureKind.SERVER_ERROR),
        ({"code": None, "type": 7, "message": []}, FailureKind.SERVER_ERROR),
    ],
)
def test_an_error_in_band_means_the_same_as_by_its_status(error: dict[str, Any], kind: FailureKind) -> None:
    found = error_in(json.dumps({"error": error}).encode())
    assert found is not None
    assert failure_in_band(found).kind is kind


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "3"}, timedelta(seconds=3)),
        ({"retry-after": "0.5"}, timedelta(seconds=0.5)),
        ({"retry-after-ms": "250", "retry-after": "3"}, timedelta(milliseconds=250)),
        ({"retry-after-ms": "x", "retry-after": "3"}, timedelta(seconds=3)),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "abc"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "Mon, 01 Jan 2024 00:00:00 +999999999999999999"}, None),
        ({}, None),
        ({"retry-after": format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)}, None),
        (
            {"retry-after": "Mon, 01 Jan 2024 00:01:00 GMT", "date": "Mon, 01 Jan 2024 00:00:00 GMT"},
            timedelta(minutes=1),
        ),
        ({"retry-after": "Mon, 01 Jan 2024 00:01:00 GMT", "date": "Mon, 01 Jan 2024 00:02:00 GMT"}, None),
        ({"retry-after": "Mon, 01 Jan 2024 00:01:00 GMT", "date": "yesterday"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], wait: timedelta | None) -> None:
    assert failure_of_response(429, headers, b"").retry_after == wait


def test_retry_after_in_googles_details() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}]
    raw = b"[%b]" % body(code=429, details=details)
    assert failure_of_response(429, {}, raw).retry_after == timedelta(seconds=34.5)
    assert failure_of_response(429, {"retry-after": "0"}, raw).retry_after == timedelta(0)


def test_retry_after_as_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    wait = failure_of_response(503, {"retry-after": date}, b"").retry_after
    assert wait is not None
    assert timedelta(seconds=90) < wait <= timedelta(seconds=100)


def test_retry_after_that_no_clock_can_hold_is_bounded() -> None:
    assert failure_of_response(429, {"retry-after": "1e300"}, b"").retry_after is not None


def test_a_message_is_one_bounded_line() -> None:
    failure = failure_of_response(400, {}, body(message="bad\n\x00seed " * 100))
    assert len(failure.detail) == MAX_MESSAGE_CHARACTERS
    assert "\n" not in failure.detail


def test_an_upstreams_message_about_us_stays_with_us() -> None:
    raw = body(message="Rate limit reached in organization org-secret; key sk-secret")
    for status in (401, 403, 404, 429, 500):
        assert "secret" not in failure_of_response(status, {}, raw).detail
