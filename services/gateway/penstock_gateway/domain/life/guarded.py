"""What a chat's life has of guardrails: its rules on the way in, on the way out, and the end of an answer that one refuses."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock_common.contract.knowledge import Hit
from penstock_common.llm.types import (
    STOPPED_BY_GUARDRAIL,
    Batch,
    ChoiceFinished,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationInput,
    Started,
    StopDetails,
    TextDelta,
    Usage,
)
from penstock_gateway.domain.guardrails.pipeline.answer import GuardedAnswer
from penstock_gateway.domain.guardrails.pipeline.guarding import Guarding
from penstock_gateway.domain.guardrails.pipeline.refusing import AnswerRefused
from penstock_gateway.domain.guardrails.pipeline.retrying import retries_of
from penstock_gateway.domain.guardrails.pipeline.rule import Surface
from penstock_gateway.domain.life.budgeted import BudgetedChat
from penstock_gateway.domain.life.cache_outcome import BYPASS, CacheOutcome
from penstock_gateway.domain.life.descent import Descent
from penstock_gateway.domain.life.effective import InputStep
from penstock_gateway.domain.life.order import Call, ChatOrder
from penstock_gateway.domain.life.parts import LifeParts
from penstock_gateway.domain.life.ports import AnswerStream
from penstock_gateway.domain.life.progress import Bill, Progress, and_also, attempts_made
from penstock_gateway.domain.life.retrieval import GuardHits
from penstock_gateway.domain.life.sources import Recorded, renamed
from penstock_gateway.domain.limits.meter import OutOfMoney

CutShort = (OutOfMoney, AnswerRefused)
"""What ends an answer that is complete as far as it came."""
_CATEGORY = "guardrail"


class GuardStep:
    """The input step of a request's own rules."""

    name = "guard.input"

    def __init__(self, guarding: Guarding) -> None:
        self._guarding = guarding

    async def apply(self, request: GenerationInput, call: Call[ChatOrder]) -> GenerationInput:
        """Return the input as the model may see it, or raise what refuses it."""
        step = call.steps.recorded[-1]
        try:
            return await self._guarding.entering(request)
        finally:
            step.attributes = self._guarding.told_of_input = self._guarding.tally.attributes()


class GuardedChat(BudgetedChat):
    """A chat, as far as guardrails go. A request that no rule holds for has nothing of this but two attributes."""

    __slots__ = ("_descent", "_given", "_input_steps", "age_seconds", "cache_outcome", "guarding")

    def __init__(self, call: Call[ChatOrder], parts: LifeParts) -> None:
        super().__init__(call, parts)
        self.guarding: Guarding | None = None
        """What rules do with the request; None where none holds for it."""
        self._given: Recorded | None = None
        self._descent: Descent | None = None
        self.cache_outcome: CacheOutcome = BYPASS
        self.age_seconds: int | None = None
        """Of a stale answer."""
        self._input_steps: Sequence[InputStep] = parts.input_steps

    @property
    def is_hit(self) -> bool:
        """Whether the answer was generated for another request, and costs this one nothing."""
        return self.cache_outcome.status == "hit"

    def _guarded_steps(self) -> Sequence[InputStep]:
        """Return the steps of the input, with the request's rules after all others."""
        order, parts, caller = self.call.order, self._parts, self.call.caller
        # A key that was rotated is held to what was said of the first.
        held = parts.rails.held(order.tenant, order.input.model, caller.key_id, caller.counted_key_id)
        if held is None or parts.guarding is None:
            return self._input_steps
        self.guarding = Guarding(held, self.call, parts.guarding)
        self._retries = retries_of(self.guarding)
        return (*self._input_steps, GuardStep(self.guarding))

    def _guard_of_hits(self) -> GuardHits | None:
        guarding = self.guarding
        if guarding is None or not guarding.held.reads_documents:
            return None

        async def guarded(hits: Sequence[Hit]) -> Sequence[Hit]:
            return [await _entered(guarding, hit) for hit in hits]

        return guarded

    def _watched(self, answer: AnswerStream) -> AnswerStream:
        """Return what the caller may see of an answer; what its source gives is recorded."""
        stream: AnswerStream
        stream = self._given = Recorded(answer)
        for guard in self._parts.guards:
            stream = guard.watch(stream, self.call)
        guarding = self.guarding
        if guarding is not None and (guarding.held.output or len(guarding.pseudonyms)):
            stream = GuardedAnswer(stream, guarding)
        return stream

    async def _stop_reading(self) -> None:
        """Read no more of the answer: a guard may be reading on, whoever listens."""
        if isinstance(self._stream, GuardedAnswer):
            await self._stream.stop()

    def _generated(self) -> Progress:
        """Return what was generated of the answer, whatever the caller has seen of it."""
        seen, given = self.progress, self._given
        if given is None or seen.finished is not None:
            return seen
        generated = Progress()
        if given.events:
            generated.note(tuple(given.events))
        generated.first_event_ns = seen.first_event_ns
        return generated

    async def _cut_short(self, cause: OutOfMoney | AnswerRefused) -> Batch:
        """Return the end of an answer that its budgets, or its rules, let go no further."""
        if isinstance(cause, OutOfMoney):
            return await self._run_out(cause)
        if self._seat is not None:
            await self._seat.leave(cause)
            if self._given is not None:
                # It was generated for others, and is on this bill.
                self._given.events += [event for batch in self._seat.unread for event in batch]
        if self._stream is not None:
            await self._stream.aclose()
        end = self._refused_end(cause)
        self.progress.note(end)
        return end

    def _bill_of(self, generated: Progress) -> Bill:
        """Return what a refused answer costs: all that was generated, whatever the caller has seen of it."""
        if not self.is_hit and generated.finished is None:
            generated.note_ended(self._attempts())
            return generated.bill(self._effective)
        # A hit costs nothing, however far its replay came.
        bill = Bill(generated.usage or Usage()) if self.is_hit else generated.bill(self._effective)
        return bill if self._descent is None else and_also(bill, self._descent.owed())

    def _refused_end(self, cause: AnswerRefused) -> Batch:
        progress, given = self.progress, [] if self._given is None else self._given.events
        generated = self._generated()
        bill, whole = self._bill_of(generated), generated.finished
        made = whole.attempts if whole is not None else attempts_made(self._attempts(), generated)
        before: list[GenerationEvent] = []
        started = next((event for event in given if isinstance(event, Started)), None)
        if started is not None and not progress.events:
            before += renamed((started,), self.call.order.generation_id)
        answered_by = progress.answered_by if started is None else started.answered_by
        assert answered_by is not None, "an answer is only refused that has begun"
        if cause.message:
            before.append(TextDelta(text=cause.message))
        ended = {event.choice for event in progress.events if isinstance(event, ChoiceFinished)}
        before += [
            ChoiceFinished(choice=choice, reason=FinishReason.CONTENT_FILTER)
            for choice in range(1, self._effective.sampling.choices or 1)
            if choice not in ended
        ]
        finished = Finished(
            reason=FinishReason.CONTENT_FILTER,
            answered_by=answered_by,
            attempts=0 if whole is None and self.is_hit else made,
            cost_nano_usd=bill.cost_nano_usd,
            unit_prices=bill.unit_prices,
            recoveries=() if whole is None else whole.recoveries,
            degraded=self.degraded,
            stop_details=StopDetails(category=_CATEGORY, explanation=cause.message),
            stopped_by=STOPPED_BY_GUARDRAIL,
        )
        return (*before, bill.usage, finished)


async def _entered(guarding: Guarding, hit: Hit) -> Hit:
    """Return a hit with its text as the model may see it; where that is another, its snippet is all of it."""
    text = await guarding.entered(hit.chunk.text, Surface.DOCUMENT)
    if text == hit.chunk.text:
        return hit
    return msgspec.structs.replace(hit, chunk=msgspec.structs.replace(hit.chunk, text=text), snippet="")
