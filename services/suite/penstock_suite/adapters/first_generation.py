"""The first request of a start: a model that has served once is ready."""

from __future__ import annotations

from datetime import timedelta

from penstock_common.contract.inference import GenerateRequest
from penstock_common.contract.wire.inference import GENERATE
from penstock_common.errors import PenstockError
from penstock_common.llm.types import Candidate, GenerationInput, Message, Plan, Role, SamplingParams, Text
from penstock_common.rpc.client import Channel
from penstock_suite.domain.failure import SuiteFailure

_TIMEOUT = timedelta(seconds=120)


async def generate_once(channel: Channel, upstream: str, model: str) -> None:
    """Let the model generate one token, so that the first caller does not wait for what it sets up.

    Raises:
        SuiteFailure: if it cannot.
    """
    answer = channel.stream(GENERATE, _request(upstream, model), timeout=_TIMEOUT.total_seconds())
    try:
        async for _ in answer:
            pass
    except PenstockError as error:
        raise SuiteFailure(f"the model {upstream}/{model} does not answer: {error.message}") from None
    finally:
        await answer.aclose()


def _request(upstream: str, model: str) -> GenerateRequest:
    hello = Message(role=Role.USER, parts=(Text(text="Hello"),))
    return GenerateRequest(
        input=GenerationInput(model=model, messages=(hello,), sampling=SamplingParams(max_output_tokens=1)),
        plan=Plan(candidates=(Candidate(upstream=upstream, model=model),), reason="first request of a start"),
    )
