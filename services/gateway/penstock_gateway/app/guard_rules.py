"""One rule of the configuration, ready to look."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from penstock_common.configuration import ConfigurationError
from penstock_common.http.client import HttpClient
from penstock_gateway.adapters.guardrails.moderation import Moderation
from penstock_gateway.adapters.services.vectors import EmbeddedVectors
from penstock_gateway.domain.guardrails.injection.classifier import shipped
from penstock_gateway.domain.guardrails.injection.detector import Detector as InjectionDetector
from penstock_gateway.domain.guardrails.injection.encapsulation import Spotlighting
from penstock_gateway.domain.guardrails.pattern_cost import checked_pattern
from penstock_gateway.domain.guardrails.pii.detector import Detector as PersonalDetector
from penstock_gateway.domain.guardrails.pipeline.rule import Look, NotAsked, OnFailure, Rule
from penstock_gateway.domain.guardrails.rules.carriers import Exfiltration
from penstock_gateway.domain.guardrails.rules.grounded import LEAST_SCORE, Grounding
from penstock_gateway.domain.guardrails.rules.injected import Injection
from penstock_gateway.domain.guardrails.rules.marking import Spotlight
from penstock_gateway.domain.guardrails.rules.measures import Language, Length
from penstock_gateway.domain.guardrails.rules.personal import PersonalData
from penstock_gateway.domain.guardrails.rules.phrases import Patterns, Words
from penstock_gateway.domain.guardrails.rules.tools import ArgumentTest, Tools
from penstock_gateway.domain.guardrails.rules.topics import LEAST_LIKENESS, Topics
from penstock_gateway.domain.life.ports import TextEmbedder
from penstock_gateway.guardrail_settings import RuleSettings, types_of

REVISIONS = {"pii": 2, "words": 2, "pattern": 2, "injection": 2, "exfiltration": 3, "tools": 2}
"""Of each kind's code: raised with whatever changes what its rules find. What is not named is of the first."""


class Asked(NamedTuple):
    """Whom rules ask: the embedding service, None where there is none, and other services."""

    embedder: TextEmbedder | None = None
    http: HttpClient | None = None
    is_offline: bool = False
    """Nobody is to be asked: rules that would are there, and fail."""
    personal: PersonalDetector | None = None
    """Looks for personal data for all rules; None: each rule has one of its own."""


NOBODY = Asked()


def rule_of(name: str, settings: RuleSettings, asked: Asked = NOBODY) -> Rule:
    """Return a rule, ready to look. Raises as ``pipelines_of`` does."""
    look = _remote_look_of(name, settings, asked) or _look_of(settings, asked)
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
        ask=settings.ask,
        late=settings.late,
    )


def _remote_look_of(name: str, settings: RuleSettings, asked: Asked) -> Look | None:
    if asked.is_offline and settings.kind in ("topics", "moderation"):
        return NotAsked()
    if settings.kind == "topics":
        if asked.embedder is None:
            raise ConfigurationError(
                f"guardrails.rules.{name}: topics are told by vectors, and there is no section 'embedding': add one"
            )
        least = LEAST_LIKENESS if settings.threshold is None else settings.threshold
        return Topics(EmbeddedVectors(asked.embedder), settings.examples, least)
    if settings.kind == "moderation" and asked.http is not None:
        return Moderation(asked.http, settings.url, settings.api_key.get_secret_value(), settings.threshold)
    return None


def _look_of(settings: RuleSettings, asked: Asked) -> Look:
    if settings.kind in ("pii", "secrets"):
        return _personal(settings, asked.personal or PersonalDetector())
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


def _personal(settings: RuleSettings, shared: PersonalDetector) -> PersonalData:
    if not settings.names:
        return PersonalData(shared, types_of(settings), settings.allow)
    # What it learned takes memory, and few want it.
    from penstock_gateway.adapters.guardrails.pii import detector

    return PersonalData(detector(), types_of(settings), settings.allow, beside=True)


def _version_of(settings: RuleSettings) -> str:
    """Return what changes with whatever the rule would find or do."""
    learned = shipped().version if settings.kind == "injection" else ""
    said = f"{REVISIONS.get(settings.kind, 1)}\0{learned}\0{settings.model_dump_json()}"
    return hashlib.sha256(said.encode()).hexdigest()[:8]
