"""Commands that runbooks, errors and hints name are commands, with the options that they are given there."""

import gc
import os
import re
import shlex
from pathlib import Path

import pytest
from typer import Context
from typer.core import TyperGroup
from typer.main import get_command

import penstock_suite.__main__ as program
from penstock_suite.adapters.listers import LISTERS, lister
from penstock_suite.surfaces.cli.application import command_line

RUNBOOKS = sorted((Path(__file__).parents[3] / "docs" / "runbooks").glob("*.md"))
SOURCES = sorted(page for part in ("services", "libs") for page in (Path(__file__).parents[3] / part).glob("**/*.py"))
# What stands in for an argument is one word; it goes to the end of what is quoted.
HINT = re.compile(r"'(penstock [a-z][^'\"\n]*)'")
HINTS = sorted({hint for page in SOURCES for hint in HINT.findall(page.read_text())})
NAMED = sorted({span for page in RUNBOOKS for span in re.findall(r"`(penstock [^`]+)`", page.read_text())})


@pytest.fixture(scope="module")
def whole():
    """The whole command line, as `main` makes it."""
    made = []
    thresholds = gc.get_threshold()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "command_line", lambda entries: lambda **_: made.append(entries))
        # What it sets for its own process is not for this one.
        patch.setattr(os, "environ", dict(os.environ))
        program.main()
    gc.set_threshold(*thresholds)
    return get_command(command_line(made[0]))


def test_runbooks_name_commands():
    assert len(NAMED) > 30
    assert len(HINTS) > 30


@pytest.mark.parametrize("line", NAMED)
def test_a_command_that_a_runbook_names_can_be_given(line, whole):
    _check(line, whole)


def test_commands_that_hints_name_can_be_given(whole):
    for hint in HINTS:
        _check(hint, whole)


def test_what_lists_things_that_are_not_there_is_a_command(whole):
    assert lister("batch") == "penstock batches list"
    assert lister("pause") == "penstock jobs paused"
    assert lister("answer") == ""
    for command in LISTERS.values():
        _check(command, whole)


def _check(line, whole):
    command, rest = whole, shlex.split(line)[1:]
    while isinstance(command, TyperGroup) and rest and not rest[0].startswith("-"):
        with Context(command) as context:
            _, command, rest = command.resolve_command(context, rest)
    options = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= options
