"""The life of one chat request, from an authenticated caller to a settled bill.

The steps are those of docs/architecture.md: validate, admit, guard the input,
look into the cache, route, generate, guard the output, settle. Surfaces use it
as::

    exchange = life.begin(call)
    async with exchange:                  # raises whatever refuses the request
        async for event in exchange.events():
            ...                           # obeys the stream invariants
    # settled, exactly once, whatever ended it
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import msgspec

from penstock_common.errors import NotCached
from penstock_common.llm.events import merge_deltas
from penstock_common.llm.types import Finished, FinishReason, GenerationEvent, Plan, Started, Usage
from penstock_common.rpc.scope import CURRENT_SCOPE
from penstock_common.telemetry.steps import Step, end
from penstock_gateway.domain.admission import RateState
from penstock_gateway.domain.chat_call import CacheOutcome, ChatCall
from penstock_gateway.domain.guard import Guard
from penstock_gateway.domain.ports import AnswerCache, CachedAnswer, Generator, Router
from penstock_gateway.domain.progress import Bill, Progress
from penstock_gateway.domain.settlement import LedgerRow, outcome_of
from penstock_gateway.domain.validation import validate_input
from penstock_gateway.domain.visit import Visit, VisitParts

# An answer of another than the first candidate must not outlive the outage that caused it.
SUBSTITUTE_ANSWER_TTL = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeParts:
    """What the life of a request is made of."""

    visits: VisitParts
    guard: Guard
    cache: AnswerCache
    router: Router
    generator: Generator
    in_background: Callable[[Coroutine[Any, Any, None]], None]


class ChatLife:
    """Begins exchanges."""

    def __init__(self, parts: LifeParts) -> None:
        self._parts = parts

    def begin(self, call: ChatCall) -> Exchange:
        """Return the exchange of an authenticated request; nothing happens before it is entered."""
        return Exchange(call, self._parts)


class Exchange:
    """One request's life. What the headers say is readable at any time, after a refusal too."""

    def __init__(self, call: ChatCall, parts: LifeParts) -> None:
        self.call = call
        self.cache_outcome = CacheOutcome()
        self._parts = parts
        self._visit = Visit(call, parts.visits)
        self._steps = call.steps
        self._progress = Progress()
        self._hit: CachedAnswer | None = None
        self._plan: Plan | None = None
        self._generate_step: Step | None = None
        self._stream: AsyncGenerator[GenerationEvent, None] | None = None

    @property
    def rate(self) -> RateState:
        """Where the tenant stands."""
        return self._visit.rate

    @property
    def started(self) -> Started | None:
        """Who answers, once known."""
        return self._progress.started

    @property
    def finished(self) -> Finished | None:
        """How the answer ended, once it has."""
        return self._progress.finished

    @property
    def overhead_ms(self) -> float:
        """Milliseconds spent so far on anything but waiting for upstreams."""
        waiting_ns = 0
        if self._generate_step is not None:
            step = self._generate_step
            attempts = step.children
            waiting_ns = (
                sum(attempt.end_ns - attempt.start_ns for attempt in attempts)
                if attempts
                else (step.end_ns or time.time_ns()) - step.start_ns
            )
        return (time.time_ns() - self.call.started_ns - waiting_ns) / 1e6

    async def __aenter__(self) -> Self:
        try:
            await self._prepare()
        except BaseException as error:
            self._settle(error)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._stream is not None:
                await self._stream.aclose()
        finally:
            self._settle(error)

    async def _prepare(self) -> None:
        call, visit = self.call, self._visit
        visit.enter()
        with self._steps.step("validate"):
            validate_input(call.input)
            visit.check()
        with self._steps.step("admit"):
            await visit.reserve()
        with self._steps.step("guard.input"):
            await self._parts.guard.check_input(call.input)
        if not (call.cache_control.no_store or call.cache_control.no_cache):
            await self._look_up()
        if self._hit is None and call.cache_control.only_if_cached:
            raise NotCached("The request is only-if-cached, and the cache has no answer to it.")
        if self._hit is None:
            await self._route()

    async def _look_up(self) -> None:
        call = self.call
        with self._steps.step("cache.lookup") as step:
            lookup = await self._parts.cache.look_up(call.caller.tenant.name, call.input, call.cache_control.max_age)
            step.children.extend(lookup.steps)
            self._hit = lookup.answer
            if lookup.answer is not None:
                self.cache_outcome = CacheOutcome("hit", lookup.answer.tier, lookup.answer.similarity)
            elif not lookup.bypass_reason:
                self.cache_outcome = CacheOutcome("miss")
            step.attributes = {"result": self.cache_outcome.status, "reason": lookup.bypass_reason}

    async def _route(self) -> None:
        with self._steps.step("route") as step:
            routed = await self._parts.router.route(self.call.input, self.call.caller.tenant.regions)
            step.children.extend(routed.steps)
            self._plan = routed.plan

    def events(self) -> AsyncIterator[GenerationEvent]:
        """Return the answer's events, from the cache or from an upstream; iterate once."""
        self._stream = self._replayed() if self._hit is not None else self._generated()
        return self._stream

    async def _generated(self) -> AsyncGenerator[GenerationEvent, None]:
        assert self._plan is not None, "entered without a plan"
        note, check_output = self._progress.note, self._parts.guard.check_output
        step = self._generate_step = self._steps.begin("generate", plan=self._plan.reason)
        failure = "interrupted"
        try:
            async with self._parts.generator.generate(self.call.input, self._plan, step.children) as events:
                async for event in events:
                    named = check_output(self._renamed(event))
                    note(named)
                    yield named
            failure = ""
        except Exception as error:
            failure = type(error).__name__
            raise
        finally:
            end(step, failure)
            self._note_output_guard(step, failure)

    def _note_output_guard(self, generate: Step, failure: str) -> None:
        """Record the output guard's step: it ran from the first event to the last."""
        if self._progress.first_event_ns:
            step = self._steps.begin("guard.output")
            step.start_ns, step.end_ns, step.error = self._progress.first_event_ns, generate.end_ns, failure

    def _renamed(self, event: GenerationEvent) -> GenerationEvent:
        if isinstance(event, Started):
            return msgspec.structs.replace(event, generation_id=self.call.generation_id)
        return event

    async def _replayed(self) -> AsyncGenerator[GenerationEvent, None]:
        assert self._hit is not None, "replay without a hit"
        for event in self._hit.events:
            # A hit has its own price, and asks nobody.
            is_end = isinstance(event, Finished)
            named = msgspec.structs.replace(event, attempts=0, cost_nano_usd=0) if is_end else self._renamed(event)
            self._progress.note(named)
            yield named

    def _settle(self, error: BaseException | None) -> None:
        """Leave, bill, report and remember, each exactly once."""
        self._visit.leave()
        is_model = self._plan is not None or self._hit is not None
        self._visit.settle(self._row(error), self.call.input.model if is_model else "", error)
        if error is None and self._is_worth_keeping():
            self._parts.in_background(self._store())

    def _row(self, error: BaseException | None) -> LedgerRow:
        call, progress = self.call, self._progress
        answered_by, finished = progress.answered_by, progress.finished
        # A hit costs nothing, however far its replay came.
        bill = progress.bill(call.input) if self._hit is None else Bill(progress.usage or Usage())
        first_ns = progress.first_event_ns
        return LedgerRow(
            generation_id=call.generation_id,
            request_id=call.request_id,
            created_at=datetime.fromtimestamp(call.started_ns / 1e9, UTC),
            tenant=call.caller.tenant.name,
            key_id=call.caller.key_id,
            surface=call.surface,
            requested_model=call.input.model,
            outcome=outcome_of(error),
            upstream=answered_by.upstream if answered_by else "",
            model=answered_by.model if answered_by else "",
            finish_reason=finished.reason.value if finished else "",
            cache_status=self.cache_outcome.status,
            usage=bill.usage,
            unit_prices=bill.unit_prices,
            cost_nano_usd=bill.cost_nano_usd,
            attempts=finished.attempts if finished else self._attempts_made(),
            time_to_first_token_ms=(first_ns - call.started_ns) / 1e6 if first_ns else None,
            duration_ms=(time.time_ns() - call.started_ns) / 1e6,
            overhead_ms=self.overhead_ms,
            user=call.context.user,
            feature=call.context.feature,
            tags=call.context.tags,
        )

    def _attempts_made(self) -> int:
        """Return how many attempts an unfinished answer took, as far as inference could tell before it ended."""
        told = len(self._generate_step.children) if self._generate_step is not None else 0
        return max(told, int(self._progress.started is not None))

    def _is_worth_keeping(self) -> bool:
        finished = self._progress.finished
        return (
            self._hit is None
            and finished is not None
            and finished.reason is FinishReason.STOP
            and not self.call.cache_control.no_store
            and (self.cache_outcome.status == "miss" or self.call.cache_control.no_cache)
        )

    async def _store(self) -> None:
        # The answer was sent; what time the caller granted no longer matters.
        CURRENT_SCOPE.set(replace(CURRENT_SCOPE.get(), deadline=None))
        finished, plan = self._progress.finished, self._plan
        is_substitute = plan is not None and finished is not None and finished.answered_by != plan.candidates[0]
        await self._parts.cache.store(
            self.call.caller.tenant.name,
            self.call.input,
            merge_deltas(self._progress.events),
            SUBSTITUTE_ANSWER_TTL if is_substitute else None,
        )
