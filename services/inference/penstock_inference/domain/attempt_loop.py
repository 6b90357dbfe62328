"""The loop that runs a plan: attempts, one after another, made one clean stream."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec
from penstock_common import errors
from penstock_common.llm.events import Answer
from penstock_common.llm.types import Finished, GenerationEvent, GenerationInput, Plan, Started, cost_nano_usd
from penstock_common.telemetry.steps import Steps

from penstock_inference.domain.attempt import Attempt
from penstock_inference.domain.catalogue import Catalogue, Model
from penstock_inference.domain.failure import AttemptFailed, error_within_answer
from penstock_inference.domain.succession import Succession, models_of
from penstock_inference.domain.upstream import Upstream, UpstreamCall
from penstock_inference.domain.usage import settled_usage
from penstock_inference.domain.watchdog import DEADLINE_MARGIN_SECONDS, Watchdog


class Generation(msgspec.Struct, frozen=True):
    """One request: what to generate, who may answer, and by when (None: no deadline)."""

    input: GenerationInput
    plan: Plan
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class Pauses:
    """Chance and waiting between attempts; tests put their own in."""

    chance: Callable[[], float] = random.random
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
        run = self._begin(generation)
        answer = Answer()
        while True:
            attempt = self._attempt(run, steps)
            try:
                while batch := await attempt.next_batch():
                    if answer.started is None:
                        attempt.first_content_came()
                        yield _start(answer, attempt.model)
                    for event in batch:
                        answer.add(event)
                        yield event
                if answer.started is None:
                    attempt.check_not_empty(stop_was_asked=bool(generation.input.sampling.stop))
                break
            except AttemptFailed as failure:
                attempt.failed(failure)
                if answer.started is not None:
                    # Recovery begins here: `answer` holds what was sent, `run` knows who may continue it.
                    raise error_within_answer(failure, attempt.model.candidate, _delivered(answer)) from failure
                delay = run.succession.after(failure)
            finally:
                await attempt.aclose()
            if delay:
                await self._pauses.sleep(delay)
        for event in _conclusion(attempt, generation.input, answer, run.succession.attempts):
            yield event

    def _begin(self, generation: Generation) -> _Run:
        clock = asyncio.get_running_loop()
        seconds = generation.seconds_left
        deadline = None if seconds is None else clock.time() + seconds
        models = models_of(generation.plan, self._catalogue, generation.input)

        def seconds_left() -> float:
            return float("inf") if deadline is None else deadline - DEADLINE_MARGIN_SECONDS - clock.time()

        return _Run(generation.input, deadline, Succession(models, seconds_left, self._pauses.chance))

    def _attempt(self, run: _Run, steps: Steps) -> Attempt:
        run.succession.begin()
        model = run.succession.current
        candidate = model.candidate
        watchdog = Watchdog(model.timeouts, run.deadline, asyncio.get_running_loop())
        call = UpstreamCall(candidate.model, run.input, model.timeouts.connect, watchdog.headers_received)
        stream = self._upstreams[candidate.upstream].stream(call)
        step = steps.begin("attempt", upstream=candidate.upstream, model=candidate.model)
        return Attempt(model, stream, watchdog, step)


@dataclass(frozen=True, slots=True)
class _Run:
    """What lasts from attempt to attempt; ``deadline`` in the loop's time."""

    input: GenerationInput
    deadline: float | None
    succession: Succession


def _start(answer: Answer, model: Model) -> Started:
    identity = f"gen-{secrets.token_hex(12)}"
    started = Started(generation_id=identity, answered_by=model.candidate, unit_prices=model.prices)
    answer.add(started)
    return started


def _conclusion(attempt: Attempt, value: GenerationInput, answer: Answer, attempts: int) -> list[GenerationEvent]:
    """Return what ends a whole answer: usage and finished, after started where no content came."""
    model, stopped = attempt.model, attempt.stopped
    if stopped is None:
        raise errors.InternalError
    events: list[GenerationEvent] = [] if answer.started else [_start(answer, model)]
    usage = settled_usage(attempt.usage, value, answer, model.context_window_tokens)
    finished = Finished(
        reason=stopped.reason,
        answered_by=model.candidate,
        matched_stop=stopped.matched_stop,
        attempts=attempts,
        cost_nano_usd=cost_nano_usd(usage, model.prices),
        unit_prices=model.prices,
    )
    return [*events, usage, finished]


def _delivered(answer: Answer) -> str:
    parts = [f"{len(answer.text):,} characters"]
    if answer.reasoning:
        parts.append(f"{len(answer.reasoning):,} characters of reasoning")
    if answer.tool_calls:
        parts.append(f"{len(answer.tool_calls)} tool calls")
    return " and ".join(parts)
