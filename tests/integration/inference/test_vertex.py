"""Gemini on Vertex AI over real sockets: where it is asked, and with which token."""

import asyncio
import json
import sys
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from penstock_common.configuration import ConfigurationError
from penstock_common.http.client import HttpClient
from penstock_common.testing.openai_upstream import Body, OpenAIUpstream
from penstock_common.testing.ports import free_ports
from penstock_inference.adapters.providers.vertex.build import open_upstream
from penstock_inference.adapters.providers.vertex.settings import VertexSettings

sys.path.insert(0, str(Path(__file__).parent))

from gemini_answers import HI, STOP, whole  # noqa: E402

PATH = "/v1/projects/ours/locations/europe-west4/publishers/google/models/m"
REFUSED = json.dumps({"error": {"code": 401, "message": "Expired.", "status": "UNAUTHENTICATED"}}).encode()


@pytest.fixture(scope="module")
def private_key():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.decode()


class TokenServer(OpenAIUpstream):
    """Grants ``ya29.token-1``, ``ya29.token-2`` and so on, each for an hour."""

    def __init__(self):
        super().__init__()
        self.otherwise = lambda _: json_body({
            "access_token": f"ya29.token-{len(self.requests)}", "expires_in": 3600, "token_type": "Bearer",
        })  # fmt: skip


def json_body(value, status=200):
    return Body(frames=[json.dumps(value).encode()], content_type="application/json", status=status)


def answer():
    return Body(frames=[HI, STOP])


def refusal():
    return Body(frames=[REFUSED], status=401, content_type="application/json")


@pytest.fixture
async def tokens():
    async with TokenServer() as server:
        yield server


@pytest.fixture
def settings(first, tokens, tmp_path, private_key):
    """A function that returns the entry of ``upstreams`` that names the first server as Vertex."""
    document = {
        "type": "service_account",
        "client_email": "us@ours.iam.gserviceaccount.com",
        "private_key": private_key,
        "private_key_id": "1",
        "token_uri": tokens.base_url,
    }
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps(document))
    known = first.settings(
        "first", provider="vertex", project="ours", region="europe-west4", credentials_file=str(path)
    )
    del known["api_key"]
    return lambda **more: {**known, **more}


def tokens_of(upstream):
    return [request.headers["authorization"] for request in upstream.requests]


async def test_it_is_asked_at_its_place_with_a_token_that_is_kept(serve, settings, first, tokens):
    caller = await serve(settings())
    first.enqueue(answer(), Body(frames=[whole()], content_type="application/json"))
    assert (await caller.ask("first/m")).answer.text == "Hi"
    assert (await caller.ask("first/m", whole=True)).answer.text == "Hi"
    assert [request.path for request in first.requests] == [
        f"{PATH}:streamGenerateContent?alt=sse", f"{PATH}:generateContent",
    ]  # fmt: skip
    assert tokens_of(first) == ["Bearer ya29.token-1"] * 2
    assert "x-goog-api-key" not in first.requests[0].headers
    (asked,) = tokens.requests
    assert parse_qs(asked.raw_body.decode())["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]


async def test_all_who_wait_for_a_token_wait_for_one(serve, settings, first, tokens):
    caller = await serve(settings())
    first.enqueue(*[answer() for _ in range(5)])
    outcomes = await asyncio.gather(*(caller.ask("first/m") for _ in range(5)))
    assert [outcome.answer.text for outcome in outcomes] == ["Hi"] * 5
    assert len(tokens.requests) == 1


async def test_a_token_that_is_refused_is_renewed_once(serve, settings, first, tokens):
    caller = await serve(settings())
    first.enqueue(refusal(), answer())
    outcome = await caller.ask("first/m")
    assert (outcome.outcomes, outcome.answer.text) == (["first answered"], "Hi")
    assert tokens_of(first) == ["Bearer ya29.token-1", "Bearer ya29.token-2"]


async def test_a_token_that_is_refused_again_is_a_failure_of_credentials(serve, settings, first, second, tokens):
    caller = await serve(settings(), second.settings("second"))
    first.enqueue(refusal(), refusal())
    outcome = await caller.ask("first/m", "second/m")
    assert outcome.outcomes == ["first credentials", "second answered"]
    assert len(tokens.requests) == 2


async def test_without_a_token_nothing_is_asked(serve, settings, first, second, tokens):
    tokens.otherwise = lambda _: json_body({"error": "invalid_grant", "error_description": "No."}, 400)
    caller = await serve(settings(), second.settings("second"))
    assert (await caller.ask("first/m", "second/m")).outcomes == ["first credentials", "second answered"]
    assert not first.requests


async def test_where_nobody_grants_tokens_there_is_no_connection(serve, settings, first, second, tokens, tmp_path):
    known = settings()
    path = Path(known["credentials_file"])
    path.write_text(path.read_text().replace(tokens.base_url, f"http://127.0.0.1:{free_ports(1)[0]}/"))
    caller = await serve(known, second.settings("second"))
    outcomes = (await caller.ask("first/m", "second/m")).outcomes
    assert (outcomes[0], outcomes[-1]) == ("first connect", "second answered")
    assert not first.requests


async def test_an_upstream_that_repeats_the_token_does_not_tell_it(serve, settings, first):
    message = {"error": {"code": 400, "message": "Bad: ya29.token-1", "status": "INVALID_ARGUMENT"}}
    caller = await serve(settings())
    first.enqueue(json_body(message, 400))
    assert "token-1" not in str((await caller.ask("first/m")).error)


async def opened(settings):
    async with HttpClient() as client, open_upstream(VertexSettings.model_validate(settings), client):
        pass


@pytest.mark.parametrize("document", ["", "{oops", "[]", "{}", '{"type":"service_account"}', '{"type":"nobody"}'])
async def test_what_holds_no_credentials_is_told_when_it_is_opened(document, settings, tmp_path):
    path = tmp_path / "other.json"
    path.write_text(document)
    with pytest.raises(ConfigurationError, match="'credentials_file' of the upstream 'first'"):
        await opened(settings(credentials_file=str(path)))


async def test_a_file_that_is_not_there_is_told_when_it_is_opened(settings, tmp_path):
    with pytest.raises(ConfigurationError, match="'credentials_file' of the upstream 'first'"):
        await opened(settings(credentials_file=str(tmp_path / "nothing.json")))


async def test_without_a_file_the_library_finds_credentials(serve, settings, first, monkeypatch):
    known = settings()
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", known.pop("credentials_file"))
    caller = await serve(known)
    first.enqueue(answer())
    assert (await caller.ask("first/m")).answer.text == "Hi"
    assert tokens_of(first) == ["Bearer ya29.token-1"]


# Anthropic's models.

CLAUDE = "/v1/projects/ours/locations/europe-west4/publishers/anthropic/models/m"
MESSAGE = {
    "type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn",
    "usage": {"input_tokens": 7, "output_tokens": 2},
}  # fmt: skip
EVENTS = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]


def events():
    return Body(frames=[f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in EVENTS])


async def test_claude_is_asked_in_anthropic_s_format_with_the_model_in_the_path(serve, settings, first):
    caller = await serve(settings(publisher="anthropic", betas=["one-2026-01-01"]))
    first.enqueue(refusal(), events(), json_body(MESSAGE))
    for wants_whole in (False, True):
        outcome = await caller.ask("first/m", whole=wants_whole)
        assert (outcome.answer.text, outcome.outcomes) == ("Hi", ["first answered"])
    assert [request.path for request in first.requests] == [
        f"{CLAUDE}:streamRawPredict", f"{CLAUDE}:streamRawPredict", f"{CLAUDE}:rawPredict",
    ]  # fmt: skip
    assert tokens_of(first) == ["Bearer ya29.token-1", "Bearer ya29.token-2", "Bearer ya29.token-2"]
    assert first.requests[1].headers["anthropic-beta"] == "one-2026-01-01"
    assert first.requests[1].raw_body == (
        b'{"anthropic_version":"vertex-2023-10-16","max_tokens":8192,'
        b'"messages":[{"role":"user","content":[{"type":"text","text":"Hi?"}]}],"stream":true}'
    )


@pytest.mark.parametrize("error", [
    {"type": "error", "error": {"type": "rate_limit_error", "message": "No."}},
    {"error": {"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED"}},
])  # fmt: skip
async def test_claude_s_errors_are_anthropic_s_or_google_s(error, serve, settings, first, second):
    caller = await serve(settings(publisher="anthropic"), second.settings("second"))
    first.enqueue(json_body(error, 429))
    assert (await caller.ask("first/m", "second/m")).outcomes == ["first rate_limited", "second answered"]
