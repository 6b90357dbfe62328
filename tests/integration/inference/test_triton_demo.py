"""The demonstration model on a real Triton server, started without Docker."""

import asyncio
import importlib.util
import os
import socket
from pathlib import Path

import grpc
import pytest
from msgspec.structs import replace
from tritonclient.grpc import service_pb2, service_pb2_grpc

from penstock_common import errors
from penstock_common.llm.types import FinishReason, Message, Role, SamplingParams, Text
from penstock_common.testing.generations import QUESTION

ROOT = Path(__file__).parents[3]
REPOSITORY = ROOT / "deploy" / "triton" / "repository"
TEMPLATE = REPOSITORY / "penstock-demo" / "chat_template.jinja"
ENVIRONMENT = Path(os.environ.get("PENSTOCK_TRITON_ENV", ROOT / ".triton"))

pytestmark = pytest.mark.skipif(
    not (ENVIRONMENT / "backends").is_dir(), reason="no Triton environment: deploy/triton/install.sh .triton"
)


def triton_command(ports):
    """Return the suite's command line of a local Triton."""
    path = ROOT / "services" / "suite" / "penstock_suite" / "adapters" / "triton_command.py"
    spec = importlib.util.spec_from_file_location("triton_command_of_the_suite", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.triton_command(ENVIRONMENT, REPOSITORY, **ports)


def free_ports():
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return {"grpc_port": one.getsockname()[1], "metrics_port": other.getsockname()[1]}


async def ready(target):
    """Wait until the server says that the model is loaded."""
    async with grpc.aio.insecure_channel(target) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        request = service_pb2.ModelReadyRequest(name="penstock-demo")
        while not (await stub.ModelReady(request, wait_for_ready=True, timeout=60)).ready:
            await asyncio.sleep(0.05)


@pytest.fixture
async def triton(tmp_path):
    """A Triton server with the demonstration model."""
    ports = free_ports()
    argv, variables = triton_command(ports)
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*argv, env={**os.environ, **variables}, stdout=log, stderr=log)
    try:
        target = f"127.0.0.1:{ports['grpc_port']}"
        await asyncio.wait_for(ready(target), 60)
        yield target
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture
async def demo(serve, triton):
    model = {"name": "penstock-demo", "context_window": 512, "chat_template": str(TEMPLATE)}
    return await serve({"name": "local", "provider": "triton", "grpc": triton, "models": [model]})


def question(text, **sampling):
    message = Message(role=Role.USER, parts=(Text(text=text),))
    return replace(QUESTION, messages=(message,), sampling=SamplingParams(**sampling))


@pytest.mark.timeout(180)
async def test_the_demonstration_model_answers_refuses_and_stops_when_cancelled(demo):
    # One server for all: it takes seconds to start.
    outcome = await demo.ask("local/penstock-demo", value=question("What is Penstock?"))
    assert outcome.error is None
    assert "Penstock" in outcome.answer.text
    assert outcome.answer.finished.reason is FinishReason.STOP
    usage = outcome.answer.usage
    assert usage.input_tokens > 0
    assert usage.output_tokens > 3
    assert not usage.estimated
    assert len(outcome.events) > 5

    outcome = await demo.ask("local/penstock-demo", value=question("What is Penstock?", max_output_tokens=3))
    assert outcome.answer.finished.reason is FinishReason.LENGTH
    assert outcome.answer.usage.output_tokens == 3

    outcome = await demo.ask("local/penstock-demo", value=question("word " * 600))
    assert isinstance(outcome.error, errors.ContextLengthExceeded)
    assert outcome.error.max_input_tokens > 0
    assert outcome.error.input_tokens > outcome.error.max_input_tokens

    outcome = await demo.ask("local/penstock-demo", value=question("Hi", temperature=-1.0))
    assert isinstance(outcome.error, errors.InvalidRequest)

    call = demo.call("local/penstock-demo", value=question("What is Penstock?"))
    await call.read()
    call.cancel()
    await call.aclose()
    outcome = await demo.ask("local/penstock-demo", value=question("What is Triton?"))
    assert outcome.error is None
