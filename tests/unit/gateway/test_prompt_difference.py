"""What differs between two versions of a prompt, as a unified diff."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime

import pytest

from penstock_common.llm.types import Role
from penstock_gateway.domain.prompts.content import Template, Turn
from penstock_gateway.domain.prompts.difference import MAX_COMPARED_LINES, difference
from penstock_gateway.domain.prompts.records import VersionRecord

LINES = [f"line {number}" for number in range(MAX_COMPARED_LINES)]


def version(number, lines):
    template = Template(turns=(Turn(role=Role.USER, text="\n".join(lines)),))
    return VersionRecord(
        tenant="t",
        name="p",
        version=number,
        template=template,
        note="",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        created_by="k",
    )


def between(old, new):
    return difference(version(1, old), version(2, new))


@pytest.mark.parametrize("at", [0, 1, 1000, len(LINES) - 1, len(LINES)])
@pytest.mark.parametrize("removed", [0, 1])
def test_one_change_of_a_long_version_is_told_as_of_a_short_one(at, removed):
    changed = [*LINES[:at], "another", "and one more", *LINES[at + removed :]]
    told = difflib.unified_diff(["[user]", *LINES], ["[user]", *changed], "p@1", "p@2", lineterm="")
    assert between(LINES, changed) == "\n".join(told)


def test_long_versions_that_say_the_same_do_not_differ():
    assert between(LINES, LINES) == ""


def test_of_a_long_version_all_between_two_changes_counts_as_changed():
    changed = ["new", *LINES[1:9], "new", *LINES[10:]]
    told = between(LINES, changed).splitlines()
    assert told[:5] == ["--- p@1", "+++ p@2", "@@ -1,14 +1,14 @@", " [user]", "-line 0"]
    assert [line[1:] for line in told if line[0] == "-"][1:] == LINES[:10]
    assert told[-3:] == [f" {line}" for line in LINES[10:13]]


def test_of_versions_with_no_more_lines_than_are_compared_each_change_is_told_apart():
    lines = LINES[:-1]
    assert between(lines, ["new", *lines[1:-1], "new"]).count("@@ -") == 2
