"""What Google's errors mean, before an answer and within one."""

import json
from datetime import timedelta

import pytest

from penstock_common.llm.types import GenerationInput
from penstock_inference.adapters.providers.gemini.errors import failure_of
from penstock_inference.adapters.providers.gemini.stream import ContentStream, whole_answer
from penstock_inference.domain.failure import AttemptFailed, FailureKind

QUESTION = GenerationInput(model="m", messages=())
RPC = "type.googleapis.com/google.rpc."


def quota(quota_id):
    return {"@type": f"{RPC}QuotaFailure", "violations": [
        {"quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests", "quotaId": quota_id}]}  # fmt: skip


RETRY = {"@type": f"{RPC}RetryInfo", "retryDelay": "45.8s"}
PER_MINUTE, PER_DAY = quota("GenerateRequestsPerMinutePerProjectPerModel"), quota("GenerateRequestsPerDayPerProject")
TOO_LONG = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
ROWS = [
    (429, "RESOURCE_EXHAUSTED", "Quota exceeded.", [PER_MINUTE, RETRY], FailureKind.RATE_LIMITED),
    (429, "RESOURCE_EXHAUSTED", "Resource exhausted. Please try again later.", [], FailureKind.RATE_LIMITED),
    (429, "RESOURCE_EXHAUSTED", "Quota exceeded.", [PER_DAY, RETRY], FailureKind.QUOTA),
    (429, "RESOURCE_EXHAUSTED", "Quota exceeded.", [PER_MINUTE, PER_DAY], FailureKind.QUOTA),
    (400, "INVALID_ARGUMENT", "API key not valid.", [{"@type": f"{RPC}ErrorInfo", "reason": "API_KEY_INVALID"}],
     FailureKind.CREDENTIALS),
    (401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", [], FailureKind.CREDENTIALS),
    (403, "PERMISSION_DENIED", "Permission denied.", [], FailureKind.CREDENTIALS),
    (404, "NOT_FOUND", "models/x is not found for API version v1beta.", [], FailureKind.MISCONFIGURED),
    (400, "INVALID_ARGUMENT", TOO_LONG, [], FailureKind.CONTEXT_LENGTH),
    (400, "INVALID_ARGUMENT", "Unable to submit request.", [], FailureKind.BAD_REQUEST),
    (400, "FAILED_PRECONDITION", "User location is not supported for the API use.", [], FailureKind.MISCONFIGURED),
    (499, "CANCELLED", "The operation was cancelled.", [], FailureKind.SERVER_ERROR),
    (500, "INTERNAL", "An internal error has occurred.", [], FailureKind.SERVER_ERROR),
    (503, "UNAVAILABLE", "The model is overloaded.", [], FailureKind.SERVER_ERROR),
    (504, "DEADLINE_EXCEEDED", "Deadline expired.", [], FailureKind.SERVER_ERROR),
]  # fmt: skip


def body(code, word, message, details):
    error = {"message": message, "status": word, "details": details}
    return {"error": {"code": code, **error} if code else error}


def failed(row, *, code=True):
    return body(row[0] if code else 0, *row[1:4])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[2][:20]}")
@pytest.mark.parametrize("form", ["an object", "an array"])
def test_an_error_means_what_its_status_and_details_say(row, form):
    told = failed(row)
    failure = failure_of(row[0], {}, json.dumps(told if form == "an object" else [told]).encode())
    assert failure.kind is row[4]
    if RETRY in row[3] and row[4] is FailureKind.RATE_LIMITED:
        assert failure.retry_after == timedelta(seconds=45.8)
    if row[4] is FailureKind.CONTEXT_LENGTH:
        assert (failure.input_tokens, failure.max_input_tokens) == (1200000, 1048576)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[2][:20]}")
@pytest.mark.parametrize("code", [True, False], ids=["by number", "by word"])
def test_an_error_within_an_answer_means_the_same(row, code):
    payload = json.dumps(failed(row, code=code)).encode()
    kinds = []
    for data in (b"data: " + payload + b"\n\n", b"data: [" + payload + b"]\n\n"):
        with pytest.raises(AttemptFailed) as raised:
            ContentStream(QUESTION).feed(data)
        kinds.append(raised.value.kind)
    for data in (
        payload,
        b"[" + payload + b"]",
        b'[{"candidates":[{"content":{"parts":[{"text":"a"}]}}]},' + payload + b"]",
    ):
        with pytest.raises(AttemptFailed) as raised:
            whole_answer(data, QUESTION)
        kinds.append(raised.value.kind)
    assert set(kinds) == {row[4]}


def test_how_long_to_wait_is_told_within_an_answer_too():
    with pytest.raises(AttemptFailed) as raised:
        ContentStream(QUESTION).feed(b"data: " + json.dumps(failed(ROWS[0])).encode() + b"\n\n")
    assert raised.value.retry_after == timedelta(seconds=45.8)


@pytest.mark.parametrize(
    "message", ["Corrupted thought signature.", "Invalid thought_signature.", "Thought signature is not valid."]
)
def test_a_signature_that_is_refused_is_the_thinking_s_fault(message):
    failure = failure_of(400, {}, json.dumps(body(400, "INVALID_ARGUMENT", message, [])).encode())
    assert (failure.kind, failure.parameter) == (FailureKind.BAD_REQUEST, "thinking")


def test_a_signature_that_is_missing_is_not():
    message = "Function call is missing a thought_signature in functionCall parts."
    failure = failure_of(400, {}, json.dumps(body(400, "INVALID_ARGUMENT", message, [])).encode())
    assert (failure.kind, failure.parameter) == (FailureKind.BAD_REQUEST, "")


@pytest.mark.parametrize(
    "text", [b"", b"<html>", b"{}", b'{"error": {"code": 503, "details": 7}}', b'{"error":{"details":[7]}}']
)
def test_an_error_of_any_shape_is_one_by_its_status(text):
    assert failure_of(503, {}, text).kind is FailureKind.SERVER_ERROR


def test_a_header_says_when_to_come_again_too():
    failure = failure_of(429, {"retry-after": "3"}, json.dumps(failed(ROWS[1])).encode())
    assert failure.retry_after == timedelta(seconds=3)
