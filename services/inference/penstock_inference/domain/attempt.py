"""One attempt at one candidate, from its first byte to its last."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
import structlog

from penstock_common.llm.estimate import estimated_input_tokens
from penstock_common.llm.events import Answer
from penstock_common.llm.owed import Owed
from penstock_common.llm.types import (
    ContentEvent,
    Finished,
    FinishReason,
    GenerationInput,
    Opaque,
    ReasoningDelta,
    ToolCallDelta,
    Usage,
    cost_nano_usd,
)
from penstock_common.telemetry.gaps import FIRST_TOKEN, LONGEST_READING, LONGEST_SILENCE, SILENT_AT_THE_END
from penstock_common.telemetry.steps import Step, end
from penstock_inference.domain.catalogue import Model
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.generation import AttemptObserver
from penstock_inference.domain.health.turn import Turn
from penstock_inference.domain.hedging import FirstTokens
from penstock_inference.domain.load.gate import Permit
from penstock_inference.domain.reasoning.origin import origin_text
from penstock_inference.domain.tiers import asked_prices, prices_of
from penstock_inference.domain.upstream import Gap, Stopped, Unread, UpstreamEvent
from penstock_inference.domain.usage import counted_tokens, interrupted_usage
from penstock_inference.domain.watchdog import Watchdog

# What an upstream says, or does, that is asked too much.
_TOO_MUCH = frozenset({FailureKind.RATE_LIMITED, FailureKind.TIMEOUT})

REASONING = "reasoning"
"""What an answer says was dropped of the conversation."""

_log = structlog.get_logger(__name__)


class Attempt:
    """Reads one upstream's answer under its timers; keeps what is not content until the end.

    Whoever drives it calls ``next_batch`` until ``is_whole``: inline while it is the only
    attempt, from a task of its own where several are open.
    """

    __slots__ = (
        "_doubted", "_has_spoken", "_step", "_unread", "_watchdog", "_whole", "answer", "first_tokens", "is_whole", "missing_reasoning",
        "model", "permit", "stopped", "turn", "usage",
    )  # fmt: skip

    def __init__(self, model: Model, turn: Turn, watchdog: Watchdog, step: Step) -> None:
        self.model = model
        self.stopped: Stopped | None = None
        self.usage: Usage | None = None
        self.is_whole = False
        """Whether the answer has come to its end, and is one."""
        self.answer = turn.answer()
        self.permit: Permit | None = None
        """What let it into its upstream, where that has limits."""
        self.first_tokens: FirstTokens | None = None
        """What its first token teaches, where that is of use to anybody."""
        self.turn = turn
        self.missing_reasoning = ""
        """Why it is asked without reasoning that stood in the conversation; empty where it is asked with all of it."""
        self._watchdog = watchdog
        self._step = step
        self._whole = "whole" in step.attributes
        self._has_spoken = False
        # What has come since something came that nobody can read: whether all of it is there, the end says.
        self._doubted: list[ContentEvent] | None = None
        self._unread: Opaque | None = None

    async def next_batch(self) -> Sequence[ContentEvent]:
        """Return the content of the next read; at a whole answer's end what came with it, perhaps nothing.

        Once the model has said that it stopped, the answer is whole: the end of
        the response is waited for a moment, and if it is cut off, or never comes, so be it.

        Raises:
            AttemptFailed: if the upstream failed, was silent, or ended without saying that it was done.
        """
        watchdog, had_spoken = self._watchdog, self._has_spoken
        # Once for all the reads until content comes: what else comes does not count.
        watchdog.wait()
        try:
            while not watchdog.expired:
                events = await self.answer.read()
                content = self._content_of(events)
                if not events or (self.answer.ended and self.stopped is not None):
                    self._end(content if had_spoken else ())
                    return content if self._doubted is None else [*content, *self._doubted]
                if self.stopped is not None:
                    watchdog.answer_ended()
                elif self._doubted is not None:
                    # It comes, and nobody has it yet.
                    watchdog.pause()
                    watchdog.wait()
                if content:
                    watchdog.pause()
                    return content
        except BaseException as error:
            if not watchdog.ended_the_wait() and not self._cut_after_the_answer(error):
                if isinstance(error, Exception) and not isinstance(error, AttemptFailed):
                    raise self._unexpected(error) from error
                raise
        if self.stopped is None:
            raise watchdog.failure()
        self._end()
        return self._doubted or ()

    def _cut_after_the_answer(self, error: BaseException) -> bool:
        return self.stopped is not None and isinstance(error, AttemptFailed) and error.kind is FailureKind.CUT

    def _unexpected(self, error: Exception) -> AttemptFailed:
        """Return the failure of an adapter that raises what the port does not know; what it says stays in the log."""
        _log.error("adapter_failed", candidate=str(self.model.candidate), exc_info=error)
        return AttemptFailed(FailureKind.ADAPTER, "the exchange with the upstream failed inside the gateway")

    def _end(self, came: Sequence[ContentEvent] = ()) -> None:
        """Take it that the answer is whole; ``came``: with content, before which was a silence within the answer."""
        if came:
            self._watchdog.pause()
        if self.stopped is None:
            raise AttemptFailed(FailureKind.CUT, "the stream ended without a finish reason")
        self._watchdog.stop()
        self.is_whole = True

    def _content_of(self, events: Sequence[UpstreamEvent]) -> Sequence[ContentEvent]:
        content: list[ContentEvent] = []
        told = content if self._doubted is None else self._doubted
        for event in events:
            if type(event) is Stopped:
                self.stopped = event
            elif type(event) is Usage:
                self.usage = event
            elif type(event) is Gap:
                told = self._doubted = []
                self._step.attributes["skipped_events"] = 1
            elif type(event) is Unread:
                self._unread = event.block
            elif type(event) is ReasoningDelta or type(event) is ToolCallDelta:
                if type(event) is ReasoningDelta and event.text:
                    self.turn.shows_thoughts = True
                told.append(self._stamped(event))
            else:
                told.append(event)
        if content and not self._has_spoken:
            self._note_first_content()
        return content

    def _stamped(self, event: ReasoningDelta | ToolCallDelta) -> ReasoningDelta | ToolCallDelta:
        """Return the event with whom its signature, hidden content or extras are bound to, where it has any."""
        if event.extra_json or (isinstance(event, ReasoningDelta) and (event.signature or event.hidden)):
            return msgspec.structs.replace(event, origin=self.origin)
        return event

    @property
    def origin(self) -> str:
        """Whom the reasoning that it gives is bound to."""
        return origin_text(self.model.candidate, self.turn.endpoint.account)

    @property
    def dropped(self) -> tuple[str, ...]:
        """What the upstream was asked without."""
        return (*self.answer.dropped, REASONING) if self.missing_reasoning else self.answer.dropped

    def lacks_reasoning(self, why: str) -> None:
        """Record why it is asked without reasoning that stood in the conversation: moved, refused or lost; '' if it is not."""
        if why:
            self.missing_reasoning = self._step.attributes["reasoning"] = why

    def met_stop(self, stop: str) -> None:
        """Take it that the answer ends here, at a stop string which the upstream does not see."""
        self.stopped = Stopped(FinishReason.STOP, stop)
        self._watchdog.stop()
        self.is_whole = True

    def check_not_empty(self, stop_was_asked: bool) -> None:
        """Refuse an answer without content that no rule explains.

        A model may run out of tokens while it thinks, or meet a stop string at
        once; an upstream that says nothing at all and calls it an answer is broken.
        """
        stopped = self.stopped
        if stopped is None or stopped.reason is FinishReason.LENGTH or stopped.matched_stop or stop_was_asked:
            return
        if stopped.reason is FinishReason.CONTENT_FILTER:
            raise AttemptFailed(FailureKind.REFUSED, "the upstream's content filter refused")
        raise AttemptFailed(FailureKind.EMPTY, "the answer was empty")

    def _note_first_content(self) -> None:
        """Record the time to the first token; an answer in one piece has none."""
        self._has_spoken = True
        self.turn.content_came()
        if not self._whole:
            if self.first_tokens is not None and not self._watchdog.expects_whole:
                self.first_tokens.observe(self.turn.seconds)
            nanoseconds = time.time_ns() - self._step.start_ns
            if self.permit is not None:
                self.permit.gate.answered(nanoseconds / 1e9)
            self._step.attributes[FIRST_TOKEN] = round(nanoseconds / 1e6, 3)

    def answered(self) -> None:
        """Record that this attempt's is the answer."""
        self.turn.answered(self.usage)
        self._finish("answered")

    def finished(self, usage: Usage, tier: str, attempts: int, observer: AttemptObserver) -> Finished:
        """Return the end of the answer that it gave, the last of so many ``attempts``; ``tier`` was asked for."""
        model, stopped = self.model, self.stopped
        assert stopped is not None, "the answer is whole"
        prices = model.prices
        if tier or stopped.service_tier or model.price_steps:
            told = prices_of(model, tier, stopped.service_tier, usage)
            if told is None:
                observer.unpriced(model.candidate, stopped.service_tier)
                told = asked_prices(model, tier, usage)
            prices = told
        return Finished(
            reason=stopped.reason,
            answered_by=model.candidate,
            matched_stop=stopped.matched_stop,
            attempts=attempts,
            cost_nano_usd=cost_nano_usd(usage, prices),
            unit_prices=prices,
            stop_details=stopped.details,
            service_tier=stopped.service_tier,
            unread=self._unread,
        )

    def failed(self, failure: AttemptFailed) -> None:
        """Record how the attempt failed, where that is not the upstream's fault, and what its place has become by it."""
        outcome, turn, told = failure.outcome, self.turn, self._step.attributes
        place, before = turn.place, turn.place.condition
        if failure.is_of_the_request:
            told["fault"] = "request"
        if not failure.was_asked:
            told["asked"] = False
        self._finish(outcome, error=outcome if failure.was_asked else "")
        turn.failed(failure)
        if turn.cooled_seconds:
            told["cools_ms"] = round(turn.cooled_seconds * 1000, 3)
        if place.condition is not before:
            told["became"] = place.condition.value
        if self.permit is not None and _is_too_much(failure):
            self.permit.gate.refused()

    def hedges(self) -> None:
        """Record that it was made beside another, whose first token was late."""
        self._step.attributes["hedge"] = True

    def outrun(self) -> None:
        """Record that another attempt had content first."""
        if self.first_tokens is not None and not self._has_spoken:
            self.first_tokens.outlasted(self.turn.seconds)
        self.turn.outrun()
        self._finish("hedge_lost")

    def waited(self, seconds: float) -> None:
        """Record how long it waited until its upstream's limits let it in."""
        self._step.attributes["queued_ms"] = round(seconds * 1000, 3)

    def retry_refused(self) -> None:
        """Record that the same upstream was not asked again, although it might help: its retry budget is spent."""
        self._step.attributes["retry"] = "budget"

    def lost(self, value: GenerationInput) -> None:
        """Record what an answer in one piece may have cost that never arrived: at least its input, estimated."""
        if self._whole:
            self._step.attributes["estimated_input_tokens"] = estimated_input_tokens(value)

    def recovers(self, way: str) -> None:
        """Record that it is to make an answer whole that broke off, and how."""
        self._step.attributes["recovery"] = way

    def interrupted(self, value: GenerationInput, answer: Answer, tier: str) -> Owed | None:
        """Record and return what is owed for an attempt that did not come to its end, when ``answer`` had come of it.

        Nothing (None) before the upstream was sent the prompt; from then on the prompt, and what has been written.
        ``tier`` was asked for.
        """
        if not self.answer.sent:
            return None
        unread_bytes, window_tokens = self.answer.unread_bytes, self.model.context_window_tokens
        usage = interrupted_usage(self.usage, value, answer, unread_bytes, window_tokens)
        owed = Owed(usage, asked_prices(self.model, tier, usage))
        self._step.attributes.update(owed.told())
        return owed

    @property
    def may_be_hedged(self) -> bool:
        """Whether a first token is to come of it: an answer in one piece has none."""
        return not self._whole and not self._watchdog.expects_whole

    @property
    def is_open(self) -> bool:
        """Whether neither an end nor a failure has been recorded."""
        return not self._step.end_ns

    async def aclose(self) -> None:
        """Stop the timers and end the exchange; an attempt that still runs counts as cancelled."""
        if not self.is_whole:
            self._watchdog.stop()
        if self.is_open:
            self.turn.left()
            self._finish("cancelled", error="cancelled")
        if self.permit is not None:
            # Whoever was not sent the prompt has counted none of it.
            window_tokens = self.model.context_window_tokens
            self.permit.leave(counted_tokens(self.usage, window_tokens) if self.answer.sent else 0)
        try:
            await self.answer.aclose()
        except Exception as error:  # noqa: BLE001 - what came before stands: an answer, or what another makes good
            _log.error("adapter_not_closed", candidate=str(self.model.candidate), exc_info=error)

    def _finish(self, outcome: str, error: str = "") -> None:
        told, place, watchdog = self._step.attributes, self.turn.place, self._watchdog
        told["outcome"] = outcome
        if watchdog.longest_silence or watchdog.longest_reading:
            told[LONGEST_SILENCE], told[LONGEST_READING] = (
                round(watchdog.longest_silence * 1000, 1),
                round(watchdog.longest_reading * 1000, 1),
            )
        if error and self._has_spoken:
            told[SILENT_AT_THE_END] = round(watchdog.seconds_since_content * 1000, 1)
        if place.peers[0] is not place.peers[-1]:
            # Of several, which one it was.
            told["endpoint"] = place.name.endpoint
        end(self._step, error)


def _is_too_much(failure: AttemptFailed) -> bool:
    """Return whether an upstream failed so because it was asked too much, and not because somebody was in a hurry, or slow."""
    return failure.kind in _TOO_MUCH and not failure.hurried and not failure.may_be_the_readers
