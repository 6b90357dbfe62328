"""The calls of an answer: each waits until all of it is there, where rules look at calls, and gets originals for pseudonyms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from penstock_common.llm.events import merge_deltas
from penstock_common.llm.types import GenerationEvent, ToolCallDelta
from penstock_gateway.domain.guardrails.pipeline.guarding import Guarding
from penstock_gateway.domain.guardrails.pipeline.json_texts import Spelling, escaped, with_originals
from penstock_gateway.domain.guardrails.pipeline.lane import Verdicts
from penstock_gateway.domain.guardrails.pipeline.looks import Looks
from penstock_gateway.domain.guardrails.pipeline.rule import Rule, Surface
from penstock_gateway.domain.guardrails.pipeline.windows import RestoringStage
from penstock_gateway.domain.guardrails.rules.tools import call_text


class Calls:
    """The calls of an answer."""

    def __init__(self, guarding: Guarding, verdicts: Verdicts) -> None:
        self._guarding, self._verdicts = guarding, verdicts
        self._looks = Looks(guarding, verdicts, Surface.TOOL_CALL)
        self._rules: Sequence[Rule] = guarding.held.output.get(Surface.TOOL_CALL, ())
        self._held: dict[tuple[int, int], list[ToolCallDelta]] = {}
        self._restoring: dict[tuple[int, int], _Restoring] = {}

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
            stage = self._restoring[key] = _Restoring(self._guarding.pseudonyms.originals, is_json=not event.is_custom)
        text = await stage.feed(event.arguments_json_fragment)
        if text or event.id or event.name or event.extra_json:
            out.append(msgspec.structs.replace(event, arguments_json_fragment=text))

    async def _judged(self, call: ToolCallDelta) -> ToolCallDelta:
        arguments = call.arguments_json_fragment
        for rule in self._rules:
            if rule.kind == "tools":
                await self._looks.look(rule, call_text(call.name, arguments))
            elif call.is_custom:
                arguments = await self._looks.look(rule, arguments)
            else:
                arguments = await self._looks.in_strings(rule, arguments)
        names = self._guarding.pseudonyms
        arguments = names.restored(arguments) if call.is_custom else with_originals(arguments, names.originals)
        return msgspec.structs.replace(call, arguments_json_fragment=arguments)


class _Restoring:
    """Puts originals in the place of their pseudonyms in the pieces of a call, however its JSON spells these."""

    def __init__(self, originals: Mapping[str, str], *, is_json: bool) -> None:
        self._spelling = Spelling() if is_json else None
        self._stage = RestoringStage({name: escaped(one) for name, one in originals.items()} if is_json else originals)

    async def feed(self, piece: str) -> str:
        return await self._stage.feed(piece if self._spelling is None else self._spelling.feed(piece))

    async def end(self) -> str:
        rest = "" if self._spelling is None else await self._stage.feed(self._spelling.end())
        return rest + await self._stage.end()
