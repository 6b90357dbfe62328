from __future__ import annotations

import json

import pytest

from penstock_suite.surfaces.cli.output import console, escape, print_json, print_table

HOSTILE = "\x1b]0;owned\x07\x1b[2J[red]\x9b31m\u202egnp\r\x00\x7f"
COMMANDS = ("\x1b", "\x07", "\x9b", "\u202e", "\r", "\x00", "\x7f")


@pytest.mark.parametrize(
    "show", [lambda: console().print(escape(HOSTILE)), lambda: print_table(("a",), [(escape(HOSTILE),)])]
)
def test_what_others_have_written_tells_the_terminal_nothing(show, capsys) -> None:
    show()
    told = capsys.readouterr().out
    assert [command for command in COMMANDS if command in told] == []
    assert "\\u001b]0;owned\\u0007\\u001b[2J[red]\\u009b31m\\u202egnp\\u000d" in told


def test_json_tells_it_nothing_either_and_says_the_same(capsys) -> None:
    print_json({"answer": HOSTILE + "é\n\t"})
    told = capsys.readouterr().out
    assert [command for command in COMMANDS if command in told] == []
    assert json.loads(told) == {"answer": HOSTILE + "é\n\t"}


def test_lines_stay_lines() -> None:
    assert escape("one\n\ttwo") == "one\n\ttwo"
