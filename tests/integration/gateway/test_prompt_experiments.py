"""Experiments on prompts: who has which version, who takes no part, and what the row says."""

from __future__ import annotations

import json

import grpc
import pytest

from penstock.gateway.v1 import experiment_service_pb2, prompt_service_pb2
from penstock.gateway.v1.experiment_service_pb2_grpc import ExperimentServiceStub
from penstock.gateway.v1.prompt_service_pb2_grpc import PromptServiceStub
from penstock.llm.v1 import message_pb2

HEADER, PROMPT = "x-penstock-experiment", "x-penstock-prompt"
USERS = [f"user-{number}" for number in range(16)]


@pytest.fixture
def experiment(document):
    """Half of those who name ``greet`` have version 2 of it."""
    one = {"name": "words", "variants": [{"name": "second", "share": 0.5, "prompt": "greet@2"}]}
    document["experiments"] = [one]
    document["cache"]["mode"] = "off"
    return one


@pytest.fixture
async def running(experiment, serve):
    """A suite whose tenant has three versions of ``greet``, the first in production."""
    suite = await serve()
    for number in (1, 2, 3):
        await create(suite, f"Version {number}.", labels=["production"] if number == 1 else ["canary"])
    return suite


async def create(suite, text, model="fast", variables=(), **more):
    turn = prompt_service_pb2.PromptTurn(role=message_pb2.ROLE_SYSTEM, text=text)
    template = prompt_service_pb2.PromptTemplate(messages=[turn], model=model, variables=variables)
    request = prompt_service_pb2.CreatePromptVersionRequest(tenant="demo", name="greet", template=template, **more)
    await PromptServiceStub(suite.channel).CreatePromptVersion(request, metadata=operator(suite), timeout=30)


def operator(suite):
    return (("authorization", f"Bearer {suite.OPERATOR_KEY}"),)


async def told(suite, user, **prompt):
    body = {"prompt": {"id": "greet", **prompt}, "user": user, "messages": [{"role": "user", "content": "Hi"}]}
    answer = await suite.post(json.dumps(body).encode())
    assert answer.status == 200, answer.body
    return answer.header.get(HEADER), answer.header[PROMPT]


async def test_a_user_keeps_a_version_and_the_row_says_which(running, upstream):
    first = [await told(running, user) for user in USERS]
    assert set(first) == {("words=control", "greet@1"), ("words=second", "greet@2")}
    assert [await told(running, user, label="production") for user in USERS] == first
    systems = [request.body["messages"][0]["content"] for request in upstream.requests[: len(USERS)]]
    assert systems == [f"Version {version[-1]}." for _, version in first]
    rows = await running.ledger_after_close()
    assert {(row["experiment"], row["variant"], row["prompt_version"]) for row in rows} == {
        ("words", "control", 1),
        ("words", "second", 2),
    }


@pytest.mark.parametrize(
    ("prompt", "version"),
    [({"version": "1"}, "greet@1"), ({"version": "3"}, "greet@3"), ({"label": "canary"}, "greet@3")],
)
async def test_who_says_which_version_has_it_and_takes_no_part(running, prompt, version):
    assert {await told(running, user, **prompt) for user in USERS[:6]} == {(None, version)}


async def test_who_lacks_a_version_that_a_variant_has_takes_no_part(experiment, serve):
    experiment["variants"].append({"name": "fourth", "share": 0.1, "prompt": "greet@4"})
    suite = await serve()
    for number in (1, 2):
        await create(suite, f"Version {number}.", labels=["production"] if number == 1 else [])
    assert {await told(suite, user) for user in USERS[:6]} == {(None, "greet@1")}


async def test_who_lacks_the_version_in_production_takes_no_part(experiment, serve):
    suite = await serve()
    for number in (1, 2):
        await create(suite, f"Version {number}.")
    body = {"prompt": {"id": "greet"}, "messages": [{"role": "user", "content": "Hi"}]}
    answers = [await suite.post(json.dumps(body | {"user": user}).encode()) for user in USERS]
    assert {answer.status for answer in answers} == {404}


CITY = prompt_service_pb2.PromptVariable(name="city", type=prompt_service_pb2.PROMPT_VARIABLE_TYPE_STRING)


@pytest.mark.parametrize(
    ("models", "second"),
    [
        (None, {"model": ""}),
        (["fast"], {"model": "large"}),
        (None, {"text": "In {{city}}.", "variables": [CITY]}),
    ],
)
async def test_whom_a_variants_version_would_refuse_takes_no_part(document, experiment, serve, models, second):
    document["models"].append({"name": "large", "candidates": ["second/m1"]})
    if models is not None:
        document["tenants"][0]["models"] = models
    suite = await serve()
    await create(suite, "Version 1.", labels=["production"])
    await create(suite, **{"text": "Version 2.", **second})
    assert {await told(suite, user) for user in USERS} == {(None, "greet@1")}


async def test_a_prompts_experiment_goes_before_that_of_its_model(document, experiment, serve):
    document["models"].append({"name": "large", "candidates": ["second/m1"]})
    on_model = {"name": "size", "models": ["fast"], "variants": [{"name": "bigger", "share": 1.0, "model": "large"}]}
    document["experiments"].append(on_model)
    suite = await serve()
    await create(suite, "Version 1.", labels=["production"])
    await create(suite, "Version 2.")
    assert {part.partition("=")[0] for part, _ in [await told(suite, user) for user in USERS]} == {"words"}
    assert (await suite.ask(user="ann")).header[HEADER] == "size=bigger"


async def test_operators_see_it_promote_it_and_stop_it(running):
    stub = ExperimentServiceStub(running.channel)

    async def ask(method, **fields):
        request = getattr(experiment_service_pb2, f"{method}Request")(**fields)
        return (await getattr(stub, method)(request, metadata=operator(running), timeout=30)).experiment

    found = await ask("GetExperiment", name="words")
    assert (found.prompt, list(found.models), found.is_running) == ("greet", [], True)
    assert [(one.name, one.prompt) for one in found.variants] == [("control", ""), ("second", "greet@2")]
    await ask("PromoteVariant", name="words", variant="second")
    assert {await told(running, user) for user in USERS} == {("words=second", "greet@2")}
    assert not (await ask("StopExperiment", name="words")).is_running
    assert {await told(running, user) for user in USERS} == {(None, "greet@1")}
    with pytest.raises(grpc.aio.AioRpcError):
        await ask("PromoteVariant", name="words", variant="third")
