"""`penstock guard check`: a text through the rules of a configuration, in this process; nobody else is asked."""

from __future__ import annotations

import asyncio
from contextlib import closing

from penstock_gateway.adapters.guardrails.beside import Threads
from penstock_gateway.app.guard_rules import Asked
from penstock_gateway.app.guardrails import pipelines_of
from penstock_gateway.domain.guardrails.pipeline.rails import Rails
from penstock_gateway.domain.guardrails.pipeline.rule import Surface
from penstock_gateway.domain.guardrails.pipeline.trying import Tried, tried
from penstock_gateway.settings import Settings
from penstock_suite.app.plan import Selection, load
from penstock_suite.domain.guard_explanation import GuardCheck, RuleChecked, SpanFound
from penstock_suite.domain.requests import GuardCheckRequest


def check_guard(request: GuardCheckRequest) -> GuardCheck:
    """Return what the rules that hold for such a request say of the text, and what is left of it.

    Raises:
        ConfigurationError: if the configuration cannot be used.
    """
    settings = load(Selection(config=request.config)).settings(Settings)
    rails = Rails(pipelines_of(settings, Asked(is_offline=True)))
    held = rails.held(request.tenant, request.model, request.key)
    if held is None:
        return GuardCheck(rules=(), text=request.text, ended_by="")
    with closing(Threads(settings.guardrails.threads, settings.guardrails.waiting)) as threads:
        said, text, ended_by = asyncio.run(tried(held, threads, request.text, Surface(request.surface)))
    return GuardCheck(rules=tuple(map(_checked, said)), text=text, ended_by=ended_by)


def _checked(one: Tried) -> RuleChecked:
    found = tuple(SpanFound(span.kind, span.start, span.end) for span in one.found)
    return RuleChecked(
        one.rule, one.kind, one.version, one.side, one.action, one.shadow, one.outcome, found, one.microseconds
    )
