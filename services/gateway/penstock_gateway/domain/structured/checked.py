"""A source whose answer its schema and its rules accept: held until it is whole, and asked for again, within bounds, where not.

All that was asked is in the answer's usage and cost, each attempt in its steps.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from penstock_common.errors import PenstockError
from penstock_common.llm.owed import Owed, is_owing, owed_in
from penstock_common.llm.types import (
    Batch,
    Finished,
    FinishReason,
    GenerationEvent,
    Message,
    Plan,
    Role,
    Started,
    Text,
    TextDelta,
    ToolCallDelta,
    UnitPrices,
    Usage,
)
from penstock_common.telemetry.steps import AttributeValue, Step
from penstock_gateway.domain.life.ports import AnswerStream
from penstock_gateway.domain.life.progress import owed_for
from penstock_gateway.domain.life.sources import Generation, Saved
from penstock_gateway.domain.structured.burden import TooMuch
from penstock_gateway.domain.structured.mending import mended
from penstock_gateway.domain.structured.schema import Problem, Schema, bared, begins, behind_thoughts
from penstock_gateway.domain.structured.terms import Terms, Told, asked_again

# A text is looked at again once it has grown by so much, or by a quarter: all looks together cost little more than one.
_FIRST_LOOK = 32
_GROWTH = 1.25
_CUT = (FinishReason.LENGTH, FinishReason.CONTENT_FILTER)
_LOST = Problem(is_json=False, told="it is no JSON of the kind that was asked for.")
# A longer one is checked beside the loop.
_LONG = 32_768


class WantedOtherwise(Protocol):
    """Rules that have an answer asked for again."""

    retries: int
    """How often, at most."""

    async def problem(self, events: Sequence[GenerationEvent]) -> Problem | None:
        """Return what is wrong with a whole answer, ``rule`` set; None: nothing, or no rule could look."""
        ...


class Held(NamedTuple):
    """What an answer is held to: a schema, as it was asked for, and how often it is asked for again; ``note`` hears the outcome."""

    schema: Schema
    schema_json: str
    terms: Terms
    note: Callable[[Told], None]


class Checked:
    """The answer of ``generation``, checked by a schema, by rules or by both.

    ``told`` says what became of it by its schema, once it has been given.
    """

    def __init__(self, generation: Generation, held: Held | None, rules: WantedOtherwise | None = None) -> None:
        self.generation, self.held, self.rules = generation, held, rules
        self.plan: Plan | None = generation.plan
        self.saved: Saved | None = None
        self.told: Told | None = None
        self.repairs = 0

    def __str__(self) -> str:
        """What became of it, as headers say it: ``repaired; again=1``; empty as long as nobody knows."""
        again = f"; again={self.repairs}" if self.repairs else ""
        return f"{self.told.value}{again}" if self.told is not None else ""

    def may_ask_again(self, problem: Problem) -> bool:
        """Return whether the answer is asked for once more: all reasons together have the attempts of one."""
        # Rules are only asked for as long as that may follow.
        return bool(problem.rule) or (self.held is not None and self.repairs < self.held.terms.repairs)

    def open(self, steps: list[Step]) -> AnswerStream:
        """Return the answer, in one batch."""
        return _CheckedAnswer(self, steps)


class _Tried(NamedTuple):
    """One answer: its events, what is wrong with it, and its text in the place of theirs where a fence was taken off."""

    events: list[GenerationEvent]
    as_told: Told
    problem: Problem | None = None
    text: str | None = None


class _Rejected(NamedTuple):
    """What was paid for an answer that the caller is not given, and how many attempts it took."""

    owed: Owed
    attempts: int
    cost_nano_usd: int


def _rejected(owed: Owed) -> _Rejected:
    return _Rejected(owed, 1, owed.cost_nano_usd)


class _CheckedAnswer:
    def __init__(self, source: Checked, steps: list[Step]) -> None:
        self._source = source
        self._steps = steps
        self._asking = source.generation
        self._stream: AnswerStream | None = None
        self._rejected: list[_Rejected] = []
        self._first_step = 0
        self._is_over = False

    def __aiter__(self) -> _CheckedAnswer:
        return self

    async def __anext__(self) -> Batch:
        if self._is_over:
            raise StopAsyncIteration
        tried = await self._try()
        while tried.problem is not None and self._source.may_ask_again(tried.problem):
            self._reject(tried)
            self._ask_again(tried)
            try:
                tried = await self._try()
            except PenstockError:
                if not isinstance(tried.events[-1], Finished):
                    raise
                # It is paid for, and whoever can read it may.
                self._rejected.pop()
                failed = [step.attributes for step in self._steps[self._first_step :] if is_owing(step.attributes)]
                self._rejected += [_rejected(owed_in(told)) for told in failed]
                break
        self._is_over = True
        return self._given(tried)

    async def aclose(self) -> None:
        """End it."""
        self._is_over = True
        if self._stream is not None:
            await self._stream.aclose()

    async def _try(self) -> _Tried:
        """Read one answer, to its end or to where it cannot become valid any more."""
        self._first_step = len(self._steps)
        stream = self._stream = self._asking.open(self._steps)
        events: list[GenerationEvent] = []
        held, text, seen, look = self._source.held, "", 0, float(_FIRST_LOOK)
        async for batch in stream:
            events += batch
            text += "".join([event.text for event in batch if type(event) is TextDelta])
            seen = len(text)
            if held is not None and seen >= look and not isinstance(batch[-1], Finished):
                look = seen * _GROWTH
                if held.schema.is_lost(text) and not any(type(event) is ToolCallDelta for event in events):
                    await stream.aclose()
                    return _Tried(events, Told.INVALID, _LOST)
        await stream.aclose()
        try:
            return await self._judged(events)
        except BaseException:
            # The caller has left, or its time is over: it is paid for all the same.
            self._note_owed(events, {})
            raise

    async def _judged(self, events: list[GenerationEvent]) -> _Tried:
        finished, rules = events[-1], self._source.rules
        assert isinstance(finished, Finished), "the answer has ended"
        held = self._source.held
        tried = _Tried(events, Told.OTHER) if held is None else await self._by_schema(held.schema, events, finished)
        if rules is None or tried.problem is not None or self._source.repairs >= rules.retries:
            # The last answer passes the rules, or is refused, where all answers do.
            return tried
        problem = None if finished.reason is FinishReason.CONTENT_FILTER else await rules.problem(events)
        return tried if problem is None else tried._replace(problem=problem)

    async def _by_schema(self, schema: Schema, events: list[GenerationEvent], finished: Finished) -> _Tried:
        if finished.reason is not FinishReason.STOP or any(_is_something_else(event) for event in events):
            return _Tried(events, Told.CUT if finished.reason in _CUT else Told.OTHER)
        text = "".join([event.text for event in events if type(event) is TextDelta])
        try:
            problem = await _problem(schema, text)
            if problem is None:
                return _Tried(events, as_told=Told.VALID)
            text = await _mended(schema, text)
            if text is not None:
                return _Tried(events, as_told=Told.MENDED, text=text)
        except TooMuch:
            return _Tried(events, as_told=Told.UNCHECKED)
        return _Tried(events, as_told=Told.INVALID, problem=problem)

    def _reject(self, tried: _Tried) -> None:
        """Note what an answer has cost that the caller is not given."""
        assert tried.problem is not None, "it is rejected for something"
        owed, finished = self._note_owed(tried.events, {"rejected": tried.problem.kind}), tried.events[-1]
        if isinstance(finished, Finished):
            # It may hold what other attempts have cost, which came to nothing.
            self._rejected.append(_Rejected(owed, finished.attempts, finished.cost_nano_usd))
        else:
            self._rejected.append(_rejected(owed))

    def _note_owed(self, events: Sequence[GenerationEvent], told: Mapping[str, AttributeValue]) -> Owed:
        """Return what an answer has cost, and note it in its attempt's step, with what else is told: the bill is in there."""
        made, finished = self._steps[self._first_step :], events[-1]
        if isinstance(finished, Finished):
            usage = next((event for event in reversed(events) if isinstance(event, Usage)), Usage())
            owed = Owed(usage, finished.unit_prices)
            # Of attempts beside it and before it, what they are owed stands in their own.
            step = next((one for one in reversed(made) if not is_owing(one.attributes)), None)
        elif made and is_owing(made[-1].attributes):
            owed, step = owed_in(made[-1].attributes), made[-1]
        else:
            # Inference in another process tells nothing of what it was told to end.
            bill = owed_for(tuple(events), self._asking.asked)
            owed, step = Owed(bill.usage, bill.unit_prices), None
        if step is None:
            step = _step_of(events)
            self._steps.append(step)
        step.attributes = {**step.attributes, **owed.told(), **told}
        return owed

    def _ask_again(self, tried: _Tried) -> None:
        """Ask for the answer again: with what was wrong with it, and from the second time on of another candidate first."""
        source, problem = self._source, tried.problem
        assert problem is not None, "it is asked again for something"
        source.repairs += 1
        text = "".join([event.text for event in tried.events if type(event) is TextDelta])
        said = (Message(Role.ASSISTANT, (Text(text),)),) if text else ()
        schema_json = "" if source.held is None else source.held.schema_json
        asked = Message(Role.USER, (Text(asked_again(problem, schema_json)),))
        turn = source.repairs - 1
        self._asking = source.generation.asking_otherwise((*said, asked), turn)

    def _given(self, tried: _Tried) -> Batch:
        source = self._source
        is_repaired = source.repairs and tried.as_told in (Told.VALID, Told.MENDED)
        if source.held is not None:
            source.told = Told.REPAIRED if is_repaired else tried.as_told
            source.held.note(source.told)
        events = tried.events if tried.text is None else _with_text(tried.events, tried.text)
        return tuple([_with_more(event, self._rejected) for event in events] if self._rejected else events)


async def _problem(schema: Schema, text: str) -> Problem | None:
    return schema.problem(text) if len(text) < _LONG else await asyncio.to_thread(schema.problem, text)


async def _mended(schema: Schema, text: str) -> str | None:
    """Return the text as the schema accepts it, with nothing but its signs put right; None where it does not."""
    return _put_right(schema, text) if len(text) < _LONG else await asyncio.to_thread(_put_right, schema, text)


def _put_right(schema: Schema, text: str) -> str | None:
    said = behind_thoughts(text)
    if said is None:
        return None
    bare = bared(said).strip()
    if bare != text and schema.problem(bare) is None:
        return bare
    if (at := begins(said)) < 0 or (made := mended(said[at:])) is None:
        return None
    return made.text if schema.problem(made.text) is None else schema.fitted(made.text)


def _step_of(events: Sequence[GenerationEvent]) -> Step:
    """Return the step of an attempt that was ended, of which nobody else told."""
    now_ns, first = time.time_ns(), events[0] if events else None
    step = Step("attempt", now_ns, now_ns, "cancelled", {"outcome": "cancelled"})
    if isinstance(first, Started):
        step.attributes |= {"upstream": first.answered_by.upstream, "model": first.answered_by.model}
    return step


def _is_something_else(event: GenerationEvent) -> bool:
    """Return whether it makes the answer one that no schema is for: a call of a tool, or a refusal."""
    return type(event) is ToolCallDelta or (type(event) is TextDelta and event.is_refusal)


def _with_text(events: Sequence[GenerationEvent], text: str) -> list[GenerationEvent]:
    told: list[GenerationEvent] = []
    is_told = False
    for event in events:
        if type(event) is not TextDelta:
            told.append(event)
        elif not is_told:
            told.append(TextDelta(text=text))
            is_told = True
    return told


def _with_more(event: GenerationEvent, rejected: Sequence[_Rejected]) -> GenerationEvent:
    """Return the event with what was paid for others before the answer."""
    if isinstance(event, Usage):
        usages = [event, *(each.owed.usage for each in rejected)]
        return Usage(
            input_tokens=sum(usage.input_tokens for usage in usages),
            output_tokens=sum(usage.output_tokens for usage in usages),
            cached_input_tokens=sum(usage.cached_input_tokens for usage in usages),
            cache_write_input_tokens=sum(usage.cache_write_input_tokens for usage in usages),
            reasoning_tokens=sum(usage.reasoning_tokens for usage in usages),
            estimated=any(usage.estimated for usage in usages),
            cache_write_1h_input_tokens=sum(usage.cache_write_1h_input_tokens for usage in usages),
        )
    if isinstance(event, Finished):
        cost = event.cost_nano_usd + sum(each.cost_nano_usd for each in rejected)
        is_unknown = event.unit_prices.is_unknown or any(each.owed.unit_prices.is_unknown for each in rejected)
        prices: UnitPrices = msgspec.structs.replace(event.unit_prices, is_unknown=is_unknown)
        attempts = event.attempts + sum(each.attempts for each in rejected)
        return msgspec.structs.replace(event, cost_nano_usd=cost, unit_prices=prices, attempts=attempts)
    return event
