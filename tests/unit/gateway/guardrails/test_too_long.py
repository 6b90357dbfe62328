"""Texts that are longer than a rule looks at: the caller's are refused, a model's end the answer, and a trial says so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from pipeline_world import arguments_of, guarding_of, rails_of, seen, text_batches, text_seen

from penstock_common.llm.types import ToolCallDelta
from penstock_gateway.adapters.guardrails.beside import Threads
from penstock_gateway.domain.guardrails.pipeline.judging import MOST_LOOKED
from penstock_gateway.domain.guardrails.pipeline.refusing import TOO_LONG, AnswerRefused
from penstock_gateway.domain.guardrails.pipeline.retrying import retries_of
from penstock_gateway.domain.guardrails.pipeline.rule import Surface
from penstock_gateway.domain.guardrails.pipeline.trying import tried

RULES = {
    "short": {"kind": "length", "most_characters": 4},
    "again": {"kind": "words", "deny": ["acme"], "action": "retry"},
    "cards": {"kind": "pii", "types": ["credit_card"], "surfaces": ["tool_call"]},
}


def looking_at(most: int, *output: str):
    guarding = guarding_of(RULES, output=[*output])
    guarding.judge._most = most
    return guarding


async def test_an_answer_that_is_too_long_for_its_rule_is_no_fault_of_the_request():
    with pytest.raises(AnswerRefused, match=TOO_LONG) as refused:
        await text_seen(looking_at(2, "short"), ["all"])
    assert refused.value.rule == "short"
    started, *_, ended = text_batches([])
    call = (ToolCallDelta(index=0, id="c", name="pay", arguments_json_fragment='{"n":"1234"}'),)
    with pytest.raises(AnswerRefused, match=TOO_LONG):
        await seen(looking_at(2, "cards"), [started, call, ended])
    assert arguments_of(await seen(looking_at(9, "cards"), [started, call, ended])) == '{"n":"1234"}'


async def test_what_is_too_long_is_not_asked_for_again():
    guarding = looking_at(2, "again")
    retries = retries_of(guarding)
    assert retries is not None
    assert await retries.problem([event for batch in text_batches(["Acme"]) for event in batch]) is None
    # What it cannot look at as a whole, it looks at in parts.
    with pytest.raises(AnswerRefused):
        await text_seen(guarding, ["Acme"])


async def test_a_trial_says_that_the_rule_could_not_look():
    held = rails_of(RULES, output=["short"]).held("t", "m", "k")
    assert held is not None
    threads = Threads(1, 1)
    said, left, ended_by = await tried(held, threads, "x" * (MOST_LOOKED + 1), Surface.OUTPUT)
    threads.close()
    assert ([one.outcome for one in said], left, ended_by) == (["failed"], "", "short")
