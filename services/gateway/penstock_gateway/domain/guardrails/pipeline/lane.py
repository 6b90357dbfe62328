"""One text of an answer on its way through its rules, and what follows from what they find."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from penstock_gateway.domain.guardrails.pipeline.guarding import Guarding
from penstock_gateway.domain.guardrails.pipeline.patience import Patience
from penstock_gateway.domain.guardrails.pipeline.refusing import TOO_SLOW, AnswerRefused, end_of_answer
from penstock_gateway.domain.guardrails.pipeline.rule import Action, Found, Late, Rule, Runs, Surface
from penstock_gateway.domain.guardrails.pipeline.windows import Act, RestoringStage, Stage, stage_of
from penstock_gateway.domain.guardrails.rules.grounded import answer_text

# What comes in one piece is looked at in parts of so many characters, and others have their turn between them: some 20 ms of
# the densest personal data.
MOST_AT_ONCE = 1024
REASONING = "reasoning"
"""The name of a lane."""


class Hit(Exception):
    """A rule ends the answer."""

    def __init__(self, rule: Rule, found: Sequence[Found], text: str) -> None:
        super().__init__(rule.name)
        self.rule, self.found, self.text = rule, found, text


class Verdicts:
    """What follows from findings in an answer."""

    def __init__(self, guarding: Guarding) -> None:
        self._guarding = guarding

    def act_of(self, rule: Rule, surface: Surface) -> Act:
        """Return what hears of findings that redact, or end the answer."""

        def act(found: Sequence[Found], text: str) -> None:
            self._guarding.tally.note(rule, surface, found)
            if rule.action is not Action.REDACT:
                raise Hit(rule, found, text)

        return act

    def foreign(self, found: Sequence[Found], text: str) -> Sequence[Found]:
        """Return what was found that is no pseudonym of this request's: those are the caller's own, and get restored."""
        originals = self._guarding.pseudonyms
        if not len(originals):
            return found
        known = originals.originals
        return [one for one in found if text[one.start : one.end] not in known]

    async def judge(self, rule: Rule, text: str, surface: Surface) -> None:
        """Have a rule look at a whole text.

        Raises:
            AnswerRefused: if it ends the answer.
            GuardrailUnavailable: if it must look, and cannot.
        """
        found = await self.found(rule, text, surface)
        if found:
            raise await self.ended(Hit(rule, found, text), surface)

    async def found(self, rule: Rule, text: str, surface: Surface) -> Sequence[Found]:
        """Return what a rule finds in a whole text of the answer's. Raises as ``Judge.found`` does."""
        return self.foreign(await self._guarding.judge.found(rule, self._as_seen(rule, text), surface), text)

    async def observe(self, rule: Rule, text: str, surface: Surface) -> None:
        """Have a rule look at a whole text that it changes nothing of."""
        found = await self._guarding.judge.found(rule, self._as_seen(rule, text), surface)
        if found and rule.action is Action.REVIEW and not rule.shadow:
            await self._guarding.flag(rule, text, surface, found)

    async def ended(self, hit: Hit, surface: Surface) -> AnswerRefused:
        """Return what ends the answer."""
        rule, item = hit.rule, ""
        if rule.action is Action.REVIEW:
            text, found = self._as_given(hit)
            item = await self._guarding.flag(rule, text, surface, found)
        return end_of_answer(rule, item)

    def _as_given(self, hit: Hit) -> tuple[str, Sequence[Found]]:
        """Return the text of a hit and what was found in it: with originals where the caller may be given it later."""
        names = self._guarding.pseudonyms
        if not hit.rule.hold or not len(names):
            return hit.text, hit.found
        found: list[Found] = []
        parts: list[str] = []
        at = length = 0
        for one in hit.found:
            parts.append(names.restored(hit.text[at : one.start]))
            start = length + len(parts[-1])
            parts.append(names.restored(hit.text[one.start : one.end]))
            at, length = one.end, start + len(parts[-1])
            found.append(one._replace(start=start, end=length))
        return "".join([*parts, names.restored(hit.text[at:])]), found

    def _as_seen(self, rule: Rule, text: str) -> str:
        return answer_text(self._guarding.context, text) if rule.kind == "grounding" else text


class Lane:
    """One text. ``name`` is text, refusal or reasoning; of reasoning nothing is changed, as it may be signed."""

    def __init__(self, choice: int, name: str, guarding: Guarding, verdicts: Verdicts) -> None:
        self.choice, self.name = choice, name
        self._guarding, self._verdicts = guarding, verdicts
        self._said: list[str] = []
        rules = guarding.held.output.get(Surface.OUTPUT, ())
        self._rules = [rule for rule in rules if rule.enforces and not rule.needs_all]
        if name == REASONING:
            self._rules = [rule for rule in self._rules if rule.action is not Action.REDACT]
        self._restores = bool(len(guarding.pseudonyms)) and name != REASONING
        self.is_open_to_all = not self._rules and not self._restores
        """Whether all of it passes as it comes."""
        self._patience = Patience(guarding.held.hold_for, guarding.parts.clock)
        self._stages: list[Stage] = []
        self._restoring: RestoringStage | None = None

    def note(self, text: str) -> None:
        """Take in what has passed."""
        self._said.append(text)

    def said(self) -> str:
        """Return what has passed, pseudonyms in it."""
        return "".join(self._said)

    @property
    def due(self) -> float:
        """When what waits has done so for as long as it may, by the clock of the parts."""
        return self._patience.due

    async def feed(self, piece: str) -> str:
        """Return what may leave after this piece.

        Raises:
            AnswerRefused: if a rule ends the answer.
        """
        self._begin()
        if len(piece) <= MOST_AT_ONCE:
            out = await self._fed(piece)
        else:
            parts: list[str] = []
            for at in range(0, len(piece), MOST_AT_ONCE):
                parts.append(await self._fed(piece[at : at + MOST_AT_ONCE]))
                await asyncio.sleep(0)
            out = "".join(parts)
        self._patience.note(len(piece), sum(stage.held for stage in self._stages))
        return out

    async def late(self) -> str:
        """Return what may leave now that it has waited for as long as it may. Raises as ``feed`` does."""
        self._patience.forget()
        text = ""
        try:
            for rule, stage in zip(self._rules, self._stages, strict=True):
                text = await stage.feed(text) if text else ""
                if stage.held and rule.late is Late.REFUSE:
                    self._guarding.tally.note_failure(rule, Surface.OUTPUT, "TooSlow", 0.0)
                    raise AnswerRefused(TOO_SLOW, rule=rule.name)
                text += await stage.late(rule.late) if stage.held else ""
        except Hit as hit:
            raise await self._verdicts.ended(hit, Surface.OUTPUT) from None
        self._said.append(text)
        return await self._restoring.feed(text) if self._restoring is not None else text

    async def _fed(self, piece: str) -> str:
        try:
            for stage in self._stages:
                piece = await stage.feed(piece) if piece else ""
        except Hit as hit:
            raise await self._verdicts.ended(hit, Surface.OUTPUT) from None
        self._said.append(piece)
        return await self._restoring.feed(piece) if self._restoring is not None else piece

    async def end(self) -> str:
        """Return the rest, after which another text may begin. Raises as ``feed`` does."""
        self._begin()
        rest = ""
        try:
            for stage in self._stages:
                rest = (await stage.feed(rest) if rest else "") + await stage.end()
        except Hit as hit:
            raise await self._verdicts.ended(hit, Surface.OUTPUT) from None
        self._said.append(rest)
        self._patience.forget()
        restoring, self._stages, self._restoring = self._restoring, [], None
        return rest if restoring is None else await restoring.feed(rest) + await restoring.end()

    def _begin(self) -> None:
        if self._stages or self._restoring is not None:
            return
        self._stages = [self._stage(rule) for rule in self._rules]
        if self._restores:
            self._restoring = RestoringStage(self._guarding.pseudonyms.originals)

    def _stage(self, rule: Rule) -> Stage:
        judge, foreign = self._guarding.judge, self._verdicts.foreign

        def find(text: str) -> Sequence[Found]:
            return foreign(judge.found_now(rule, text, Surface.OUTPUT), text)

        async def find_beside(text: str) -> Sequence[Found]:
            return foreign(await judge.found_quietly(rule, text, Surface.OUTPUT), text)

        act = self._verdicts.act_of(rule, Surface.OUTPUT)
        return stage_of(rule.look.hold, find, None if rule.look.runs is Runs.INLINE else find_beside, act)
