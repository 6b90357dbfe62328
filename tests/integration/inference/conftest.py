from contextlib import AsyncExitStack

import pytest

from penstock.inference.v1.inference_service_pb2_grpc import InferenceServiceStub
from penstock_common.rpc.in_process import InProcessChannel, InProcessServer
from penstock_common.testing.generations import GenerationCaller
from penstock_common.testing.openai_upstream import OpenAIUpstream
from penstock_inference.app import build
from penstock_inference.domain.attempt_loop import Pauses
from penstock_inference.settings import Settings


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

        async def serve(*upstreams):
            settings = Settings.model_validate({"upstreams": upstreams})
            service = await stack.enter_async_context(build(settings, Pauses(chance=lambda: 0.5, sleep=pause)))
            server = InProcessServer()
            service.register(server.registrar)
            return GenerationCaller(InferenceServiceStub(InProcessChannel(server)))

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
