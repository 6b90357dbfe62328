"""Prompts at request time on every surface, over the whole suite: what the upstream is sent, and what is told of it."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path

import grpc
import openai
import pytest
from google.protobuf import struct_pb2

from penstock.gateway.v1 import admin_service_pb2, chat_service_pb2, prompt_service_pb2
from penstock.gateway.v1.chat_service_pb2_grpc import ChatServiceStub
from penstock.gateway.v1.prompt_service_pb2_grpc import PromptServiceStub
from penstock.llm.v1 import generation_pb2, message_pb2
from penstock_common.configuration import Configuration, ConfigurationError
from penstock_gateway.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))
from administrator import Administrator, refused  # noqa: E402

pb = prompt_service_pb2
SYSTEM, USER = message_pb2.ROLE_SYSTEM, message_pb2.ROLE_USER


class Prompts:
    """A caller of PromptService with a key; ``ask.GetPrompt(name="x")`` returns the response or raises."""

    def __init__(self, channel, key):
        self._stub, self._metadata = PromptServiceStub(channel), (("authorization", f"Bearer {key}"),)

    def __getattr__(self, name):
        async def call(**fields):
            request = getattr(pb, f"{name}Request")(**fields)
            return await getattr(self._stub, name)(request, metadata=self._metadata, timeout=30)

        return call


def template(system="You are {{tone}}.", **more):
    return pb.PromptTemplate(
        messages=[pb.PromptTurn(role=SYSTEM, text=system), pb.PromptTurn(role=USER, text="Hello {{who}}")],
        variables=[
            pb.PromptVariable(name="tone", type=pb.PROMPT_VARIABLE_TYPE_ENUM, values=["kind", "brief"],
                              default_value=struct_pb2.Value(string_value="kind")),
            pb.PromptVariable(name="who", max_length=20),
        ],
        model="fast",
        sampling=generation_pb2.SamplingParams(temperature=0.5, max_output_tokens=7),
        **more,
    )  # fmt: skip


@pytest.fixture
async def prompts(suite):
    """The operator's prompts of ``demo``: ``greet`` in two versions, of which the first is in production."""
    asked = Prompts(suite.channel, suite.OPERATOR_KEY)
    await asked.CreatePromptVersion(tenant="demo", name="greet", template=template(), labels=["production"])
    changed = template("Be {{tone}}, always.")
    await asked.CreatePromptVersion(tenant="demo", name="greet", template=changed, labels=["canary"])
    return asked


async def by_prompt(suite, prompt, **more):
    """Ask with a prompt, and nothing else where nothing is said."""
    key, headers = more.pop("key", suite.KEY), more.pop("headers", None)
    return await suite.post(json.dumps({"prompt": prompt, **more}).encode(), key=key, headers=headers)


def sent(upstream, place=-1):
    body = upstream.requests[place].body
    return [(turn["role"], turn["content"]) for turn in body["messages"]], body


async def test_prompt_alone_is_a_request(suite, upstream, prompts):
    answer = await by_prompt(suite, {"id": "greet", "variables": {"who": "Ada"}})
    assert answer.status == 200, answer.body
    assert answer.header["x-penstock-prompt"] == "greet@1"
    turns, body = sent(upstream)
    assert turns == [("system", "You are kind."), ("user", "Hello Ada")]
    assert (body["temperature"], body["max_tokens"]) == (0.5, 7)
    assert "prompt" not in body


async def test_request_says_more_and_the_prompt_stands_before(suite, upstream, prompts):
    own = [{"role": "system", "content": "Mine."}, {"role": "user", "content": "{{who}}?"}]
    prompt = {"id": "greet", "version": "2", "variables": {"who": "{{tone}}", "tone": "brief"}}
    answer = await by_prompt(suite, prompt, model="safe", messages=own, temperature=0)
    assert (answer.status, answer.header["x-penstock-prompt"]) == (200, "greet@2")
    turns, body = sent(upstream)
    assert turns == [
        ("system", "Be brief, always."), ("system", "Mine."), ("user", "Hello {{tone}}"), ("user", "{{who}}?"),
    ]  # fmt: skip
    assert (body["temperature"], body["max_tokens"]) == (0, 7)


async def test_stream_says_which_version_it_was(suite, prompts):
    answer = await by_prompt(suite, {"id": "greet", "label": "canary", "variables": {"who": "Ada"}}, stream=True)
    assert (answer.status, answer.header["x-penstock-prompt"]) == (200, "greet@2")
    assert answer.chunks


@pytest.mark.parametrize(
    ("prompt", "status", "param", "words"),
    [
        ({"id": "greet"}, 400, "prompt.variables.who", "is missing"),
        ({"id": "greet", "variables": {"whom": "x", "who": "x"}}, 400, "prompt.variables.whom", "Did you mean 'who'?"),
        ({"id": "greet", "variables": {"who": 5}}, 400, "prompt.variables.who", "must be a string, not an integer"),
        ({"id": "greet", "variables": {"who": "x" * 21}}, 400, "prompt.variables.who", "at most 20 characters"),
        ({"id": "greet", "variables": {"who": "x", "tone": "rude"}}, 400, "prompt.variables.tone", "kind, brief"),
        ({"id": "greet", "version": "canary"}, 400, "prompt.version", "'prompt.label'"),
        ({"id": "greet", "version": 1}, 400, "prompt.version", "must be a string"),
        ({"id": "greet", "versoin": "1"}, 400, "prompt.versoin", "not supported"),
        ({"version": "1"}, 400, "prompt.id", "is required"),
        ({"id": "greet", "version": "9"}, 404, None, "its newest is 2"),
        ({"id": "great"}, 404, None, "Did you mean 'greet'?"),
    ],
)
async def test_prompt_that_cannot_be_rendered_is_refused(suite, upstream, prompts, prompt, status, param, words):
    answer = await by_prompt(suite, prompt)
    assert (answer.status, answer.error["param"]) == (status, param)
    assert words in answer.error["message"]
    assert not upstream.requests


async def test_model_and_messages_are_required_where_there_is_no_prompt(suite):
    for body, field in (({}, "model"), ({"model": "fast"}, "messages"), ({"messages": [], "prompt": None}, "model")):
        answer = await suite.post(json.dumps(body).encode())
        assert (answer.status, answer.error["param"]) == (400, field)
        assert answer.error["message"] == f"'{field}' is required, but it is missing."


async def test_own_message_that_is_wrong_is_told_by_its_own_place(suite, prompts):
    own = [{"role": "user", "content": "a"}, {"role": "tool", "content": "b", "tool_call_id": ""}]
    answer = await by_prompt(suite, {"id": "greet", "variables": {"who": "x"}}, messages=own)
    assert (answer.status, answer.error["param"]) == (400, "messages[1].tool_call_id")


async def test_prompt_is_the_tenants_own_and_its_model_the_keys(suite, prompts):
    prompt = {"id": "greet", "variables": {"who": "Ada"}}
    assert (await by_prompt(suite, prompt, key=suite.OTHER_KEY)).status == 404
    await prompts.CreatePromptVersion(tenant="narrow", name="greet", template=template(), labels=["production"])
    answer = await by_prompt(suite, prompt, key=suite.NARROW_KEY)
    assert (answer.status, answer.error["code"]) == (403, "model_not_permitted")


async def test_key_that_asks_models_changes_no_prompt_and_one_that_reads_none_either(suite, prompts):
    asks = Prompts(suite.channel, suite.KEY)
    for call in (asks.ListPrompts(), asks.CreatePromptVersion(name="x", template=template())):
        code, reason, _ = await refused(call)
        assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    operator = Administrator(suite.channel, suite.OPERATOR_KEY)
    made = await operator.CreateKey(tenant="demo", scopes=[admin_service_pb2.KEY_SCOPE_READ])
    reads = Prompts(suite.channel, made.secret)
    assert [prompt.name for prompt in (await reads.ListPrompts()).prompts] == ["greet"]
    code, _, _ = await refused(reads.SetPromptLabel(name="greet", label="production", version=2))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    made = await operator.CreateKey(tenant="demo", scopes=[admin_service_pb2.KEY_SCOPE_ADMIN])
    changes = Prompts(suite.channel, made.secret)
    assert (await changes.CreatePromptVersion(name="greet", template=template())).version.version == 3
    entries = (await operator.ListAuditEntries(tenant="demo")).entries
    assert (entries[0].action, entries[0].actor_key_id) == ("prompt.create_version", made.key.id)


async def test_label_that_is_moved_holds_at_once_where_it_was_moved_and_goes_back(suite, upstream, prompts):
    prompt = {"id": "greet", "variables": {"who": "Ada"}}
    versions = [(await by_prompt(suite, prompt)).header["x-penstock-prompt"]]
    await prompts.SetPromptLabel(tenant="demo", name="greet", label="production", version=2)
    versions.append((await by_prompt(suite, prompt)).header["x-penstock-prompt"])
    rolled = await prompts.RollBackPromptLabel(tenant="demo", name="greet", label="production")
    versions.append((await by_prompt(suite, prompt)).header["x-penstock-prompt"])
    assert versions == ["greet@1", "greet@2", "greet@1"]
    assert {label.label: label.version for label in rolled.prompt.labels} == {"production": 1, "canary": 2}
    await prompts.ArchivePrompt(tenant="demo", name="greet")
    assert (await by_prompt(suite, prompt)).error["code"] == "resource_state"


async def test_kept_answer_is_given_to_an_equal_render_alone(suite, prompts):
    prompt = {"id": "greet", "variables": {"who": "Ada"}}
    states = [
        (await by_prompt(suite, asked, temperature=0)).header["x-penstock-cache"].split(";")[0]
        for asked in (prompt, prompt, {**prompt, "version": "2"}, {"id": "greet", "variables": {"who": "Eve"}})
    ]
    assert states == ["miss", "hit", "miss", "miss"]


async def test_ledger_says_which_version_it_was(suite, prompts):
    await by_prompt(suite, {"id": "greet", "version": "2", "variables": {"who": "Ada"}})
    await suite.ask()
    await by_prompt(suite, {"id": "greet", "variables": {"who": 5}})
    rows = await suite.ledger_after_close()
    told = [(row["prompt"], row["prompt_version"], row["requested_model"], row["outcome"]) for row in rows]
    assert told == [("greet", 2, "fast", "ok"), ("", 0, "fast", "ok"), ("greet", 1, "fast", "invalid_request")]


@pytest.mark.parametrize("transport", ["in_process", "socket"])
async def test_typed_chat_names_a_prompt(serve, document, upstream, transport):
    # One that fetches images by itself.
    document["upstreams"][0]["provider"] = "openai"
    suite = await serve(transport)
    asked = Prompts(suite.channel, suite.OPERATOR_KEY)
    made = pb.PromptTemplate(
        messages=[pb.PromptTurn(role=USER, text="{{n}} {{data}} {{photo}}")],
        variables=[
            pb.PromptVariable(name="n", type=pb.PROMPT_VARIABLE_TYPE_INTEGER),
            pb.PromptVariable(name="data", type=pb.PROMPT_VARIABLE_TYPE_JSON),
            pb.PromptVariable(name="photo", type=pb.PROMPT_VARIABLE_TYPE_IMAGE_URL, required=False),
        ],
        model="fast",
    )
    created = await asked.CreatePromptVersion(tenant="demo", name="look", template=made, labels=["production"])
    assert created.version.template.variables[2].required is False
    variables = struct_pb2.Struct()
    variables.update({"n": 5, "data": {"b": [1, 0.5], "a": None}, "photo": "https://x/y.png"})
    reference = chat_service_pb2.PromptReference(id="look", version=1, variables=variables)
    stub, metadata = ChatServiceStub(suite.channel), (("authorization", f"Bearer {suite.KEY}"),)
    call = stub.Chat(chat_service_pb2.ChatRequest(prompt=reference), metadata=metadata, timeout=30)
    assert (await call).model == "m1"
    assert dict(await call.initial_metadata())["x-penstock-prompt"] == "look@1"
    (turn,) = upstream.requests[-1].body["messages"]
    assert [part.get("text") or part["image_url"]["url"] for part in turn["content"]] == [
        '5 {"a":null,"b":[1,0.5]} ', "https://x/y.png",
    ]  # fmt: skip
    stream = stub.StreamChat(chat_service_pb2.StreamChatRequest(prompt=reference), metadata=metadata, timeout=30)
    assert [event async for event in stream]
    variables.update({"n": "five"})
    reference = chat_service_pb2.PromptReference(id="look", variables=variables)
    code, reason, error = await refused(
        stub.Chat(chat_service_pb2.ChatRequest(prompt=reference), metadata=metadata, timeout=30)
    )
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert "prompt.variables.n must be an integer, not a string" in error.details()


@pytest.mark.parametrize("name", ["\x00", "a\r\nx-forged: 1", "ä", "n" * 5000, "nobody"])
async def test_a_prompt_that_is_not_there_is_in_no_header_whatever_it_is_called(serve, name):
    suite = await serve()
    stub, metadata = ChatServiceStub(suite.channel), (("authorization", f"Bearer {suite.KEY}"),)
    reference = chat_service_pb2.PromptReference(id=name, version=1)
    call = stub.Chat(chat_service_pb2.ChatRequest(prompt=reference), metadata=metadata, timeout=30)
    code, _, _ = await refused(call)
    assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)
    assert "x-penstock-prompt" not in dict(await call.initial_metadata())
    body = json.dumps({"prompt": {"id": name, "version": "1"}}).encode()
    answered = await suite.post(body)
    assert answered.status in (400, 404)
    assert "x-penstock-prompt" not in answered.header


async def test_render_shows_what_would_be_sent_and_asks_nobody(prompts, upstream):
    variables = struct_pb2.Struct()
    variables.update({"who": "Ada"})
    told = await prompts.RenderPrompt(tenant="demo", name="greet", label="canary", variables=variables)
    assert told.version.version == 2
    assert [message.parts[0].text for message in told.messages] == ["Be kind, always.", "Hello Ada"]
    diff = (await prompts.DiffPromptVersions(tenant="demo", name="greet", from_version=1, to_version=2)).diff
    assert {"-You are {{tone}}.", "+Be {{tone}}, always."} <= set(diff.splitlines())
    assert not upstream.requests


async def test_openais_sdk_names_a_prompt(suite, upstream, prompts):
    import httpx

    transport = httpx.AsyncHTTPTransport(uds=suite.http_socket)
    async with httpx.AsyncClient(transport=transport) as http:
        client = openai.AsyncOpenAI(api_key=suite.KEY, base_url="http://penstock/v1", http_client=http)
        prompt = {"id": "greet", "version": "2", "variables": {"who": "Ada"}}
        raw = await client.chat.completions.with_raw_response.create(
            model="fast", messages=[{"role": "user", "content": "And?"}], extra_body={"prompt": prompt}
        )
        assert raw.headers["x-penstock-prompt"] == "greet@2"
        assert raw.parse().choices[0].message.content
    assert sent(upstream)[0][-1] == ("user", "And?")


def test_settings_say_how_long_a_label_is_known_and_how_much_is_kept():
    assert Settings().prompts.label_age == timedelta(seconds=1)
    document = {"prompts": {"label_age": "0s", "kept": 5}}
    said = Configuration(document).settings(Settings).prompts
    assert (said.label_age, said.kept) == (timedelta(), 5)
    with pytest.raises(ConfigurationError):
        Configuration({"prompts": {"kept": 0}}).settings(Settings)
