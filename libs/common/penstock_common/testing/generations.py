"""Asks an inference service, and keeps what a caller sees of each generation.

caller = GenerationCaller(InferenceServiceStub(channel))
outcome = await caller.ask("first/m", "second/m")
assert outcome.answer.text == "Hello, world."
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc

from penstock.inference.v1 import inference_service_pb2 as pb
from penstock_common.errors import PenstockError
from penstock_common.llm.convert import event_from_proto, input_to_proto, plan_to_proto
from penstock_common.llm.events import Answer, StreamInvariants
from penstock_common.llm.types import Candidate, GenerationEvent, GenerationInput, Message, Plan, Role, Text
from penstock_common.rpc.streaming import cancelled_on_exit
from penstock_common.status import error_from_rpc
from penstock_common.telemetry.steps import Step, steps_from_metadata

QUESTION = GenerationInput(model="fast", messages=(Message(role=Role.USER, parts=(Text(text="Hi?"),)),))


@dataclass
class Outcome:
    """What a caller saw of one generation."""

    events: list[GenerationEvent] = field(default_factory=list[GenerationEvent])
    error: PenstockError | None = None
    """None also where the status is the transport's own; ``code`` tells."""
    code: grpc.StatusCode = grpc.StatusCode.OK
    steps: list[Step] = field(default_factory=list[Step])
    answer: Answer = field(default_factory=Answer)

    @property
    def outcomes(self) -> list[str]:
        """How each attempt ended, as traces say it: ``upstream outcome``."""
        return [f"{step.attributes['upstream']} {step.attributes['outcome']}" for step in self.steps]


class GenerationCaller:
    """Runs plans, and checks the order of every stream on the way."""

    def __init__(self, stub: Any) -> None:
        """Take an ``InferenceServiceStub`` on either transport."""
        self.stub = stub

    async def ask(
        self,
        *candidates: str,
        value: GenerationInput = QUESTION,
        timeout: float | None = None,
        seen: Callable[[Answer], None] = lambda _: None,
    ) -> Outcome:
        """Run a plan to its end; call ``seen`` after each event."""
        outcome, invariants = Outcome(), StreamInvariants()
        call = self.call(*candidates, value=value, timeout=timeout)
        try:
            async with cancelled_on_exit(call):
                async for response in call:
                    event = event_from_proto(response.event)
                    invariants.observe(event)
                    outcome.events.append(event)
                    outcome.answer.add(event)
                    seen(outcome.answer)
                invariants.end()
                trailing = await call.trailing_metadata()
        except grpc.aio.AioRpcError as error:
            outcome.error = error_from_rpc(error)
            outcome.code = error.code()
            trailing = error.trailing_metadata()
        outcome.steps = steps_from_metadata(trailing)
        return outcome

    def call(self, *candidates: str, value: GenerationInput = QUESTION, timeout: float | None = None) -> Any:
        """Return the running call of a plan; candidates are ``upstream/model``."""
        plan = Plan(candidates=tuple(_candidate(name) for name in candidates))
        request = pb.GenerateRequest(input=input_to_proto(value), plan=plan_to_proto(plan))
        return self.stub.Generate(request, timeout=timeout)


def _candidate(name: str) -> Candidate:
    upstream, _, model = name.partition("/")
    return Candidate(upstream=upstream, model=model)
