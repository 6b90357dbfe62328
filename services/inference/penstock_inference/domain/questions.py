"""Answers a question that is no conversation: the plan's candidates are asked in order, until one answers.

What becomes of a failure is as in ``failure``; places, their health, budgets and
limits are those of conversations. Nothing of it streams, so nobody is hedged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from penstock_common.errors import PenstockError
from penstock_common.llm.types import GenerationInput, Plan, Usage
from penstock_common.priority import Priority
from penstock_common.rpc.scope import CURRENT_SCOPE
from penstock_common.telemetry.steps import Step, Steps, end
from penstock_inference.domain.candidates import models_of
from penstock_inference.domain.catalogue import Model
from penstock_inference.domain.failure import AttemptFailed, FailureKind, Next, error_before_content, weightier
from penstock_inference.domain.generation import GenerationParts
from penstock_inference.domain.health.rules import State
from penstock_inference.domain.health.turn import Turn
from penstock_inference.domain.load.admission import SATURATED
from penstock_inference.domain.load.gate import Gate, Permit
from penstock_inference.domain.pool import Pool
from penstock_inference.domain.question_upstream import Moderated, QuestionUpstream, Reranked
from penstock_inference.domain.upstream import UpstreamCall
from penstock_inference.domain.watchdog import silence

BACKOFF_SECONDS = 0.2
"""The most that is waited before the same upstream is asked again; AWS' full jitter."""
_SECONDS_KEPT = 0.05
_LEFT_OUT = frozenset({State.EJECTED, State.BY_HAND})


class Question(msgspec.Struct, frozen=True):
    """Who may answer, by when (None: no deadline), and how much is read about."""

    plan: Plan
    seconds_left: float | None
    tokens: int
    priority: Priority = Priority.DEFAULT


class Given(msgspec.Struct, frozen=True):
    """Who answered, and after how many attempts."""

    model: Model
    attempts: int


GivenT = TypeVar("GivenT", Reranked, Moderated)
Ask = Callable[[QuestionUpstream, Model], Awaitable[GivenT]]


class Asking:
    """One question's way through its candidates."""

    def __init__(self, question: Question, parts: GenerationParts, steps: Steps) -> None:
        self._question = question
        self._parts = parts
        self._steps = steps
        self._loop = asyncio.get_running_loop()
        self._ends = None if question.seconds_left is None else self._loop.time() + question.seconds_left
        self._attempts = 0

    async def answer(self, ask: Ask[GivenT]) -> tuple[GivenT, Given]:
        """Return the first answer.

        Raises:
            PenstockError: why there is none, as the weightiest of the failures says.
        """
        models = models_of(self._question.plan, self._parts.catalogue, GenerationInput(model="", messages=()))
        worst: AttemptFailed | None = None
        error: PenstockError | None = None
        for at, model in enumerate(self._well_first(models)):
            try:
                return await self._asked_of(model, ask, others_left=at + 1 < len(models))
            except AttemptFailed as failure:
                if weightier(worst, failure):
                    worst, error = failure, error_before_content(failure, model.candidate)
                if failure.next is Next.FINAL:
                    break
        assert error is not None, "a plan has a candidate"
        raise error

    async def _asked_of(self, model: Model, ask: Ask[GivenT], *, others_left: bool) -> tuple[GivenT, Given]:
        """Return a model's answer; where that may help, it is asked once more."""
        try:
            return await self._attempt(model, ask, others_left=others_left, is_again=False)
        except AttemptFailed as failure:
            if not await self._may_repeat(model, failure, others_left=others_left):
                raise
        return await self._attempt(model, ask, others_left=others_left, is_again=True)

    def _well_first(self, models: list[Model]) -> list[Model]:
        """Return the models whose upstreams are not left out before those that are."""
        out = [model for model in models if self._pool(model).look(model.candidate.model).state in _LEFT_OUT]
        return [*(model for model in models if model not in out), *out]

    def _pool(self, model: Model) -> Pool:
        return self._parts.pools[model.candidate.upstream]

    async def _may_repeat(self, model: Model, failure: AttemptFailed, *, others_left: bool) -> bool:
        """Return whether the same upstream is asked once more, after a pause."""
        pool, pauses = self._pool(model), self._parts.pauses
        if failure.next is Next.RETRY:
            pause = pauses.chance() * BACKOFF_SECONDS
        elif failure.next is Next.WAIT and not others_left and failure.retry_after is not None:
            pause = failure.retry_after.total_seconds()
            if pause > pool.wait_seconds:
                return False
        else:
            return False
        if pause + _SECONDS_KEPT >= self._left() or not pool.health.budget.take():
            return False
        try:
            await pauses.sleep(pause)
        except BaseException:
            pool.health.budget.give_back()
            raise
        return True

    async def _attempt(
        self, model: Model, ask: Ask[GivenT], *, others_left: bool, is_again: bool
    ) -> tuple[GivenT, Given]:
        pool, question = self._pool(model), self._question
        permit = None if pool.gate is None else await self._permit(pool.gate, pool, others_left=others_left)
        turn = pool.turn(self._call(model))
        turn.is_retry = is_again
        self._attempts += 1
        counted: int | None = 0
        try:
            with self._recorded(turn, model) as step:
                seconds, is_hurried = self._seconds(model, others_left=others_left)
                counted = question.tokens
                given = await _within(seconds, self._asked(turn, model, ask), is_hurried=is_hurried)
                turn.answered(Usage(input_tokens=given.input_tokens or question.tokens))
                step.attributes["outcome"] = "answered"
                return given, Given(model, self._attempts)
        finally:
            if permit is not None:
                permit.leave(counted)

    async def _asked(self, turn: Turn, model: Model, ask: Ask[GivenT]) -> GivenT:
        upstream = turn.endpoint.questions
        if upstream is None:
            raise AttemptFailed(FailureKind.MISCONFIGURED, "its provider is asked for conversations alone")
        return await ask(upstream, model)

    @contextmanager
    def _recorded(self, turn: Turn, model: Model) -> Generator[Step]:
        """Record one attempt, whatever ends it, and let its place learn by it."""
        candidate = model.candidate
        step = self._steps.begin("attempt", upstream=candidate.upstream, model=candidate.model, provider=model.provider)
        step.attributes["outcome"] = "cancelled"
        error = "cancelled"
        try:
            yield step
            error = ""
        except AttemptFailed as failure:
            step.attributes["outcome"] = failure.outcome
            if failure.is_of_the_request:
                step.attributes["fault"] = "request"
            error = failure.outcome
            turn.failed(failure)
            raise
        finally:
            turn.left()
            end(step, error)

    async def _permit(self, gate: Gate, pool: Pool, *, others_left: bool) -> Permit:
        question = self._question
        tokens = question.tokens if gate.counts_tokens else 0
        if gate.try_enter(question.priority, tokens) or await gate.try_enter_once_told(question.priority, tokens):
            return Permit(gate, tokens)
        seconds = min(pool.wait_seconds if others_left else gate.wait_seconds, self._left())
        if await gate.enter(CURRENT_SCOPE.get().tenant, question.priority, tokens, seconds):
            return Permit(gate, tokens, has_waited=True)
        raise SATURATED

    def _seconds(self, model: Model, *, others_left: bool) -> tuple[float, bool]:
        """Return how long an answer is waited for, and whether the caller's own time makes that shorter."""
        granted, left = model.timeouts.seconds.whole, self._left()
        # Half of what is left is kept for who comes next.
        left = left / 2 if others_left else left
        return min(granted, left), left < granted

    def _left(self) -> float:
        return float("inf") if self._ends is None else max(0.0, self._ends - self._loop.time())

    def _call(self, model: Model) -> UpstreamCall:
        value = GenerationInput(model=model.candidate.model, messages=())
        return UpstreamCall(
            model.candidate.model, value, model.timeouts.seconds.connect, _nothing, _nothing, whole=True
        )


async def _within(seconds: float, asked: Awaitable[GivenT], *, is_hurried: bool) -> GivenT:
    try:
        async with asyncio.timeout(seconds):
            return await asked
    except TimeoutError:
        raise silence("whole", hurried=is_hurried) from None


def _nothing() -> None:
    """A question has no timer but one."""
