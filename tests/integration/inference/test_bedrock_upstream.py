"""A scripted Bedrock over real sockets: answers and errors, streamed and whole, and who is let in."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from msgspec.structs import replace

from penstock_common.configuration import ConfigurationError
from penstock_common.http.client import HttpClient
from penstock_common.llm.types import (
    File,
    FinishReason,
    Message,
    Reasoning,
    Role,
    SamplingParams,
    StopDetails,
    Text,
    Tool,
    Usage,
)
from penstock_common.testing.bedrock_answers import (
    Converse,
    exception,
    reasoning,
    redacted,
    refusal,
    text,
    tool_use,
)
from penstock_common.testing.generations import QUESTION
from penstock_common.testing.openai_upstream import Body, End, OpenAIUpstream, RecordedRequest
from penstock_inference.adapters.providers.registry import PROVIDERS

KEY = "bedrock-api-key-0123456789"
MODEL = "anthropic.claude-x-20250219-v1:0"
ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-x-v1:0"
PATHS = {
    MODEL: "/model/anthropic.claude-x-20250219-v1%3A0",
    ARN: "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.anthropic.claude-x-v1%3A0",
}
NO_KEY = {"api_key": "", "aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret/key"}


def bedrock(upstream: OpenAIUpstream, **more: Any) -> dict[str, Any]:
    """Return the entry of ``upstreams`` that names the server as Bedrock."""
    return {
        "name": "aws",
        "provider": "bedrock",
        "base_url": upstream.base_url.removesuffix("/v1"),
        "region": "us-east-1",
        "api_key": KEY,
        "models": [{"name": name, "context_window": 200_000} for name in (MODEL, ARN)],
        **more,
    }


@pytest.fixture
async def aws(first):
    """A server that answers as Bedrock does: a stream, or the whole, as it is asked."""
    first.otherwise = lambda request: answered(Converse(), request)
    return first


def answered(answer: Converse, request: RecordedRequest) -> Body:
    return answer.body() if request.path.endswith("/converse-stream") else answer.completion()


@pytest.fixture
async def caller(serve, aws, second):
    return await serve(bedrock(aws), second.settings("second", context_window=1_000_000))


ASKED = f"aws/{MODEL}"
WAYS = pytest.mark.parametrize("whole", [False, True], ids=["streamed", "whole"])


@WAYS
@pytest.mark.parametrize("model", PATHS)
async def test_a_model_is_asked_by_its_encoded_name_as_botocore_does(model, whole, caller, aws):
    outcome = await caller.ask(f"aws/{model}", whole=whole)
    assert outcome.answer.text == "Hello, world."
    assert outcome.answer.usage == Usage(input_tokens=7, output_tokens=4)
    assert outcome.answer.finished.reason is FinishReason.STOP
    request = aws.requests[0]
    assert request.path == PATHS[model] + ("/converse" if whole else "/converse-stream")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept"] == ("application/json" if whole else "application/vnd.amazon.eventstream")
    assert request.raw_body == b'{"messages":[{"role":"user","content":[{"text":"Hi?"}]}]}'


@pytest.mark.parametrize("model", PATHS)
def test_botocore_encodes_a_model_so(model):
    import botocore.session

    session = botocore.session.Session()
    session.set_credentials("a", "b")
    client = session.create_client("bedrock-runtime", region_name="us-east-1")
    sent: list[str] = []

    def send(request: Any, **_: Any) -> Any:
        sent.append(request.url)
        return botocore.awsrequest.AWSResponse(request.url, 200, {}, _Raw())

    client.meta.events.register("before-send", send)
    client.converse(modelId=model, messages=[])
    assert sent[0].partition("amazonaws.com")[2] == f"{PATHS[model]}/converse"


class _Raw:
    """The body of an answer, as botocore reads it."""

    def stream(self, *_: Any, **__: Any) -> Any:
        yield b'{"output":{"message":{"role":"assistant","content":[]}},"stopReason":"end_turn"}'


@WAYS
async def test_reasoning_and_parallel_calls_go_there_and_back(whole, caller, aws):
    blocks = [reasoning("Hm, ", "well.", signature="c2ln"), redacted("aGlk"), text("I look."),
              tool_use("t1", "weather", '{"city":', '"Oslo"}'), tool_use("t2", "now")]  # fmt: skip
    aws.otherwise = lambda request: answered(Converse(blocks=blocks, stop_reason="tool_use"), request)
    value = replace(QUESTION, tools=(Tool(name="weather"), Tool(name="now")))
    outcome = await caller.ask(ASKED, value=value, whole=whole)
    turn = outcome.answer.message()
    # Whose reasoning it is stands with it where somebody says.
    assert [replace(part, origin="") if isinstance(part, Reasoning) else part for part in turn.parts] == [
        Reasoning(text="Hm, well.", signature=b"c2ln"),
        Reasoning(hidden=b"aGlk"),
        Text(text="I look."),
    ]
    assert [call.name for call in turn.tool_calls] == ["weather", "now"]
    assert outcome.answer.finished.reason is FinishReason.TOOL_CALLS
    results = [Message(role=Role.TOOL, tool_call_id=one.id, parts=(Text(text="1"),)) for one in turn.tool_calls]
    await caller.ask(ASKED, value=replace(value, messages=(*value.messages, turn, *results)), whole=whole)
    sent = aws.requests[1].body["messages"]
    assert [block.whole for block in blocks] == sent[1]["content"]
    assert [block["toolResult"]["toolUseId"] for block in sent[2]["content"]] == ["t1", "t2"]


@WAYS
async def test_the_stop_string_that_was_met_is_told(whole, caller, aws):
    more = {"additionalModelResponseFields": {"stop_sequence": "END"}}
    aws.otherwise = lambda request: answered(Converse(stop_reason="stop_sequence", stop_more=more), request)
    value = replace(QUESTION, sampling=SamplingParams(stop=("END",)))
    outcome = await caller.ask(ASKED, value=value, whole=whole)
    assert outcome.answer.finished.matched_stop == "END"


@WAYS
async def test_a_guardrail_that_intervened_is_told(whole, caller, aws):
    answer = Converse(blocks=[text("Sorry.")], stop_reason="guardrail_intervened")
    aws.otherwise = lambda request: answered(answer, request)
    finished = (await caller.ask(ASKED, whole=whole)).answer.finished
    assert finished.reason is FinishReason.CONTENT_FILTER
    assert finished.stop_details == StopDetails(word="guardrail_intervened")


# Usage, and ends.


@pytest.mark.parametrize("end", [End.CLEAN, End.FIN, End.RESET])
async def test_a_cut_after_the_messages_end_costs_the_usage_alone(end, caller, aws):
    aws.enqueue(Converse(usage=None, end=end).body())
    outcome = await caller.ask(ASKED, "second/m")
    assert (outcome.outcomes, outcome.answer.text) == (["aws answered"], "Hello, world.")
    assert outcome.answer.usage.estimated


@pytest.mark.parametrize("end", [End.CLEAN, End.FIN, End.RESET])
@pytest.mark.parametrize("count", [0, 1])
async def test_a_cut_before_it_is_none(end, count, caller, aws):
    aws.enqueue(*[Converse(stop_after=count, end=end).body()] * 2)
    outcome = await caller.ask(ASKED, "second/m")
    assert outcome.outcomes == ["aws cut", "aws cut", "second answered"]


async def test_usage_that_comes_after_the_end_counts(serve, aws):
    caller = await serve(bedrock(aws, timeouts={"end": "60s"}, models=[
        {"name": MODEL, "context_window": 1000, "price": {"input": "1", "output": "1"},
         "service_tiers": {"flex": {"input": "0.5", "output": "0.5"}}}]))  # fmt: skip
    may_come = asyncio.Event()
    usage = {"inputTokens": 1, "outputTokens": 2, "totalTokens": 6, "cacheReadInputTokens": 3}
    frames = Converse(usage=usage, more={"serviceTier": {"type": "flex"}}).frames()
    aws.enqueue(
        Body(frames=frames, content_type="application/vnd.amazon.eventstream", hold={len(frames) - 1: may_come})
    )
    value = replace(QUESTION, extra_json='{"service_tier":"flex"}')
    outcome = await caller.ask(ASKED, value=value, seen=lambda answer: may_come.set() if answer.text else None)
    assert outcome.answer.usage == Usage(input_tokens=4, output_tokens=2, cached_input_tokens=3)
    assert outcome.answer.finished.service_tier == "flex"
    assert outcome.answer.finished.unit_prices.output_nano_usd == 500_000_000
    assert aws.requests[0].body["serviceTier"] == {"type": "flex"}


# Errors.


REFUSALS = [
    (refusal(429, "ThrottlingException", "Too many requests", {"Retry-After": "7"}), "rate_limited"),
    (refusal(429, "ThrottlingException", "Too many tokens per day, please wait before trying again."), "quota"),
    (refusal(400, "ServiceQuotaExceededException", "quota"), "quota"),
    (refusal(403, "AccessDeniedException", "User is not authorized to perform: bedrock:InvokeModel"), "credentials"),
    (refusal(403, "UnrecognizedClientException", "The security token included is invalid."), "credentials"),
    (refusal(403, "ExpiredTokenException", "expired"), "credentials"),
    (refusal(403, "AccessDeniedException", "You don't have access to the model with the specified model ID."),
     "misconfigured"),
    (refusal(404, "ResourceNotFoundException", "no such ARN"), "misconfigured"),
    (refusal(400, "ValidationException", "The provided model identifier is invalid."), "misconfigured"),
    (refusal(400, "ValidationException", "Input is too long for requested model."), "context_length"),
    (refusal(400, "ValidationException", "input length and `max_tokens` exceed context limit: 1 + 2 > 2"),
     "context_length"),
    (refusal(400, "ValidationException", "The text field is blank."), "bad_request"),
    (refusal(424, "ModelErrorException", "the model failed"), "server_error"),
    (refusal(429, "ModelNotReadyException", "not ready"), "server_error"),
    (refusal(408, "ModelTimeoutException", "slow"), "server_error"),
    (refusal(500, "InternalServerException", "oops"), "server_error"),
    (refusal(503, "ServiceUnavailableException", "busy"), "server_error"),
    (Body(frames=[b'{"__type":"com.amazon.coral.service#ThrottlingException","Message":"x"}'], status=429,
          content_type="application/json"), "rate_limited"),
    (Body(frames=[b"<html>"], status=502, content_type="text/html"), "server_error"),
]  # fmt: skip


@WAYS
@pytest.mark.parametrize(("answer", "means"), REFUSALS, ids=[str(place) for place in range(len(REFUSALS))])
async def test_every_error_is_known_by_its_type(answer, means, whole, caller, aws, pauses):
    aws.enqueue(*[answer] * 2)
    outcome = await caller.ask(ASKED, "second/m", whole=whole)
    assert outcome.outcomes[0] == f"aws {means}"
    assert outcome.outcomes[-1] == "second answered"
    assert len(pauses) == (1 if means == "server_error" else 0)


async def test_what_bedrock_says_of_a_request_is_told(caller, aws):
    aws.enqueue(refusal(400, "ValidationException", f"The text field is blank. {KEY}"))
    error = (await caller.ask(ASKED)).error
    assert "The text field is blank. [key]" in str(error)
    assert KEY not in repr(error)


async def test_an_exception_within_an_answer_breaks_it(caller, aws):
    told = asyncio.Event()
    frames = Converse(blocks=[text("Hel")], failure=exception("modelStreamErrorException", "x")).frames()
    aws.enqueue(Body(frames=frames, content_type="application/vnd.amazon.eventstream", hold={len(frames) - 1: told}))
    outcome = await caller.ask(ASKED, may_recover=False, seen=lambda answer: told.set() if answer.text else None)
    assert outcome.answer.text == "Hel"
    assert outcome.outcomes == ["aws server_error"]
    assert outcome.answer.finished is None


async def test_an_event_stream_of_another_kind_is_none(caller, aws):
    aws.enqueue(Body(frames=[b"data: {}\n\n"]))
    assert (await caller.ask(ASKED, "second/m")).outcomes[0] == "aws malformed"


# Who is let in.


def signature(request: RecordedRequest, secret: str) -> tuple[str, str]:
    """Return the signature that a request has, and the one that it must have by AWS' description of SigV4."""
    authorization = dict(
        part.strip().split("=", 1)
        for part in request.headers["authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(",")
    )
    names = authorization["SignedHeaders"].split(";")
    # Every segment is encoded once more than it was sent.
    path = request.path.replace("%", "%25")
    headers = "".join(f"{name}:{request.headers[name]}\n" for name in names)
    digest = hashlib.sha256(request.raw_body).hexdigest()
    canonical = f"POST\n{path}\n\n{headers}\n{';'.join(names)}\n{digest}"
    scope = authorization["Credential"].split("/", 1)[1]
    to_sign = "\n".join(
        ["AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    assert scope.endswith("/us-east-1/bedrock/aws4_request")
    return authorization["Signature"], hmac.digest(key, to_sign.encode(), "sha256").hex()


@WAYS
@pytest.mark.parametrize("model", PATHS)
async def test_the_exact_bytes_are_signed(model, whole, serve, aws):
    caller = await serve(bedrock(aws, **NO_KEY))
    large = Message(role=Role.USER, parts=(Text(text="Hi? é" + "x" * 200_000),))
    await caller.ask(f"aws/{model}", value=replace(QUESTION, messages=(large,)), whole=whole)
    request = aws.requests[0]
    assert "Credential=AKIDEXAMPLE/" in request.headers["authorization"]
    assert "x-amz-security-token" not in request.headers
    is_signed, must_be = signature(request, "secret/key")
    assert is_signed == must_be
    # The check can fail.
    request.raw_body += b" "
    assert signature(request, "secret/key")[1] != must_be


async def test_data_that_is_written_as_it_is_sent_is_signed_too(serve, aws):
    caller = await serve(bedrock(aws, **NO_KEY))
    turn = Message(role=Role.USER, parts=(Text(text="See"), File(name="a.pdf", data=b"x" * 300_000)))
    await caller.ask(ASKED, value=replace(QUESTION, messages=(turn,)))
    is_signed, must_be = signature(aws.requests[0], "secret/key")
    assert is_signed == must_be


@pytest.fixture
def profile(tmp_path, monkeypatch):
    """A function that writes a profile whose credentials a program gives."""

    def write(command: str) -> None:
        config = tmp_path / "config"
        config.write_text(f"[profile ours]\ncredential_process = {command}\n", encoding="utf-8")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    write("/bin/false")
    return write


def credentials(name: str) -> str:
    """Return what a program says whose credentials end soon, and are renewed each time therefore."""
    return json.dumps(
        {"Version": 1, "AccessKeyId": name, "SecretAccessKey": "s", "SessionToken": f"token-{name}",
         "Expiration": "2020-01-01T00:00:00Z"}
    )  # fmt: skip


async def test_credentials_are_found_renewed_and_waited_for_beside_the_loop(profile, tmp_path, serve, aws, second):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    profile(f"/bin/cat {pipe}")
    caller = await serve(bedrock(aws, api_key="", aws_profile="ours"), second.settings("second"))
    asking = asyncio.ensure_future(caller.ask(ASKED))
    # While the program has not answered others are served.
    assert (await caller.ask("second/m")).outcomes == ["second answered"]
    assert not asking.done()
    far_ahead = credentials("ONE").replace("2020", "2999")
    await asyncio.to_thread(pipe.write_text, far_ahead)
    assert (await asking).outcomes == ["aws answered"]
    await caller.ask(ASKED)
    for request in aws.requests:
        assert "Credential=ONE/" in request.headers["authorization"]
        assert request.headers["x-amz-security-token"] == "token-ONE"
        assert signature(request, "s")[0] == signature(request, "s")[1]


async def test_credentials_that_end_are_renewed(profile, tmp_path, serve, aws):
    script, count = tmp_path / "give.py", tmp_path / "count"
    script.write_text(
        "import json, datetime\n"
        f"with open({str(count)!r}, 'a+') as file:\n    file.write('x')\n    file.seek(0)\n    number = len(file.read())\n"
        "end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=5 if number < 3 else 500)\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': f'KEY{number}', 'SecretAccessKey': 's',\n"
        "                  'Expiration': end.isoformat()}))\n",
        encoding="utf-8",
    )
    profile(f"{sys.executable} {script}")
    caller = await serve(bedrock(aws, api_key="", aws_profile="ours"))
    for _ in range(4):
        await caller.ask(ASKED)
    keys = [request.headers["authorization"].partition("Credential=")[2].partition("/")[0] for request in aws.requests]
    # Those that are found end within ten minutes, and the next as well.
    assert keys == ["KEY2", "KEY3", "KEY3", "KEY3"]


@pytest.mark.parametrize("why", ["it fails", "it is not there", "nobody has any"])
async def test_without_credentials_others_are_asked(why, profile, monkeypatch, serve, aws, second):
    is_none = why == "nobody has any"
    if why == "it is not there":
        profile("/nowhere/program")
    if is_none:
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    more = {} if is_none else {"aws_profile": "ours"}
    caller = await serve(bedrock(aws, api_key="", **more), second.settings("second"))
    outcome = await caller.ask(ASKED, "second/m")
    assert outcome.outcomes == ["aws credentials", "second answered"]
    assert aws.requests == []


@pytest.mark.usefixtures("profile")
async def test_a_profile_that_is_none_is_a_fault_of_the_configuration():
    opening = PROVIDERS["bedrock"].open_upstream
    async with HttpClient() as client:
        with pytest.raises(ConfigurationError, match="'aws_profile' of the upstream 'a': .*theirs"):
            await opening(settings(region="us-east-1", aws_profile="theirs"), client).__aenter__()


def test_a_key_of_bedrocks_loads_nothing_of_botocores():
    code = (
        "import asyncio, sys\n"
        "from penstock_inference.adapters.providers.registry import PROVIDERS\n"
        "from penstock_common.http.client import HttpClient\n"
        "p = PROVIDERS['bedrock']\n"
        "s = p.settings.model_validate({'name': 'a', 'provider': 'bedrock', 'region': 'us-east-1', 'api_key': 'k' * 9,\n"
        "    'models': [{'name': 'm', 'context_window': 9}]})\n"
        "async def main():\n"
        "    async with HttpClient() as c, p.open_upstream(s, c): pass\n"
        "asyncio.run(main())\n"
        "sys.exit('botocore' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The configuration.


def settings(**more: Any) -> Any:
    values = {"name": "a", "provider": "bedrock", "models": [{"name": "m", "context_window": 9}], **more}
    return PROVIDERS["bedrock"].settings.model_validate(values)


@pytest.mark.parametrize(
    ("more", "address"),
    [
        ({"region": "eu-west-1"}, "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        ({"region": "eu", "aws_region": "eu-west-1"}, "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        ({"base_url": "https://vpce.example", "api_key": "k"}, "https://vpce.example"),
    ],
)
def test_it_is_asked_in_its_region(more, address):
    assert settings(**more).address == address


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"base_url": "https://vpce.example"},
        {"region": "us-east-1", "aws_access_key_id": "a"},
        {"region": "us-east-1", "aws_secret_access_key": "a"},
        {"region": "us-east-1", "api_key": "k", "aws_profile": "p"},
        {"region": "us-east-1", "aws_profile": "p", "aws_access_key_id": "a", "aws_secret_access_key": "b"},
        {"aws_region": "us-east-1.evil/"},
    ],
)
def test_what_contradicts_itself_is_refused(more):
    with pytest.raises(ValueError, match="needs one, such as|one of the|pattern"):
        settings(**more)


def test_another_region_is_another_upstream():
    assert settings(region="us-east-1").makings() != settings(region="us-east-2").makings()
