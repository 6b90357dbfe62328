"""`penstock guard`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from penstock_suite.domain.requests import GuardExplainRequest
from penstock_suite.surfaces.cli.options import JsonOption, group
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

if TYPE_CHECKING:
    from penstock_suite.domain.guard_explanation import GuardExplanation

_HELP = """Tell whether a text is taken for prompt injection: what was found, where, and why.

TEXT is looked at as it would be where it enters: what a user typed, a retrieved document, a tool's result, or a model's own
answer. '-' reads it from standard input. Nothing is sent anywhere.
"""
_SHOWN_CHARACTERS = 60

Explain = Callable[[GuardExplainRequest], "GuardExplanation"]


class EnteredAt(StrEnum):
    """Where a text enters."""

    USER = "user"
    DOCUMENT = "document"
    TOOL_OUTPUT = "tool_output"
    OUTPUT = "output"


def guard(run: Explain) -> typer.Typer:
    """Return the group; ``run`` looks at a text."""
    cli = group("What guardrails find in a text, and why.")

    # A group of one command would be that command.
    @cli.callback()
    def guard_() -> None:
        """Hold the commands."""

    @cli.command("explain", help=_HELP)
    def explain(
        *,
        text: Annotated[str, typer.Argument(metavar="TEXT", help="The text, or '-' for standard input.")],
        surface: Annotated[EnteredAt, typer.Option(help="Where it enters.")] = EnteredAt.USER,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            said = sys.stdin.read() if text == "-" else text
            found = run(GuardExplainRequest(said, surface.value))
            print_json(found) if as_json else _show(found)

    return cli


def _show(found: GuardExplanation) -> None:
    rows = [
        (one.kind, one.rule, f"{one.start}-{one.end}", escape(_short(one.text)), one.reason, one.decoded or "-")
        for one in found.findings
    ]
    if rows:
        print_table(("kind", "rule", "where", "text", "reason", "undone"), rows)
    taken = "an attack" if found.is_attack else "no attack"
    note(f"Taken for {taken}: score {found.score:.3f}, threshold {found.threshold:.3f} ({found.version}).")
    spoke = [f"{feature} ({weight:+.2f})" for feature, weight in found.spoke_for_an_attack.items() if weight > 0]
    if spoke:
        note("What spoke most for an attack: " + ", ".join(spoke) + ".")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"
