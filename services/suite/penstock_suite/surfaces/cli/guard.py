"""`penstock guard`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from penstock_suite.domain.requests import GuardCheckRequest, GuardExplainRequest
from penstock_suite.surfaces.cli.options import ConfigOption, JsonOption, group
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

if TYPE_CHECKING:
    from penstock_suite.domain.guard_explanation import GuardCheck, GuardExplanation

_HELP = """Tell whether a text is taken for prompt injection: what was found, where, and why.

TEXT is looked at as it would be where it enters: what a user typed, a retrieved document, a tool's result, or a model's own
answer. '-' reads it from standard input. Nothing is sent anywhere.
"""
_SHOWN_CHARACTERS = 60

_CHECK_HELP = """Tell what the configured rules make of a text: which find something, and what is left of it.

The rules are those that hold for a request of the tenant, model and key. Nobody else is asked: rules that would ask say
that they failed. '-' reads TEXT from standard input. Exit code 1: a rule ends the request or the answer.
"""

Explain = Callable[[GuardExplainRequest], "GuardExplanation"]
Check = Callable[[GuardCheckRequest], "GuardCheck"]


class EnteredAt(StrEnum):
    """Where a text enters."""

    USER = "user"
    DOCUMENT = "document"
    TOOL_OUTPUT = "tool_output"
    OUTPUT = "output"


class LookedAt(StrEnum):
    """Where a text stands in a request or an answer."""

    SYSTEM = "system"
    INPUT = "input"
    TOOL_RESULT = "tool_result"
    DOCUMENT = "document"
    OUTPUT = "output"
    TOOL_CALL = "tool_call"


def guard(run: Explain, run_rules: Check) -> typer.Typer:
    """Return the group; ``run`` looks at a text, and ``run_rules`` has configured rules look at it."""
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

    @cli.command("check", help=_CHECK_HELP)
    def check(
        *,
        text: Annotated[str, typer.Argument(metavar="TEXT", help="The text, or '-' for standard input.")],
        surface: Annotated[LookedAt, typer.Option(help="Where it stands.")] = LookedAt.INPUT,
        tenant: Annotated[str, typer.Option(metavar="NAME", help="Whose request.")] = "",
        model: Annotated[str, typer.Option(metavar="NAME", help="The public model that it asks.")] = "",
        key: Annotated[str, typer.Option(metavar="ID", help="The id of its key.")] = "",
        config: ConfigOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            said = sys.stdin.read() if text == "-" else text
            checked = run_rules(GuardCheckRequest(said, surface.value, tenant, model, key, config))
            print_json(checked) if as_json else _show_rules(checked)
            if checked.ended_by:
                raise typer.Exit(1)

    return cli


def _show_rules(checked: GuardCheck) -> None:
    rows = [
        (
            escape(one.rule),
            one.side,
            f"{one.action} (shadow)" if one.shadow else one.action,
            one.outcome,
            ", ".join(f"{span.kind} {span.start}-{span.end}" for span in one.found) or "-",
            f"{one.microseconds:.0f}",
            one.version,
        )
        for one in checked.rules
    ]
    if not rows:
        note("No rule holds for such a request there.")
        return
    print_table(("rule", "side", "action", "outcome", "found", "microseconds", "version"), rows)
    note(f"Ended by '{checked.ended_by}'." if checked.ended_by else f"Left: {escape(checked.text)}")


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
