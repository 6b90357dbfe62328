import asyncio
import os
import signal
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import grpc
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from penstock_common.testing.generations import GenerationCaller
from penstock_common.testing.openai_upstream import OpenAIUpstream
from penstock_common.testing.ports import free_ports
from penstock_common.testing.transports import IN_PROCESS, channel_to
from penstock_inference.app import build
from penstock_inference.domain.generation import Pauses
from penstock_inference.settings import Settings
from penstock_suite.adapters.triton import triton_command

ENVIRONMENT = Path(os.environ.get("PENSTOCK_TRITON_ENV", Path(__file__).parents[3] / ".triton"))


@pytest.fixture
def pauses():
    """What the service waited between attempts, in seconds; nothing really waits, and chance is one half."""
    return []


@pytest.fixture
async def serve(pauses):
    """A function that serves upstreams, given by their settings, for the rest of the test."""

    async def pause(seconds):
        pauses.append(seconds)

    async with AsyncExitStack() as stack:

        async def serve(*upstreams, known=None, **sections):
            settings = Settings.model_validate({"upstreams": upstreams, **sections})
            parts = build(settings, Pauses(chance=lambda: 0.5, sleep=pause), known)
            service = await stack.enter_async_context(parts)
            serve.service = service
            return GenerationCaller(await stack.enter_async_context(channel_to(service, IN_PROCESS)))

        yield serve


@pytest.fixture
async def first():
    async with OpenAIUpstream() as upstream:
        yield upstream


@pytest.fixture
async def second():
    async with OpenAIUpstream() as upstream:
        yield upstream


@pytest.fixture
async def caller(serve, first, second):
    """The service before ``first/m`` and ``second/m``; the second's window is larger."""
    return await serve(first.settings("first"), second.settings("second", context_window=131072))


@pytest.fixture
async def start_triton(tmp_path):
    """A function that starts a real Triton and returns its address once these models serve."""
    if not (ENVIRONMENT / "backends").is_dir():
        pytest.skip(f"no Triton in {ENVIRONMENT}: run deploy/triton/install.sh")
    async with AsyncExitStack() as stack:

        async def start(repository, models, control=None, *, backends=None):
            ports = dict(zip(("grpc_port", "metrics_port"), free_ports(2), strict=True))
            argv, variables = triton_command(ENVIRONMENT, repository, **ports, control=control)
            if backends is not None:
                argv = [flag for flag in argv if not flag.startswith("--backend-directory")]
                argv.append(f"--backend-directory={backends}")
            await stack.enter_async_context(_running_triton(argv, variables, tmp_path / "triton.log"))
            target = f"127.0.0.1:{ports['grpc_port']}"
            await asyncio.wait_for(_serving(target, models), 60)
            return target

        yield start


_TRITON_ENDS_SECONDS = 20
"""It waits 5 s for its models."""


@asynccontextmanager
async def _running_triton(argv, variables, log_path):
    with log_path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *argv, env={**os.environ, **variables}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield
    finally:
        process.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _TRITON_ENDS_SECONDS)
        # One that crashed does not end; its models' processes may outlive it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _serving(target, models):
    async with grpc.aio.insecure_channel(target) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for model in models:
            request = service_pb2.ModelReadyRequest(name=model)
            while not (await stub.ModelReady(request, wait_for_ready=True, timeout=60)).ready:
                await asyncio.sleep(0.05)
