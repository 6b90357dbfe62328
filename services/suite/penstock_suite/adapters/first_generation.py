"""The first request of a start: a model that has served once is ready."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc

from penstock.inference.v1 import inference_service_pb2 as pb
from penstock.inference.v1 import inference_service_pb2_grpc
from penstock.llm.v1 import generation_pb2, message_pb2
from penstock_common.rpc.channel import translated
from penstock_common.rpc.streaming import cancelled_on_exit
from penstock_suite.domain.failure import SuiteFailure

_TIMEOUT = timedelta(seconds=120)


async def generate_once(channel: Any, upstream: str, model: str) -> None:
    """Let the model generate one token, so that the first caller does not wait for what it sets up.

    Raises:
        SuiteFailure: if it cannot.
    """
    stub: Any = inference_service_pb2_grpc.InferenceServiceStub(channel)
    try:
        async with cancelled_on_exit(
            stub.Generate(_request(upstream, model), timeout=_TIMEOUT.total_seconds())
        ) as call:
            async for _ in call:
                pass
    except grpc.aio.AioRpcError as error:
        reason = translated(error, "inference").message
        raise SuiteFailure(f"the model {upstream}/{model} does not answer: {reason}") from None


def _request(upstream: str, model: str) -> pb.GenerateRequest:
    hello = message_pb2.Message(role=message_pb2.ROLE_USER, parts=[message_pb2.ContentPart(text="Hello")])
    return pb.GenerateRequest(
        input=generation_pb2.GenerationInput(
            model=model, messages=[hello], sampling=generation_pb2.SamplingParams(max_output_tokens=1)
        ),
        plan=generation_pb2.Plan(
            candidates=[generation_pb2.Candidate(upstream=upstream, model=model)], reason="first request of a start"
        ),
    )
