"""What the rules of a request would do with one text, one by one, without a request."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from penstock_common.errors import GuardrailRefused
from penstock_gateway.domain.guardrails.pipeline.json_texts import replaced
from penstock_gateway.domain.guardrails.pipeline.judging import Beside, Judge, Memo
from penstock_gateway.domain.guardrails.pipeline.rails import Held
from penstock_gateway.domain.guardrails.pipeline.refusing import GuardrailUnavailable
from penstock_gateway.domain.guardrails.pipeline.rule import Action, Found, Rule, Surface
from penstock_gateway.domain.guardrails.pipeline.told import FAILED, Tally

_PSEUDONYM = "<{kind}>"


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule says of the text as those before it have left it: ``outcome`` is clean, hit or failed."""

    rule: str
    kind: str
    version: str
    side: str
    action: str
    shadow: bool
    outcome: str
    found: tuple[Found, ...]
    microseconds: float


async def tried(held: Held, beside: Beside, text: str, surface: Surface) -> tuple[list[Tried], str, str]:
    """Return what each rule says, the text in the end, and the name of the rule that ends the request or answer, if one does.

    A pseudonym is shown as its kind.
    """
    said: list[Tried] = []
    sides = (("input", held.input.get(surface, ())), ("output", held.output.get(surface, ())))
    for side, rules in sides:
        for rule in rules:
            tally, began = Tally(), time.perf_counter()
            found = await _found(rule, Judge(beside, tally, Memo(1)), text, surface)
            has_failed = any(one.action == FAILED for one in tally.all())
            said.append(_tried(rule, side, found, has_failed, time.perf_counter() - began))
            if rule.enforces and ((found and rule.refuses) or (has_failed and rule.on_failure == "closed")):
                return said, "", rule.name
            text = _left(rule, text, found)
    return said, text, ""


async def _found(rule: Rule, judge: Judge, text: str, surface: Surface) -> Sequence[Found]:
    try:
        return await judge.found(rule, text, surface)
    except (GuardrailUnavailable, GuardrailRefused):
        return ()


def _tried(rule: Rule, side: str, found: Sequence[Found], has_failed: bool, seconds: float) -> Tried:
    return Tried(
        rule=rule.name,
        kind=rule.kind,
        version=rule.version,
        side=side,
        action=rule.action.value,
        shadow=rule.shadow,
        outcome=FAILED if has_failed else "hit" if found else "clean",
        found=tuple(found),
        microseconds=round(seconds * 1e6, 1),
    )


def _left(rule: Rule, text: str, found: Sequence[Found]) -> str:
    if not found or not rule.enforces:
        return text
    if rule.action is Action.REPLACE:
        return rule.text
    if rule.action is Action.PSEUDONYMISE:
        return replaced(text, [one._replace(mark=_PSEUDONYM.format(kind=one.kind)) for one in found])
    return replaced(text, found) if rule.action is Action.REDACT else text
