"""Each of the suite's errors in OpenAI's shape, and what the vendor's SDK makes of it."""

from __future__ import annotations

import inspect
import json
from datetime import timedelta
from typing import Any

import openai
import pytest

from penstock_common import errors
from penstock_common.status import error_from_status, status_from_error
from penstock_gateway.domain.life.admission import TurnedAway
from penstock_gateway.surfaces.wire_formats.openai.errors import error_body, error_response, param_from_field

SECOND = timedelta(seconds=1)

# error, status, type, code, param, what the SDK raises
TABLE: list[tuple[errors.PenstockError, int, str, str | None, str | None, type[openai.APIStatusError]]] = [
    (errors.InvalidRequest("m", field="input.sampling.top_p"), 400, "invalid_request_error", None, "top_p",
     openai.BadRequestError),
    (errors.UnsupportedParameter("m", parameter="n"), 400, "invalid_request_error", "unsupported_parameter", "n",
     openai.BadRequestError),
    (errors.ContextLengthExceeded("m", 9, 8), 400, "invalid_request_error", "context_length_exceeded", "messages",
     openai.BadRequestError),
    (errors.ContentRefused("m"), 400, "invalid_request_error", "content_policy_violation", None,
     openai.BadRequestError),
    (errors.GuardrailRefused("m"), 400, "invalid_request_error", "content_filter", None,
     openai.BadRequestError),
    (errors.InvalidCredentials("m"), 401, "authentication_error", "invalid_api_key", None,
     openai.AuthenticationError),
    (errors.ScopeMissing("m"), 403, "permission_error", "missing_scope", None, openai.PermissionDeniedError),
    (errors.ModelNotPermitted("m"), 403, "permission_error", "model_not_permitted", "model",
     openai.PermissionDeniedError),
    (errors.ModelNotFound("m"), 404, "invalid_request_error", "model_not_found", "model", openai.NotFoundError),
    (errors.NotCached("m"), 404, "not_found_error", "not_cached", None, openai.NotFoundError),
    (errors.NothingRelevant("m"), 404, "not_found_error", "nothing_relevant", None, openai.NotFoundError),
    (errors.AddressNotPermitted("m"), 403, "permission_error", "address_not_permitted", None,
     openai.PermissionDeniedError),
    (errors.PeerNotPermitted("m"), 503, "server_error", "peer_not_permitted", None, openai.InternalServerError),
    (errors.RightsExceeded("m"), 403, "permission_error", "rights_exceeded", None, openai.PermissionDeniedError),
    (errors.ResourceNotFound("m"), 404, "not_found_error", "resource_not_found", None, openai.NotFoundError),
    (errors.ResourceExists("m"), 409, "invalid_request_error", "resource_exists", None, openai.ConflictError),
    (errors.ResourceState("m"), 400, "invalid_request_error", "resource_state", None, openai.BadRequestError),
    (errors.ResourceChanged("m"), 409, "invalid_request_error", "resource_changed", None, openai.ConflictError),
    (errors.IdempotencyKeyReused("m"), 422, "invalid_request_error", "idempotency_key_reused", "Idempotency-Key",
     openai.UnprocessableEntityError),
    (errors.IdempotencyInProgress("m"), 409, "invalid_request_error", "idempotency_in_progress", "Idempotency-Key",
     openai.ConflictError),
    (errors.RateLimited("m"), 429, "rate_limit_error", "rate_limit_exceeded", None, openai.RateLimitError),
    (errors.QuotaExhausted("m"), 429, "insufficient_quota", "insufficient_quota", None, openai.RateLimitError),
    (errors.Overloaded("m"), 503, "server_error", "overloaded", None, openai.InternalServerError),
    (errors.ServiceUnavailable("m"), 503, "server_error", "service_unavailable", None, openai.InternalServerError),
    (errors.NoHealthyUpstream("m"), 503, "server_error", "no_healthy_upstream", None, openai.InternalServerError),
    (errors.UpstreamFailed("m"), 502, "server_error", "upstream_failed", None, openai.InternalServerError),
    (errors.UpstreamTimeout("m"), 504, "server_error", "upstream_timeout", None, openai.InternalServerError),
    (errors.DeadlineExceeded("m"), 504, "server_error", "deadline_exceeded", None, openai.InternalServerError),
    (errors.InternalError("m"), 500, "server_error", "internal_error", None, openai.InternalServerError),
]  # fmt: skip
RETRIED_HERE = (
    errors.QuotaExhausted,
    errors.NoHealthyUpstream,
    errors.UpstreamFailed,
    errors.UpstreamTimeout,
    errors.DeadlineExceeded,
)
IDS = [type(row[0]).__name__ for row in TABLE]


def test_the_table_holds_every_error() -> None:
    known = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.PenstockError)}
    assert {type(row[0]) for row in TABLE} == known - {errors.PenstockError}


@pytest.mark.parametrize(("error", "status", "type_", "code", "param", "raised"), TABLE, ids=IDS)
def test_the_sdk_raises_what_its_users_catch(
    server: Any,
    sdk: openai.OpenAI,
    error: errors.PenstockError,
    status: int,
    type_: str,
    code: str | None,
    param: str | None,
    raised: type[openai.APIStatusError],
) -> None:
    response = error_response(error)
    server.status, server.headers, server.body = response.status, response.headers, response.body
    with pytest.raises(openai.APIStatusError) as caught:
        sdk.with_options(max_retries=0).models.list()
    assert type(caught.value) is raised
    assert caught.value.status_code == status
    assert (caught.value.type, caught.value.code, caught.value.param) == (type_, code, param)
    assert caught.value.body == {"message": "m", "type": type_, "param": param, "code": code}


@pytest.mark.parametrize("error", [row[0] for row in TABLE if row[1] >= 429], ids=lambda error: type(error).__name__)
def test_the_sdk_does_not_repeat_what_was_retried_here(
    server: Any, sdk: openai.OpenAI, error: errors.PenstockError
) -> None:
    response = error_response(error)
    headers = dict(response.headers)
    if b"retry-after-ms" in headers:
        headers[b"retry-after-ms"] = b"1"
    server.status, server.headers, server.body = response.status, tuple(headers.items()), response.body
    with pytest.raises(openai.APIStatusError):
        sdk.with_options(max_retries=1).chat.completions.create(model="m", messages=[])
    assert len(server.received) == (1 if isinstance(error, RETRIED_HERE) else 2)


@pytest.mark.parametrize(
    ("retry_after", "seconds", "milliseconds"),
    [
        (timedelta(0), b"1", b"1"),
        (timedelta(milliseconds=1), b"1", b"1"),
        (timedelta(microseconds=1500), b"1", b"2"),
        (timedelta(seconds=1.2), b"2", b"1200"),
        (timedelta(minutes=2), b"120", b"120000"),
    ],
)
def test_a_wait_is_told_in_seconds_and_milliseconds_rounded_up(
    retry_after: timedelta, seconds: bytes, milliseconds: bytes
) -> None:
    for kind in (errors.RateLimited, errors.Overloaded, errors.ServiceUnavailable):
        headers = dict(error_response(kind("m", retry_after=retry_after)).headers)
        assert (headers[b"retry-after"], headers[b"retry-after-ms"]) == (seconds, milliseconds)


def test_no_wait_is_told_when_none_helps() -> None:
    for error, *_ in TABLE:
        headers = dict(error_response(error).headers)
        assert (b"retry-after" in headers) == hasattr(error, "retry_after")
        assert (headers.get(b"x-should-retry") == b"false") == isinstance(error, RETRIED_HERE)
        assert headers[b"content-type"] == b"application/json"


def test_only_a_process_that_did_nothing_lets_another_be_asked() -> None:
    """Whoever paid, or found somebody else overloaded, must not have the edge ask the next gateway for the same."""
    refused = (b"x-penstock-refused", b"1")
    assert refused in error_response(TurnedAway("full")).headers
    assert [error for error, *_ in TABLE if refused in error_response(error).headers] == []
    # What a service says travels by its class and its fields: it can't become our own refusal on the way.
    assert type(error_from_status(status_from_error(TurnedAway("full")))) is errors.Overloaded


def test_a_missing_key_is_challenged() -> None:
    assert (b"www-authenticate", b"Bearer") in error_response(errors.InvalidCredentials("m")).headers


def test_an_error_of_a_kind_yet_unknown_takes_its_parents_form() -> None:
    class NewKind(errors.RateLimited):
        pass

    class Unheard(errors.PenstockError):
        pass

    assert error_response(NewKind("m")).status == 429
    assert error_response(Unheard("m")).status == 500


def test_a_field_without_a_name_leaves_param_null() -> None:
    for field in ("", "input.extra_json"):
        body = json.loads(error_response(errors.InvalidRequest("m", field=field)).body)
        assert body["error"]["param"] is None


@pytest.mark.parametrize(
    ("field", "param"),
    [
        ("input.model", "model"),
        ("input.messages", "messages"),
        ("input.messages[2]", "messages[2]"),
        ("input.messages[2].role", "messages[2].role"),
        ("input.messages[2].name", "messages[2].name"),
        ("input.messages[2].parts", "messages[2].content"),
        ("input.messages[2].parts[1]", "messages[2].content[1]"),
        ("input.messages[2].parts[1].text", "messages[2].content[1].text"),
        ("input.messages[2].parts[10].image", "messages[2].content[10].image_url"),
        ("input.messages[2].parts[1].image.url", "messages[2].content[1].image_url.url"),
        ("input.messages[2].parts[1].image.data", "messages[2].content[1].image_url.url"),
        ("input.messages[2].parts[1].image.media_type", "messages[2].content[1].image_url.url"),
        ("input.messages[2].parts[1].image.detail", "messages[2].content[1].image_url.detail"),
        ("input.messages[2].parts[1].file", "messages[2].content[1].file"),
        ("input.messages[2].parts[1].file.data", "messages[2].content[1].file.file_data"),
        ("input.messages[2].parts[1].file.name", "messages[2].content[1].file.filename"),
        ("input.messages[2].tool_call_id", "messages[2].tool_call_id"),
        ("input.messages[2].tool_calls", "messages[2].tool_calls"),
        ("input.messages[2].tool_calls[0].id", "messages[2].tool_calls[0].id"),
        ("input.messages[2].tool_calls[0].name", "messages[2].tool_calls[0].function.name"),
        ("input.messages[2].tool_calls[0].arguments_json", "messages[2].tool_calls[0].function.arguments"),
        ("input.tools", "tools"),
        ("input.tools[0]", "tools[0]"),
        ("input.tools[0].name", "tools[0].function.name"),
        ("input.tools[0].description", "tools[0].function.description"),
        ("input.tools[0].parameters_json", "tools[0].function.parameters"),
        ("input.tool_choice", "tool_choice"),
        ("input.tool_choice.mode", "tool_choice"),
        ("input.tool_choice.tool_name", "tool_choice.function.name"),
        ("input.tool_choice.parallel", "parallel_tool_calls"),
        ("input.response_format", "response_format"),
        ("input.response_format.json_schema.name", "response_format.json_schema.name"),
        ("input.response_format.json_schema.schema_json", "response_format.json_schema.schema"),
        ("input.sampling.temperature", "temperature"),
        ("input.sampling.max_output_tokens", "max_tokens"),
        ("input.sampling.stop[3]", "stop[3]"),
        ("input.sampling.reasoning_effort", "reasoning_effort"),
        ("input.extra_json", ""),
        ("input.extra_json.logit_bias", "logit_bias"),
        ("context.user", "user"),
        ("context.tags", "metadata"),
        ("context.tags[team]", "metadata[team]"),
        ("messages[3].content[0].image_url.url", "messages[3].content[0].image_url.url"),
        ("tools[0].name", "tools[0].name"),
        ("n", "n"),
        ("", ""),
    ],
)
def test_a_field_of_the_contract_gets_openais_name(field: str, param: str) -> None:
    assert param_from_field(field) == param


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            errors.InvalidRequest("input.messages[3].parts[0].image.url must be http(s).", field="input.messages[3].parts[0].image.url"),
            "'messages[3].content[0].image_url.url' must be http(s).",
        ),
        (
            errors.InvalidRequest("input.sampling.temperature must be between 0 and 2, not 3.", field="input.sampling.temperature"),
            "'temperature' must be between 0 and 2, not 3.",
        ),
        (errors.InvalidRequest("inputs[1] is empty.", field="inputs[1]"), "'input[1]' is empty."),
        (errors.InvalidRequest("context.tags[a] must have 0 to 512 characters, not 513.", field="context.tags[a]"),
         "'metadata[a]' must have 0 to 512 characters, not 513."),
        (
            errors.UnsupportedParameter("far/m: input.messages[0].parts[1].file is not supported", parameter="input.messages[0].parts[1].file"),
            "far/m: 'messages[0].content[1].file' is not supported",
        ),
        (errors.InvalidRequest("'stop' must be a string.", field="stop"), "'stop' must be a string."),
        (errors.InvalidRequest("a/m: input 'None' of stop is odd", field="stop"), "a/m: input 'None' of stop is odd"),
        (errors.InvalidRequest("a/m: input is odd", field="input"), "a/m: input is odd"),
    ],
)  # fmt: skip
def test_message_names_the_field_as_its_caller_wrote_it(error, message):
    body = json.loads(error_body(error))["error"]
    assert body["message"] == message
    assert body["param"] is None or body["param"] in message
