"""The life of one chat request, from an authenticated caller to a settled bill.

The steps are those of docs/architecture.md: validate, admit, make the effective
input, route, look into the cache, generate, guard the output, settle. Surfaces
use it as::

    exchange = life.begin(call)
    async with exchange:                  # raises whatever refuses the request
        async for batch in exchange.batches():
            ...                           # obeys the stream invariants
    await exchange.afterwards()           # settled, exactly once; the caller has the answer

or, where the caller does not stream, with ``await exchange.answer()`` inside.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence

from penstock_common.errors import DeadlineExceeded, NotCached, PenstockError
from penstock_common.llm.events import Answer
from penstock_common.llm.types import Batch, Decision, GenerationInput, Plan, Usage
from penstock_common.telemetry.steps import Step
from penstock_gateway.domain.experiments.running import Assigned, take_part
from penstock_gateway.domain.knowledge_use.told import KnowledgeTold
from penstock_gateway.domain.life.caching import CacheVisit, followed_outcome, stale_outcome
from penstock_gateway.domain.life.compression import CompressionTold
from penstock_gateway.domain.life.descent import Descent, Stranded, goes_on
from penstock_gateway.domain.life.effective import effective_input
from penstock_gateway.domain.life.flights import Flights
from penstock_gateway.domain.life.guarded import CutShort, GuardedChat
from penstock_gateway.domain.life.ladder import Ladder
from penstock_gateway.domain.life.order import Call, ChatOrder
from penstock_gateway.domain.life.outcome import Outcome
from penstock_gateway.domain.life.parts import LifeParts
from penstock_gateway.domain.life.progress import (
    Bill,
    Progress,
    and_also,
    attempts_made,
    came_whole,
    owed_for,
    waited_at_ns,
)
from penstock_gateway.domain.life.retrieval import Grounds
from penstock_gateway.domain.life.seats import Boarding, Following, Leading, Seat, board, claim
from penstock_gateway.domain.life.settlement import NO_PART
from penstock_gateway.domain.life.sources import AnswerSource, AnswerStream, Generation, Replay, kept_form, renamed
from penstock_gateway.domain.life.validation import validate_input
from penstock_gateway.domain.prompts.varying import with_varied_prompt
from penstock_gateway.domain.structured.terms import Told

__all__ = ["ChatExchange", "ChatLife", "LifeParts"]


class ChatLife:
    """Begins exchanges."""

    def __init__(self, parts: LifeParts) -> None:
        self.parts = parts

    def begin(self, call: Call[ChatOrder]) -> ChatExchange:
        """Return the exchange of an authenticated request; nothing happens before it is entered."""
        return ChatExchange(call, self.parts)


class ChatExchange(GuardedChat):
    """One chat's life."""

    __slots__ = (
        "_batches", "_followed_ns", "_generate", "_name", "_visit", "_was_left", "assigned", "compressed",
        "decision", "grounds",
    )  # fmt: skip

    def __init__(self, call: Call[ChatOrder], parts: LifeParts) -> None:
        super().__init__(call, parts)
        self.assigned: Assigned | None = None  # the request's part in an experiment, once it was admitted
        self.decision: Decision | None = None  # which model was chosen, where the caller left that to the router
        self.compressed: CompressionTold | None = None
        self.grounds: Grounds | None = None
        self._visit = CacheVisit(call, parts.cache, by_meaning=parts.matches_meaning)
        self._batches: AsyncGenerator[Batch, None] | None = None
        self._generate: Step | None = None
        self._was_left, self._followed_ns, self._name = False, 0, call.order.generation_id

    @property
    def may_degrade(self) -> bool:
        """Whether another answer may stand in for the model's own, so that what headers say is not known at once."""
        return self._ladder is not None

    @property
    def knowledge(self) -> KnowledgeTold | None:
        """What was found for the answer so far, and what of it that cites."""
        return None if self.grounds is None else self.grounds.told(self.progress.events)

    def batches(self) -> AsyncGenerator[Batch, None]:
        """Return the answer's events, wherever they come from; iterate once."""
        self._batches = self._read()
        return self._batches

    async def _read(self) -> AsyncGenerator[Batch, None]:
        note, is_open = self.progress.note, False
        while not is_open:
            try:
                async for batch in self._opened():
                    named = batch if self.progress.started is not None else renamed(batch, self._name)
                    note(named)
                    yield named
                is_open = True
            except CutShort as cause:
                is_open = True
                yield await self._cut_short(cause)
            except PenstockError as error:
                if self.progress.first_event_ns:
                    # The caller has some of it already.
                    raise
                await self._step_down(error)
        self._has_ended()

    async def answer(self) -> Answer:
        """Return the whole answer; asked once, instead of ``batches``."""
        while True:
            note, answer = self.progress.note, Answer()
            try:
                async for batch in self._opened():
                    named = batch if self.progress.started is not None else renamed(batch, self._name)
                    note(named)
                    answer.extend(named)
            except CutShort as cause:
                answer = Answer() if self.progress.started is None else answer
                answer.extend(await self._cut_short(cause))
            except PenstockError as error:
                await self._step_down(error)
                self.progress = Progress()
                continue
            self._has_ended()
            return answer

    async def _prepare(self) -> None:
        steps, parts = self._steps, self._parts
        if self.call.order.prompt is not None:
            await self._take_prompt()
        order = self.call.order
        steps.next("validate")
        validate_input(order.input, may_be_empty=order.prompt is not None)
        self._check()
        steps.next("admit")
        await self._reserve()
        steps_in = self._guarded_steps() if parts.rails.pipelines else self._input_steps
        effective, squeeze = order.input, parts.compression
        if steps_in or order.compress or (squeeze is not None and effective.model in squeeze.models):
            effective, self.compressed = await effective_input(self.call, steps_in, squeeze)
        if order.knowledge is not None or order.input.model in parts.retrieval.models:
            effective = await self._retrieve(effective)
        if self._source is not None:
            return
        if (experiments := parts.experiments.by_model) and self.assigned is None:
            self.assigned, effective = take_part(experiments, self.call, effective)
        self._effective = effective
        # First, so that no kept answer is given in the name of a model that would not be asked now.
        try:
            plan = await self._route(effective, self._steps.next("route"))
        except PenstockError as error:
            await self._step_down(error)
            return
        self.decision = plan.decision
        hit = await self._visit.look_up(effective, plan)
        self.cache_outcome = self._visit.outcome
        if hit is not None:
            self._source = Replay(hit, parts.pace)
        else:
            await self._begin_generation(effective, plan)
        steps.stop()

    async def _begin_generation(self, effective: GenerationInput, plan: Plan) -> None:
        """Have the answer generated, or follow an equal request whose answer is."""
        order, parts = self.call.order, self._parts
        if order.cache_control.only_if_cached:
            raise NotCached("The request is only-if-cached, and the cache has no answer to it.")
        source = self._source = await self._generation(effective, plan, self._ladder)
        if parts.flights is not None and isinstance(source, Generation):
            await self._board(parts.flights, source)
        if self._is_estimated:
            self._note_generating(plan, self._source)

    async def _take_prompt(self) -> None:
        self._steps.next("prompt")
        parts, running = self._parts, self._parts.experiments.by_prompt
        self.assigned, self.call, render = await with_varied_prompt(self.call, parts.prompts, running)
        self._visit = CacheVisit(self.call, parts.cache, by_meaning=parts.matches_meaning)
        self._input_steps = (render, *self._input_steps)

    async def _retrieve(self, asked: GenerationInput) -> GenerationInput:
        """Return the input with what was found for it, after all other steps: nothing else makes that shorter."""
        grounds = self.grounds = self._visit.grounds = await self._search(asked)
        self._source, self._effective = grounds.given, grounds.effective
        return grounds.effective

    async def _board(self, flights: Flights, generation: Generation) -> None:
        """Follow an equal request that is being answered, or let others follow this one."""
        order = self.call.order
        if (key := self._visit.flight()) is None:
            return

        def go_on(given: Batch, owed: Batch) -> tuple[AnswerSource, list[Step]]:
            self._source = generation.going_on_from(given, is_owed=bool(owed)) if given else generation
            if owed and not given:
                self._owe(owed_for(owed, self._effective))
            self.cache_outcome = self._visit.outcome
            return self._source, self._generating(generation).children

        boarding = Boarding(order.generation_id, order.whole, go_on)
        self._source = self._seat = seat = board(flights, key, generation, boarding)
        if flights.shared is not None and isinstance(seat, Leading):
            self._source = self._seat = seat = await claim(flights, seat, boarding)
        if isinstance(seat, Following):
            self.cache_outcome = followed_outcome(self._effective)

    async def _step_down(self, error: PenstockError) -> None:
        """Let the next step of the model's ladder be the answer's source, in the place of what ``error`` has ended.

        Raises:
            PenstockError: what ended the model's own answer, where nothing stands in for it.
        """
        told: PenstockError | None = error
        try:
            told = await self._below(error)
            if told is not None:
                raise told
        finally:
            # They know this frame, and would live on with the request and all that it holds.
            del error, told

    async def _below(self, error: PenstockError) -> PenstockError | None:
        """Take the next step, as ``_step_down`` says; return what the caller is told where there is none."""
        descent, ladder = self._descent, self._ladder
        self.degraded, self.age_seconds = None, None
        if ladder is None or not goes_on(error, is_down=descent is not None, has_quick_steps=ladder.has_quick_steps):
            return error
        if self._stream is not None:
            if self._seat is not None:
                await self._seat.leave(error)
            await self._stream.aclose()
        failure = type(error).__name__
        self._has_ended(failure)
        self._steps.stop(failure)
        if descent is None:
            descent = self._descent = self._begin_descent(ladder, error)
        self._note_spent(descent.note_failed(self._generate))
        self._generate = None
        taken = await descent.next(self._steps)
        if taken is None:
            cause, descent.cause = descent.cause, None
            return cause or error
        self._steps.stop()
        self._source, self.degraded, self.age_seconds = taken
        if taken.age_seconds is not None:
            self.cache_outcome = stale_outcome(self._effective)
        return None

    def _begin_descent(self, ladder: Ladder, cause: PenstockError) -> Descent:
        plan = self._source.plan if self._source is not None else None
        stranded = Stranded(self.call, self._effective, self._visit.scope, self._visit.probe, plan)
        return Descent(ladder, stranded, self._fallbacks(), cause)

    def _opened(self) -> AnswerStream:
        source = self._source
        assert source is not None, "asked for an answer before it was entered"
        attempts: list[Step] = []
        if isinstance(source, Following):
            self._generate = self._steps.next("follow")
            self._generate.attributes = {"generation": source.name}
        elif source.plan is not None:
            attempts = self._generating(source).children
        stream = source.open(attempts)
        if self._parts.guards or self.guarding is not None:
            stream = self._watched(stream)
        if isinstance(source, Leading):
            source.kept = self.progress.events if self._given is None else self._given.events
        self._stream = stream
        return stream

    def _generating(self, source: AnswerSource) -> Step:
        """Begin the step of a generation; one that goes on from another's has been followed before."""
        if self._generate is not None and self._generate.name == "follow":
            self._followed_ns = time.time_ns() - self._generate.start_ns
        step = self._generate = self._steps.next("generate")
        step.attributes = {"plan": source.plan.reason if source.plan is not None else ""}
        return step

    def _has_ended(self, failure: str = "") -> None:
        """Record that the answer is over, and the output guard's step: it ran from the first event to the last."""
        step = self._generate
        if step is None or step.end_ns:
            return
        self._steps.stop(failure)
        if first_ns := self.progress.first_event_ns:
            guarding = self.guarding
            told = {} if guarding is None else guarding.tally.attributes(guarding.told_of_input)
            self._steps.recorded.append(Step("guard.output", first_ns, step.end_ns, failure, told))

    async def _close(self, error: BaseException | None) -> None:
        self._was_left = isinstance(error, asyncio.CancelledError | GeneratorExit | DeadlineExceeded)
        if self._batches is not None:
            await self._batches.aclose()
        if self.guarding is not None:
            await self._stop_reading()
        if self._seat is not None and (error is not None or self._source is not self._seat or self._stream is None):
            await self._leave_seat(self._seat, error)
        if self._stream is not None:
            await self._stream.aclose()
        if self._descent is not None:
            # It knows the frames that it passed, and would live on with the request and all that it holds.
            self._descent.cause = None
        # Of all that ends an answer, only what a service says is its failure.
        self._has_ended(type(error).__name__ if isinstance(error, PenstockError) else "interrupted")

    async def _leave_seat(self, seat: Seat, error: BaseException | None) -> None:
        """Leave the flight, and take in what was generated for others after this caller had left: it is on this bill."""
        await seat.leave(error)
        for batch in seat.unread:
            self.progress.note(batch)
            if self._given is not None:
                self._given.events += batch
        if self._was_left and seat.unread and self.progress.finished is not None:
            await self._afterwards()

    def _outcome(self) -> Outcome:
        seen, is_hit = self.progress, self.is_hit
        progress = self.progress = seen if self._given is None or is_hit else self._generated()
        if progress.finished is None and (self._generate is not None or self._descent is not None):
            self._note_what_is_owed(self._attempts())
        finished = progress.finished
        # A hit costs nothing, however far its replay came.
        bill = Bill(progress.usage or Usage()) if is_hit else progress.bill(self._effective)
        saved = self._source.saved if is_hit and finished is not None and self._source is not None else None
        if finished is not None and (is_hit or not finished.stopped_by) and self._descent is not None:
            bill = and_also(bill, self._descent.owed())
        return Outcome(
            bill=bill if self._owed is None else and_also(bill, self._owed),
            public_model=self.call.order.input.model if self._source is not None else "",
            answered_by=progress.answered_by,
            finish_reason=seen.finished.reason.value if seen.finished else "",
            cache=self.cache_outcome,
            attempts=finished.attempts if finished else attempts_made(self._attempts(), progress),
            first_event_ns=0 if came_whole(self._generate) else progress.first_event_ns,
            degraded=self.degraded.value if self.degraded is not None else "",
            saved=saved,
            stopped_by=finished.stopped_by if finished else "",
            prompt=self.call.order.prompt,
            decision=self.decision,
            part=self.assigned.part if self.assigned is not None else NO_PART,
            compressed_tokens=self.compressed.saved if self.compressed is not None else 0,
            retrieval=self.grounds.signals(progress) if self.grounds is not None else None,
            guardrails=self.guarding.tally if self.guarding is not None else None,
        )

    def _attempts(self) -> Sequence[Step]:
        """Return the attempts made so far, at whatever model."""
        made = self._generate.children if self._generate is not None else []
        return made if self._descent is None else [*self._descent.attempts(), *made]

    def _note_what_is_owed(self, attempts: Sequence[Step]) -> None:
        """Take in what inference alone knows of an answer that we ended, or what we must assume where it cannot tell."""
        self.progress.note_ended(attempts)
        generate, plan = self._generate, self._source.plan if self._source is not None else None
        is_untold = self._was_left and generate is not None and not generate.children
        if is_untold and plan is not None and not self._parts.inference_is_here:
            # Who hangs up a call to another process hears no more of it.
            self.progress.assume_asked(plan, self._effective)

    def _was_refused(self, error: PenstockError) -> bool:
        # What is asked of the cache alone is answered, with nothing too.
        return self._generate is None and self._source is None and not isinstance(error, NotCached)

    def _waiting_ns(self) -> int:
        before_ns = self._followed_ns + (0 if self._descent is None else self._descent.waited_ns())
        return before_ns if self._generate is None else before_ns + waited_at_ns(self._generate)

    async def _afterwards(self) -> None:
        """Let a variant's shadow answer, and keep a clean answer: another candidate's for as long as an outage lasts."""
        finished, source, order = self.progress.finished, self._source, self.call.order
        told = None if self.checked is None else self.checked.told
        if source is None or source.plan is None or finished is None or told is Told.INVALID:
            return
        if self.assigned is not None and self.assigned.shadow is not None:
            self._parts.begin_shadow(self.call, self._effective, self.assigned)
        if not self._visit.may_keep(finished, self.cache_outcome, self._effective):
            return
        ladder = self._parts.ladders.by_name.get(order.input.model)
        await self._visit.keep(
            self._effective,
            source.plan,
            kept_form(self.progress.events if self._given is None else self._given.events, self._effective.hints_json),
            is_substitute=finished.answered_by != source.plan.candidates[0],
            stale_for=None if ladder is None else ladder.stale_for,
        )
