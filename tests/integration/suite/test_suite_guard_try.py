"""`penstock guard try`: the rules of a file over lines of traffic, counted, without a word of them."""

from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

from penstock_suite.app.guard_commands import guard_commands

RULES = {
    "cards": {"kind": "pii", "types": ["credit_card"]},
    "secret": {"kind": "words", "deny": ["project zeus"], "action": "refuse"},
    "shell": {"kind": "tools", "deny": ["shell*"]},
    "elsewhere": {"kind": "moderation", "url": "http://127.0.0.1:1/"},
}
CARD = "4539 1488 0343 6467"
CALL = {"function": {"name": "shell_run", "arguments": '{"command": "ls"}'}}
LINES = (
    {"messages": [{"role": "user", "content": f"Pay by {CARD}."}], "answer": "About Project Zeus."},
    {"body": {"messages": [{"role": "assistant", "content": None, "tool_calls": [CALL]}]}},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url"}]}]},
    {"id": "rev_1", "surface": "output", "text": f"{CARD} and {CARD}", "context": "", "decision": "allow"},
    {"id": "case", "input": "What of it?", "expected": ["x"]},
)


@pytest.fixture
def tried(tmp_path):
    rules, traffic = tmp_path / "rules.yaml", tmp_path / "traffic.jsonl"
    rules.write_text(yaml.safe_dump({"guardrails": {"rules": RULES}}))

    def run(*more, lines=LINES):
        traffic.write_text("\n".join(json.dumps(line) for line in lines))
        return CliRunner().invoke(guard_commands(), ["try", str(rules), "--on", str(traffic), *more])

    return run


def test_each_rule_is_told_with_counts_and_places_alone(tried):
    told = tried("--json")
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert (found["lines"], found["texts"], found["unread"]) == (5, 6, 1)
    rules = {one["rule"]: one for one in found["rules"]}
    cards = rules["cards"]
    assert (cards["lines"]["hits"], cards["hits"], cards["by_surface"]) == (2, 3, {"input": 1, "output": 2})
    assert cards["examples"][0] == "line 1, messages[0].content (input): credit_card 7-26"
    assert rules["secret"]["examples"] == ["line 1, answer (output): word 6-18"]
    assert (rules["shell"]["lines"]["hits"], rules["shell"]["lines"]["n"]) == (1, 1)
    assert rules["elsewhere"]["failed"] == rules["elsewhere"]["texts"] > 0
    assert CARD not in told.output and "Zeus" not in told.output


def test_a_rate_is_a_gate(tried):
    assert tried("--rule", "cards", "--max-hit-rate", "0.5").exit_code == 0
    over = tried("--rule", "cards", "--max-hit-rate", "0.3")
    assert over.exit_code == 1 and "'cards' finds something" in over.output
    assert CARD not in over.output
    away = tried("--rule", "elsewhere", "--max-hit-rate", "1")
    assert away.exit_code == 1 and "'elsewhere' failed at" in away.output


@pytest.mark.parametrize(
    ("line", "told"),
    [({"prompt": "x"}, "line 2"), ({"messages": [{"role": "wizard", "content": "x"}]}, "line 2"), ([1], "line 2")],
)
def test_a_line_that_is_none_is_told_and_not_passed_over(tried, line, told):
    ended = tried(lines=[LINES[0], line])
    assert ended.exit_code == 2 and told in ended.output and CARD not in ended.output


def test_a_rule_that_is_not_there_is_told(tried):
    ended = tried("--rule", "none")
    assert ended.exit_code == 2 and "no rule 'none'" in ended.output
