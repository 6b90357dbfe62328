"""Loading and unloading models of a real Triton, while others answer."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from penstock_common import errors
from penstock_common.contract.inference import ModelState
from penstock_common.contract.wire.inference import LIST_MODELS, LOAD_MODEL, UNLOAD_MODEL
from penstock_common.llm.types import Candidate, Message, Role, SamplingParams, Text
from penstock_common.testing.generations import QUESTION
from penstock_inference.adapters.providers.triton import control
from penstock_suite.adapters.triton import ExplicitControl

REPOSITORY = Path(__file__).parents[3] / "deploy" / "triton" / "repository"
KEY = "a-secret-of-the-test"
PATIENT_SECONDS = 170.0
ASKED = replace(
    QUESTION,
    messages=(Message(role=Role.USER, parts=(Text(text="What does the router do?"),)),),
    sampling=SamplingParams(max_output_tokens=20),
)
LONG = replace(ASKED, sampling=SamplingParams(max_output_tokens=400, temperature=5.0))


def copy_model(repository, name):
    shutil.copytree(
        REPOSITORY / "penstock-demo",
        repository / name,
        ignore=shutil.ignore_patterns("__pycache__"),
        dirs_exist_ok=True,
    )
    config = repository / name / "config.pbtxt"
    config.write_text(config.read_text().replace('name: "penstock-demo"', f'name: "{name}"'))
    return config


@pytest.fixture
def repository(tmp_path):
    """The demonstration model, the same under another name, and one that cannot load."""
    folder = tmp_path / "repository"
    for name in ("penstock-demo", "second"):
        copy_model(folder, name)
    broken = copy_model(folder, "broken")
    broken.write_text(broken.read_text().replace('key: "active_sequences"', 'key: "slots"'))
    return folder


def upstream(target, key=KEY):
    template = str(REPOSITORY / "penstock-demo" / "chat_template.jinja")
    models = [
        {"name": name, "context_window": 512, "chat_template": template}
        for name in ("penstock-demo", "second", "broken", "absent")
    ]
    return {"name": "local", "provider": "triton", "grpc": target, "models": models, "model_control": {"key": key}}


@pytest.fixture
async def target(start_triton, repository):
    started = ("penstock-demo", "second")
    return await start_triton(repository, started, ExplicitControl(started, KEY))


@pytest.fixture
async def service(serve, target, first):
    return await serve(upstream(target), first.settings("first"))


def candidate(name):
    upstream_name, _, model = name.partition("/")
    return Candidate(upstream=upstream_name, model=model)


async def states(service):
    listed = await service.channel.call(LIST_MODELS, None)
    return {model.candidate.model: model.state.name for model in listed}


async def load(service, name):
    return await service.channel.call(LOAD_MODEL, candidate(name), timeout=PATIENT_SECONDS)


async def unload(service, name):
    return await service.channel.call(UNLOAD_MODEL, candidate(name), timeout=PATIENT_SECONDS)


async def refused(call):
    with pytest.raises(errors.PenstockError) as raised:
        await call
    return raised.value


@pytest.mark.timeout(180)
async def test_a_model_is_loaded_and_unloaded_while_others_answer_every_request(service, tmp_path):
    going_on = True
    answered = []

    async def ask_on():
        while going_on:
            outcome = await service.ask("local/penstock-demo", value=ASKED)
            assert outcome.error is None
            answered.append(outcome.answer.text)

    async with asyncio.TaskGroup() as traffic:
        for _ in range(6):
            traffic.create_task(ask_on())
        for _ in range(3):
            began = asyncio.Event()
            running = traffic.create_task(
                service.ask("local/second", value=LONG, seen=lambda answer, began=began: answer.text and began.set())
            )
            await began.wait()
            before = len(answered)
            unloaded = await unload(service, "local/second")
            assert unloaded.state in {ModelState.UNLOADING, ModelState.UNAVAILABLE}
            assert (await running).error is None
            alone = await service.ask("local/second", value=ASKED)
            assert isinstance(alone.error, errors.UpstreamFailed)
            assert "has not loaded this model" in alone.error.message
            elsewhere = await service.ask("local/second", "local/penstock-demo", value=ASKED)
            assert elsewhere.outcomes == ["local misconfigured", "local answered"]
            loaded = await load(service, "local/second")
            assert loaded.state == ModelState.READY
            assert (await service.ask("local/second", value=ASKED)).error is None
            assert len(answered) > before
        going_on = False
    assert len(set(answered)) == 1
    assert len(answered) > 20
    # It has died of one that was loaded before it was gone.
    said = re.findall(
        r"(loading|successfully loaded|successfully unloaded):? '?second", (tmp_path / "triton.log").read_text()
    )
    assert said == ["loading", "successfully loaded", *["successfully unloaded", "loading", "successfully loaded"] * 3]


@pytest.mark.timeout(180)
async def test_a_load_does_not_wait_for_ever_for_the_unload(service, monkeypatch):
    monkeypatch.setattr(control, "_UNLOAD_TIMEOUT_SECONDS", 0.0)
    async with asyncio.TaskGroup() as traffic:
        began = asyncio.Event()
        running = traffic.create_task(
            service.ask("local/second", value=LONG, seen=lambda answer: answer.text and began.set())
        )
        await began.wait()
        assert (await unload(service, "local/second")).state == ModelState.UNLOADING
        failed = await refused(load(service, "local/second"))
    assert "is still being unloaded" in failed.message
    assert running.result().error is None


@pytest.mark.timeout(180)
async def test_models_are_listed_and_what_cannot_load_says_why(service, serve, target):
    assert await states(service) == {
        "penstock-demo": "READY",
        "second": "READY",
        "broken": "UNAVAILABLE",
        "absent": "UNAVAILABLE",
        "m": "UNTOLD",
    }
    error = await refused(load(service, "local/broken"))
    assert isinstance(error, errors.UpstreamFailed)
    assert "unknown parameter 'slots'" in error.message
    assert "At:" not in error.message
    listed = await service.channel.call(LIST_MODELS, None)
    reasons = {model.candidate.model: model.state_reason for model in listed}
    assert "unknown parameter 'slots'" in reasons["broken"]
    assert reasons["absent"] == "not in the upstream's repository"
    assert [model.is_controllable for model in listed] == [True] * 4 + [False]

    error = await refused(load(service, "local/absent"))
    assert isinstance(error, errors.UpstreamFailed)
    assert "absent" in error.message
    assert isinstance(await refused(load(service, "local/nobody")), errors.ModelNotFound)
    assert isinstance(await refused(unload(service, "elsewhere/m")), errors.ModelNotFound)
    error = await refused(unload(service, "first/m"))
    assert isinstance(error, errors.InvalidRequest)
    assert error.field == "candidate"

    stranger = await serve(upstream(target, key="another"))
    error = await refused(unload(stranger, "local/second"))
    assert isinstance(error, errors.UpstreamFailed)
    assert "wants another key" in error.message
    # It may well serve, and does.
    assert (await states(stranger))["second"] == "UNTOLD"
    assert (await stranger.ask("local/second", value=ASKED)).error is None


async def test_a_triton_without_model_control_still_tells_what_is_ready(serve, start_triton):
    uncontrolled = upstream(await start_triton(REPOSITORY, ["penstock-demo"]))
    del uncontrolled["model_control"]
    service = await serve(uncontrolled)
    told = await states(service)
    assert (told["penstock-demo"], told["second"]) == ("READY", "UNAVAILABLE")
    listed = await service.channel.call(LIST_MODELS, None)
    assert [model.is_controllable for model in listed] == [False] * 4
    error = await refused(unload(service, "local/penstock-demo"))
    assert isinstance(error, errors.InvalidRequest)


async def test_a_triton_that_keeps_its_states_to_itself_is_not_said_to_be_down(serve, target):
    stranger = upstream(target)
    del stranger["model_control"]
    assert set((await states(await serve(stranger))).values()) == {"UNTOLD"}


async def test_a_triton_that_does_not_answer_makes_its_models_unavailable(serve):
    service = await serve(upstream("127.0.0.1:9"))
    assert set((await states(service)).values()) == {"UNAVAILABLE"}
    error = await refused(load(service, "local/second"))
    assert isinstance(error, errors.UpstreamFailed)
    assert "does not answer" in error.message


async def test_without_explicit_control_loading_says_how_triton_was_started(serve, start_triton):
    target = await start_triton(REPOSITORY, ["penstock-demo"])
    service = await serve(upstream(target, key=""))
    assert (await states(service))["penstock-demo"] == "READY"
    error = await refused(unload(service, "local/penstock-demo"))
    assert isinstance(error, errors.UpstreamFailed)
    assert "explicit" in error.message
