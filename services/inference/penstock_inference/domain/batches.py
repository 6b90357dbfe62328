"""One answer as it is made: the attempts at it, and what of them the caller is given."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Sequence
from typing import cast

import msgspec

from penstock_common.errors import PenstockError
from penstock_common.llm.events import Answer, merge_deltas
from penstock_common.llm.owed import Owed
from penstock_common.llm.types import (
    Batch,
    ContentEvent,
    Finished,
    FinishReason,
    GenerationEvent,
    RecoveryWay,
    Started,
    Usage,
)
from penstock_common.telemetry.steps import Steps
from penstock_inference.domain.attempt import Attempt
from penstock_inference.domain.candidates import models_of
from penstock_inference.domain.catalogue import Model
from penstock_inference.domain.failure import AttemptFailed, FailureKind, Next, error_within_answer
from penstock_inference.domain.generation import Generation, GenerationParts
from penstock_inference.domain.hedging import Hedging
from penstock_inference.domain.load.admission import SATURATED, permit_at, record_shed
from penstock_inference.domain.load.gate import Gate
from penstock_inference.domain.race import Course, Race, race_of
from penstock_inference.domain.reasoning.handing import Handing, handing_of, keep_calls
from penstock_inference.domain.reasoning.history import has_history
from penstock_inference.domain.recovery import AnswerRecovery, delivered, handed_over
from penstock_inference.domain.succession import Succession
from penstock_inference.domain.tiers import asked_prices, asked_tier
from penstock_inference.domain.upstream import UpstreamCall
from penstock_inference.domain.usage import costing_more, settled_usage
from penstock_inference.domain.watchdog import DEADLINE_MARGIN_SECONDS, Watchdog


class Batches:
    """One answer: an asynchronous iterator of non-empty batches in the contract's order, closed like a generator.

    A batch is what was there at once: ``Started`` comes with the first content, usage
    and ``Finished`` with the last where the end was there already. Nothing comes before the
    first content, so that failing over stays invisible. One attempt is open
    at a time, and read inline, in the task of whoever iterates; two only within a
    ``Race``, which reads each in a task of its own.
    An error or a cancellation ends the attempt that runs and closes its connection.

    Raises:
        PenstockError: what the caller sees.
    """

    __slots__ = (
        "_answer", "_attempt", "_clock", "_deadline", "_done", "_generation", "_handing", "_held", "_parts", "_race",
        "_recovery", "_steps", "_succession", "_tier",
    )  # fmt: skip

    def __init__(self, generation: Generation, parts: GenerationParts, steps: Steps) -> None:
        """Begin; ``steps`` takes one step per attempt."""
        seconds = generation.seconds_left
        self._clock = asyncio.get_running_loop()
        self._deadline = None if seconds is None else self._clock.time() + seconds
        self._generation = generation
        self._parts = parts
        self._steps = steps
        self._succession: Succession | None = None
        self._tier = ""
        # Where the conversation holds calls or reasoning of an assistant.
        self._handing: Handing | None = None
        self._attempt: Attempt | None = None
        # Where the first token is late, the first two attempts run side by side.
        self._race: Race | None = None
        # Since the first break within the answer.
        self._recovery: AnswerRecovery | None = None
        # What the caller has been sent so far: what a recovery goes on from.
        self._answer = Answer()
        # What a caller who wants the whole will be sent, if this attempt is the one.
        self._held: list[ContentEvent] = []
        self._done = False
        if generation.given:
            self._answer.extend(generation.given)
            self._recovery = handed_over(generation.input, self._answer, is_owed=generation.given_is_owed)

    def __aiter__(self) -> Batches:
        return self

    async def __anext__(self) -> Batch:
        if self._done:
            await self.aclose()
            raise StopAsyncIteration
        try:
            return await self._next()
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """End the attempt that runs, if one does; may be repeated."""
        self._done = True
        if self._succession is not None and self._succession.holds_retry:
            self._succession.leave()
        # It asks us for the time that is left: a circle that nobody needs to collect.
        self._succession = None
        race, self._race = self._race, None
        try:
            if race is not None:
                await race.aclose()
        finally:
            attempt, self._attempt = self._attempt, None
            if attempt is not None:
                if attempt.is_open:
                    attempt.interrupted(attempt.turn.call.input, self._written(), self._tier)
                await attempt.aclose()

    async def _next(self) -> Batch:
        attempt, race = self._attempt, None
        if attempt is None:
            attempt = await self._first_attempt()
            hedging = self._parts.hedging
            race = self._race = None if hedging is None else self._race_of(attempt, hedging)
        while True:
            try:
                if race is None:
                    content = await attempt.next_batch()
                else:
                    running, race = race, None
                    attempt, content = await running.run()
                    self._attempt = attempt
                if self._recovery is not None:
                    content = self._new_of(attempt, content, self._recovery)
                if attempt.is_whole:
                    return self._last(attempt, content)
            except AttemptFailed as failure:
                attempt = await self._after(attempt, failure)
                continue
            if not content:
                # What has come of another's answer, the caller has already, or it is not decided yet.
                continue
            if not self._generation.whole:
                return self._sent(attempt, content)
            self._held.extend(content)

    async def _first_attempt(self) -> Attempt:
        generation, parts = self._generation, self._parts
        tier = asked_tier(generation.input) if generation.input.extra_json else None
        self._tier = tier.name if tier is not None else ""
        models = models_of(generation.plan, parts.catalogue, generation.input, tier)
        handing = None
        if generation.input.messages[2:] and has_history(generation.input.messages):
            handing = self._handing = await handing_of(generation, parts, models)
        succession = self._succession = Succession(
            models if handing is None else handing.models,
            self._seconds_left, parts.pauses.chance, generation.plan.unsupported, parts.pools,
        )  # fmt: skip
        if handing is not None:
            handing.begin(succession)
        delay = succession.delay
        if delay == 0 and parts.pools[succession.current.candidate.upstream].gate is None:
            return self._begin_attempt(succession)
        attempt = await self._begin_after(delay, succession)
        if attempt is None:
            raise succession.error
        return attempt

    def _race_of(self, first: Attempt, hedging: Hedging) -> Race | None:
        assert self._succession is not None, "an attempt was made"
        if self._recovery is not None or (self._handing is not None and self._handing.stays):
            return None
        begin, left = self._begin_attempt, self._seconds_left
        return race_of(first, Course(self._generation, self._parts, hedging, self._succession, left, begin, self._tier))

    async def _after(self, failed: Attempt, failure: AttemptFailed) -> Attempt:
        """Begin another attempt after one failed.

        Raises:
            PenstockError: where nobody can take over.
        """
        was_answering = self._answer.started is not None
        cost = None
        # One that failed within a race may have been ended before the other failed, too.
        if failed.is_open:
            cost = self._note_cost(failed, failure, was_answering=was_answering)
            failed.failed(failure)
            await failed.aclose()
        assert self._succession is not None, "an attempt has failed"
        self._held.clear()
        if self._asks_without(failed.model, failure):
            if self._recovery is not None:
                self._recovery.repeat()
            delay = self._succession.ask_otherwise()
        elif was_answering:
            delay = self._recover(failed.model, failure, cost)
        else:
            delay = self._succession.after(failure)
        if self._succession.retry_refused:
            failed.retry_refused()
        attempt = await self._begin_after(delay, self._succession)
        if attempt is None:
            raise (self._broken_off(failure) if was_answering else self._succession.error) from failure
        return attempt

    def _asks_without(self, model: Model, failure: AttemptFailed) -> bool:
        """Return whether who failed, and had written nothing, is asked once more without the conversation's reasoning."""
        wrote = self._answer.started is not None and (self._recovery is None or self._recovery.has_written)
        return self._handing is not None and not wrote and self._handing.asks_without(model, failure)

    async def _begin_after(self, delay: float | None, succession: Succession) -> Attempt | None:
        """Wait as the succession says, and begin an attempt at whom it says then; None where nobody is left to ask."""
        while True:
            while delay:
                await self._parts.pauses.sleep(delay)
                delay = succession.woken()
            if delay is None:
                return None
            gate = self._gate_of(succession)
            if gate is None:
                return self._begin_attempt(succession)
            attempt = await self._begin_inside(gate, succession)
            if attempt is not None:
                return attempt
            succession.begin()
            delay = succession.after(SATURATED)

    async def _begin_inside(self, gate: Gate, succession: Succession) -> Attempt | None:
        """Begin an attempt once its upstream's limits let it in; None where that is not in time."""
        model, began = succession.current, self._clock.time()
        pool = self._parts.pools[model.candidate.upstream]
        wait = min(pool.wait_seconds if succession.others_could_answer else gate.wait_seconds, self._seconds_left())
        permit = await permit_at(gate, model, self._generation.input, self._generation.priority, wait)
        if permit is None:
            record_shed(model, self._steps)
            return None
        try:
            attempt = self._begin_attempt(succession)
        except BaseException:
            permit.leave(0)
            raise
        attempt.permit = permit
        if permit.has_waited:
            attempt.waited(self._clock.time() - began)
        return attempt

    def _gate_of(self, succession: Succession) -> Gate | None:
        return self._parts.pools[succession.current.candidate.upstream].gate

    def _note_cost(self, failed: Attempt, failure: AttemptFailed, *, was_answering: bool) -> Owed | None:
        """Record what a failed attempt has cost; return what of it is owed: what it wrote, or a caller's time ended."""
        wrote = was_answering and (self._recovery is None or self._recovery.has_written)
        if wrote or failure.kind is FailureKind.DEADLINE:
            return failed.interrupted(failed.turn.call.input, self._written(), self._tier)
        if failure.may_have_cost:
            failed.lost(failed.turn.call.input)
        return None

    def _recover(self, model: Model, failure: AttemptFailed, cost: Owed | None) -> float | None:
        """Return the seconds to wait before somebody is asked to make the answer whole that broke off; None: nobody can."""
        recovery, succession = self._recovery, self._succession
        assert succession is not None, "an attempt has failed"
        if recovery is None:
            recovery = self._recovery = AnswerRecovery(self._generation.input, self._answer, failure, model.candidate)
        elif recovery.has_given:
            recovery.note_break(failure, model.candidate)
        if cost is not None:
            recovery.note_cost(cost)
        if failure.next is Next.FINAL or not self._generation.may_recover or not recovery.is_possible(failure):
            return None
        return succession.after_break(failure, another_way=recovery.may_ask_otherwise(failure))

    def _broken_off(self, failure: AttemptFailed) -> PenstockError:
        """Return what the caller sees where nobody made the answer whole."""
        recovery = self._recovery
        assert recovery is not None, "the answer broke off"
        has_none_of_its_own = recovery.failure.kind is FailureKind.HANDED_OVER
        told = failure if failure.kind is FailureKind.DEADLINE or has_none_of_its_own else recovery.failure
        self._parts.observer.broke_off(recovery.broke, recovery.failure.outcome)
        return error_within_answer(told, recovery.broke, delivered(self._answer))

    def _new_of(
        self, attempt: Attempt, content: Sequence[ContentEvent], recovery: AnswerRecovery
    ) -> Sequence[ContentEvent]:
        """Return what the caller has not been sent of the content of an attempt that makes another's answer whole."""
        new = recovery.take(content)
        if recovery.met_stop:
            attempt.met_stop(recovery.met_stop)
        if not attempt.is_whole:
            return new
        assert attempt.stopped is not None, "the answer is whole"
        return recovery.end(new, attempt.stopped.reason)

    def _begin_attempt(self, succession: Succession, beside: Model | None = None) -> Attempt:
        """Begin an attempt at whom the succession has chosen, or at another ``beside`` the one that runs."""
        succession.begin() if beside is None else succession.begin_beside(beside)
        model, recovery = beside or succession.current, self._recovery
        candidate = model.candidate
        asked = self._generation.input if recovery is None else recovery.begin(model)
        others_left = succession.others_could_answer
        whole = self._generation.whole and model.is_asked_whole(others_left=others_left or beside is not None)
        share = self._seconds_left() / 2 if others_left and self._deadline is not None else math.inf
        seconds = model.timeouts.beside_others(share) if others_left else model.timeouts.seconds
        watchdog = Watchdog(seconds, self._deadline, self._clock, expects_whole=whole)
        call = UpstreamCall(
            candidate.model, asked, seconds.connect, watchdog.headers_received, watchdog.whole_expected, whole,
            recovery is not None and recovery.way is RecoveryWay.CONTINUED, succession.unsupported, model.facts,
        )  # fmt: skip
        step = self._steps.begin("attempt", upstream=candidate.upstream, model=candidate.model, provider=model.provider)
        if whole:
            step.attributes["whole"] = True
        if succession.availability is not None and (passed_over := succession.passed_over):
            step.attributes["passed_over"] = passed_over
        if self._handing is None:
            attempt = Attempt(model, succession.turn(call, beside), watchdog, step)
        else:
            attempt = Attempt(model, self._handing.turn(succession, call, model, beside), watchdog, step)
            attempt.lacks_reasoning(self._handing.missing)
        if self._parts.hedging is not None:
            attempt.first_tokens = self._parts.hedging.first_tokens(candidate, attempt.turn.call.input)
        if beside is not None:
            attempt.hedges()
            return attempt
        self._attempt = attempt
        if recovery is not None:
            attempt.recovers(recovery.way.value)
        return attempt

    def _seconds_left(self) -> float:
        if self._deadline is None:
            return float("inf")
        return self._deadline - DEADLINE_MARGIN_SECONDS - self._clock.time()

    def _written(self) -> Answer:
        """Return what the attempt that runs has written so far; asked at its end alone."""
        if self._recovery is not None:
            return self._recovery.written
        self._answer.extend(self._held)
        return self._answer

    def _sent(self, attempt: Attempt, content: Sequence[ContentEvent]) -> list[GenerationEvent]:
        """Return the content as it goes to the caller, with ``Started`` before the first."""
        events: list[GenerationEvent] = [*content]
        if self._answer.started is None:
            events.insert(0, self._started(attempt))
        self._answer.extend(events)
        return events

    def _started(self, attempt: Attempt) -> Started:
        model = attempt.model
        return Started(
            generation_id=f"gen-{secrets.token_hex(12)}",
            answered_by=model.candidate,
            unit_prices=asked_prices(model, self._tier) if self._tier else model.prices,
            dropped=attempt.dropped if attempt.missing_reasoning else attempt.answer.dropped,
        )

    def _last(self, attempt: Attempt, content: Sequence[ContentEvent]) -> Batch:
        """Return what is left of a whole answer: content, usage and ``Finished``.

        Raises:
            AttemptFailed: if the answer is empty, and no rule explains it.
        """
        if self._held:
            content = cast("list[ContentEvent]", merge_deltas([*self._held, *content]))
        value = self._generation.input
        assert self._succession is not None, "an attempt was made"
        if not content and self._answer.started is None:
            attempt.check_not_empty(stop_was_asked=bool(value.sampling.stop))
        events = self._sent(attempt, content) if content or self._answer.started is None else []
        wrote = self._answer if self._recovery is None else self._recovery.written
        usage = settled_usage(attempt.usage, attempt.turn.call.input, wrote, attempt.model.context_window_tokens)
        attempt.answered()
        self._done = True
        finished = attempt.finished(usage, self._tier, self._succession.attempts, self._parts.observer)
        if self._handing is not None:
            self._handing.answered(attempt.model)
        if finished.reason is FinishReason.TOOL_CALLS and self._recovery is None:
            keep_calls(self._generation, self._parts, attempt, self._answer)
        race = self._race
        if race is not None and (race.cost_nano_usd or race.has_unknown_cost):
            finished = costing_more(finished, race.cost_nano_usd, has_unknown=race.has_unknown_cost)
        if self._recovery is not None:
            usage, finished = self._recovered(self._recovery, usage, finished)
        events += (usage, finished)
        return events

    def _recovered(self, recovery: AnswerRecovery, usage: Usage, finished: Finished) -> tuple[Usage, Finished]:
        """Return the end of an answer that more than one attempt gave."""
        recoveries = recovery.recoveries()
        for made in recoveries:
            self._parts.observer.recovered(made)
        finished = costing_more(finished, recovery.cost_nano_usd, has_unknown=recovery.has_unknown_cost)
        return recovery.usage_of(usage), msgspec.structs.replace(finished, recoveries=recoveries, unread=None)
