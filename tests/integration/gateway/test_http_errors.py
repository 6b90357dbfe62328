"""What a caller of the HTTP surface sees of every failure: status, type, code, param, headers."""

from __future__ import annotations

import json

import pytest

from penstock_common.testing.openai_upstream import Answer, End, Failure, NoResponse


def said(answered):
    error = answered.error
    assert set(error) == {"message", "type", "param", "code"}
    return answered.status, error["type"], error["code"], error["param"]


INVALID = "invalid_request_error"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"model": "nope"}, (404, INVALID, "model_not_found", "model")),
        ({"model": ""}, (400, INVALID, None, "model")),
        ({"messages": []}, (400, INVALID, None, "messages")),
        ({"temperature": 2.1}, (400, INVALID, None, "temperature")),
        ({"seed": 10**400}, (400, INVALID, None, "seed")),
        ({"max_tokens": 0}, (400, INVALID, None, "max_tokens")),
        ({"modalities": ["audio"]}, (400, INVALID, "unsupported_parameter", "modalities")),
        ({"no_such_field": 1}, (400, INVALID, "unsupported_parameter", "no_such_field")),
        ({"user": "a\x00b"}, (400, INVALID, None, "user")),
        (
            {"messages": [{"role": "user", "content": "x " * 40_000}]},
            (400, INVALID, "context_length_exceeded", "messages"),
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_bad_request_is_refused_by_field(suite, upstream, stream, body, expected):
    answered = await suite.ask(stream=stream, **body)
    assert said(answered) == expected
    assert answered.header["content-type"] == "application/json"
    assert "retry-after" not in answered.header
    assert upstream.requests == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"model":"fast"}', b"\xff\xfe", b'{"model":"\xff"}', b"[" * 100_000]
)
async def test_body_that_is_no_request_is_refused(suite, body):
    answered = await suite.post(body)
    assert said(answered)[:3] == (400, INVALID, None)


async def test_body_of_five_thousand_digits_is_refused(suite):
    head = {"authorization": f"Bearer {suite.KEY}"}
    body = json.dumps({"model": "fast", "messages": [{"role": "user", "content": "x"}]})[:-1]
    answered = await suite.request(
        "POST", "/v1/chat/completions", data=body + ',"seed":' + "9" * 5_000 + "}", headers=head
    )
    assert answered.status == 400
    assert answered.error["param"] in ("seed", None)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Basic abc"},
        {"authorization": "Bearer wrong-key-wrong-key"},
        {"x-api-key": "wrong-key-wrong-key"},
        {"authorization": "Bearer " + "x" * 60 * 1024},
    ],
    ids=["none", "empty", "basic", "wrong", "wrong x-api-key", "60 kB"],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/v1/models/fast"])
async def test_unknown_caller_is_refused(suite, headers, path):
    method = "POST" if path.endswith("completions") else "GET"
    answered = await suite.request(method, path, headers=headers)
    assert said(answered) == (401, "authentication_error", "invalid_api_key", None)
    assert answered.header["www-authenticate"] == "Bearer"
    assert len(answered.header["x-request-id"]) == 32


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models"])
async def test_head_beyond_every_limit_is_refused_before_anybody_reads_it(suite, path):
    answered = await suite.request("GET", path, headers={"authorization": "Bearer " + "x" * 1024 * 1024})
    assert said(answered) == (431, INVALID, None, None)
    assert len(answered.header["x-request-id"]) == 32
    # The connection was closed, and the next one serves.
    assert (await suite.ask()).status == 200


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "api-key"])
async def test_key_is_taken_from_the_header_of_any_sdk(suite, name):
    value = f"Bearer {suite.KEY}" if name == "authorization" else suite.KEY
    assert (await suite.request("GET", "/v1/models", headers={name: value})).status == 200


@pytest.mark.parametrize("header", ["x-penstock-timeout", "x-penstock-cache"])
async def test_header_that_means_nothing_is_refused(suite, header):
    assert said(await suite.ask(headers={header: "whatever"})) == (400, INVALID, None, header)


async def test_model_that_the_key_may_not_use_is_refused_whether_it_exists_or_not(suite):
    for model in ("fast", "nope"):
        answered = await suite.ask(key=suite.NARROW_KEY, model=model)
        assert said(answered) == (403, "permission_error", "model_not_permitted", "model")
    assert (await suite.ask(key=suite.NARROW_KEY, model="safe")).status == 200


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("behaviour", "expected", "retries"),
    [
        (Failure(400, {"message": "flagged", "code": "content_filter"}), (400, INVALID, "content_policy_violation", None), True),
        (Failure(400, {"message": "too long", "code": "context_length_exceeded"}), (400, INVALID, "context_length_exceeded", "messages"), True),
        (Failure(401), (502, "server_error", "upstream_failed", None), False),
        (Failure(503), (502, "server_error", "upstream_failed", None), False),
        (NoResponse(End.RESET), (502, "server_error", "upstream_failed", None), False),
    ],
    ids=["content filter", "context length", "our key refused", "down", "reset"],
)  # fmt: skip
async def test_upstream_that_fails_keeps_a_status_of_its_own(suite, upstream, behaviour, expected, retries, stream):
    upstream.enqueue(*[behaviour] * 4)
    answered = await suite.ask(stream=stream)
    assert said(answered) == expected
    assert answered.header.get("x-should-retry") == (None if retries else "false")
    assert "sk-x" not in answered.body.decode()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_time_that_the_caller_grants_ends_with_504(suite, upstream, stream):
    upstream.enqueue(NoResponse())
    answered = await suite.ask(stream=stream, headers={"x-penstock-timeout": "300ms"})
    assert said(answered) == (504, "server_error", "deadline_exceeded", None)
    assert answered.header["x-should-retry"] == "false"


async def test_body_above_the_limit_is_413(serve, document):
    document["gateway"]["max_body_bytes"] = 2_000
    suite = await serve()
    assert (await suite.ask("x" * 1_000)).status == 200
    answered = await suite.ask("x" * 2_000)
    assert said(answered) == (413, INVALID, None, None)
    # The connection still works.
    assert (await suite.ask("y" * 1_000)).status == 200


async def test_body_in_pieces_is_bounded_while_it_comes(serve, document):
    document["gateway"]["max_body_bytes"] = 100_000
    suite = await serve()

    async def endless():
        for _ in range(1_000):
            yield b"x" * 10_000

    head = {"authorization": f"Bearer {suite.KEY}"}
    answered = await suite.request("POST", "/v1/chat/completions", data=endless(), headers=head)
    assert answered.status == 413


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("POST", "/v1/audio/speech"),
        ("GET", "/healthz"),
        ("POST", "/v1/chat/completions/x"),
    ],
)
async def test_unknown_path_is_404(suite, method, path):
    answered = await suite.request(method, path)
    assert answered.status == 404
    assert path in answered.error["message"]
    assert len(answered.header["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/v1/chat/completions", "POST"), ("PUT", "/v1/chat/completions", "POST"), ("POST", "/v1/models", "GET, HEAD"), ("DELETE", "/v1/models/fast", "GET, HEAD")],
)  # fmt: skip
async def test_wrong_method_is_405_and_says_which_is_right(suite, method, path, allowed):
    answered = await suite.request(method, path)
    assert answered.status == 405
    assert answered.header["allow"] == allowed


async def test_models_are_those_that_the_key_may_use(suite):
    async def names(key):
        listed = await suite.request("GET", "/v1/models", headers={"x-api-key": key})
        return [model["id"] for model in listed.json["data"]]

    assert await names(suite.KEY) == ["fast", "safe"]
    assert await names(suite.NARROW_KEY) == ["safe"]
    found = await suite.request("GET", "/v1/models/safe", headers={"x-api-key": suite.NARROW_KEY})
    assert found.json["id"] == "safe"
    for hidden in ("fast", "nope"):
        answered = await suite.request("GET", f"/v1/models/{hidden}", headers={"x-api-key": suite.NARROW_KEY})
        assert said(answered) == (404, INVALID, "model_not_found", "model")


@pytest.mark.parametrize(("name", "path"), [("org/big model", "org%2Fbig%20model"), ("100%25", "100%2525")])
async def test_model_is_found_by_its_name_decoded_once(serve, document, name, path):
    document["models"].append({"name": name, "candidates": ["first/m1"]})
    suite = await serve()
    import yarl

    url = yarl.URL(f"http://penstock/v1/models/{path}", encoded=True)
    async with suite.http.get(url, headers={"x-api-key": suite.KEY}) as response:
        assert response.status == 200
        assert (await response.json())["id"] == name


async def test_upstream_that_is_cut_before_its_first_token_gives_an_error_with_a_status(suite, upstream):
    upstream.enqueue(*[Answer(stop_after=1, end=End.FIN, delimited=False)] * 4)
    answered = await suite.ask(stream=True)
    assert answered.status == 502
