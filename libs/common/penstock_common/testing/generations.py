"""Asks an inference service, and keeps what a caller sees of each generation.

caller = GenerationCaller(channel)
outcome = await caller.ask("first/m", "second/m")
assert outcome.answer.text == "Hello, world."
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from penstock_common.contract.inference import GenerateRequest
from penstock_common.contract.wire.inference import GENERATE
from penstock_common.errors import PenstockError
from penstock_common.llm.events import Answer, StreamInvariants
from penstock_common.llm.types import (
    Batch,
    Candidate,
    GenerationEvent,
    GenerationInput,
    Message,
    Plan,
    Role,
    Text,
    UnsupportedFields,
)
from penstock_common.rpc.client import Channel, ResponseStream
from penstock_common.telemetry.steps import Step

QUESTION = GenerationInput(model="fast", messages=(Message(role=Role.USER, parts=(Text(text="Hi?"),)),))


@dataclass
class Outcome:
    """What a caller saw of one generation."""

    events: list[GenerationEvent] = field(default_factory=list[GenerationEvent])
    batches: list[int] = field(default_factory=list[int])
    """How many events came at once, batch by batch."""
    error: PenstockError | None = None
    steps: list[Step] = field(default_factory=list[Step])
    answer: Answer = field(default_factory=Answer)

    @property
    def outcomes(self) -> list[str]:
        """How each attempt ended, as traces say it: ``upstream outcome``."""
        return [f"{step.attributes['upstream']} {step.attributes['outcome']}" for step in self.steps]


class GenerationCaller:
    """Runs plans, and checks the order of every stream on the way."""

    def __init__(self, channel: Channel) -> None:
        """Take a channel to an inference service, on either transport."""
        self.channel = channel

    async def ask(
        self,
        *candidates: str,
        value: GenerationInput = QUESTION,
        timeout: float | None = None,
        seen: Callable[[Answer], None] = lambda _: None,
        whole: bool = False,
        may_recover: bool = True,
        may_hedge: bool = True,
        unsupported: UnsupportedFields = UnsupportedFields.REFUSE,
    ) -> Outcome:
        """Run a plan to its end; call ``seen`` after each event."""
        outcome, invariants = Outcome(), StreamInvariants()
        responses = self.call(
            *candidates,
            value=value,
            timeout=timeout,
            steps=outcome.steps,
            whole=whole,
            may_recover=may_recover,
            may_hedge=may_hedge,
            unsupported=unsupported,
        )
        try:
            async for batch in responses:
                outcome.batches.append(len(batch))
                for event in batch:
                    invariants.observe(event)
                    outcome.events.append(event)
                    outcome.answer.add(event)
                    seen(outcome.answer)
            invariants.end()
        except PenstockError as error:
            outcome.error = error
        finally:
            await responses.aclose()
        return outcome

    def call(
        self,
        *candidates: str,
        value: GenerationInput = QUESTION,
        timeout: float | None = None,
        steps: list[Step] | None = None,
        whole: bool = False,
        may_recover: bool = True,
        may_hedge: bool = True,
        unsupported: UnsupportedFields = UnsupportedFields.REFUSE,
    ) -> ResponseStream[Batch]:
        """Return the responses of a plan, which the caller closes; candidates are ``upstream/model``."""
        plan = Plan(candidates=tuple(_candidate(name) for name in candidates), unsupported=unsupported)
        request = GenerateRequest(input=value, plan=plan, whole=whole, may_recover=may_recover, may_hedge=may_hedge)
        return self.channel.stream(GENERATE, request, timeout=timeout, steps=steps)


def _candidate(name: str) -> Candidate:
    upstream, _, model = name.partition("/")
    return Candidate(upstream=upstream, model=model)
