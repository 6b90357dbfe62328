"""An answer under its rules: what of it the caller may see, event by event, in the order that it came in.

Text waits for as long as its rules need, and no longer than the pipelines say; a call waits until all of it is there. Signed
reasoning is never changed: what a provider has signed comes back to it, or is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec

from penstock_common.errors import GuardrailRefused, PenstockError
from penstock_common.llm.events import merge_deltas
from penstock_common.llm.types import (
    Batch,
    ChoiceFinished,
    Finished,
    GenerationEvent,
    OpaqueDelta,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
)
from penstock_gateway.domain.guardrails.pipeline.calls import Calls
from penstock_gateway.domain.guardrails.pipeline.guarding import Guarding
from penstock_gateway.domain.guardrails.pipeline.lane import REASONING, Lane, Verdicts
from penstock_gateway.domain.guardrails.pipeline.patience import NEVER, Reader
from penstock_gateway.domain.guardrails.pipeline.quotations import Quotations, quoted
from penstock_gateway.domain.guardrails.pipeline.refusing import TOO_LONG, AnswerRefused
from penstock_gateway.domain.guardrails.pipeline.rule import Surface
from penstock_gateway.domain.life.ports import AnswerStream


class GuardedAnswer:
    """What the caller may see of an answer; reading it raises ``AnswerRefused`` where a rule ends it."""

    def __init__(self, answer: AnswerStream, guarding: Guarding) -> None:
        self._answer, self._guarding = answer, guarding
        self._batches: AsyncIterator[Batch] = aiter(answer)
        self._reader = Reader(self._batches, guarding.parts.clock)
        self._verdicts = Verdicts(guarding)
        rules = guarding.held.output.get(Surface.OUTPUT, ())
        self._whole = [rule for rule in rules if rule.enforces and rule.needs_all]
        self._observers = [rule for rule in rules if not rule.enforces]
        self._lanes: dict[tuple[int, str], Lane] = {}
        self._last: dict[int, str] = {}
        self._quotations = Quotations(guarding, self._verdicts)
        self._calls = Calls(guarding, self._verdicts)
        self._held: list[Batch] | None = [] if self._whole else None

    def __aiter__(self) -> GuardedAnswer:
        return self

    async def __anext__(self) -> Batch:
        try:
            return await (self._next() if self._held is None else self._after_all())
        except GuardrailRefused as refused:
            await self.stop()
            # It is the model's text that is too long for the rule, not the caller's.
            raise AnswerRefused(TOO_LONG, rule=refused.rule) from None
        except (PenstockError, asyncio.CancelledError):
            await self.stop()
            raise

    async def _next(self) -> Batch:
        while True:
            batch = await self._reader.next(min([lane.due for lane in self._lanes.values()], default=NEVER))
            out = await self._late() if batch is None else await self._seen(batch)
            if out:
                return out

    async def stop(self) -> None:
        """Read no more: before anything else is done with the answer that it is of."""
        await self._reader.stop()

    async def aclose(self) -> None:
        """End it."""
        await self.stop()
        await self._answer.aclose()

    async def _late(self) -> list[GenerationEvent]:
        """Return what may leave of what has waited for as long as it may."""
        out: list[GenerationEvent] = []
        now = self._guarding.parts.clock()
        for lane in self._lanes.values():
            if lane.due <= now:
                self._say(lane, await lane.late(), out)
        return out

    async def _after_all(self) -> Batch:
        """Return the answer once rules have looked at all of it."""
        events: list[GenerationEvent] = []
        length = 0
        async for batch in self._batches:
            events += batch
            length += sum(len(event.text) for event in batch if isinstance(event, TextDelta | ReasoningDelta))
            if length > self._guarding.parts.most_held:
                raise AnswerRefused(TOO_LONG, rule=self._whole[0].name)
        self._held = None
        for name, text in texts_of(events):
            for rule in self._whole:
                if name != REASONING or rule.reads_reasoning:
                    await self._verdicts.judge(rule, text, Surface.OUTPUT)
        return await self._seen(merge_deltas(events))

    async def _seen(self, batch: Batch) -> list[GenerationEvent]:
        out: list[GenerationEvent] = []
        for event in batch:
            await self._take(event, out)
        return out

    async def _take(self, event: GenerationEvent, out: list[GenerationEvent]) -> None:
        if isinstance(event, TextDelta):
            await self._text(event, out)
        elif isinstance(event, ReasoningDelta):
            await self._reasoning(event, out)
        elif isinstance(event, ToolCallDelta):
            await self._end(event.choice, "call", out)
            await self._calls.feed(event, out)
        elif isinstance(event, Started):
            out.append(event)
        elif isinstance(event, OpaqueDelta | ChoiceFinished):
            await self._end(event.choice, "", out)
            out.append(event)
        else:
            await self._end_all(out)
            if isinstance(event, Finished) and event.unread is not None:
                # Nobody looks at it.
                event = msgspec.structs.replace(event, unread=None)
            out.append(event)

    async def _text(self, event: TextDelta, out: list[GenerationEvent]) -> None:
        name = "refusal" if event.is_refusal else "text"
        await self._end(event.choice, name, out)
        lane = self._lane(event.choice, name)
        if lane.is_open_to_all:
            lane.note(event.text)
            if event.citations_json:
                event = msgspec.structs.replace(event, citations_json=await self._quotations.seen(event.citations_json))
            out.append(event)
            return
        if event.text:
            self._say(lane, await lane.feed(event.text), out)
        if event.citations_json:
            # It refers to the text before it.
            self._say(lane, await lane.end(), out)
            cited = await self._quotations.seen(event.citations_json)
            out.append(TextDelta(text="", choice=event.choice, citations_json=cited))

    async def _reasoning(self, event: ReasoningDelta, out: list[GenerationEvent]) -> None:
        await self._end(event.choice, REASONING, out)
        lane = self._lane(event.choice, REASONING)
        if lane.is_open_to_all:
            lane.note(event.text)
            out.append(event)
            return
        if event.text:
            self._say(lane, await lane.feed(event.text), out)
        if event.signature or event.hidden or event.extra_json:
            self._say(lane, await lane.end(), out)
            out.append(msgspec.structs.replace(event, text=""))

    def _say(self, lane: Lane, text: str, out: list[GenerationEvent]) -> None:
        if not text:
            return
        if lane.name == REASONING:
            out.append(ReasoningDelta(text=text, choice=lane.choice))
        else:
            # Probabilities are those of other words now, or would tell what was taken out.
            out.append(TextDelta(text=text, choice=lane.choice, is_refusal=lane.name == "refusal"))

    def _lane(self, choice: int, name: str) -> Lane:
        lane = self._lanes.get((choice, name))
        if lane is None:
            lane = self._lanes[choice, name] = Lane(choice, name, self._guarding, self._verdicts)
        self._last[choice] = name
        return lane

    async def _end(self, choice: int, name: str, out: list[GenerationEvent]) -> None:
        """Let what waits of a choice go, where something else than ``name`` goes on: nothing overtakes it."""
        last = self._last.get(choice, "")
        if last == name:
            return
        if last and last != "call":
            lane = self._lanes[choice, last]
            self._say(lane, await lane.end(), out)
        if name != "call":
            await self._calls.end(choice, out)
        self._last[choice] = name

    async def _end_all(self, out: list[GenerationEvent]) -> None:
        for choice in sorted(self._last):
            await self._end(choice, "", out)
        for lane in self._lanes.values():
            for rule in self._observers if lane.said() else ():
                if lane.name != REASONING or rule.reads_reasoning:
                    await self._verdicts.observe(rule, lane.said(), Surface.OUTPUT)
        self._lanes, self._last = {}, {}


def texts_of(events: Sequence[GenerationEvent]) -> list[tuple[str, str]]:
    """Return what each choice says, and what it has reasoned, by the names of lanes."""
    texts: dict[tuple[int, str], list[str]] = {}
    for event in events:
        if isinstance(event, TextDelta | ReasoningDelta) and event.text:
            name = REASONING if isinstance(event, ReasoningDelta) else "text"
            texts.setdefault((event.choice, name), []).append(event.text)
    said = [(name, "".join(pieces)) for (_, name), pieces in texts.items()]
    # As with reasoning, its length and language are not those of the answer.
    cited = [quoted(event.citations_json) for event in events if isinstance(event, TextDelta) and event.citations_json]
    return [*said, *((REASONING, text) for text in cited if text)]
