"""The calls of an answer: each waits until all of it is there, where rules look at calls, and gets originals for pseudonyms."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock_common.llm.events import merge_deltas
from penstock_common.llm.types import GenerationEvent, ToolCallDelta
from penstock_gateway.domain.guardrails.pipeline.guarding import Guarding
from penstock_gateway.domain.guardrails.pipeline.json_texts import escaped, is_whole, replaced, strings_of, with_strings
from penstock_gateway.domain.guardrails.pipeline.lane import Hit, Verdicts
from penstock_gateway.domain.guardrails.pipeline.rule import Action, Rule, Surface
from penstock_gateway.domain.guardrails.pipeline.windows import RestoringStage
from penstock_gateway.domain.guardrails.rules.tools import call_text


class Calls:
    """The calls of an answer."""

    def __init__(self, guarding: Guarding, verdicts: Verdicts) -> None:
        self._guarding, self._verdicts = guarding, verdicts
        self._rules: Sequence[Rule] = guarding.held.output.get(Surface.TOOL_CALL, ())
        self._held: dict[tuple[int, int], list[ToolCallDelta]] = {}
        self._restoring: dict[tuple[int, int], RestoringStage] = {}

    async def feed(self, event: ToolCallDelta, out: list[GenerationEvent]) -> None:
        """Take a piece of a call in."""
        key = (event.choice, event.index)
        if self._rules:
            self._held.setdefault(key, []).append(event)
        elif len(self._guarding.pseudonyms):
            await self._restore(key, event, out)
        else:
            out.append(event)

    async def end(self, choice: int, out: list[GenerationEvent]) -> None:
        """Let the calls of a choice go.

        Raises:
            AnswerRefused: if a rule refuses one.
        """
        for key in [one for one in self._restoring if one[0] == choice]:
            rest = await self._restoring.pop(key).end()
            if rest:
                out.append(ToolCallDelta(index=key[1], choice=choice, arguments_json_fragment=rest))
        held = {key: self._held.pop(key) for key in [one for one in self._held if one[0] == choice]}
        for pieces in held.values():
            out.extend([await self._judged(one) for one in merge_deltas(pieces) if isinstance(one, ToolCallDelta)])

    async def _restore(self, key: tuple[int, int], event: ToolCallDelta, out: list[GenerationEvent]) -> None:
        stage = self._restoring.get(key)
        if stage is None:
            stage = self._restoring[key] = RestoringStage(self._originals(is_json=not event.is_custom))
        text = await stage.feed(event.arguments_json_fragment)
        if text or event.id or event.name or event.extra_json:
            out.append(msgspec.structs.replace(event, arguments_json_fragment=text))

    def _originals(self, *, is_json: bool) -> dict[str, str]:
        originals = self._guarding.pseudonyms.originals
        return {name: escaped(one) for name, one in originals.items()} if is_json else originals

    async def _judged(self, call: ToolCallDelta) -> ToolCallDelta:
        arguments = call.arguments_json_fragment
        for rule in self._rules:
            if rule.kind == "tools":
                await self._look(rule, call_text(call.name, arguments))
            elif call.is_custom:
                arguments = await self._look(rule, arguments)
            else:
                arguments = await self._in_strings(rule, arguments)
        for name, original in self._originals(is_json=not call.is_custom).items():
            arguments = arguments.replace(name, original)
        return msgspec.structs.replace(call, arguments_json_fragment=arguments)

    async def _in_strings(self, rule: Rule, document: str) -> str:
        strings = strings_of(document)
        changed = [(start, end, await self._look(rule, text)) for start, end, text in strings]
        kept = [new for new, (_, _, old) in zip(changed, strings, strict=True) if new[2] != old]
        left = with_strings(document, kept) if kept else document
        return left if is_whole(left) else await self._look(rule, left)

    async def _look(self, rule: Rule, text: str) -> str:
        """Return the text as a rule lets it pass."""
        if not rule.enforces:
            await self._verdicts.observe(rule, text, Surface.TOOL_CALL)
            return text
        judge = self._guarding.judge
        found = self._verdicts.foreign(await judge.found_quietly(rule, text, Surface.TOOL_CALL), text)
        if found:
            self._guarding.tally.note(rule, Surface.TOOL_CALL, found)
        if found and rule.action is Action.REDACT:
            return replaced(text, found)
        if found:
            raise await self._verdicts.ended(Hit(rule, found, text), Surface.TOOL_CALL)
        return text
