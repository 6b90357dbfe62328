"""`penstock guard check`: the rules of a file over a text, without a gateway."""

from __future__ import annotations

import json

import pytest
import yaml

RULES = {
    "names": {"kind": "pii", "action": "pseudonymise", "types": ["email"]},
    "cards": {"kind": "pii", "types": ["credit_card"]},
    "secret": {"kind": "words", "deny": ["project zeus"]},
    "elsewhere": {"kind": "moderation", "url": "http://127.0.0.1:1/", "on_failure": "open"},
}
TEXT = "Mail ada@lovelace-works.com, pay by 4539 1488 0343 6467."


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "penstock.yaml"
    pipelines = [{"models": ["chat"], "input": ["cards", "names", "elsewhere"], "output": ["secret"]}]
    path.write_text(yaml.safe_dump({"guardrails": {"rules": RULES, "pipelines": pipelines}}))
    return path


def test_rules_are_told_one_by_one(penstock, config):
    told = penstock("guard", "check", TEXT, "--model", "chat", "--config", config, "--json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert [(one["rule"], one["outcome"]) for one in found["rules"]] == [
        ("cards", "hit"), ("names", "hit"), ("elsewhere", "failed"),
    ]  # fmt: skip
    assert found["text"] == "Mail <email>, pay by [CREDIT_CARD]."


def test_what_ends_an_answer_is_an_exit_code(penstock, config):
    told = penstock("guard", "check", "On Project Zeus", "--surface", "output", "--model", "chat", "--config", config)
    assert told.returncode == 1 and "Ended by 'secret'" in told.stdout + told.stderr
    none = penstock("guard", "check", "Hi", "--config", config)
    assert none.returncode == 0 and "No rule holds" in none.stdout + none.stderr
