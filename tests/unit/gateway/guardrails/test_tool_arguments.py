"""What rules say of calls by their arguments, however these are written."""

from __future__ import annotations

import json
import re

import pytest

from penstock_gateway.domain.guardrails.pipeline.rule import Surface
from penstock_gateway.domain.guardrails.rules.tools import ArgumentTest, Tools, call_text


def said_of(arguments: str, pointer: str = "/path", *, tool: str = "read") -> str:
    """Return what a rule says that wants paths below /home."""
    rule = Tools([], [], [ArgumentTest("read", pointer, re.compile("/home/[a-z]+"), unless=True)])
    found = rule.found(call_text(tool, arguments), Surface.TOOL_CALL)
    return found[0].kind if found else ""


@pytest.mark.parametrize("arguments", ['{"path": "/home/ada"}', "", "{}", "null", '{"other": [1, 1]}'])
def test_what_is_allowed_or_not_there_passes(arguments: str):
    assert said_of(arguments) == ""


@pytest.mark.parametrize(
    "arguments",
    [
        '[{"path": "/etc/passwd"}]',
        json.dumps('{"path": "/etc/passwd"}'),
        '{"path": "/home/ada"} {"path": "/etc/passwd"}',
        '{"path": "/etc/passwd", "path": "/home/ada"}',
        '{"path": "/etc/pa',
        "7",
    ],
)
def test_arguments_that_are_no_one_object_are_refused(arguments: str):
    assert said_of(arguments) == "unreadable_arguments"
    assert said_of(arguments, tool="write") == "", "nothing is asked of the arguments of others"


def test_a_pointer_goes_on_into_json_within_a_string():
    hidden = json.dumps({"files": json.dumps([json.dumps({"path": "/etc/passwd"})])})
    assert said_of(hidden, "/files/*/path") == "denied_argument"
    assert said_of(hidden.replace("/etc/passwd", "/home/ada"), "/files/*/path") == ""
    assert said_of('{"files": "no JSON"}', "/files/*/path") == ""
    assert said_of(json.dumps({"path": json.dumps("/home/ada")})) == "denied_argument", (
        "what is looked at is as it is written"
    )
