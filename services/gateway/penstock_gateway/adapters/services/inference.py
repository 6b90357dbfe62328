"""The inference service as a port."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc

from penstock.inference.v1 import inference_service_pb2 as pb
from penstock.inference.v1 import inference_service_pb2_grpc
from penstock_common.llm.convert import event_from_proto, plan_to_proto
from penstock_common.llm.types import GenerationEvent, GenerationInput, Plan
from penstock_common.rpc.channel import translated
from penstock_common.rpc.streaming import cancelled_on_exit
from penstock_common.telemetry.steps import Step, steps_from_metadata
from penstock_gateway.adapters.services.wire import WireInputs

if TYPE_CHECKING:
    from penstock.inference.v1.inference_service_pb2_grpc import InferenceServiceAsyncStub

_SERVICE = "inference"


class InferenceClient:
    """Implements ``ports.Generator`` over a stub; the request's deadline is the call's."""

    def __init__(self, channel: Any, inputs: WireInputs) -> None:
        self._stub: InferenceServiceAsyncStub = inference_service_pb2_grpc.InferenceServiceStub(channel)  # type: ignore[assignment]  # one class serves both at run time
        self._inputs = inputs

    @asynccontextmanager
    async def generate(
        self, request: GenerationInput, plan: Plan, steps: list[Step]
    ) -> AsyncGenerator[AsyncIterator[GenerationEvent], None]:
        """Open a generation; leaving the context cancels the call and ends the upstream's work."""
        message = pb.GenerateRequest(input=self._inputs.of(request), plan=plan_to_proto(plan))
        async with cancelled_on_exit(self._stub.Generate(message)) as call:
            yield _events(call, steps)


async def _events(call: Any, steps: list[Step]) -> AsyncIterator[GenerationEvent]:
    try:
        async for response in call:
            yield event_from_proto(response.event)
        steps += steps_from_metadata(await call.trailing_metadata())
    except grpc.aio.AioRpcError as error:
        steps += steps_from_metadata(error.trailing_metadata())
        raise translated(error, _SERVICE) from error
