"""Texts of an answer that are whole at once: arguments of calls and what is quoted."""

from __future__ import annotations

from collections.abc import Callable

from penstock_gateway.domain.guardrails.pipeline.guarding import Guarding
from penstock_gateway.domain.guardrails.pipeline.json_texts import (
    is_whole,
    replaced,
    strings_of,
    values_of,
    with_strings,
)
from penstock_gateway.domain.guardrails.pipeline.lane import Hit, Verdicts
from penstock_gateway.domain.guardrails.pipeline.rule import Action, Rule, Surface


class Looks:
    """Has rules look at such texts, which all are of one surface."""

    def __init__(self, guarding: Guarding, verdicts: Verdicts, surface: Surface) -> None:
        self._guarding, self._verdicts, self._surface = guarding, verdicts, surface

    async def look(self, rule: Rule, text: str) -> str:
        """Return the text as a rule lets it pass.

        Raises:
            AnswerRefused: if it does not.
        """
        if not rule.enforces:
            await self._verdicts.observe(rule, text, self._surface)
            return text
        judge = self._guarding.judge
        found = self._verdicts.foreign(await judge.found_quietly(rule, text, self._surface), text)
        if found:
            self._guarding.tally.note(rule, self._surface, found)
        if found and rule.action is Action.REDACT:
            return replaced(text, found)
        if found:
            raise await self._verdicts.ended(Hit(rule, found, text), self._surface)
        return text

    async def in_strings(self, rule: Rule, document: str, is_text: Callable[[str], bool] | None = None) -> str:
        """Return a JSON document with its strings as a rule lets them pass: of members that ``is_text`` takes by their names.

        Of what is no JSON, all is looked at. Raises as ``look`` does.
        """
        strings = strings_of(document) if is_text is None else values_of(document, is_text)
        changed = [(start, end, await self.look(rule, text)) for start, end, text in strings]
        kept = [new for new, (_, _, old) in zip(changed, strings, strict=True) if new[2] != old]
        left = with_strings(document, kept) if kept else document
        return left if is_whole(left) else await self.look(rule, left)
