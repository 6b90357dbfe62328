"""One request under its rules: what they make of what goes in, and what they have said."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from penstock_common.errors import ServiceUnavailable
from penstock_common.llm.types import GenerationInput, Role, ToolCall
from penstock_gateway.domain.guardrails.injection.encapsulation import encapsulated
from penstock_gateway.domain.guardrails.injection.finding import Surface as Seen
from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind
from penstock_gateway.domain.guardrails.pii.pseudonyms import Pseudonyms, key_of
from penstock_gateway.domain.guardrails.pipeline.across import (
    Run,
    found_across,
    looks_across,
    replaced_by,
    runs_of,
    with_marks,
    with_run,
)
from penstock_gateway.domain.guardrails.pipeline.json_texts import is_whole, replaced, strings_of, with_strings
from penstock_gateway.domain.guardrails.pipeline.judging import MOST_LOOKED, Beside, Judge, Memo
from penstock_gateway.domain.guardrails.pipeline.rails import Held
from penstock_gateway.domain.guardrails.pipeline.refusing import refusal, too_long
from penstock_gateway.domain.guardrails.pipeline.rule import Action, Found, Rule, Surface
from penstock_gateway.domain.guardrails.pipeline.texts import with_texts
from penstock_gateway.domain.guardrails.pipeline.told import Tally
from penstock_gateway.domain.guardrails.rules.marking import Spotlight
from penstock_gateway.domain.guardrails.rules.tools import call_text
from penstock_gateway.domain.life.order import Call, ChatOrder
from penstock_gateway.domain.reviews.flag import MAX_TEXT, Flag, ReviewDesk, Source
from penstock_gateway.domain.reviews.flag import Found as FlaggedPart
from penstock_gateway.domain.reviews.flag import Surface as Flagged

_SEEN = {Surface.DOCUMENT: Seen.DOCUMENT}


class GuardParts(NamedTuple):
    """What guarding takes: who works beside, whom people are told of, and the secret that pseudonyms come from.

    ``by_conversation``: pseudonyms are those of a conversation, not of a tenant.
    """

    beside: Beside
    secret: bytes
    memo: Memo
    desk: ReviewDesk | None = None
    by_conversation: bool = False
    most_held: int = 1_048_576
    most_looked: int = MOST_LOOKED
    retries: int = 1
    """How often an answer is asked for again that a rule with this action finds something in."""
    clock: Callable[[], float] = time.monotonic
    """Seconds, by which text of an answer waits."""


class Guarding:
    """The rules of one request at work."""

    def __init__(self, held: Held, call: Call[ChatOrder], parts: GuardParts) -> None:
        self.held, self.call, self.parts = held, call, parts
        self.tally = Tally()
        self.judge = Judge(parts.beside, self.tally, parts.memo, parts.most_looked)
        self.pseudonyms = Pseudonyms(b"")
        self._contexts: list[str] = []

    async def entering(self, request: GenerationInput) -> GenerationInput:
        """Return the input as the model may see it.

        Raises:
            GuardrailRefused: if a rule refuses it.
            GuardrailUnavailable: if one must look at it, and cannot.
        """
        if self.held.pseudonymises:
            self.pseudonyms = Pseudonyms(key_of(self._tenants_secret(), self._conversation(request)))
        return await self._across(await with_texts(request, self.entered, self._call))

    async def entered(self, text: str, surface: Surface) -> str:
        """Return what stands in the place of a text that goes in. Raises as ``entering`` does."""
        for rule in self.held.input.get(surface, ()):
            found = await self.judge.found(rule, text, surface)
            if found or (rule.action is Action.PSEUDONYMISE and len(self.pseudonyms)):
                text = await self._acted(rule, text, surface, found)
        if surface in (Surface.TOOL_RESULT, Surface.DOCUMENT):
            self._contexts.append(text)
        return text

    async def _across(self, request: GenerationInput) -> GenerationInput:
        """Return the input with nothing in it that only stands in several of its texts together; raises as ``entering``."""
        for first in runs_of(request.messages):
            run = first
            for rule in self.held.input.get(run.surface, ()):
                between, found = (
                    await found_across(rule, run, self.judge.found_again) if looks_across(rule) else ("", [])
                )
                if found:
                    self.tally.note(rule, run.surface, found)
                    run = await self._acted_across(rule, run, between, found)
            if run is not first:
                request = with_run(request, run)
        return request

    async def _acted_across(self, rule: Rule, run: Run, between: str, found: Sequence[Found]) -> Run:
        text, _ = run.joined(between)
        if rule.action is Action.PSEUDONYMISE and rule.enforces:
            found = [
                one._replace(mark=self.pseudonyms.pseudonym(Kind(one.kind), text[one.start : one.end])) for one in found
            ]
            return with_marks(run, between, found)
        if rule.action is Action.REDACT and rule.enforces:
            return with_marks(run, between, found)
        acted = await self._acted(rule, text, run.surface, found)
        return run if acted == text else replaced_by(run, acted)

    @property
    def context(self) -> str:
        """What answers are to rest on: passages that were found, and what tools have said."""
        return "\n\n".join(self._contexts)

    async def _acted(self, rule: Rule, text: str, surface: Surface, found: Sequence[Found]) -> str:
        if rule.shadow:
            return text
        if found and rule.action is Action.REVIEW:
            item = await self.flag(rule, text, surface, found)
            if rule.hold:
                raise refusal(rule, item)
        if found and rule.action is Action.REFUSE:
            raise refusal(rule)
        if rule.action is Action.REPLACE:
            return rule.text
        if rule.action is Action.REDACT:
            return replaced(text, found)
        if rule.action is Action.PSEUDONYMISE:
            return self.pseudonyms.pseudonymised(
                text, [Finding(Kind(one.kind), one.start, one.end, 1.0) for one in found]
            )
        return self._marked(rule, text, surface) if rule.action is Action.SPOTLIGHT else text

    async def _call(self, call: ToolCall) -> ToolCall:
        """Return a call of a turn before, as the model may see it; its name and id stay."""
        for rule in self.held.input.get(Surface.TOOL_CALL, ()):
            if rule.kind == "tools":
                found = await self.judge.found(rule, call_text(call.name, call.arguments_json), Surface.TOOL_CALL)
                if found:
                    await self._acted(rule, call.arguments_json, Surface.TOOL_CALL, found)
        rules = [rule for rule in self.held.input.get(Surface.TOOL_CALL, ()) if rule.kind != "tools"]
        if not rules or not call.arguments_json:
            return call
        if call.is_custom:
            text = await self._argument(rules, call.arguments_json)
        else:
            text = await self._arguments(rules, call.arguments_json)
        return call if text == call.arguments_json else msgspec.structs.replace(call, arguments_json=text)

    async def _arguments(self, rules: Sequence[Rule], document: str) -> str:
        strings = strings_of(document)
        changed = [(start, end, await self._argument(rules, text)) for start, end, text in strings]
        kept = [new for new, (_, _, old) in zip(changed, strings, strict=True) if new[2] != old]
        left = with_strings(document, kept) if kept else document
        return left if is_whole(left) else await self._argument(rules, left)

    async def _argument(self, rules: Sequence[Rule], text: str) -> str:
        for rule in rules:
            found = await self.judge.found(rule, text, Surface.TOOL_CALL)
            if found or (rule.action is Action.PSEUDONYMISE and len(self.pseudonyms)):
                text = await self._acted(rule, text, Surface.TOOL_CALL, found)
        return text

    def _marked(self, rule: Rule, text: str, surface: Surface) -> str:
        look = rule.look
        assert isinstance(look, Spotlight), "nothing else has this action"
        # The same marker for the same text: a fresh one would void what a provider has cached.
        marker = "data-" + hashlib.blake2b(text.encode(), key=self._tenants_secret()[:32], digest_size=8).hexdigest()
        wrapped = encapsulated(text, _SEEN.get(surface, Seen.TOOL_OUTPUT), look.how, marker)
        return f"{wrapped.instruction}\n{wrapped.text}"

    async def flag(self, rule: Rule, text: str, surface: Surface, found: Sequence[Found]) -> str:
        """Return the id of what a person is to look at; empty where nobody keeps it.

        Raises:
            ServiceUnavailable: if it cannot be kept, and the caller waits for it.
            GuardrailRefused: if it is held and longer than a person is given.
        """
        if self.parts.desk is None:
            return ""
        if rule.hold and len(text) > MAX_TEXT:
            # Cut, it would not be what goes out once somebody has allowed it.
            raise too_long(rule, MAX_TEXT)
        try:
            return await self.parts.desk.flag(self._flag(rule, text, surface, found))
        except ServiceUnavailable as error:
            self.tally.note_failure(rule, surface, type(error).__name__, 0.0)
            if rule.hold:
                raise
            return ""

    def _flag(self, rule: Rule, text: str, surface: Surface, found: Sequence[Found]) -> Flag:
        order, caller = self.call.order, self.call.caller
        return Flag(
            tenant=order.tenant,
            key_id=caller.counted_key_id,
            source=Source.RULE,
            surface=Flagged.INPUT if surface is Surface.SYSTEM else Flagged(surface.value),
            text=text,
            context=self.context,
            found=tuple(FlaggedPart(one.kind, one.start, one.end) for one in found),
            rule=rule.name,
            rule_version=rule.version,
            public_model=order.input.model,
            user=order.context.user,
            user_id=caller.user_id,
            request_id=order.request_id,
            generation_id=order.generation_id,
            hold=rule.hold,
        )

    def _tenants_secret(self) -> bytes:
        return hashlib.blake2b(self.call.order.tenant.encode(), key=self.parts.secret[:64], digest_size=32).digest()

    def _conversation(self, request: GenerationInput) -> str:
        """Return what names the conversation: the user's first turn, however it goes on."""
        if not self.parts.by_conversation:
            return ""
        first = next((one.text for one in request.messages if one.role is Role.USER), "")
        return hashlib.sha256(json.dumps(first).encode()).hexdigest()
