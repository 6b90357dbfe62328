"""An answer that broke off after some of it was sent, made whole by another attempt.

Pure: what the next attempt is asked, what of its answer is new to the caller, and what the break has cost. In order:
whoever can go on from a beginning is handed what was sent; whoever cannot answers anew, which will do if it begins with
what was sent; else nobody can, and the caller is told so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from penstock_common.llm.estimate import estimated_output_tokens
from penstock_common.llm.events import Answer
from penstock_common.llm.owed import Owed
from penstock_common.llm.types import (
    Candidate,
    ContentEvent,
    FinishReason,
    GenerationInput,
    Message,
    Recovery,
    RecoveryWay,
    Role,
    Text,
    Usage,
)
from penstock_inference.domain.catalogue import Capability, Model
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.splice import Continued, Regenerated, Splice
from penstock_inference.domain.usage import interrupted_usage

# The candidate takes no beginning, or takes it and answers otherwise: it may be asked another way.
_OTHER_WAY = frozenset({FailureKind.BAD_REQUEST, FailureKind.UNSUPPORTED, FailureKind.DIVERGED})


@dataclass(slots=True)
class _Break:
    """One break: who broke off and how, what had been sent by then, and what came to nothing since."""

    broke: Candidate
    cause: str
    delivered_characters: int
    usage: Usage = Usage()
    cost_nano_usd: int = 0
    way: RecoveryWay = RecoveryWay.REGENERATED


class AnswerRecovery:
    """Begins with the first break, and lives as long as the answer does.

    ``sent`` is what the caller has, and grows with it; ``failure`` is the first break, which the caller is told of
    where nobody can make it good.
    """

    def __init__(self, value: GenerationInput, sent: Answer, failure: AttemptFailed, broke: Candidate) -> None:
        self.failure = failure
        self.broke = broke
        self.written = Answer()
        """What the attempt that runs has written by itself."""
        self.has_unknown_cost = False
        """Whether something has come to nothing whose price nobody knows."""
        self._value = value
        self._sent = sent
        self._breaks: list[_Break] = []
        self._model: Model | None = None
        self._ways: list[RecoveryWay] = []
        self._way = RecoveryWay.REGENERATED
        self._splice: Splice = Regenerated(sent)
        self._sent_at_begin = 0
        self._tokens_at_begin = 0
        self.note_break(failure, broke)

    def note_break(self, failure: AttemptFailed, candidate: Candidate) -> None:
        """Take it that an attempt broke off that had been giving the answer."""
        self._breaks.append(_Break(candidate, failure.outcome, _delivered_characters(self._sent)))
        self._model, self._ways = None, []

    def note_cost(self, owed: Owed) -> None:
        """Take in what an attempt has cost that came to nothing since the last break, that one's own included."""
        made = self._breaks[-1]
        made.usage = _sum(made.usage, owed.usage)
        made.cost_nano_usd += owed.cost_nano_usd
        self.has_unknown_cost |= owed.unit_prices.is_unknown

    @property
    def has_written(self) -> bool:
        """Whether the attempt that runs has written anything."""
        return _delivered_characters(self.written) > 0

    @property
    def has_given(self) -> bool:
        """Whether the attempt that runs has given the caller anything."""
        return _delivered_characters(self._sent) > self._sent_at_begin

    def is_possible(self, failure: AttemptFailed) -> bool:
        """Return whether anybody can go on after an attempt failed so.

        Not where several answers are under way, or one with probabilities; nor after parts were joined that do not fit.
        """
        sampling = self._value.sampling
        if sampling.choices not in (None, 1) or sampling.top_logprobs is not None:
            return False
        return failure.kind is not FailureKind.DIVERGED or not self.has_given

    def may_ask_otherwise(self, failure: AttemptFailed) -> bool:
        """Return whether the same candidate, that failed so, is asked another way."""
        return bool(self._ways) and failure.kind in _OTHER_WAY

    def begin(self, model: Model) -> GenerationInput:
        """Return what a candidate is asked: for the first time in one way, and in another should that fail."""
        if self._model is not model or not self._ways:
            self._model, self._ways = model, self._ways_of(model)
        way = self._way = self._breaks[-1].way = self._ways.pop(0)
        self.written = Answer()
        self._sent_at_begin = _delivered_characters(self._sent)
        if way is RecoveryWay.REGENERATED:
            self._splice = Regenerated(self._sent)
            return self._value
        text = self._sent.text
        prefix = text.rstrip()
        self._splice = Continued(text, prefix, self._value.sampling.stop)
        self._tokens_at_begin = estimated_output_tokens(self._value, self._sent)
        return _continuing(self._value, prefix, self._tokens_at_begin)

    def repeat(self) -> None:
        """Have the same candidate asked in the same way once more: not the way is what it refused."""
        self._ways.insert(0, self._way)

    @property
    def way(self) -> RecoveryWay:
        """How the attempt that runs takes over."""
        return self._way

    def take(self, content: Sequence[ContentEvent]) -> list[ContentEvent]:
        """Return what is new of the running attempt's content; see ``Splice``."""
        self.written.extend(content)
        return self._splice.take(content)

    @property
    def met_stop(self) -> str:
        """The caller's stop string that the answer has met across a seam, and ends at; empty where it has met none."""
        return self._splice.met_stop

    def end(self, last: Sequence[ContentEvent], reason: FinishReason) -> list[ContentEvent]:
        """Return the last of the answer, where the running attempt has ended with ``last``, its reason given.

        Raises:
            AttemptFailed: DIVERGED, where the two do not make one answer; also where whoever was to go on said nothing, which
                is how the answer ends whose end alone was lost, and what a broken server says of any beginning. JSON shows
                by itself whether it is whole.
        """
        new = [*last, *self._splice.end()]
        if reason is not FinishReason.STOP:
            return new
        if self._value.response_format is not None:
            if not _is_json(self._sent, new):
                raise AttemptFailed(FailureKind.DIVERGED, "the two parts do not make one JSON text")
        elif self._way is RecoveryWay.CONTINUED and not _says(self.written):
            raise AttemptFailed(FailureKind.DIVERGED, "the continuation was empty")
        return new

    def usage_of(self, reported: Usage) -> Usage:
        """Return the usage of the answer as the caller has it: its prompt once, and all of its text."""
        if self._way is RecoveryWay.REGENERATED:
            return reported
        before = self._tokens_at_begin
        input_tokens = max(1, reported.input_tokens - before)
        return msgspec.structs.replace(
            reported,
            input_tokens=input_tokens,
            output_tokens=reported.output_tokens + before,
            cached_input_tokens=min(reported.cached_input_tokens, input_tokens),
            cache_write_input_tokens=min(reported.cache_write_input_tokens, input_tokens),
            cache_write_1h_input_tokens=min(reported.cache_write_1h_input_tokens, input_tokens),
            estimated=True,
        )

    @property
    def cost_nano_usd(self) -> int:
        """What has come to nothing."""
        return sum(made.cost_nano_usd for made in self._breaks)

    def recoveries(self) -> tuple[Recovery, ...]:
        """Return the breaks, where the answer is whole."""
        return tuple(
            [
                Recovery(
                    broke=made.broke,
                    cause=made.cause,
                    way=made.way,
                    delivered_characters=made.delivered_characters,
                    usage=made.usage,
                    cost_nano_usd=made.cost_nano_usd,
                )
                for made in self._breaks
            ]
        )

    def _ways_of(self, model: Model) -> list[RecoveryWay]:
        sent = self._sent
        if Capability.PREFILL not in model.capabilities or sent.tool_calls or not sent.text.strip():
            return [RecoveryWay.REGENERATED]
        ways = [RecoveryWay.CONTINUED, RecoveryWay.REGENERATED]
        # A grammar begins with the document, whatever stands before it.
        return ways if self._value.response_format is None else ways[::-1]


def handed_over(value: GenerationInput, given: Answer, *, is_owed: bool) -> AnswerRecovery | None:
    """Return what makes an answer whole that others have been given so far, by a generation that came to no end.

    ``is_owed``: nobody was billed for that one, whose cost is then this answer's. None where it had not begun.
    """
    started = given.started
    if started is None:
        return None
    failure = AttemptFailed(FailureKind.HANDED_OVER, "whoever had it generated has left")
    recovery = AnswerRecovery(value, given, failure, started.answered_by)
    if is_owed:
        recovery.note_cost(Owed(interrupted_usage(None, value, given, 0, 0), started.unit_prices))
    return recovery


def _continuing(value: GenerationInput, prefix: str, sent_tokens: int) -> GenerationInput:
    """Return the request with the assistant's turn begun, and as many tokens less to come."""
    *before, last = value.messages
    begun = Text(text=prefix)
    if last.role is Role.ASSISTANT and not last.tool_calls:
        messages = (*before, msgspec.structs.replace(last, parts=(*last.parts, begun)))
    else:
        messages = (*value.messages, Message(role=Role.ASSISTANT, parts=(begun,)))
    most = value.sampling.max_output_tokens
    if most is None:
        return msgspec.structs.replace(value, messages=messages)
    sampling = msgspec.structs.replace(value.sampling, max_output_tokens=max(1, most - sent_tokens))
    return msgspec.structs.replace(value, messages=messages, sampling=sampling)


def _says(answer: Answer) -> bool:
    return bool(answer.text or answer.tool_calls)


def _is_json(sent: Answer, new: Sequence[ContentEvent]) -> bool:
    whole = Answer()
    whole.extend(new)
    if sent.tool_calls or whole.tool_calls:
        return True
    try:
        msgspec.json.decode(sent.text + whole.text)
    except msgspec.DecodeError:
        return False
    return True


def delivered(answer: Answer) -> str:
    """Return how much of an answer was sent, in the words of an error."""
    parts = [f"{len(answer.text):,} characters"]
    if answer.reasoning:
        parts.append(f"{len(answer.reasoning):,} characters of reasoning")
    if answer.tool_calls:
        parts.append(f"{len(answer.tool_calls)} tool calls")
    return " and ".join(parts)


def _delivered_characters(answer: Answer) -> int:
    calls = sum(len(call.name) + len(call.arguments_json) for call in answer.tool_calls)
    return len(answer.text) + len(answer.reasoning) + calls


def _sum(first: Usage, second: Usage) -> Usage:
    return Usage(
        input_tokens=first.input_tokens + second.input_tokens,
        output_tokens=first.output_tokens + second.output_tokens,
        cached_input_tokens=first.cached_input_tokens + second.cached_input_tokens,
        cache_write_input_tokens=first.cache_write_input_tokens + second.cache_write_input_tokens,
        reasoning_tokens=first.reasoning_tokens + second.reasoning_tokens,
        estimated=True,
        cache_write_1h_input_tokens=first.cache_write_1h_input_tokens + second.cache_write_1h_input_tokens,
    )
