"""The inference service before programmable upstreams, reached in process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from penstock.inference.v1 import inference_service_pb2 as pb
from penstock.inference.v1.inference_service_pb2_grpc import InferenceServiceStub
from penstock_common.errors import PenstockError
from penstock_common.llm.convert import event_from_proto, input_to_proto, plan_to_proto
from penstock_common.llm.events import Answer, StreamInvariants
from penstock_common.llm.types import Candidate, GenerationEvent, GenerationInput, Message, Plan, Role, Text
from penstock_common.rpc.in_process import InProcessChannel, InProcessServer
from penstock_common.rpc.streaming import cancelled_on_exit
from penstock_common.status import error_from_rpc
from penstock_common.telemetry.steps import Step, steps_from_metadata
from penstock_common.testing.openai_upstream import OpenAIUpstream
from penstock_inference.app import build
from penstock_inference.domain.attempt_loop import Pauses
from penstock_inference.settings import Settings

QUESTION = GenerationInput(model="fast", messages=(Message(role=Role.USER, parts=(Text(text="Hi?"),)),))


@dataclass
class Outcome:
    """What a caller saw of one generation."""

    events: list[GenerationEvent] = field(default_factory=list[GenerationEvent])
    error: PenstockError | None = None
    steps: list[Step] = field(default_factory=list[Step])
    answer: Answer = field(default_factory=Answer)

    @property
    def outcomes(self) -> list[str]:
        """How each attempt ended, as traces say it: ``upstream/model outcome``."""
        return [f"{step.attributes['upstream']} {step.attributes['outcome']}" for step in self.steps]


@dataclass
class Rig:
    """The service and what it was told to wait between attempts."""

    stub: Any
    pauses: list[float]

    async def ask(
        self,
        *candidates: str,
        value: GenerationInput = QUESTION,
        timeout: float | None = None,
        seen: Callable[[Answer], None] = lambda _: None,
    ) -> Outcome:
        """Run a plan to its end; after each event the stream's order is checked, and ``seen`` called."""
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
            assert outcome.error is not None, error
            trailing = error.trailing_metadata()
        outcome.steps = steps_from_metadata(trailing)
        return outcome

    def call(self, *candidates: str, value: GenerationInput = QUESTION, timeout: float | None = None) -> Any:
        """Return the running call of a plan; candidates are ``upstream/model``."""
        plan = Plan(candidates=tuple(Candidate(*candidate.split("/", 1)) for candidate in candidates))
        request = pb.GenerateRequest(input=input_to_proto(value), plan=plan_to_proto(plan))
        return self.stub.Generate(request, timeout=timeout)


@asynccontextmanager
async def serving(*upstreams: dict[str, Any]) -> AsyncGenerator[Rig, None]:
    """Serve these upstreams in process; nothing waits between attempts, chance is one half."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    settings = Settings.model_validate({"upstreams": list(upstreams)})
    async with build(settings, Pauses(chance=lambda: 0.5, sleep=pause)) as service:
        server = InProcessServer()
        service.register(server.registrar)
        yield Rig(InferenceServiceStub(InProcessChannel(server)), pauses)  # pyright: ignore[reportArgumentType] - same interface


def upstream_settings(name: str, upstream: OpenAIUpstream, **more: Any) -> dict[str, Any]:
    """Return the settings of a programmable upstream with one model ``m``."""
    model = {"name": "m", "context_window": 4096, "price": {"input": "0.15", "output": "0.60"}, **more.pop("model", {})}
    return {
        "name": name,
        "provider": "openai_compatible",
        "base_url": upstream.base_url,
        "api_key": "sk-ours",
        "models": [model],
        **more,
    }
