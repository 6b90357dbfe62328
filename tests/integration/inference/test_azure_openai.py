"""Azure OpenAI over real sockets: its paths, its keys and tokens, its filter, and its errors."""

import asyncio
import json
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from msgspec.structs import replace
from pydantic import ValidationError

from penstock_common.http.client import HttpClient
from penstock_common.llm.types import FinishReason, Opaque, Tool
from penstock_common.testing.generations import QUESTION
from penstock_common.testing.openai_upstream import Body, Failure
from penstock_inference.adapters.providers.azure_openai import entra
from penstock_inference.adapters.providers.azure_openai.build import open_upstream
from penstock_inference.adapters.providers.azure_openai.entra import EntraCredential
from penstock_inference.adapters.providers.azure_openai.settings import AzureOpenAISettings
from penstock_inference.adapters.providers.http.access_token import Token
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import UpstreamCall

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "inference"))

import responses_streams as recorded  # noqa: E402

SEARCH = Tool(name="search", opaque=Opaque(format="openai_responses", json='{"type":"web_search"}'))
FILTER = {"hate": {"filtered": False, "severity": "safe"}, "jailbreak": {"filtered": True, "detected": True}}
WORDS = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
BLOCKED = {
    "code": "content_filter",
    "param": "prompt",
    "type": None,
    "message": WORDS,
    "status": 400,
    "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": FILTER},
}


def azure(server, **more):
    settings = server.settings("azure", provider="azure_openai", **more)
    return {**settings, "base_url": server.base_url.removesuffix("/v1")}


def frame(choices, **more):
    document = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-x",
        "choices": choices,
        **more,
    }
    return b"data: %b\n\n" % json.dumps(document).encode()


def said(delta, reason=None, **more):
    return frame([{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None, **more}])


PROMPT_FILTERED = frame([], prompt_filter_results=[{"prompt_index": 0, "content_filter_results": FILTER}])
OFFSETS = {"content_filter_offsets": {"check_offset": 44, "start_offset": 44, "end_offset": 198}}
NOT_FILTERED = {"content_filter_result": {"error": {"code": "content_filter_error", "message": "It was not filtered."}}}
STREAM = [
    PROMPT_FILTERED,
    said({"role": "assistant", "content": "", "refusal": None}),
    said({"content": "Hel"}, content_filter_results={}),
    said({}, **OFFSETS, content_filter_results=FILTER),
    said({"content": "lo"}),
    said({}, **NOT_FILTERED),
    said({}, "stop", content_filter_results={}),
    frame([], usage={"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}),
    b"data: [DONE]\n\n",
]


async def test_both_interfaces_are_below_the_resource(serve, first):
    caller = await serve(azure(first))
    await caller.ask("azure/m")
    first.enqueue(Body(frames=recorded.stream([recorded.MESSAGE])))
    await caller.ask("azure/m", value=replace(QUESTION, tools=(SEARCH,)))
    assert [request.path for request in first.requests] == ["/openai/v1/chat/completions", "/openai/v1/responses"]
    for request in first.requests:
        assert request.headers["api-key"] == "sk-ours"
        assert "authorization" not in request.headers
        assert request.body["model"] == "m"


async def test_the_older_form_names_the_deployment_in_the_path_and_a_version(serve, first):
    upstream = azure(first, form="deployments", api_version="2024-10-21")
    upstream["models"] = [{**upstream["models"][0], "name": name} for name in ("m", "a b/c")]
    caller = await serve(upstream)
    for name in ("m", "a b/c", "m"):
        assert (await caller.ask(f"azure/{name}")).error is None
    assert [request.path for request in first.requests] == [
        "/openai/deployments/m/chat/completions?api-version=2024-10-21",
        "/openai/deployments/a%20b%2Fc/chat/completions?api-version=2024-10-21",
        "/openai/deployments/m/chat/completions?api-version=2024-10-21",
    ]
    assert first.connections == 1


@pytest.mark.parametrize("cut", ["by event", "at once", "byte by byte"])
async def test_what_the_filter_says_beside_an_answer_is_no_part_of_it(cut, serve, first):
    caller = await serve(azure(first))
    body = b"".join(STREAM)
    frames = {"by event": STREAM, "at once": [body], "byte by byte": [body[at : at + 1] for at in range(len(body))]}
    first.enqueue(Body(frames=frames[cut]))
    answer = (await caller.ask("azure/m")).answer
    assert (answer.text, answer.finished.reason) == ("Hello", FinishReason.STOP)
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.estimated) == (7, 2, False)


async def test_an_answer_that_the_filter_ended_says_so(serve, first):
    caller = await serve(azure(first))
    first.enqueue(Body(frames=[PROMPT_FILTERED, said({"content": "Hel"}), said({}, "content_filter"), STREAM[-1]]))
    assert (await caller.ask("azure/m")).answer.finished.reason is FinishReason.CONTENT_FILTER


@pytest.mark.parametrize("inner", ["ResponsibleAIPolicyViolation", "ContentFiltered"])
@pytest.mark.parametrize("outer", ["content_filter", None])
@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_a_prompt_that_the_filter_blocks_is_refused_in_its_words_and_asked_of_nobody_else(
    api, outer, inner, serve, first, second
):
    caller = await serve(azure(first, api=api), second.settings("second"))
    first.enqueue(Failure(400, error={**BLOCKED, "code": outer, "innererror": {"code": inner}}))
    outcome = await caller.ask("azure/m", "second/m")
    assert outcome.outcomes == ["azure refused"]
    assert WORDS in str(outcome.error)
    assert second.requests == []


@pytest.mark.parametrize("status", [408, 424, 500, 503])
async def test_what_may_pass_is_asked_again(status, serve, first, pauses):
    caller = await serve(azure(first))
    first.enqueue(Failure(status))
    assert (await caller.ask("azure/m")).outcomes == ["azure server_error", "azure answered"]
    assert pauses


async def test_milliseconds_say_it_more_exactly_than_seconds(serve, first, pauses):
    caller = await serve(azure(first))
    error = {"code": "429", "message": "Too many requests."}
    first.enqueue(Failure(429, error=error, headers={"retry-after": "2", "retry-after-ms": "120"}))
    outcome = await caller.ask("azure/m")
    assert outcome.outcomes == ["azure rate_limited", "azure answered"]
    assert 0.12 <= pauses[0] < 2


DEPLOYMENT = "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21"
LEAST = {
    "name": "a", "provider": "azure_openai", "base_url": "https://x.openai.azure.com", "api_key": "k",
    "models": [{"name": "m", "context_window": 9}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            {"base_url": f"https://x.openai.azure.com{DEPLOYMENT}"},
            "'form: deployments', 'api_version: 2024-10-21', and 'my-gpt' as the name of a model",
        ),
        ({"base_url": "https://x.openai.azure.com/openai/v1/"}, "'base_url: https://x.openai.azure.com': /openai/v1"),
        ({"base_url": "https://gw/team/openai"}, "'base_url: https://gw/team'"),
        ({"base_url": "", "base_urls": ["https://x/openai/v1"]}, "'base_url: https://x'"),
        ({"base_url": ""}, "such as https://my-resource.openai.azure.com"),
        ({"form": "deployments"}, "needs one, such as 2024-10-21"),
        ({"api_version": "2024-10-21"}, "'form: v1' has none"),
        ({"form": "deployments", "api_version": "preview", "api": "responses"}, "has chat completions alone"),
        ({"entra": True}, "there is a key, too"),
    ],
)
def test_what_is_wrong_says_what_to_write(more, says):
    with pytest.raises(ValidationError) as refused:
        AzureOpenAISettings.model_validate({**LEAST, **more})
    assert says in str(refused.value)


def test_a_version_that_yaml_takes_for_a_date_is_one():
    more = yaml.safe_load("{form: deployments, api_version: 2024-10-21}")
    assert AzureOpenAISettings.model_validate({**LEAST, **more}).api_version == "2024-10-21"


class FakeCredential:
    """What azure-identity gives, with a clock of the test's."""

    def __init__(self, now, *outcomes):
        self.now = now
        self.outcomes = list(outcomes)
        self.scopes = []
        self.threads = set()
        self.closed = 0

    def get_token(self, scope):
        self.scopes.append(scope)
        self.threads.add(threading.current_thread())
        outcome = self.outcomes.pop(0) if self.outcomes else 3600
        if isinstance(outcome, Exception):
            raise outcome
        return SimpleNamespace(token=f"token-number-{len(self.scopes)}", expires_on=int(self.now[0] + outcome))

    def close(self):
        self.closed += 1


@pytest.fixture
def now():
    return [1000.0]


async def test_tokens_are_had_beside_the_loop_and_live_as_long_as_they_say(now):
    credential = FakeCredential(now, 3600, 90)
    entra_credential = EntraCredential("scope", lambda: credential, lambda: now[0])
    assert [await entra_credential.obtain() for _ in range(2)] == [
        Token("token-number-1", 3600.0), Token("token-number-2", 90.0),
    ]  # fmt: skip
    assert threading.current_thread() not in credential.threads
    await entra_credential.aclose()
    assert credential.closed == 1


async def test_what_the_library_says_is_for_the_operator(now, caplog):
    credential = FakeCredential(now, OSError("no network"))
    with pytest.raises(AttemptFailed) as failed:
        await EntraCredential("scope", lambda: credential, lambda: now[0]).obtain()
    assert failed.value.kind is FailureKind.CREDENTIALS
    assert "no network" not in failed.value.detail
    assert "no network" in caplog.text


@pytest.mark.parametrize(
    ("form", "scope"),
    [
        ({}, "https://ai.azure.com/.default"),
        ({"form": "deployments", "api_version": "2024-10-21"}, "https://cognitiveservices.azure.com/.default"),
    ],
)
async def test_entras_token_stands_in_the_place_of_a_key(form, scope, serve, first, now, monkeypatch):
    now[0] = 1e11
    credential = FakeCredential(now)
    monkeypatch.setattr(entra, "default_credential", lambda: credential)
    caller = await serve(azure(first, api_key="", entra=True, **form))
    await caller.ask("azure/m")
    first.enqueue(Failure(400, error={"message": "What is token-number-1?"}))
    assert "What is [key]?" in str((await caller.ask("azure/m")).error)
    assert credential.scopes == [scope]
    for request in first.requests:
        assert request.headers["authorization"] == "Bearer token-number-1"
        assert "api-key" not in request.headers


async def test_a_token_that_is_refused_is_not_sent_again(first, now, monkeypatch):
    now[0] = 1e11
    credential = FakeCredential(now)
    monkeypatch.setattr(entra, "default_credential", lambda: credential)
    settings = AzureOpenAISettings.model_validate(azure(first, api_key="", entra=True))
    first.enqueue(Failure(401, error={"code": "401", "message": "Not token-number-1 again."}))
    async with HttpClient() as client, open_upstream(settings, client) as opened:
        for fails in (True, False):
            call = UpstreamCall(
                model="m", input=QUESTION, connect_seconds=5,
                headers_received=lambda: None, whole_expected=lambda: None,
            )  # fmt: skip
            answer = opened.upstream.ask(call)
            if fails:
                with pytest.raises(AttemptFailed) as failed:
                    await answer.read()
                assert failed.value.kind is FailureKind.CREDENTIALS
            else:
                assert await answer.read()
            await answer.aclose()
    assert [request.headers["authorization"] for request in first.requests] == [
        "Bearer token-number-1", "Bearer token-number-2",
    ]  # fmt: skip
    assert credential.closed == 1


async def test_a_late_refusal_of_the_last_token_says_nothing_of_it_and_leaves_the_newer_one(first, now, monkeypatch):
    now[0] = 1e11
    credential = FakeCredential(now)
    monkeypatch.setattr(entra, "default_credential", lambda: credential)
    settings = AzureOpenAISettings.model_validate(azure(first, api_key="", entra=True))
    late = asyncio.Event()
    said = json.dumps({"error": {"message": "What is token-number-1?"}}).encode()
    for status in (400, 401):
        first.enqueue(Body(frames=[said], status=status, content_type="application/json", hold={0: late}))
    first.enqueue(Failure(401))
    async with HttpClient() as client, open_upstream(settings, client) as opened:
        answers = [opened.upstream.ask(UpstreamCall("m", QUESTION, 5, lambda: None, lambda: None)) for _ in range(5)]
        slow = [asyncio.create_task(answer.read()) for answer in answers[:2]]
        async with asyncio.timeout(5):
            for _ in slow:
                await first.next_request()
        with pytest.raises(AttemptFailed):
            await answers[2].read()
        assert await answers[3].read()
        late.set()
        told = await asyncio.gather(*slow, return_exceptions=True)
        assert await answers[4].read()
        for answer in answers:
            await answer.aclose()
    assert any("What is [key]?" in str(failure) for failure in told)
    assert "token-number" not in str(told)
    assert len(credential.scopes) == 2


def test_the_library_is_read_by_who_asks_with_it_alone():
    code = (
        "import sys; import penstock_inference.adapters.providers.registry, "
        "penstock_inference.adapters.providers.azure_openai.build as b; sys.exit('azure' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert entra.default_credential().get_token
