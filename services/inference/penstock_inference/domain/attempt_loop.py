"""The loop that runs a plan: attempts, one after another, made one clean stream."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from penstock_common import errors
from penstock_common.llm.events import Answer
from penstock_common.llm.types import (
    ContentEvent,
    Finished,
    GenerationEvent,
    GenerationInput,
    Plan,
    Started,
    cost_nano_usd,
)
from penstock_common.telemetry.steps import Steps
from penstock_inference.domain.attempt import Attempt
from penstock_inference.domain.catalogue import Catalogue, Model
from penstock_inference.domain.failure import AttemptFailed, error_within_answer
from penstock_inference.domain.succession import Succession, models_of
from penstock_inference.domain.upstream import Upstream, UpstreamCall
from penstock_inference.domain.usage import settled_usage
from penstock_inference.domain.watchdog import DEADLINE_MARGIN_SECONDS, Watchdog

_CHANCE = random.Random()  # noqa: S311 - spreads retries, hides nothing


class Generation(msgspec.Struct, frozen=True):
    """One request: what to generate, who may answer, and by when (None: no deadline)."""

    input: GenerationInput
    plan: Plan
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class Pauses:
    """Chance and waiting between attempts; tests put their own in."""

    chance: Callable[[], float] = _CHANCE.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class AttemptLoop:
    """Yields a stream that keeps the contract's order, or raises one error.

    Nothing reaches the caller before the first content, so that failing over
    stays invisible. Closing the generator or cancelling its task ends the
    attempt that runs and closes its connection.
    """

    def __init__(self, upstreams: Mapping[str, Upstream], catalogue: Catalogue, pauses: Pauses | None = None) -> None:
        self._upstreams = upstreams
        self._catalogue = catalogue
        self._pauses = pauses or Pauses()

    async def generate(self, generation: Generation, steps: Steps) -> AsyncGenerator[GenerationEvent, None]:
        """Yield the events of one answer; ``steps`` takes one step per attempt.

        Raises:
            PenstockError: what the caller sees.
        """
        models = models_of(generation.plan, self._catalogue, generation.input)
        run = _Run(generation, models, self._upstreams, self._pauses, steps)
        try:
            while batch := await run.next_batch():
                for event in batch:
                    yield event
        finally:
            await run.aclose()
        for event in run.conclusion():
            yield event


class _Run:
    """One request's way through its plan; at most one attempt is open at a time."""

    def __init__(
        self,
        generation: Generation,
        models: list[Model],
        upstreams: Mapping[str, Upstream],
        pauses: Pauses,
        steps: Steps,
    ) -> None:
        seconds = generation.seconds_left
        self._clock = asyncio.get_running_loop()
        self._deadline = None if seconds is None else self._clock.time() + seconds
        self._input = generation.input
        self._upstreams = upstreams
        self._pauses = pauses
        self._steps = steps
        self._succession = Succession(models, self._seconds_left, pauses.chance)
        # What the caller has been sent so far: what a recovery would go on from.
        self._answer = Answer()
        self._attempt = self._begin_attempt()

    async def next_batch(self) -> Sequence[GenerationEvent]:
        """Return what to send next, ``Started`` before the first content; nothing when the answer is whole."""
        while True:
            try:
                batch = await self._attempt.next_batch()
                if not batch and self._answer.started is None:
                    self._attempt.check_not_empty(stop_was_asked=bool(self._input.sampling.stop))
            except AttemptFailed as failure:
                await self._recover(failure)
            else:
                return self._noted(batch)

    async def _recover(self, failure: AttemptFailed) -> None:
        """Begin another attempt after one failed.

        Raises:
            PenstockError: where nobody can take over. Once content was sent,
                nobody can yet: continuing ``self._answer`` elsewhere begins here.
        """
        failed = self._attempt
        failed.failed(failure)
        await failed.aclose()
        if self._answer.started is not None:
            raise error_within_answer(failure, failed.model.candidate, _delivered(self._answer)) from failure
        delay = self._succession.after(failure)
        if delay:
            await self._pauses.sleep(delay)
        self._attempt = self._begin_attempt()

    def _begin_attempt(self) -> Attempt:
        self._succession.begin()
        model = self._succession.current
        candidate = model.candidate
        watchdog = Watchdog(model.timeouts, self._deadline, self._clock)
        call = UpstreamCall(candidate.model, self._input, model.timeouts.connect, watchdog.headers_received)
        stream = self._upstreams[candidate.upstream].stream(call)
        step = self._steps.begin("attempt", upstream=candidate.upstream, model=candidate.model)
        return Attempt(model, stream, watchdog, step)

    def _seconds_left(self) -> float:
        if self._deadline is None:
            return float("inf")
        return self._deadline - DEADLINE_MARGIN_SECONDS - self._clock.time()

    def _noted(self, batch: Sequence[ContentEvent]) -> Sequence[GenerationEvent]:
        events: Sequence[GenerationEvent] = batch
        if batch and self._answer.started is None:
            self._attempt.first_content_came()
            events = [self._started(), *batch]
        for event in batch:
            self._answer.add(event)
        return events

    def _started(self) -> Started:
        model = self._attempt.model
        identity = f"gen-{secrets.token_hex(12)}"
        started = Started(generation_id=identity, answered_by=model.candidate, unit_prices=model.prices)
        self._answer.add(started)
        return started

    def conclusion(self) -> list[GenerationEvent]:
        """Return what ends a whole answer: usage and finished, after started where no content came."""
        model, stopped = self._attempt.model, self._attempt.stopped
        if stopped is None:
            raise errors.InternalError
        events: list[GenerationEvent] = [] if self._answer.started else [self._started()]
        usage = settled_usage(self._attempt.usage, self._input, self._answer, model.context_window_tokens)
        finished = Finished(
            reason=stopped.reason,
            answered_by=model.candidate,
            matched_stop=stopped.matched_stop,
            attempts=self._succession.attempts,
            cost_nano_usd=cost_nano_usd(usage, model.prices),
            unit_prices=model.prices,
        )
        return [*events, usage, finished]

    async def aclose(self) -> None:
        """End the attempt that runs, if one does."""
        await self._attempt.aclose()


def _delivered(answer: Answer) -> str:
    parts = [f"{len(answer.text):,} characters"]
    if answer.reasoning:
        parts.append(f"{len(answer.reasoning):,} characters of reasoning")
    if answer.tool_calls:
        parts.append(f"{len(answer.tool_calls)} tool calls")
    return " and ".join(parts)
