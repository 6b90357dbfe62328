"""The pipelines that the configuration names, ready, and what their rules take to be at work."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import NamedTuple

from penstock_common.http.client import HttpClient
from penstock_common.key_material import read_key_material
from penstock_gateway.adapters.guardrails.beside import Threads
from penstock_gateway.app.guard_rules import NOBODY, Asked, rule_of
from penstock_gateway.domain.guardrails.pii.detector import Detector as PersonalDetector
from penstock_gateway.domain.guardrails.pipeline.guarding import GuardParts
from penstock_gateway.domain.guardrails.pipeline.judging import Memo
from penstock_gateway.domain.guardrails.pipeline.rails import Pipeline, Rails
from penstock_gateway.domain.guardrails.pipeline.rule import Rule
from penstock_gateway.domain.reviews.flag import ReviewDesk
from penstock_gateway.domain.reviews.later import LaterDesk
from penstock_gateway.settings import Settings


def pipelines_of(settings: Settings, asked: Asked = NOBODY) -> tuple[Pipeline, ...]:
    """Return the pipelines, with their rules ready.

    Raises:
        ConfigurationError: if what a rule needs is not there.
    """
    section = settings.guardrails
    named = {name for one in section.pipelines for name in (*one.input, *one.output)}
    asked = asked._replace(personal=PersonalDetector())
    rules = {name: rule_of(name, section.rules[name], asked) for name in sorted(named)}
    return tuple(
        Pipeline(
            tenants=frozenset(one.tenants),
            models=frozenset(one.models),
            keys=frozenset(one.keys),
            input=_in_order(one.input, rules),
            output=_in_order(one.output, rules),
            hold_for=None if one.hold_for is None else one.hold_for.total_seconds(),
        )
        for one in section.pipelines
    )


def _in_order(names: list[str], rules: Mapping[str, Rule]) -> tuple[Rule, ...]:
    return tuple(rules[name] for name in names)


class Guardrails(NamedTuple):
    """The pipelines, empty until ``surfaces_of`` has who is asked, and what rules take to be at work."""

    rails: Rails
    parts: GuardParts
    http: HttpClient


async def open_guardrails(stack: AsyncExitStack, settings: Settings, desk: ReviewDesk) -> Guardrails:
    """Return what rules take to be at work; the stack closes that. ``desk`` is who hands things to people."""
    section = settings.guardrails
    threads = Threads(section.threads, section.waiting)
    stack.callback(threads.close)
    pepper = read_key_material(settings.secrets.key_pepper_file, "secrets.key_pepper_file")
    secret = hashlib.sha256(b"penstock guardrails 1\0" + pepper).digest()
    later = LaterDesk(desk)
    stack.push_async_callback(later.close)
    parts = GuardParts(
        beside=threads,
        secret=secret,
        desk=later,
        memo=Memo(),
        by_conversation=section.pseudonyms == "conversation",
        most_held=section.most_held,
        most_looked=section.most_looked,
        retries=section.retries,
    )
    return Guardrails(Rails(), parts, await stack.enter_async_context(HttpClient()))
