"""`penstock guard try`: the rules of a file over traffic of before, in this process; nobody else is asked, and nothing acts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing

from penstock_gateway.adapters.guardrails.beside import Threads
from penstock_gateway.app.guard_rules import Asked, rule_of
from penstock_gateway.domain.guardrails.pipeline.rails import Held
from penstock_gateway.domain.guardrails.pipeline.rule import Rule, Surface
from penstock_gateway.domain.guardrails.pipeline.trying import tried
from penstock_gateway.domain.guardrails.rules.grounded import answer_text
from penstock_gateway.domain.guardrails.rules.tools import call_text
from penstock_gateway.settings import Settings
from penstock_suite.app.pii_evaluation import read_dataset
from penstock_suite.app.plan import Selection, load
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.guard_trial import GuardTrial, Hit, Looked, Passage, read_passages, trial_of
from penstock_suite.domain.requests import GuardTrialRequest


def try_guard(request: GuardTrialRequest) -> GuardTrial:
    """Return what each rule would have found, by itself, in each text of its surfaces.

    Raises:
        ConfigurationError: if the rules cannot be used.
        Misconfigured: if the file cannot be read, or there is no such rule.
    """
    section = load(Selection(config=request.rules)).settings(Settings).guardrails
    for name in request.names:
        if name not in section.rules:
            raise Misconfigured(f"there is no rule '{name}' in {request.rules}")
    chosen = {name: one for name, one in section.rules.items() if not request.names or name in request.names}
    rules = [rule_of(name, one, Asked(is_offline=True)) for name, one in chosen.items() if one.kind != "spotlight"]
    if not rules:
        raise Misconfigured(f"{request.rules} has no rules under 'guardrails.rules'")
    passages, lines, unread = read_passages(read_dataset(request.traffic))
    with closing(Threads(section.threads, section.waiting)) as threads:
        looked = asyncio.run(_looked(rules, passages, threads))
    told = [
        trial_of((rule.name, rule.kind, rule.version, rule.action.value), those)
        for rule, those in zip(rules, looked, strict=True)
    ]
    return GuardTrial(lines=lines, texts=len(passages), unread=unread, rules=tuple(told))


async def _looked(rules: Sequence[Rule], passages: Sequence[Passage], threads: Threads) -> list[list[Looked]]:
    return [
        [await _look(rule, one, threads) for one in passages if Surface(one.surface) in rule.surfaces] for rule in rules
    ]


async def _look(rule: Rule, passage: Passage, threads: Threads) -> Looked:
    surface, text = Surface(passage.surface), passage.text
    if rule.kind == "tools" and passage.call is not None:
        text = call_text(passage.call.name, passage.call.arguments)
    if rule.kind == "grounding":
        text = answer_text(passage.context, text)
    said, _, _ = await tried(Held({surface: (rule,)}, {}), threads, text, surface)
    (one,) = said
    found = tuple(Hit(each.kind, each.start, each.end) for each in one.found)
    return Looked(passage=passage, outcome=one.outcome, found=found, microseconds=one.microseconds)
