"""The rules that the configuration names, ready to look."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import AsyncExitStack

from penstock_common.configuration import ConfigurationError
from penstock_common.key_material import read_key_material
from penstock_gateway.adapters.guardrails.beside import Threads
from penstock_gateway.domain.guardrails.injection.classifier import shipped
from penstock_gateway.domain.guardrails.injection.detector import Detector as InjectionDetector
from penstock_gateway.domain.guardrails.injection.encapsulation import Spotlighting
from penstock_gateway.domain.guardrails.pattern_cost import checked_pattern
from penstock_gateway.domain.guardrails.pii.detector import Detector as PersonalDetector
from penstock_gateway.domain.guardrails.pipeline.guarding import GuardParts
from penstock_gateway.domain.guardrails.pipeline.judging import Memo
from penstock_gateway.domain.guardrails.pipeline.rails import Pipeline, Rails
from penstock_gateway.domain.guardrails.pipeline.rule import Look, OnFailure, Rule
from penstock_gateway.domain.guardrails.rules.carriers import Exfiltration
from penstock_gateway.domain.guardrails.rules.grounded import LEAST_SCORE, Grounding
from penstock_gateway.domain.guardrails.rules.injected import Injection
from penstock_gateway.domain.guardrails.rules.marking import Spotlight
from penstock_gateway.domain.guardrails.rules.measures import Language, Length
from penstock_gateway.domain.guardrails.rules.personal import PersonalData
from penstock_gateway.domain.guardrails.rules.phrases import Patterns, Words
from penstock_gateway.domain.guardrails.rules.tools import ArgumentTest, Tools
from penstock_gateway.guardrail_settings import RuleSettings, types_of
from penstock_gateway.settings import Settings

# Changes with the code of rules: what they find may be another thing then.
_REVISION = "1"


def pipelines_of(settings: Settings) -> tuple[Pipeline, ...]:
    """Return the pipelines, with their rules ready.

    Raises:
        ConfigurationError: if what a rule needs is not there.
    """
    section = settings.guardrails
    named = {name for one in section.pipelines for name in (*one.input, *one.output)}
    rules = {name: rule_of(name, section.rules[name]) for name in sorted(named)}
    return tuple(
        Pipeline(
            tenants=frozenset(one.tenants),
            models=frozenset(one.models),
            keys=frozenset(one.keys),
            input=_in_order(one.input, rules),
            output=_in_order(one.output, rules),
        )
        for one in section.pipelines
    )


def _in_order(names: list[str], rules: Mapping[str, Rule]) -> tuple[Rule, ...]:
    return tuple(rules[name] for name in names)


def rule_of(name: str, settings: RuleSettings) -> Rule:
    """Return a rule, ready to look."""
    look = _look_of(settings)
    return Rule(
        name=name,
        kind=settings.kind,
        version=_version_of(settings),
        look=look,
        surfaces=settings.looks_at,
        action=settings.acts,
        on_failure=OnFailure(settings.on_failure),
        timeout=settings.timeout.total_seconds(),
        shadow=settings.shadow,
        text=settings.text,
        hold=settings.hold,
    )


def _look_of(settings: RuleSettings) -> Look:
    if settings.kind in ("pii", "secrets"):
        return _personal(settings)
    if settings.kind == "injection":
        return Injection(InjectionDetector(), settings.threshold, by_classifier=settings.classifier)
    if settings.kind == "exfiltration":
        return Exfiltration(settings.allow)
    if settings.kind == "words":
        return Words(settings.deny)
    if settings.kind == "pattern":
        return Patterns(settings.patterns)
    return _other_look_of(settings)


def _other_look_of(settings: RuleSettings) -> Look:
    if settings.kind == "length":
        return Length(settings.most_characters)
    if settings.kind == "language":
        return Language(settings.allow, settings.deny)
    if settings.kind == "tools":
        tests = [
            ArgumentTest(one.tool, one.pointer, checked_pattern(one.pattern)[0], one.unless)
            for one in settings.arguments
        ]
        return Tools(settings.allow, settings.deny, tests)
    if settings.kind == "grounding":
        return Grounding(LEAST_SCORE if settings.threshold is None else settings.threshold)
    if settings.kind == "spotlight":
        return Spotlight(Spotlighting.DATAMARKING if settings.datamarking else Spotlighting.DELIMITING)
    raise ConfigurationError(f"guardrails.rules: the kind '{settings.kind}' is not there yet")


def _personal(settings: RuleSettings) -> PersonalData:
    if not settings.names:
        return PersonalData(PersonalDetector(), types_of(settings), settings.allow)
    # What it learned takes memory, and few want it.
    from penstock_gateway.adapters.guardrails.pii import detector

    return PersonalData(detector(), types_of(settings), settings.allow, beside=True)


def _version_of(settings: RuleSettings) -> str:
    """Return what changes with whatever the rule would find or do."""
    learned = shipped().version if settings.kind == "injection" else ""
    said = f"{_REVISION}\0{learned}\0{settings.model_dump_json()}"
    return hashlib.sha256(said.encode()).hexdigest()[:8]


def open_guardrails(stack: AsyncExitStack, settings: Settings) -> tuple[Rails, GuardParts]:
    """Return the pipelines, and what rules take to be at work; the stack closes that.

    Raises:
        ConfigurationError: as ``pipelines_of``.
    """
    section = settings.guardrails
    threads = Threads(section.threads, section.waiting)
    stack.callback(threads.close)
    pepper = read_key_material(settings.secrets.key_pepper_file, "secrets.key_pepper_file")
    secret = hashlib.sha256(b"penstock guardrails 1\0" + pepper).digest()
    parts = GuardParts(
        beside=threads,
        secret=secret,
        memo=Memo(),
        by_conversation=section.pseudonyms == "conversation",
        most_held=section.most_held,
    )
    return Rails(pipelines_of(settings)), parts
